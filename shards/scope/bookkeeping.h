/*
 * bookkeeping - the `_sync_` tables that each scope's file holds beside the app's own.
 *
 *   _sync_meta         name -> value: the scope's name, the format, and `schema`, how many migrations the floors
 *                      account for
 *   _sync_collections  each collection's id in the log, its floor, and the fingerprint of what clients see of it
 *   _sync_log          the change log, compacted as it is written: the latest entry of each key of each collection,
 *                      and the latest entry that changed nothing (collection 0)
 *   _sync_receipts     the outcome of each transaction, per identity
 *   _sync_migrations   what has run
 *
 * These tables are a contract with every later version, and with people who read a file by hand.
 */
#ifndef SHARDS_SCOPE_BOOKKEEPING_H
#define SHARDS_SCOPE_BOOKKEEPING_H

#include "shards/scope/database.h"

enum { BOOKKEEPING_FORMAT = 1 };

/* Their names, as a list in SQL. */
#define BOOKKEEPING_TABLES "'_sync_meta', '_sync_collections', '_sync_log', '_sync_receipts', '_sync_migrations'"

/* Creates the tables in a new file, in one transaction. */
enum err bookkeeping_create(struct database *database, struct buf *ret_why);

#endif
