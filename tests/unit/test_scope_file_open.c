/*
 * Opening a scope's file: what it says is there, what it says is not, and what a crash may leave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "shards/scope/scope_file.h"
#include "tests/lib/room.h"

static const int64_t NOW_MS = 1800000000000;

struct scope {
    struct room room;
    struct scope_name name;
    struct folder_path path; /* of its file */
};

static void begin(struct scope *scope)
{
    room_open(&scope->room, "`collections`:{`items`:{`key`:`id`}}",
              "CREATE TABLE items(id TEXT PRIMARY KEY); INSERT INTO items VALUES('first'), ('second');");
    assert_non_null(scope->room.kind);
    assert_true(scope_name_parse(SLICE("test/room/one"), &scope->name));
    scope->path = folder_at(&scope->room.folder, "0/one.db");
}

static void end(struct scope *scope)
{
    room_close(&scope->room);
}

/* NULL if it cannot be opened, for the reason `err`. */
static struct scope_file *open_scope(struct scope *scope, bool create, enum err err)
{
    struct scope_file *file = NULL;
    struct buf why = {0};
    enum err got = scope_file_open(scope->path.text, &scope->name, scope->room.kind, create, NOW_MS, &file, &why);
    if (got != err)
        print_error("%s: %.*s\n", err_text(got), (int)why.len, why.len == 0 ? "" : why.data);
    buf_release(&why);
    assert_int_equal(got, err);
    return file;
}

static void run(struct scope_file *file, const char *sql)
{
    assert_int_equal(database_run(&file->database, SQL_OURS, sql, NULL), ERR_OK);
}

static void test_a_file_is_there_once_it_was_created(void **state)
{
    (void)state;
    struct scope scope;
    begin(&scope);
    open_scope(&scope, false, ERR_NOT_FOUND);
    struct scope_file *file = open_scope(&scope, true, ERR_OK);
    uint64_t head = file->log.head;
    scope_file_close(file);
    file = open_scope(&scope, false, ERR_OK);
    assert_int_equal(file->log.head, head);
    scope_file_close(file);
    end(&scope);
}

static void test_a_file_that_does_not_count_transactions_is_refused(void **state)
{
    (void)state;
    static const char *const NUMBERS[] = {"incarnation", "tx"};
    for (int i = 0; i < 2; i++) {
        struct scope scope;
        char sql[100];
        begin(&scope);
        struct scope_file *file = open_scope(&scope, true, ERR_OK);
        snprintf(sql, sizeof sql, "DELETE FROM _sync_meta WHERE name = '%s'", NUMBERS[i]);
        run(file, sql);
        scope_file_close(file);
        open_scope(&scope, false, ERR_INVALID);
        end(&scope);
    }
}

static void copy(struct scope *scope, const char *from, const char *to)
{
    struct buf bytes = {0};
    assert_int_equal(file_read(folder_at(&scope->room.folder, from).text, 1 << 24, &bytes), ERR_OK);
    folder_write(&scope->room.folder, to, buf_slice(&bytes));
    buf_release(&bytes);
}

