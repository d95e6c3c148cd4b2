/*
 * shard_call - asks a running server's shard something, over its socket in the run folder, and waits for the answer.
 *
 * An answer is lines of JSON; behind one that has `bytes` come bytes, if the caller takes any. A shard that says that
 * another one has the scope is believed: the call goes there. One that says nothing is named
 * with its process when patience ends.
 */
#ifndef CONTROL_SHARD_CALL_H
#define CONTROL_SHARD_CALL_H

#include "base/h2.h"
#include "base/problems.h"
#include "proto/json.h"
#include "proto/route.h"

enum { SHARD_PATIENCE_MS = 10000 };

struct shard_call {
    const char *run_dir;
    const char *path;
    int64_t patience_ms; /* with a shard that says nothing */
    bool is_long;        /* the answer may take its time, while the shard's loop answers pings */
    const char *if_lost; /* what holds if no answer comes: a clause, for the message; or NULL */
    void *arg;
    void (*on_line)(void *arg, const cJSON *line);
    void (*on_bytes)(void *arg, struct slice bytes); /* or NULL: none come */
    /* Called each turn, or NULL: appends what goes to the shard. False ends the call. */
    bool (*send)(void *arg, struct buf *out);
};

/* True once the answer has come to its end. False, with a problem added, if the shard cannot be reached, does not
 * answer, or answered with an error. `shard` is where the search for a scope begins. */
bool shard_call_run(const struct shard_call *call, unsigned shard, struct problems *problems);

/* The path of a request for a scope. The caller frees it. */
char *shard_call_path(const char *request, const struct scope_name *name);

#endif
