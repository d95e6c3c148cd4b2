/*
 * shard - one worker thread: an event loop, a listening socket, and the actors whose scopes hash to it.
 *
 * A turn: callbacks have collected; each dirty scope decides (one SQLite transaction); the journal takes the turn's
 * changes; sessions are given theirs; and the gate lets them out once the journal has them on disk. The loop does not
 * wait for that: the next turn goes on meanwhile. When the journal breaks, what it lost was never let out; scopes that
 * hold it are closed and opened again, and sessions come back at their cursors.
 *
 * Thread: one of its own runs shard_run; shard_stop comes from any.
 */
#ifndef SHARDS_SHARD_H
#define SHARDS_SHARD_H

#include "base/err.h"
#include "base/problems.h"
#include "shards/log/journal.h"
#include "shards/scope/kind.h"

struct shard;

struct shard_options {
    unsigned number, n_shards; /* it owns the slots of shard `number` of `n_shards` */
    const char *data_dir;
    const char *run_dir; /* where its socket is */
    const struct app *app;
    struct kind *const *kinds; /* in the order of the app's */
    struct journal_options journal;
};

/* Takes its slots and its socket. NULL, with a problem added, if another process has them. Options are borrowed. */
struct shard *shard_new(const struct shard_options *options, struct problems *problems);
void shard_free(struct shard *shard);

/* Begins its journal. What an earlier one held must have been replayed. False, with a problem added. */
bool shard_open_journal(struct shard *shard, struct problems *problems);

void shard_run(struct shard *shard);
void shard_stop(struct shard *shard);

#endif
