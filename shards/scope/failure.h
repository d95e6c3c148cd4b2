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

#include <stdint.h>

#include "proto/route.h"

/* `what` was being decided, as key=value: "op=notes:insert", "command=pin", "rule=open". */
void failure_log(const struct scope_name *name, int64_t now_ms, const char *what, const char *why);

#endif
