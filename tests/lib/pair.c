#include "tests/lib/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/rows.h"

void pair_run(sqlite3 *db, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static struct row_table *find_table(struct pair *pair, const char *name)
{
    for (size_t i = 0; i < pair->n_tables; i++)
        if (strcmp(pair->tables[i].name, name) == 0)
            return &pair->tables[i];
    fail_msg("the hook names a table %s", name);
    return NULL;
}

static void on_change(void *arg, sqlite3 *db, int op, const char *schema, const char *name, sqlite3_int64 old_rowid,
                      sqlite3_int64 new_rowid)
{
    struct pair *pair = arg;
    (void)schema;
    (void)old_rowid;
    (void)new_rowid;
    assert_int_equal(rowchange_write(&pair->changes, find_table(pair, name), db, op), pair->expected);
}

static void read_tables(struct pair *pair)
{
    sqlite3_stmt *names = NULL;
    sqlite3_prepare_v2(pair->original, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &names, NULL);
    while (sqlite3_step(names) == SQLITE_ROW) {
        assert_in_range(pair->n_tables, 0, PAIR_TABLES_MAX - 1);
        assert_true(row_table_read(&pair->tables[pair->n_tables++], pair->original,
                                   (const char *)sqlite3_column_text(names, 0)));
    }
    sqlite3_finalize(names);
}

void pair_open(struct pair *pair, const char *schema)
{
    *pair = (struct pair){0};
    sqlite3_open(":memory:", &pair->original);
    sqlite3_open(":memory:", &pair->copy);
    pair_run(pair->original, schema);
    pair_run(pair->copy, schema);
    sqlite3_db_config(pair->original, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    sqlite3_db_config(pair->copy, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    read_tables(pair);
    sqlite3_preupdate_hook(pair->original, on_change, pair);
}

void pair_close(struct pair *pair)
{
    for (size_t i = 0; i < pair->n_tables; i++)
        row_table_release(&pair->tables[i]);
    buf_release(&pair->changes);
    assert_int_equal(sqlite3_close(pair->original), SQLITE_OK);
    assert_int_equal(sqlite3_close(pair->copy), SQLITE_OK);
}

/* Takes the change at the front of `changes`. */
static void replay_one(struct pair *pair, struct slice *changes)
{
    enum rowchange_op op;
    struct slice name;
    assert_true(rowchange_head(*changes, &op, &name));
    char *text = mem_dup(name);
    const struct row_table *table = find_table(pair, text);
    free(text);
    sqlite3_stmt *statement = rowchange_prepare(table, pair->copy, op);
    assert_non_null(statement);
    assert_true(rowchange_bind(changes, table, op, statement));
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_changes(pair->copy) != 1)
        fail_msg("%s: %d rows, %s", sqlite3_expanded_sql(statement), sqlite3_changes(pair->copy),
                 sqlite3_errmsg(pair->copy));
    sqlite3_finalize(statement);
}

void pair_replay(struct pair *pair)
{
    struct slice changes = buf_slice(&pair->changes);
    while (changes.len > 0)
        replay_one(pair, &changes);
    pair->changes.len = 0;
}

void pair_check(const struct pair *pair)
{
    struct buf original = {0}, copy = {0};
    rows_print(&original, pair->original);
    rows_print(&copy, pair->copy);
    assert_string_equal(copy.data, original.data);
    buf_release(&original);
    buf_release(&copy);
}
