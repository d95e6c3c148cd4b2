/*
 * repair - gives up what a damaged journal cannot give back, so that the rest can be served.
 *
 * What can still be read is replayed, and the damaged journal's folder is moved aside, with every byte. What was lost
 * may have been confirmed, and seen: whose it was cannot be known, so every scope of the data folder starts a new
 * timeline, and every client gets a reset. All of this can be interrupted anywhere and done again.
 *
 * Whoever calls has all slots locked.
 */
#ifndef SHARDS_LOG_REPAIR_H
#define SHARDS_LOG_REPAIR_H

#include <stdbool.h>

#include "base/problems.h"

struct repair_result {
    size_t n_journals, n_scopes; /* that were moved aside; that have a new timeline */
    struct problems notes;       /* a line for each journal that was moved, and each scope that could not be helped */
};

/* False, with problems added, if something kept it from being done: nothing is lost then, and it can be tried again. */
bool repair_journals(const char *data_dir, int64_t now_ms, struct repair_result *ret_result, struct problems *problems);

#endif
