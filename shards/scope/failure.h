/*
 * failure - tells an app's author, in the log, what SQLite said when SQL of the app failed: a client is told nothing
 * internal.
 *
 * What fails in the same way is said once a second at most, so that no client can flood the log; the next line says
 * how often it happened in between, and a metric counts them all.
 *
 * Thread: any.
 */
#ifndef SHARDS_SCOPE_FAILURE_H
#define SHARDS_SCOPE_FAILURE_H

#include "shards/scope/outcome.h"
#include "shards/scope/scope_file.h"

/* `outcome` has a `why`. `what` was being decided, as key=value: "op=notes:insert", "command=pin". */
void failure_log(const struct scope_file *file, const struct outcome *outcome, const char *what);

#endif
