/*
 * row - SQLite's values as MessagePack: how a row looks to a client.
 */
#ifndef SHARDS_SCOPE_ROW_H
#define SHARDS_SCOPE_ROW_H

#include <sqlite3.h>

#include "base/bytes.h"
#include "proto/frame.h"
#include "shards/scope/kind.h"

/* Whether a client can read it: text must be UTF-8. A client's own always is; SQL can make other. */
bool row_value_is_readable(sqlite3_value *value);

/* Appends one value. */
void row_write_value(struct buf *buf, sqlite3_value *value);

/* Appends the row that a `SELECT *` of the collection's table stands on. */
void row_write(struct buf *buf, const struct collection *collection, sqlite3_stmt *statement);

/* Binds what a client sent. VALUE_NESTED must have been refused before. The bytes are borrowed until the reset. */
int value_bind(sqlite3_stmt *statement, int parameter, const struct value *value);

/* The text of a result's column, borrowed until the next step. */
struct slice column_slice(sqlite3_stmt *statement, int column);

#endif
