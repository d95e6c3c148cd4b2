/*
 * console - what an operator at the machine asks of a shard that runs, over the socket that the routers use.
 *
 *   /metrics              the process's metrics, as text
 *   /status               one JSON object
 *   /backup/APP/KIND/ID   answers JSON lines, the last of which says how many bytes of an SQLite file follow
 *   /restore/APP/KIND/ID  takes a JSON line and as many bytes as it says; answers JSON lines
 *
 * The id is percent-encoded. {"error": TEXT} ends an answer; {"shard": N} says which shard has the scope. The file
 * system says who may ask: the socket's mode is 0600.
 *
 * A shard has one backup or restore under way at a time; another one is refused, not kept waiting.
 *
 * Thread: its shard.
 */
#ifndef SHARDS_CONSOLE_CONSOLE_H
#define SHARDS_CONSOLE_CONSOLE_H

#include "base/h2.h"
#include "base/table.h"
#include "proto/route.h"
#include "shards/carrier.h"

struct actor;
struct actor_host;
struct gate;
struct rescue;
struct console;

/* What it needs of its shard. */
struct console_host {
    struct loop *loop;
    unsigned number, n_shards;
    const struct actor_host *actor_host;
    struct helper *helper; /* ends before the console is freed */
    const struct table *actors;
    const struct gate *gate;
    const struct rescue *rescue;
    /* The actor of a scope that this shard has; NULL if the app has no such kind. */
    struct actor *(*get_actor)(void *shard, const struct scope_name *name);
};

/* `host` is borrowed. The shard's slots must be its own by now. */
struct console *console_new(const struct console_host *host);

/* After its streams have ended and before the actors go. NULL is fine. */
void console_free(struct console *console);

/* A stream was opened: what it is for, or NULL if that is no request of an operator's. */
struct carrier *console_open(struct console *console, struct h2_stream *stream, struct slice path);

/* Part of the shard's turn, between the gate and the links. True if it has more to do at once. */
bool console_turn(struct console *console);

#endif
