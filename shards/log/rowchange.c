#include "shards/log/rowchange.h"

#include <assert.h>
#include <stdlib.h>

#include "base/byteorder.h"

/* Tables. */

bool row_table_read(struct row_table *table, sqlite3 *db, const char *name)
{
    sqlite3_stmt *read = NULL;
    *table = (struct row_table){.name = mem_dup(slice_str(name))};
    sqlite3_prepare_v2(db, "SELECT name, pk > 0, hidden = 0 FROM pragma_table_xinfo(?) ORDER BY cid", -1, &read, NULL);
    sqlite3_bind_text(read, 1, name, -1, SQLITE_STATIC);
    while (sqlite3_step(read) == SQLITE_ROW) {
        size_t n = table->n_columns++;
        table->columns = mem_resize(table->columns, table->n_columns * sizeof *table->columns);
        table->columns[n] = (struct row_column){
            .name = mem_dup(slice_str((const char *)sqlite3_column_text(read, 0))),
            .is_key = sqlite3_column_int(read, 1) != 0,
            .is_stored = sqlite3_column_int(read, 2) != 0,
        };
    }
    bool is_whole = sqlite3_finalize(read) == SQLITE_OK; /* else a part of the columns may have been read */
    if (is_whole && table->n_columns > 0)
        return true;
    row_table_release(table);
    return false;
}

void row_table_release(struct row_table *table)
{
    for (size_t i = 0; i < table->n_columns; i++)
        free(table->columns[i].name);
    free(table->columns);
    free(table->name);
    *table = (struct row_table){0};
}

/* Writing. */

static void write_u64(struct buf *buf, int type, uint64_t bits)
{
    char *out = buf_reserve(buf, 9);
    out[0] = (char)type;
    le64_store(out + 1, bits);
    buf->len += 9;
}

static void write_bytes(struct buf *buf, int type, const void *data, size_t len)
{
    char *out = buf_reserve(buf, 5 + len);
    out[0] = (char)type;
    le32_store(out + 1, (uint32_t)len);
    if (len > 0)
        memcpy(out + 5, data, len);
    buf->len += 5 + len;
}

/* False if it is NULL. */
static bool write_value(struct buf *buf, sqlite3_value *value)
{
    int type = sqlite3_value_type(value);
    uint64_t bits;
    double real;
    switch (type) {
    case SQLITE_INTEGER:
        write_u64(buf, type, (uint64_t)sqlite3_value_int64(value));
        break;
    case SQLITE_FLOAT:
        real = sqlite3_value_double(value);
        memcpy(&bits, &real, sizeof bits);
        write_u64(buf, type, bits);
        break;
    case SQLITE_TEXT: {
        const void *text = sqlite3_value_text(value);
        write_bytes(buf, type, text, (size_t)sqlite3_value_bytes(value));
        break;
    }
    case SQLITE_BLOB: {
        const void *blob = sqlite3_value_blob(value);
        write_bytes(buf, type, blob, (size_t)sqlite3_value_bytes(value));
        break;
    }
    default:
        buf_append(buf, &(char){SQLITE_NULL}, 1);
    }
    return type != SQLITE_NULL;
}

static int write_key(struct buf *buf, const struct row_table *table, sqlite3 *db)
{
    bool is_whole = true;
    int code = SQLITE_OK;
    for (size_t i = 0; code == SQLITE_OK && i < table->n_columns; i++) {
        sqlite3_value *value = NULL;
        if (!table->columns[i].is_key)
            continue;
        code = sqlite3_preupdate_old(db, (int)i, &value);
        if (code == SQLITE_OK)
            is_whole = write_value(buf, value) && is_whole;
    }
    return is_whole ? code : SQLITE_CONSTRAINT_NOTNULL;
}

static int write_row(struct buf *buf, const struct row_table *table, sqlite3 *db)
{
    bool has_key = true;
    int code = SQLITE_OK;
    for (size_t i = 0; code == SQLITE_OK && i < table->n_columns; i++) {
        sqlite3_value *value = NULL;
        if (!table->columns[i].is_stored)
            continue;
        code = sqlite3_preupdate_new(db, (int)i, &value);
        if (code == SQLITE_OK && !write_value(buf, value) && table->columns[i].is_key)
            has_key = false;
    }
    return has_key ? code : SQLITE_CONSTRAINT_NOTNULL;
}

int rowchange_write(struct buf *buf, const struct row_table *table, sqlite3 *db, int op)
{
    size_t name_len = strlen(table->name);
    assert(name_len <= ROW_TABLE_NAME_MAX); /* `skerry check` refuses longer ones */
    char *out = buf_reserve(buf, 2 + name_len);
    out[0] = (char)(op == SQLITE_INSERT ? ROWCHANGE_INSERT : op == SQLITE_UPDATE ? ROWCHANGE_UPDATE : ROWCHANGE_DELETE);
    out[1] = (char)name_len;
    memcpy(out + 2, table->name, name_len);
    buf->len += 2 + name_len;
    int code = op == SQLITE_INSERT ? SQLITE_OK : write_key(buf, table, db);
    return code != SQLITE_OK || op == SQLITE_DELETE ? code : write_row(buf, table, db);
}

/* Reading. */

bool rowchange_head(struct slice in, enum rowchange_op *ret_op, struct slice *ret_table)
{
    if (in.len < 2 || byte_at(in.data, 0) > ROWCHANGE_DELETE || in.len < 2u + byte_at(in.data, 1))
        return false;
    *ret_op = (enum rowchange_op)byte_at(in.data, 0);
    *ret_table = slice_of(in.data + 2, byte_at(in.data, 1));
    return true;
}

