/*
 * blank - an empty database of a kind, in which `open` is decided for scopes that have no file yet. It is made when it
 * is first asked for.
 *
 * Ownership: its shard's. Thread: the same.
 */
#ifndef SHARDS_BLANK_H
#define SHARDS_BLANK_H

#include "shards/scope/scope_file.h"

/* Zeroed is valid. */
struct blank {
    struct database database;
    sqlite3_stmt *open;
};

void blank_release(struct blank *blank);

/* Whether `open` lets these claims in. */
bool blank_allows(struct blank *blank, const struct kind *kind, const struct scope_name *name,
                  const struct claims *claims, int64_t now_ms);

#endif
