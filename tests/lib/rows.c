#include "tests/lib/rows.h"

#include <assert.h>
#include <inttypes.h>

static void print_bytes(struct buf *text, char type, const unsigned char *bytes, int len)
{
    buf_append(text, &type, 1);
    for (int i = 0; i < len; i++)
        buf_printf(text, "%02x", bytes[i]);
}

static void print_value(struct buf *text, sqlite3_stmt *row, int column)
{
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        buf_printf(text, "%" PRId64, (int64_t)sqlite3_column_int64(row, column));
        break;
    case SQLITE_FLOAT:
        buf_printf(text, "%a", sqlite3_column_double(row, column));
        break;
    case SQLITE_TEXT: {
        const unsigned char *bytes = sqlite3_column_text(row, column);
        print_bytes(text, '\'', bytes, sqlite3_column_bytes(row, column));
        break;
    }
    case SQLITE_BLOB: {
        const unsigned char *bytes = sqlite3_column_blob(row, column);
        print_bytes(text, 'x', bytes, sqlite3_column_bytes(row, column));
        break;
    }
    default:
        buf_printf(text, "NULL");
    }
}

static sqlite3_stmt *prepare(sqlite3 *db, char *sql)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    assert(code == SQLITE_OK);
    sqlite3_free(sql);
    return statement;
}

/* In the order of all columns, each by its bytes: rowids are nobody's business. */
static sqlite3_stmt *select_rows(sqlite3 *db, const char *table)
{
    sqlite3_stmt *columns = prepare(db, sqlite3_mprintf("SELECT name FROM pragma_table_xinfo(%Q)", table));
    sqlite3_str *sql = sqlite3_str_new(db);
    sqlite3_str_appendf(sql, "SELECT * FROM \"%w\" ORDER BY 1 COLLATE BINARY", table);
    for (int n = 0; sqlite3_step(columns) == SQLITE_ROW; n++)
        sqlite3_str_appendf(sql, ", typeof(\"%w\"), \"%w\" COLLATE BINARY", sqlite3_column_text(columns, 0),
                            sqlite3_column_text(columns, 0));
    sqlite3_finalize(columns);
    return prepare(db, sqlite3_str_finish(sql));
}

static void print_table(struct buf *text, sqlite3 *db, const char *table)
{
    sqlite3_stmt *row = select_rows(db, table);
    int code;
    buf_printf(text, "%s\n", table);
    while ((code = sqlite3_step(row)) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(row); i++) {
            print_value(text, row, i);
            buf_printf(text, i + 1 < sqlite3_column_count(row) ? ", " : "\n");
        }
    assert(code == SQLITE_DONE);
    sqlite3_finalize(row);
}

void rows_print(struct buf *text, sqlite3 *db)
{
    sqlite3_stmt *tables = prepare(
        db, sqlite3_mprintf("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%%'"
                            " ESCAPE '\\' ORDER BY name"));
    while (sqlite3_step(tables) == SQLITE_ROW)
        print_table(text, db, (const char *)sqlite3_column_text(tables, 0));
    sqlite3_finalize(tables);
}

void rows_print_file(struct buf *text, const char *path)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
    assert(code == SQLITE_OK);
    rows_print(text, db);
    sqlite3_close(db);
}
