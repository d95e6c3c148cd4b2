/*
 * target - a scope's file that is brought up to its journal's records, while nobody else has it.
 *
 * A transaction is applied if it was made in this file (incarnation) and is the next one there (number), row by row,
 * with triggers and foreign keys off; one that the file has is passed over. Anything else does not fit.
 *
 * Each function but target_close returns false once something has failed: `why` says what, in words that last.
 */
#ifndef SHARDS_LOG_TARGET_H
#define SHARDS_LOG_TARGET_H

#include <sqlite3.h>

#include "shards/log/rowchange.h"
#include "shards/log/scoperecord.h"

struct target {
    sqlite3 *db;
    int64_t incarnation, tx;
    int64_t head; /* the last seq */
    struct target_table {
        struct row_table table;
        sqlite3_stmt *statements[ROWCHANGE_DELETE + 1];
    } * tables;
    size_t n_tables;
    size_t n_applied;
    const char *why; /* it failed */
    int code;        /* SQLite's, if it was a call of SQLite that failed */
};

bool target_open(struct target *target, const char *path);
void target_close(struct target *target);

/* The scope's records come one by one, in their order; behind the last one, the file must be at its head. */
bool target_apply(struct target *target, const struct scoperecord *record);
bool target_has_head(struct target *target);

/* Everything in the file is durable afterwards. */
bool target_save(struct target *target);

#endif
