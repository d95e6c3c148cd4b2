/*
 * Whatever changes a row, and however, is recorded in order, and with the row as `SELECT *` would give it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/scope.h"

static const char DEFINITION[] = "`collections`:{`notes`:{`key`:`id`},`tags`:{`key`:`id`},`totals`:{`key`:`id`},"
                                 "`tails`:{`key`:`id`},`values`:{`key`:`id`}}";

static const char TABLES[] =
    "CREATE TABLE notes(id TEXT PRIMARY KEY, slug TEXT UNIQUE, text TEXT);"
    "CREATE TABLE tags(id TEXT PRIMARY KEY, note TEXT REFERENCES notes ON DELETE CASCADE ON UPDATE SET NULL);"
    "CREATE TABLE tails(n INTEGER, text TEXT, id TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE totals(id TEXT PRIMARY KEY, n INTEGER NOT NULL);"
    "CREATE TABLE hidden(id TEXT PRIMARY KEY);"
    "CREATE TABLE \"values\"(n INTEGER, r REAL, id TEXT PRIMARY KEY, t TEXT, b BLOB, u NUMERIC,"
    " size INTEGER AS (length(t)) STORED, v, d INTEGER DEFAULT 7);"
    "CREATE INDEX by_n ON \"values\"(n);"
    "CREATE TRIGGER counts AFTER INSERT ON tags BEGIN"
    " INSERT INTO totals VALUES('tags', 1) ON CONFLICT DO UPDATE SET n = n + 1; END;";

static int set_up(void **state)
{
    struct scope *scope = mem_zero(1, sizeof *scope);
    scope_open(scope, DEFINITION, TABLES);
    *state = scope;
    return 0;
}

static int tear_down(void **state)
{
    scope_close(*state);
    free(*state);
    return 0;
}

static void check(struct scope *scope, const char *sql, const char *changes)
{
    scope_execute(scope, sql);
    assert_string_equal(scope_changes(scope), changes);
}

#define A     "insert notes a {\"id\":\"a\",\"slug\":null,\"text\":\"x\"}"
#define B     "insert notes b {\"id\":\"b\",\"slug\":null,\"text\":\"x\"}"
#define TAG_1 "insert tags t1 {\"id\":\"t1\",\"note\":\"a\"}"

/* ---- what changes a row ---- */

static void test_insert_update_and_delete(void **state)
{
    struct scope *scope = *state;
    check(scope, "INSERT INTO notes(id, text) VALUES('a', 'x'), ('b', 'x')", A "\n" B);
    check(scope, "UPDATE notes SET text = 'y' WHERE id = 'a'",
          "update notes a {\"id\":\"a\",\"slug\":null,\"text\":\"y\"}");
    check(scope, "DELETE FROM notes WHERE id = 'b'", "delete notes b");
    check(scope, "DELETE FROM notes WHERE id = 'b'", "");
    check(scope, "INSERT INTO hidden VALUES('a')", ""); /* no collection */
}

static void test_delete_without_where_names_each_row(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO tails VALUES(1, 'x', 'a'), (2, 'x', 'b')");
    check(scope, "DELETE FROM tails", "delete tails a\ndelete tails b");
    scope_execute(scope, "INSERT INTO totals VALUES('a', 1), ('b', 2)"); /* a table without triggers and references */
    check(scope, "DELETE FROM totals", "delete totals a\ndelete totals b");
}

static void test_replace_deletes_what_is_in_its_way(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes VALUES('a', 'same', 'x'), ('b', 'other', 'x'), ('c', 'third', 'x')");
    check(scope, "REPLACE INTO notes VALUES('a', 'same', 'y')",
          "delete notes a\ninsert notes a {\"id\":\"a\",\"slug\":\"same\",\"text\":\"y\"}");
    check(scope, "INSERT OR REPLACE INTO notes VALUES('d', 'same', 'z')",
          "delete notes a\ninsert notes d {\"id\":\"d\",\"slug\":\"same\",\"text\":\"z\"}");
    check(scope, "UPDATE OR REPLACE notes SET slug = 'other' WHERE id = 'd'",
          "delete notes b\nupdate notes d {\"id\":\"d\",\"slug\":\"other\",\"text\":\"z\"}");
    check(scope, "INSERT OR IGNORE INTO notes VALUES('c', 'new', 'z')", "");
}

