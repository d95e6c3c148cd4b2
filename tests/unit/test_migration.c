/*
 * The numbered SQL files of an app: which are taken, and what a scope's file is after each went well or not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "shards/scope/bookkeeping.h"
#include "shards/scope/migration.h"
#include "tests/lib/folder.h"

/* An app's folder, and a scope's database. */
struct bench {
    struct folder folder;
    struct database database;
    struct migrations migrations;
    struct problems problems;
    struct buf why;
};

static int set_up(void **state)
{
    struct bench *bench = mem_zero(1, sizeof *bench);
    folder_make(&bench->folder);
    assert_int_equal(database_open(&bench->database, ":memory:", true, &bench->why), ERR_OK);
    assert_int_equal(bookkeeping_create(&bench->database, &bench->why), ERR_OK);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    migrations_release(&bench->migrations);
    database_close(&bench->database);
    problems_release(&bench->problems);
    buf_release(&bench->why);
    folder_remove(&bench->folder);
    free(bench);
    return 0;
}

static void write_file(struct bench *bench, const char *name, const char *sql)
{
    char path[100];
    snprintf(path, sizeof path, "room/%s", name);
    folder_write(&bench->folder, path, slice_str(sql));
}

static bool load(struct bench *bench)
{
    migrations_release(&bench->migrations);
    return migrations_load(&bench->migrations, bench->folder.path, "room", &bench->problems);
}

/* Loads the folder and applies it, as opening a scope does. */
static enum err apply(struct bench *bench)
{
    assert_true(load(bench));
    bench->why.len = 0;
    return migrations_apply(&bench->migrations, &bench->database, 0, &bench->why);
}

static void check_why(const struct bench *bench, const char *expected)
{
    assert_int_equal(bench->why.len, strlen(expected));
    assert_memory_equal(bench->why.data, expected, strlen(expected));
}

