/*
 * request - one thing that an operator has asked for: a stream to answer on, and, for what takes long, a state that
 * each turn of the shard takes further.
 *
 * Ownership: the console's list. It lives until its stream has ended and nothing of it is under way.
 * Thread: its shard; a job's work on the console's helper, while which the request is left alone.
 */
#ifndef SHARDS_CONSOLE_REQUEST_H
#define SHARDS_CONSOLE_REQUEST_H

#include "base/helper.h"
#include "shards/console/console.h"

struct request;

struct request_type {
    const char *name; /* in the path */
    size_t size;
    bool has_scope;
    void (*begin)(struct request *request);                   /* `stream` and `name` are set */
    void (*take)(struct request *request, struct slice data); /* or NULL: what arrives is ignored */
    bool (*turn)(struct request *request);                    /* or NULL; as console_turn */
    void (*end)(struct request *request);                     /* or NULL: releases what it holds */
};

/* First member of each type's own struct. */
struct request {
    struct carrier carrier;
    struct list link;
    const struct request_type *type;
    struct console *console;
    const struct console_host *host;
    struct scope_name name;
    struct h2_stream *stream; /* NULL once nobody waits for the answer */
    struct job job;
    bool is_working;   /* the helper has it */
    bool is_exclusive; /* it is the shard's one backup or restore */
    bool must_end;     /* it cannot be left as it is, though nobody waits */
};

extern const struct request_type METRICS_REQUEST, STATUS_REQUEST, BACKUP_REQUEST, RESTORE_REQUEST;

/* Has `work` done on the helper; turns go on when it is. */
void request_work(struct request *request, void (*work)(struct job *job));

/* A line of JSON for the one who asks: `format` makes what stands between the braces. */
void request_say(struct request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the answer with an error. `why` is put into quotes here. */
void request_fail(struct request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Nothing more will be answered. */
void request_finish(struct request *request);

/* The request that a job belongs to. */
struct request *request_of(struct job *job);

#endif
