/*
 * worker - a process of shards: loads the app, starts one thread per shard, and stops them.
 */
#ifndef SHARDS_WORKER_H
#define SHARDS_WORKER_H

#include "base/problems.h"
#include "proto/app.h"
#include "shards/log/journal.h"

struct worker_options {
    const char *app_dir, *data_dir, *run_dir;
    unsigned n_shards;
    int ready_fd; /* told when every shard listens, unless -1 */
    struct journal_options journal;
};

enum { WORKER_SHARDS_MAX = 64 };

/* Runs until SIGTERM or SIGINT. False, with problems added, if it could not start. */
bool worker_run(const struct worker_options *options, struct problems *problems);

/* What worker_run does first. */
void worker_configure_sqlite(void);

struct shard;
struct kind;

/* Makes the worker's shards ready to turn, with all that their journals held replayed. False, with problems added, and
 * none is left. `ret_shards` has room for options->n_shards. The app and its kinds are borrowed. */
bool shards_open(const struct worker_options *options, const struct app *app, struct kind *const *kinds,
                 struct shard **ret_shards, struct problems *problems);
void shards_close(struct shard **shards, unsigned n);

/* Loads every kind of an app; NULL, with problems added. The caller frees with kinds_free. */
struct kind **kinds_load(const struct app *app, struct problems *problems);
void kinds_free(struct kind **kinds, size_t n);

#endif