static int64_t count(struct bench *bench, const char *sql)
{
    sqlite3_stmt *read = database_prepare(&bench->database, SQL_OURS, sql, NULL);
    assert_non_null(read);
    assert_int_equal(sqlite3_step(read), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(read, 0);
    sqlite3_finalize(read);
    return n;
}

/* ---- the folder ---- */

static void test_files_are_taken_in_their_order(void **state)
{
    struct bench *bench = *state;
    write_file(bench, "0002_more.sql", "two");
    write_file(bench, "0001_tables.sql", "one");
    write_file(bench, "README.md", "not SQL");
    write_file(bench, ".0003_draft.sql", "hidden");
    write_file(bench, "0003_draft.sql~", "an editor's");
    assert_true(load(bench));
    assert_int_equal(bench->migrations.n, 2);
    assert_string_equal(bench->migrations.items[0].name, "0001_tables.sql");
    assert_string_equal(bench->migrations.items[0].sql, "one");
    assert_string_equal(bench->migrations.items[0].checksum,
                        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
    assert_string_equal(bench->migrations.items[1].name, "0002_more.sql");
}

/* `line` is what is said behind the path of the app's folder. */
static void check_refused(struct bench *bench, const char *line)
{
    struct buf expected = {0};
    assert_false(load(bench));
    buf_printf(&expected, "%s/%s\n", bench->folder.path, line);
    assert_int_equal(bench->problems.n, 1);
    assert_true(slice_eq(buf_slice(&bench->problems.text), buf_slice(&expected)));
    problems_release(&bench->problems);
    buf_release(&expected);
}

static void test_numbers_have_no_gaps(void **state)
{
    struct bench *bench = *state;
    write_file(bench, "0002_tables.sql", "");
    check_refused(bench, "room/0002_tables.sql: migrations are numbered without gaps; this one must start with 0001_");
    write_file(bench, "0001_tables.sql", "");
    write_file(bench, "0002_other.sql", "");
    check_refused(bench, "room/0002_tables.sql: migrations are numbered without gaps; this one must start with 0003_");
    folder_delete(&bench->folder, "room/0002_other.sql");
    write_file(bench, "0004_last.sql", "");
    check_refused(bench, "room/0004_last.sql: migrations are numbered without gaps; this one must start with 0003_");
    folder_delete(&bench->folder, "room/0004_last.sql");
    write_file(bench, "3_last.sql", "");
    check_refused(bench, "room/3_last.sql: migrations are numbered without gaps; this one must start with 0003_");
}

static void test_each_file_is_judged(void **state)
{
    struct bench *bench = *state;
    write_file(bench, "0001_tables.sql", "");
    write_file(bench, "0003_gap.sql", "");
    write_file(bench, "0004_behind_it.sql", "");
    write_file(bench, "0004_again.sql", "");
    folder_write(&bench->folder, "room/0005_nul.sql", slice_of("a\0b", 3));
    assert_false(load(bench));
    assert_int_equal(bench->problems.n, 3);
    char *found = mem_dup(buf_slice(&bench->problems.text));
    assert_non_null(
        strstr(found, "0003_gap.sql: migrations are numbered without gaps; this one must start with 0002_\n"));
    assert_non_null(
        strstr(found, "0004_behind_it.sql: migrations are numbered without gaps; this one must start with 0005_\n"));
    assert_non_null(strstr(found, "0005_nul.sql: holds a NUL byte"));
    free(found);
}

static void test_there_is_at_least_one(void **state)
{
    struct bench *bench = *state;
    check_refused(bench, "room: cannot be read: No such file or directory");
    write_file(bench, "README.md", "");
    check_refused(bench, "room: no migrations; the first is a file 0001_NAME.sql that creates the tables");
}

static void test_what_is_no_text_is_refused(void **state)
{
    struct bench *bench = *state;
    write_file(bench, "README.md", "");
    assert_int_equal(mkdir(folder_at(&bench->folder, "room/0001_tables.sql").text, 0700), 0);
    check_refused(bench, "room/0001_tables.sql: cannot be read: not a file (at most 4194304 bytes)");
    assert_int_equal(rmdir(folder_at(&bench->folder, "room/0001_tables.sql").text), 0);
    folder_write(&bench->folder, "room/0001_tables.sql", SLICE("CREATE TABLE t(a);\0DROP TABLE t;"));
    check_refused(bench, "room/0001_tables.sql: holds a NUL byte, and what is behind it would not run; save it as "
                         "UTF-8");
    char *large = mem_zero(1, (4 << 20) + 1);
    memset(large, ' ', (4 << 20) + 1);
    folder_write(&bench->folder, "room/0001_tables.sql", slice_of(large, (4 << 20) + 1));
    check_refused(bench, "room/0001_tables.sql: cannot be read: too large (at most 4194304 bytes)");
    free(large);
}

/* ---- applying ---- */

static void test_each_runs_once(void **state)
{
    struct bench *bench = *state;
    write_file(bench, "0001_tables.sql", "CREATE TABLE t(a TEXT PRIMARY KEY); INSERT INTO t VALUES('x');");
    assert_int_equal(apply(bench), ERR_OK);
    assert_int_equal(apply(bench), ERR_OK);
    assert_int_equal(count(bench, "SELECT count(*) FROM t"), 1);
    write_file(bench, "0002_more.sql", "INSERT INTO t VALUES('y');");
    write_file(bench, "0003_all.sql", "ALTER TABLE t ADD COLUMN b; UPDATE t SET b = (SELECT count(*) FROM t);");
    assert_int_equal(apply(bench), ERR_OK);
    assert_int_equal(count(bench, "SELECT sum(b) FROM t"), 4);
    assert_int_equal(count(bench, "SELECT max(number) FROM _sync_migrations"), 3);
}

static void test_one_that_fails_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    write_file(bench, "0001_tables.sql", "CREATE TABLE t(a TEXT PRIMARY KEY);");
    write_file(bench, "0002_wrong.sql", "INSERT INTO t VALUES('x'); CREATE TABLE u(a); INSERT INTO w VALUES(1);");
    write_file(bench, "0003_next.sql", "CREATE TABLE v(a);");
    assert_int_equal(apply(bench), ERR_INVALID);
    check_why(bench, "0002_wrong.sql: no such table: w");
    assert_int_equal(count(bench, "SELECT count(*) FROM sqlite_schema WHERE name IN ('u', 'v')"), 0);
    assert_int_equal(count(bench, "SELECT count(*) FROM t"), 0);
    assert_int_equal(count(bench, "SELECT count(*) FROM _sync_migrations"), 1);

    write_file(bench, "0002_wrong.sql", "INSERT INTO t VALUES('x');"); /* it never ran, so it may be corrected */
    assert_int_equal(apply(bench), ERR_OK);
    assert_int_equal(count(bench, "SELECT count(*) FROM _sync_migrations"), 3);
}

static void test_one_cannot_end_its_transaction(void **state)
{
    static const struct {
        const char *sql, *why;
    } CASES[] = {
        {"INSERT INTO t VALUES('y'); COMMIT;", "0002_x.sql: not authorized (transactions are the server's: no BEGIN, "
                                               "COMMIT, ROLLBACK or SAVEPOINT)"},
        {"INSERT INTO t VALUES('y'); INSERT OR ROLLBACK INTO t VALUES('y');",
         "0002_x.sql: UNIQUE constraint failed: t.a"},
        {"INSERT INTO child VALUES('y', 'nobody');", "0002_x.sql: FOREIGN KEY constraint failed"},
        {"INSERT INTO t VALUES('y'); DELETE FROM _sync_log;",
         "0002_x.sql: not authorized (tables that start with _sync_ or sqlite_ are the server's)"},
        {"CREATE VIRTUAL TABLE f USING fts5(a);",
         "0002_x.sql: not authorized (virtual tables are not supported: the server cannot see their changes)"},
        {"VACUUM;", "0002_x.sql: cannot VACUUM from within a transaction"},
    };
    struct bench *bench = *state;
    write_file(bench, "0001_tables.sql",
               "CREATE TABLE t(a TEXT PRIMARY KEY); INSERT INTO t VALUES('x');"
               "CREATE TABLE child(a TEXT PRIMARY KEY, t REFERENCES t DEFERRABLE INITIALLY DEFERRED);");
    assert_int_equal(apply(bench), ERR_OK);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        write_file(bench, "0002_x.sql", CASES[i].sql);
        assert_int_equal(apply(bench), ERR_INVALID);
        check_why(bench, CASES[i].why);
        assert_true(sqlite3_get_autocommit(bench->database.db));
        assert_int_equal(count(bench, "SELECT count(*) FROM t"), 1);
        assert_int_equal(count(bench, "SELECT count(*) FROM child"), 0);
    }
}

