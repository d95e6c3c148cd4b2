/*
 * rowchange - one row's change as the journal carries it: written from SQLite's preupdate hook, replayed by primary
 * key.
 *
 *   op u8, length of the table's name u8, the name;
 *   update, delete: the old values of the primary key's columns; insert, update: the new values of all stored columns
 *   (generated ones are made again), both in the order of the table's columns
 *
 * A value is SQLite's type u8 and then 8 bytes (integer, float), or a length u32 and the bytes (text, blob). Unlike
 * what clients are sent, it is exact.
 */
#ifndef SHARDS_LOG_ROWCHANGE_H
#define SHARDS_LOG_ROWCHANGE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { ROW_TABLE_NAME_MAX = UINT8_MAX }; /* bytes */

struct row_column {
    char *name;
    bool is_key;    /* part of the primary key */
    bool is_stored; /* not generated */
};

/* What is known of a table: enough to find its rows again. */
struct row_table {
    char *name;
    struct row_column *columns;
    size_t n_columns;
};

enum rowchange_op { ROWCHANGE_INSERT, ROWCHANGE_UPDATE, ROWCHANGE_DELETE };

/* Reads what a database says of a table. False if there is none of that name. */
bool row_table_read(struct row_table *table, sqlite3 *db, const char *name);
void row_table_release(struct row_table *table);

/* From within the preupdate hook: appends the change. `op` is SQLite's. SQLITE_CONSTRAINT_NOTNULL if a column of the
 * key is NULL, as SQLite lets it be in a table with rowids: such rows cannot be told apart. What was appended then, or
 * on another failure, is no change. */
int rowchange_write(struct buf *buf, const struct row_table *table, sqlite3 *db, int op);

/* Operation and table of the change at the front of `in`. False if the bytes are no change. */
bool rowchange_head(struct slice in, enum rowchange_op *ret_op, struct slice *ret_table);

/* The statement that applies such a change, with a parameter for each value that the change carries. */
sqlite3_stmt *rowchange_prepare(const struct row_table *table, sqlite3 *db, enum rowchange_op op);

/* Binds the values of the change at the front of `in`, and moves `in` behind it. False if they do not fit. */
bool rowchange_bind(struct slice *in, const struct row_table *table, enum rowchange_op op, sqlite3_stmt *statement);

#endif