static void test_upsert_is_an_update(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id, text) VALUES('a', 'x')");
    check(scope, "INSERT INTO notes(id, text) VALUES('a', 'y') ON CONFLICT DO UPDATE SET text = excluded.text",
          "update notes a {\"id\":\"a\",\"slug\":null,\"text\":\"y\"}");
    check(scope, "INSERT INTO notes(id, text) VALUES('a', 'z') ON CONFLICT DO NOTHING", "");
}

static void test_a_changed_key_is_a_delete_and_an_insert(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id, text) VALUES('a', 'x');"
                         "INSERT INTO tails VALUES(1, 'x', 'a'), (2, 'y', 'b')");
    check(scope, "UPDATE notes SET id = 'b'", "delete notes a\n" B);
    check(scope, "UPDATE notes SET id = 'b'", "update notes b {\"id\":\"b\",\"slug\":null,\"text\":\"x\"}");
    check(scope, "UPDATE tails SET id = 'c' WHERE id = 'a'",
          "delete tails a\ninsert tails c {\"n\":1,\"text\":\"x\",\"id\":\"c\"}");
}

static void test_what_triggers_change(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id, text) VALUES('a', 'x')");
    check(scope, "INSERT INTO tags VALUES('t1', 'a')", TAG_1 "\ninsert totals tags {\"id\":\"tags\",\"n\":1}");
    check(scope, "INSERT INTO tags VALUES('t2', 'a')",
          "insert tags t2 {\"id\":\"t2\",\"note\":\"a\"}\nupdate totals tags {\"id\":\"tags\",\"n\":2}");
}

static void test_what_foreign_keys_change(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id, text) VALUES('a', 'x'), ('b', 'x');"
                         "INSERT INTO tags VALUES('t1', 'a'), ('t2', 'b')");
    check(scope, "DELETE FROM notes WHERE id = 'a'", "delete notes a\ndelete tags t1");
    check(scope, "UPDATE notes SET id = 'c' WHERE id = 'b'",
          "delete notes b\ninsert notes c {\"id\":\"c\",\"slug\":null,\"text\":\"x\"}\n"
          "update tags t2 {\"id\":\"t2\",\"note\":null}");
}

static void test_a_table_whose_key_is_not_first(void **state)
{
    struct scope *scope = *state;
    check(scope, "INSERT INTO tails VALUES(1, 'x', 'a')", "insert tails a {\"n\":1,\"text\":\"x\",\"id\":\"a\"}");
    check(scope, "UPDATE tails SET n = n + 1", "update tails a {\"n\":2,\"text\":\"x\",\"id\":\"a\"}");
    check(scope, "REPLACE INTO tails VALUES(3, 'y', 'a')",
          "delete tails a\ninsert tails a {\"n\":3,\"text\":\"y\",\"id\":\"a\"}");
    check(scope, "DELETE FROM tails WHERE n = 3", "delete tails a");
}

/* ---- what a row looks like ---- */

/* The row of the last change is what a SELECT gives. */
static void check_row(struct scope *scope)
{
    const struct capture *capture = &scope->file->capture;
    const struct change *change = &capture->changes[capture->n - 1];
    struct buf stored = {0};
    assert_true(scope_file_read_row(scope->file, change->collection, change_key(capture, change), &stored));
    struct slice row = change_row(capture, change);
    assert_int_equal(row.len, stored.len);
    assert_memory_equal(row.data, stored.data, row.len);
    buf_release(&stored);
}

static void test_rows_are_as_they_are_stored(void **state)
{
    static const char *const VALUES[] = {
        "0",
        "-1",
        "4294967296",
        "9007199254740993",
        "-9223372036854775808",
        "0.0",
        "-0.0",
        "2.5",
        "1e300",
        "5.0",
        "1e15",
        "'text'",
        "'5'",
        "'5.0'",
        "' 7 '",
        "'1e3'",
        "''",
        "NULL",
        "x'00ff'",
        "x''",
        "'a' || char(0) || 'b'",
        "'\xc3\xa4'",
        "true",
        "9e999",
        "'9007199254740993'",
        "zeroblob(300)",
    };
    static const char *const COLUMNS[] = {"n", "r", "t", "b", "u", "v"};
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO \"values\"(id) VALUES('row')");
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        for (size_t j = 0; j < sizeof COLUMNS / sizeof *COLUMNS; j++) {
            char *sql = sqlite3_mprintf("UPDATE \"values\" SET %s = %s", COLUMNS[j], VALUES[i]);
            scope_execute(scope, sql);
            sqlite3_free(sql);
            check_row(scope);
            sql = sqlite3_mprintf("REPLACE INTO \"values\"(id, %s) VALUES('row', %s)", COLUMNS[j], VALUES[i]);
            scope_execute(scope, sql);
            sqlite3_free(sql);
            check_row(scope);
        }
    }
}