static void test_what_ran_is_not_changed(void **state)
{
    struct bench *bench = *state;
    write_file(bench, "0001_tables.sql", "CREATE TABLE t(a TEXT PRIMARY KEY);");
    write_file(bench, "0002_more.sql", "CREATE TABLE u(a TEXT PRIMARY KEY);");
    assert_int_equal(apply(bench), ERR_OK);

    write_file(bench, "0001_tables.sql", "CREATE TABLE t(a TEXT PRIMARY KEY, b);");
    write_file(bench, "0003_late.sql", "CREATE TABLE v(a TEXT PRIMARY KEY);");
    assert_int_equal(apply(bench), ERR_INVALID);
    check_why(bench, "0001_tables.sql was changed after it ran; undo that, and write a new migration instead");
    assert_int_equal(count(bench, "SELECT count(*) FROM sqlite_schema WHERE name = 'v'"), 0);

    write_file(bench, "0001_tables.sql", "CREATE TABLE t(a TEXT PRIMARY KEY);"); /* undone */
    assert_int_equal(apply(bench), ERR_OK);
    assert_int_equal(count(bench, "SELECT count(*) FROM sqlite_schema WHERE name = 'v'"), 1);
}

static void test_what_ran_is_not_removed(void **state)
{
    struct bench *bench = *state;
    write_file(bench, "0001_tables.sql", "CREATE TABLE t(a TEXT PRIMARY KEY);");
    write_file(bench, "0002_more.sql", "CREATE TABLE u(a TEXT PRIMARY KEY);");
    assert_int_equal(apply(bench), ERR_OK);
    folder_delete(&bench->folder, "room/0002_more.sql");
    assert_int_equal(apply(bench), ERR_INVALID);
    check_why(bench, "migration 2 (0002_more.sql) ran here, but the app has it no more; put the file back");
    write_file(bench, "0002_renamed.sql", "CREATE TABLE u(a TEXT PRIMARY KEY);"); /* a name is only a name */
    assert_int_equal(apply(bench), ERR_OK);
}

static int stop(void *arg)
{
    (void)arg;
    return 1;
}

/* Else the first would run again, on tables that are there. */
static void test_what_ran_must_be_readable(void **state)
{
    struct bench *bench = *state;
    write_file(bench, "0001_tables.sql", "CREATE TABLE IF NOT EXISTS t(a TEXT PRIMARY KEY);");
    assert_int_equal(apply(bench), ERR_OK);
    sqlite3_progress_handler(bench->database.db, 1, stop, NULL);
    assert_int_equal(apply(bench), ERR_TIMEOUT);
    check_why(bench, "the migrations that ran cannot be read: interrupted");
    sqlite3_progress_handler(bench->database.db, 0, NULL, NULL);
    assert_int_equal(apply(bench), ERR_OK);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_files_are_taken_in_their_order),
        BENCH_TEST(test_numbers_have_no_gaps),
        BENCH_TEST(test_each_file_is_judged),
        BENCH_TEST(test_there_is_at_least_one),
        BENCH_TEST(test_what_is_no_text_is_refused),
        BENCH_TEST(test_each_runs_once),
        BENCH_TEST(test_one_that_fails_leaves_nothing),
        BENCH_TEST(test_one_cannot_end_its_transaction),
        BENCH_TEST(test_what_ran_is_not_changed),
        BENCH_TEST(test_what_ran_is_not_removed),
        BENCH_TEST(test_what_ran_must_be_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