static void skip(struct slice *in, size_t len)
{
    in->data += len;
    in->len -= len;
}

static bool bind_u64(struct slice *in, sqlite3_stmt *statement, int parameter, int type)
{
    if (in->len < 9)
        return false;
    uint64_t bits = le64_load(in->data + 1);
    double real;
    memcpy(&real, &bits, sizeof real);
    if (type == SQLITE_INTEGER)
        sqlite3_bind_int64(statement, parameter, (sqlite3_int64)bits);
    else
        sqlite3_bind_double(statement, parameter, real);
    skip(in, 9);
    return true;
}

static bool bind_bytes(struct slice *in, sqlite3_stmt *statement, int parameter, int type)
{
    if (in->len < 5 || in->len - 5 < le32_load(in->data + 1))
        return false;
    size_t len = le32_load(in->data + 1);
    if (type == SQLITE_TEXT)
        sqlite3_bind_text64(statement, parameter, in->data + 5, len, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_blob64(statement, parameter, in->data + 5, len, SQLITE_STATIC);
    skip(in, 5 + len);
    return true;
}

/* Binds the value at the front of `in`. False if it is none. */
static bool bind_next(struct slice *in, sqlite3_stmt *statement, int parameter)
{
    int type = in->len == 0 ? 0 : byte_at(in->data, 0);
    switch (type) {
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        return bind_u64(in, statement, parameter, type);
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        return bind_bytes(in, statement, parameter, type);
    case SQLITE_NULL:
        sqlite3_bind_null(statement, parameter);
        skip(in, 1);
        return true;
    default:
        return false;
    }
}

static bool carries_key(const struct row_table *table, size_t i, enum rowchange_op op)
{
    return op != ROWCHANGE_INSERT && table->columns[i].is_key;
}

static bool carries_value(const struct row_table *table, size_t i, enum rowchange_op op)
{
    return op != ROWCHANGE_DELETE && table->columns[i].is_stored;
}

bool rowchange_bind(struct slice *in, const struct row_table *table, enum rowchange_op op, sqlite3_stmt *statement)
{
    skip(in, 2u + byte_at(in->data, 1));
    int parameter = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < table->n_columns; i++)
        if (carries_key(table, i, op))
            ok = bind_next(in, statement, ++parameter);
    for (size_t i = 0; ok && i < table->n_columns; i++)
        if (carries_value(table, i, op))
            ok = bind_next(in, statement, ++parameter);
    return ok;
}

/* The parameters are numbered as the change carries their values: the key's first. The key's index may have another
 * collation than its column, and tell rows apart that the column takes for the same: only their bytes settle it. */
static void append_where(sqlite3_str *sql, const struct row_table *table)
{
    int parameter = 0;
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].is_key) {
            parameter++;
            sqlite3_str_appendf(sql, "%s\"%w\" IS ?%d AND \"%w\" COLLATE BINARY IS ?%d",
                                parameter == 1 ? " WHERE " : " AND ", table->columns[i].name, parameter,
                                table->columns[i].name, parameter);
        }
}

static int count_keys(const struct row_table *table)
{
    int n = 0;
    for (size_t i = 0; i < table->n_columns; i++)
        n += table->columns[i].is_key;
    return n;
}

static void append_assignments(sqlite3_str *sql, const struct row_table *table)
{
    int first = count_keys(table), parameter = first;
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].is_stored) {
            parameter++;
            sqlite3_str_appendf(sql, "%s\"%w\" = ?%d", parameter == first + 1 ? "" : ", ", table->columns[i].name,
                                parameter);
        }
}

static void append_columns(sqlite3_str *sql, const struct row_table *table, bool as_parameters)
{
    int parameter = 0;
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].is_stored) {
            const char *comma = ++parameter == 1 ? "" : ", ";
            if (as_parameters)
                sqlite3_str_appendf(sql, "%s?%d", comma, parameter);
            else
                sqlite3_str_appendf(sql, "%s\"%w\"", comma, table->columns[i].name);
        }
}

/* ABORT, whatever the table says of itself: its ON CONFLICT REPLACE or IGNORE would hide that a change does not fit. */
sqlite3_stmt *rowchange_prepare(const struct row_table *table, sqlite3 *db, enum rowchange_op op)
{
    sqlite3_str *sql = sqlite3_str_new(db);
    switch (op) {
    case ROWCHANGE_INSERT:
        sqlite3_str_appendf(sql, "INSERT OR ABORT INTO \"%w\"(", table->name);
        append_columns(sql, table, false);
        sqlite3_str_appendall(sql, ") VALUES(");
        append_columns(sql, table, true);
        sqlite3_str_appendall(sql, ")");
        break;
    case ROWCHANGE_UPDATE:
        sqlite3_str_appendf(sql, "UPDATE OR ABORT \"%w\" SET ", table->name);
        append_assignments(sql, table);
        append_where(sql, table);
        break;
    case ROWCHANGE_DELETE:
        sqlite3_str_appendf(sql, "DELETE FROM \"%w\"", table->name);
        append_where(sql, table);
        break;
    }
    char *text = sqlite3_str_finish(sql);
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v2(db, text, -1, &statement, NULL);
    sqlite3_free(text);
    return statement;
}