/* What the file holds by itself, without its write-ahead log. */
static int count_items(struct scope *scope, const char *name)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *read = NULL;
    copy(scope, name, "0/alone.db");
    assert_int_equal(sqlite3_open(folder_at(&scope->room.folder, "0/alone.db").text, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM items", -1, &read, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(read), SQLITE_ROW);
    int n = sqlite3_column_int(read, 0);
    sqlite3_finalize(read);
    sqlite3_close(db);
    return n;
}

/* A crash may leave transactions in the write-ahead log that no journal has: once somebody has read them they stay. */
static void test_what_a_crash_left_is_durable_before_it_is_read(void **state)
{
    (void)state;
    struct scope scope;
    begin(&scope);
    struct scope_file *file = open_scope(&scope, true, ERR_OK);
    assert_int_equal(scope_file_run(file, TRANSACTION_BEGIN), ERR_OK);
    run(file, "INSERT INTO items VALUES('third')");
    assert_int_equal(scope_file_commit(file), ERR_OK);
    copy(&scope, "0/one.db", "0/crashed.db");
    copy(&scope, "0/one.db-wal", "0/crashed.db-wal");
    scope_file_close(file);
    assert_int_equal(count_items(&scope, "0/crashed.db"), 2);

    scope.path = folder_at(&scope.room.folder, "0/crashed.db");
    file = open_scope(&scope, false, ERR_OK);
    assert_int_equal(file->tx, 1);
    assert_int_equal(count_items(&scope, "0/crashed.db"), 3);
    scope_file_close(file);
    end(&scope);
}

static void test_what_cannot_be_looked_for_is_not_said_to_be_missing(void **state)
{
    (void)state;
    struct scope scope;
    begin(&scope);
    folder_write(&scope.room.folder, "0", SLICE("a file where the slot's folder should be"));
    open_scope(&scope, false, ERR_IO);
    open_scope(&scope, true, ERR_IO);
    end(&scope);
}

static void test_first_rows_are_changes_behind_the_floor(void **state)
{
    (void)state;
    struct scope scope;
    begin(&scope);
    struct scope_file *file = open_scope(&scope, true, ERR_OK);
    uint64_t floor = file->log.floors[0];
    struct changelog_entry entry;
    assert_int_equal(file->log.head, floor + 2);
    changelog_seek(&file->log, floor);
    assert_true(changelog_next(&file->log, &entry));
    assert_true(slice_eq(entry.key, SLICE("first")) && entry.op == OP_INSERT && entry.seq == floor + 1);
    assert_true(changelog_next(&file->log, &entry));
    assert_true(slice_eq(entry.key, SLICE("second")));
    assert_false(changelog_next(&file->log, &entry));
    assert_true(scope_file_end_read(file, file->log.read));
    scope_file_close(file);
    end(&scope);
}

static void test_a_migration_raises_the_floors(void **state)
{
    (void)state;
    struct scope scope;
    begin(&scope);
    struct scope_file *file = open_scope(&scope, true, ERR_OK);
    uint64_t head = file->log.head;
    scope_file_close(file);
    room_migrate(&scope.room, "0002_third.sql", "INSERT INTO items VALUES('third');");
    room_load(&scope.room, NULL);
    file = open_scope(&scope, false, ERR_OK);
    assert_int_equal(file->log.head, head + 1);
    assert_int_equal(file->log.floors[0], head + 1);
    scope_file_close(file);
    file = open_scope(&scope, false, ERR_OK);
    assert_int_equal(file->log.floors[0], head + 1);
    scope_file_close(file);
    end(&scope);
}

/* The file as it is when its worker was killed behind the migration, and before the floors were raised for it. */
static void test_a_crash_behind_a_migration_does_not_spare_the_floors(void **state)
{
    (void)state;
    struct scope scope;
    begin(&scope);
    room_migrate(&scope.room, "0002_third.sql", "INSERT INTO items VALUES('third');");
    room_load(&scope.room, NULL);
    struct scope_file *file = open_scope(&scope, true, ERR_OK);
    uint64_t head = file->log.head;
    run(file, "UPDATE _sync_meta SET value = 1 WHERE name = 'schema'");
    scope_file_close(file);
    file = open_scope(&scope, false, ERR_OK);
    assert_int_equal(file->log.floors[0], head + 1);
    scope_file_close(file);
    end(&scope);
}

static void test_a_read_that_fails_is_no_end(void **state)
{
    (void)state;
    struct scope scope;
    begin(&scope);
    struct scope_file *file = open_scope(&scope, true, ERR_OK);
    struct buf row = {0};
    assert_true(scope_file_read_row(file, &scope.room.kind->collections[0], SLICE("first"), &row));
    assert_false(scope_file_read_row(file, &scope.room.kind->collections[0], SLICE("none"), &row));
    assert_int_equal(file->failed, ERR_OK);
    sqlite3_stmt *read = scope_file_statement(file, &scope.room.kind->collections[0], COLLECTION_SLICE);
    sqlite3_bind_text(read, 1, "", 0, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(read), SQLITE_ROW);
    sqlite3_interrupt(file->database.db);
    assert_int_equal(sqlite3_step(read) & 0xff, SQLITE_INTERRUPT);
    assert_false(scope_file_end_read(file, read));
    assert_int_not_equal(file->failed, ERR_OK);
    buf_release(&row);
    scope_file_close(file);
    end(&scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_there_once_it_was_created),
        cmocka_unit_test(test_a_file_that_does_not_count_transactions_is_refused),
        cmocka_unit_test(test_what_a_crash_left_is_durable_before_it_is_read),
        cmocka_unit_test(test_what_cannot_be_looked_for_is_not_said_to_be_missing),
        cmocka_unit_test(test_first_rows_are_changes_behind_the_floor),
        cmocka_unit_test(test_a_migration_raises_the_floors),
        cmocka_unit_test(test_a_crash_behind_a_migration_does_not_spare_the_floors),
        cmocka_unit_test(test_a_read_that_fails_is_no_end),
    };
    return cmocka_run_group_tests_name("scope file", tests, NULL, NULL);
}
