/*
 * errand - one thing that an operator has asked for: a stream to answer on, and, for what takes long, a state that
 * each turn of the shard takes further.
 *
 * Ownership: the console's list. It lives until its stream has ended and nothing of it is under way.
 * Thread: its shard; a job's work on the console's helper, while which the request is left alone.
 */
#ifndef SHARDS_CONSOLE_ERRAND_H
#define SHARDS_CONSOLE_ERRAND_H

#include "base/helper.h"
#include "proto/json.h"
#include "shards/console/console.h"

struct errand;

struct errand_type {
    const char *name; /* in the path */
    size_t size;
    bool has_scope;
    void (*begin)(struct errand *errand);                   /* `stream` and `name` are set */
    void (*take)(struct errand *errand, struct slice data); /* or NULL: what arrives is ignored */
    bool (*turn)(struct errand *errand);                    /* or NULL; as console_turn */
    void (*end)(struct errand *errand);                     /* or NULL: releases what it holds */
};

/* First member of each type's own struct. */
struct errand {
    struct carrier carrier;
    struct list link;
    const struct errand_type *type;
    struct console *console;
    const struct console_host *host;
    struct scope_name name;
    struct h2_stream *stream; /* NULL once nobody waits for the answer */
    struct job job;
    bool is_working; /* the helper has it */
    bool is_answered, has_ended;
    bool is_exclusive; /* it is the shard's one backup or restore */
    bool must_end;     /* it cannot be left as it is, though nobody waits */
};

extern const struct errand_type METRICS_ERRAND, STATUS_ERRAND, BACKUP_ERRAND, RESTORE_ERRAND;

/* Has `work` done on the helper; turns go on when it is. */
void errand_work(struct errand *errand, void (*work)(struct job *job));

/* A line of JSON for the one who asks: `format` makes what stands between the braces. */
void errand_say(struct errand *errand, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the answer with an object, which is taken. */
void errand_answer(struct errand *errand, cJSON **object);

/* Ends the answer with an error. */
void errand_fail(struct errand *errand, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Nothing more will be answered. */
void errand_finish(struct errand *errand);

/* The request that a job belongs to. */
struct errand *errand_of(struct job *job);

#endif
