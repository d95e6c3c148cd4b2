/*
 * kind_trial - runs what an app's author wrote, each by itself in an empty scope, to find what has no end.
 *
 * Nothing else can be learned there: with no rows, and arguments that are empty, an error may be meant.
 */
#ifndef SHARDS_SCOPE_KIND_TRIAL_H
#define SHARDS_SCOPE_KIND_TRIAL_H

#include "shards/scope/kind.h"

/* What of it prepares is run. `database` is a blank one of the kind, opened with trial_bound. */
void kind_trial(const struct kind *kind, const struct app *app, struct database *database, int64_t limit_ms,
                struct problems *problems);

/* Bounds what SQL that has no end can write. */
void trial_bound(struct database *database);

/* Appends what to say of SQL that failed so, if it had no end. */
void trial_explain(enum err err, int64_t limit_ms, struct buf *ret_why);

#endif