static void test_values_keep_their_types(void **state)
{
    check(*state, "INSERT INTO \"values\" VALUES(5000000000, 5, 'a', 5, x'00ff', '5.5', true, 8)",
          "insert values a {\"n\":{\"$real\":5000000000},\"r\":5,\"id\":\"a\",\"t\":\"5\",\"b\":{\"$bin\":\"00ff\"},"
          "\"u\":5.5,\"size\":1,\"v\":1,\"d\":8}");
}

static void test_generated_columns_and_defaults_are_there(void **state)
{
    check(*state, "INSERT INTO \"values\"(id, t) VALUES('a', 'four')",
          "insert values a {\"n\":null,\"r\":null,\"id\":\"a\",\"t\":\"four\",\"b\":null,\"u\":null,\"size\":4,"
          "\"v\":null,\"d\":7}");
    check(*state, "UPDATE \"values\" SET t = 'seven77'",
          "update values a {\"n\":null,\"r\":null,\"id\":\"a\",\"t\":\"seven77\",\"b\":null,\"u\":null,\"size\":7,"
          "\"v\":null,\"d\":7}");
}

static void test_a_column_that_came_later_is_there(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO totals VALUES('old', 1)");
    room_migrate(&scope->room, "0002_more.sql", "ALTER TABLE totals ADD COLUMN more TEXT DEFAULT 'm';");
    scope_upgrade(scope, NULL);
    check(scope, "UPDATE totals SET n = 2", "update totals old {\"id\":\"old\",\"n\":2,\"more\":\"m\"}");
}

/* A table may have been another when a migration wrote to it. */
static void test_what_migrations_write_is_not_recorded(void **state)
{
    struct scope *scope = *state;
    room_migrate(&scope->room, "0002_once.sql",
                 "CREATE TABLE later(n INTEGER PRIMARY KEY); INSERT INTO later VALUES(1);");
    room_migrate(&scope->room, "0003_again.sql",
                 "ALTER TABLE later RENAME TO earlier; CREATE TABLE later(a, b, c, id TEXT PRIMARY KEY);"
                 "INSERT INTO later VALUES(1, 2, 3, 'x');");
    scope_upgrade(scope, "`collections`:{`later`:{`key`:`id`}}");
    assert_int_equal(scope->file->capture.n, 0);
    assert_int_equal(scope->file->capture.journal.len, 0);
    check(scope, "DELETE FROM later", "delete later x");
}

/* ---- what is taken back ---- */

static void run(struct scope *scope, enum sql_kind kind, const char *sql)
{
    assert_int_equal(database_run(&scope->file->database, kind, sql, NULL), ERR_OK);
}

static void test_a_rolled_back_savepoint_is_cut_off(void **state)
{
    struct scope *scope = *state;
    struct capture *capture = &scope->file->capture;
    run(scope, SQL_OURS, "BEGIN");
    run(scope, SQL_STATEMENT, "INSERT INTO notes(id, text) VALUES('a', 'x')");
    struct capture_mark mark = capture_mark(capture);
    run(scope, SQL_OURS, "SAVEPOINT s");
    run(scope, SQL_STATEMENT, "INSERT INTO notes(id, text) VALUES('b', 'x'); DELETE FROM notes WHERE id = 'a'");
    assert_int_equal(capture->n, 3);
    run(scope, SQL_OURS, "ROLLBACK TO s; RELEASE s");
    capture_cut(capture, mark);
    assert_int_equal(capture->bytes.len, mark.bytes_len);
    assert_int_equal(capture->journal.len, mark.journal_len);
    run(scope, SQL_STATEMENT, "INSERT INTO notes(id, slug, text) VALUES('c', 's', 'x')");
    run(scope, SQL_OURS, "COMMIT");
    assert_string_equal(scope_changes(scope), A "\ninsert notes c {\"id\":\"c\",\"slug\":\"s\",\"text\":\"x\"}");
}

