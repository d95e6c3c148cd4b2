/*
 * receipts - the one outcome of each transaction id, per identity.
 *
 * A receipt is written in the transaction that it describes, so there is never one without the other.
 */
#ifndef SHARDS_SCOPE_RECEIPTS_H
#define SHARDS_SCOPE_RECEIPTS_H

#include "shards/scope/claims.h"
#include "shards/scope/database.h"
#include "shards/scope/outcome.h"

enum { RECEIPTS_KEPT_S = 30 * 24 * 3600 }; /* at least so long can a transaction be repeated */

struct receipts {
    sqlite3_stmt *find, *put;
};

enum err receipts_open(struct receipts *receipts, struct database *database, struct buf *ret_why);
void receipts_release(struct receipts *receipts);

/* ERR_NOT_FOUND if this identity has no receipt for `tx`. */
enum err receipts_find(struct receipts *receipts, const struct claims *claims, struct slice tx,
                       struct outcome *ret_outcome);
enum err receipts_put(struct receipts *receipts, const struct claims *claims, struct slice tx,
                      const struct outcome *outcome, int64_t now_ms);

#endif