/* Only a row whose key can be told to a client may stand. */
static void test_a_bad_key_is_noticed(void **state)
{
    static const char *const BAD[] = {
        "INSERT INTO notes(text) VALUES('x')", "INSERT INTO notes(id) VALUES('')",
        "INSERT INTO notes(id) VALUES(x'61')", "UPDATE notes SET id = NULL WHERE id = 'a'",
        "INSERT INTO hidden VALUES(NULL)",
    };
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a')");
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        run(scope, SQL_OURS, "BEGIN");
        assert_false(scope->file->capture.has_bad_key);
        run(scope, SQL_STATEMENT, BAD[i]);
        assert_true(scope->file->capture.has_bad_key);
        capture_clear(&scope->file->capture);
        run(scope, SQL_OURS, "ROLLBACK");
    }
    scope_execute(scope, "INSERT INTO notes(id) VALUES(5)"); /* a TEXT column makes text of it */
    assert_false(scope->file->capture.has_bad_key);
    assert_string_equal(scope_changes(scope), "insert notes 5 {\"id\":\"5\",\"slug\":null,\"text\":null}");
}

/* Half of a change in the journal would be no change at all. */
static void test_a_turn_that_was_not_recorded_whole_is_not_committed(void **state)
{
    struct scope *scope = *state;
    int64_t tx = scope->file->tx;
    assert_int_equal(scope_file_run(scope->file, TRANSACTION_BEGIN), ERR_OK);
    run(scope, SQL_STATEMENT, "INSERT INTO notes(id) VALUES('a')");
    scope->file->capture.failed = SQLITE_IOERR_READ; /* as the hook's look at a row may end */
    run(scope, SQL_STATEMENT, "INSERT INTO notes(id) VALUES('b')");
    assert_int_equal(scope->file->capture.n, 1);
    assert_int_equal(scope_file_commit(scope->file), ERR_IO);
    assert_int_equal(scope_file_run(scope->file, TRANSACTION_ROLLBACK), ERR_OK);
    assert_int_equal(scope->file->tx, tx);
    capture_clear(&scope->file->capture);
    check(scope, "INSERT INTO notes(id, text) VALUES('a', 'x')", A);
}

static void test_a_large_turn_leaves_no_memory_behind(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 2000)"
                         " INSERT INTO notes(id, text) SELECT n, hex(zeroblob(500)) FROM c");
    assert_int_equal(scope->file->capture.n, 2000);
    capture_clear(&scope->file->capture);
    assert_int_equal(scope->file->capture.n, 0);
    assert_int_equal(scope->file->capture.journal.len, 0);
    assert_in_range(scope->file->capture.bytes.capacity, 0, 1 << 20);
    assert_in_range(scope->file->capture.journal.capacity, 0, 1 << 20);
}

#define SCOPE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCOPE_TEST(test_insert_update_and_delete),
        SCOPE_TEST(test_delete_without_where_names_each_row),
        SCOPE_TEST(test_replace_deletes_what_is_in_its_way),
        SCOPE_TEST(test_upsert_is_an_update),
        SCOPE_TEST(test_a_changed_key_is_a_delete_and_an_insert),
        SCOPE_TEST(test_what_triggers_change),
        SCOPE_TEST(test_what_foreign_keys_change),
        SCOPE_TEST(test_a_table_whose_key_is_not_first),
        SCOPE_TEST(test_rows_are_as_they_are_stored),
        SCOPE_TEST(test_values_keep_their_types),
        SCOPE_TEST(test_generated_columns_and_defaults_are_there),
        SCOPE_TEST(test_a_column_that_came_later_is_there),
        SCOPE_TEST(test_what_migrations_write_is_not_recorded),
        SCOPE_TEST(test_a_rolled_back_savepoint_is_cut_off),
        SCOPE_TEST(test_a_bad_key_is_noticed),
        SCOPE_TEST(test_a_turn_that_was_not_recorded_whole_is_not_committed),
        SCOPE_TEST(test_a_large_turn_leaves_no_memory_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
