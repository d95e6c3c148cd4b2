/*
 * A scope's file on the disk: created whole or not at all, found again, and never mixed up with another.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "tests/lib/reads.h"
#include "tests/lib/scope.h"

static const char DEFINITION[] = "`open`:`claim('sub') = 'ann' AND scope_id() = 'tea' AND now_ms() = 1800000000000`,"
                                 "`collections`:{`notes`:{`key`:`id`,`insert`:{},`update`:{}}}";
static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, a, b, c, d);";

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

/* Opens the scope's path in the name of `name`, which must fail; `why_end` is the end of what is said. */
static void check_refused(const struct scope *scope, const char *name, enum err expected, const char *why_end)
{
    struct scope_name other;
    struct scope_file *file = NULL;
    struct buf why = {0};
    assert_true(scope_name_parse(slice_str(name), &other));
    assert_int_equal(scope_file_open(scope->path, &other, scope->room.kind, true, 0, &file, &why), expected);
    assert_null(file);
    assert_in_range(why.len, strlen(why_end), 1000);
    assert_memory_equal(why.data + why.len - strlen(why_end), why_end, strlen(why_end));
    buf_release(&why);
}

static void close_file(struct scope *scope)
{
    scope_file_close(scope->file);
    scope->file = NULL;
}

static struct folder_path beside(const struct scope *scope, const char *suffix)
{
    struct folder_path path;
    snprintf(path.text, sizeof path.text, "%s%s", scope->path, suffix);
    return path;
}

static bool exists(const struct scope *scope, const char *suffix)
{
    return access(beside(scope, suffix).text, F_OK) == 0;
}

static void write_beside(const struct scope *scope, const char *suffix, struct slice bytes)
{
    FILE *file = fopen(beside(scope, suffix).text, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

/* ---- where, and when ---- */

static void test_a_file_is_named_after_the_hash_of_its_scope(void **state)
{
    struct scope *scope = *state;
    struct scope_hash hash = scope_hash(&scope->name);
    char text[33], expected[600];
    scope_hash_text(&hash, text);
    snprintf(expected, sizeof expected, "%s/data/%u/%s.db", scope->room.folder.path, scope_slot(&hash), text);
    assert_string_equal(scope->path, expected);
    assert_true(exists(scope, ""));
}

static void test_a_file_is_created_only_when_asked_for(void **state)
{
    struct scope *scope = *state;
    struct scope_file *file = NULL;
    close_file(scope);
    assert_int_equal(unlink(scope->path), 0);
    assert_int_equal(scope_file_open(scope->path, &scope->name, scope->room.kind, false, 0, &file, NULL),
                     ERR_NOT_FOUND);
    assert_false(exists(scope, ""));
    scope_reopen(scope);
    assert_true(exists(scope, ""));
    assert_false(exists(scope, ".new"));
}

static void test_what_was_written_is_there_again(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a')");
    scope_reopen(scope);
    assert_string_equal(scope_query(scope, "SELECT id FROM notes"), "a");
    assert_string_equal(scope_query(scope, "SELECT value FROM _sync_meta WHERE name IN ('format', 'scope')"),
                        "1 test/room/tea");
}

/* ---- what a crash may leave ---- */

static struct buf copy_of(const struct scope *scope, const char *suffix)
{
    struct buf bytes = {0};
    assert_int_equal(file_read(beside(scope, suffix).text, 1 << 20, &bytes), ERR_OK);
    return bytes;
}

static void test_leftovers_of_a_creation_are_swept_away(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id) VALUES('old')");
    struct buf file = copy_of(scope, ""), wal = copy_of(scope, "-wal");
    close_file(scope);
    unlink(scope->path);
    write_beside(scope, ".new", slice_of(file.data, file.len / 2));
    write_beside(scope, ".new-wal", buf_slice(&wal));
    write_beside(scope, ".new-journal", SLICE("half of a journal"));
    scope_reopen(scope);
    assert_string_equal(scope_query(scope, "SELECT * FROM notes"), "");
    assert_string_equal(scope_query(scope, "PRAGMA integrity_check"), "ok");
    assert_false(exists(scope, ".new-wal"));
    buf_release(&file);
    buf_release(&wal);
}

/* The file was removed by hand, but not what stood beside it. */
static void test_the_wal_of_a_file_that_is_gone_is_not_replayed(void **state)
{
    struct scope *scope = *state;
    struct database database;
    close_file(scope);
    assert_int_equal(database_open(&database, scope->path, false, NULL), ERR_OK);
    static const char SQL[] = "INSERT INTO notes(id) VALUES('old'); PRAGMA user_version = 1"; /* the first page too */
    assert_int_equal(database_run(&database, SQL_OURS, SQL, NULL), ERR_OK);
    struct buf wal = copy_of(scope, "-wal");
    database_close(&database);
    unlink(scope->path);
    write_beside(scope, "-wal", buf_slice(&wal));
    scope_reopen(scope);
    assert_string_equal(scope_query(scope, "SELECT * FROM notes"), "");
    assert_string_equal(scope_query(scope, "PRAGMA integrity_check"), "ok");
    buf_release(&wal);
}

/* How many rows of notes the file holds without its WAL. */
static int count_in_file(struct scope *scope)
{
    struct database database;
    struct buf file = copy_of(scope, "");
    write_beside(scope, ".alone", buf_slice(&file));
    assert_int_equal(database_open(&database, beside(scope, ".alone").text, false, NULL), ERR_OK);
    assert_int_equal(database_run(&database, SQL_OURS, "DELETE FROM notes WHERE true", NULL), ERR_OK);
    int n = sqlite3_changes(database.db);
    database_close(&database);
    buf_release(&file);
    return n;
}

/* What was committed is in the WAL, and is read back, also without an orderly end; by then it is in the file itself. */
static void test_a_crash_loses_nothing_that_was_committed(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a')");
    struct buf file = copy_of(scope, ""), wal = copy_of(scope, "-wal");
    close_file(scope);
    write_beside(scope, "", buf_slice(&file));
    write_beside(scope, "-wal", buf_slice(&wal));
    scope_reopen(scope);
    assert_string_equal(scope_query(scope, "SELECT id FROM notes"), "a");
    assert_int_equal(count_in_file(scope), 1);
    buf_release(&file);
    buf_release(&wal);
}

/* The journal lost what this process committed: it goes into the file itself before it is read again. */
static void test_what_was_abandoned_is_saved_when_it_is_opened(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a')");
    scope_file_abandon(scope->file);
    scope->file = NULL;
    assert_true(exists(scope, "-wal"));
    assert_int_equal(count_in_file(scope), 0);
    scope_reopen(scope);
    assert_string_equal(scope_query(scope, "SELECT id FROM notes"), "a");
    assert_int_equal(count_in_file(scope), 1);
}

/* ---- what is refused ---- */

static void test_a_file_of_another_scope_is_refused(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a')");
    close_file(scope);
    check_refused(scope, "test/room/tee", ERR_INVALID, "the file belongs to another scope, test/room/tea");
    check_refused(scope, "test/room/te", ERR_INVALID, "the file belongs to another scope, test/room/tea");
    scope_reopen(scope);
    assert_string_equal(scope_query(scope, "SELECT id FROM notes"), "a");
}

static void run_raw(const struct scope *scope, const char *sql)
{
    struct database database;
    assert_int_equal(database_open(&database, scope->path, false, NULL), ERR_OK);
    assert_int_equal(database_run(&database, SQL_OURS, sql, NULL), ERR_OK);
    database_close(&database);
}

static void test_another_format_is_refused(void **state)
{
    struct scope *scope = *state;
    close_file(scope);
    run_raw(scope, "UPDATE _sync_meta SET value = 2 WHERE name = 'format'");
    check_refused(scope, "test/room/tea", ERR_INVALID, "the file has format 2, this version reads 1");
    run_raw(scope, "UPDATE _sync_meta SET value = 1 WHERE name = 'format'");
    run_raw(scope, "DELETE FROM _sync_meta WHERE name = 'tx'");
    check_refused(scope, "test/room/tea", ERR_INVALID,
                  "the file does not count its transactions, so that no journal could be replayed");
    run_raw(scope, "DELETE FROM _sync_meta");
    check_refused(scope, "test/room/tea", ERR_DAMAGED, "the file does not say whose it is");
    run_raw(scope, "DROP TABLE _sync_meta");
    check_refused(scope, "test/room/tea", ERR_DAMAGED, "no such table: _sync_meta");
}

static void test_a_damaged_file_is_refused(void **state)
{
    struct scope *scope = *state;
    struct buf zeros = {0};
    close_file(scope);
    write_beside(scope, "",
                 SLICE("This is no database, and never was one. It is long enough to be looked at, though; "
                       "a file that is too short for a header would count as an empty one."));
    check_refused(scope, "test/room/tea", ERR_DAMAGED, "file is not a database");
    write_beside(scope, "", SLICE(""));
    check_refused(scope, "test/room/tea", ERR_DAMAGED, "no such table: _sync_meta");
    memset(buf_reserve(&zeros, 1 << 16), 0, 1 << 16);
    zeros.len = 1 << 16;
    write_beside(scope, "", buf_slice(&zeros));
    check_refused(scope, "test/room/tea", ERR_DAMAGED, "file is not a database");
    buf_release(&zeros);
}

/* That a path leads nowhere is not known from every failure to follow it. */
static void test_a_path_that_cannot_be_followed_is_not_taken_for_none(void **state)
{
    struct scope *scope = *state;
    close_file(scope);
    unlink(scope->path);
    assert_int_equal(symlink(scope->path, scope->path), 0);
    check_refused(scope, "test/room/tea", ERR_IO, ": Too many levels of symbolic links");
    unlink(scope->path);

    char *slot = mem_dup(slice_of(scope->path, (size_t)(strrchr(scope->path, '/') - scope->path)));
    assert_int_equal(rmdir(slot), 0);
    assert_int_equal(close(creat(slot, 0600)), 0);
    check_refused(scope, "test/room/tea", ERR_IO, ": Not a directory");
    free(slot);
}

static void test_a_file_is_in_one_hand(void **state)
{
    struct scope *scope = *state;
    check_refused(scope, "test/room/tea", ERR_BUSY, ": database is locked");
}

/* ---- what is prepared on it ---- */

static bool allows(struct scope *scope, const char *claims, int64_t now_ms)
{
    scope_become(scope, claims);
    bool allowed;
    assert_int_equal(scope_file_allows(scope->file, &scope->claims, now_ms, 0, &allowed), ERR_OK);
    return allowed;
}

static void test_open_is_asked_with_claims_scope_and_time(void **state)
{
    struct scope *scope = *state;
    assert_true(allows(scope, "{'sub':'ann'}", 1800000000000));
    assert_false(allows(scope, "{'sub':'ben'}", 1800000000000));
    assert_false(allows(scope, "{'sub':'ann'}", 1800000000001));
    assert_false(allows(scope, "{}", 1800000000000)); /* NULL */
    scope_upgrade(scope, "`collections`:{`notes`:{`key`:`id`}}");
    assert_false(allows(scope, "{'sub':'ann'}", 1800000000000)); /* closed to all */
}

/* More shapes of an UPDATE than are kept, over and over. */
static void test_updates_of_any_columns_are_prepared(void **state)
{
    struct scope *scope = *state;
    const struct collection *notes = &scope->room.kind->collections[0];
    scope_execute(scope, "INSERT INTO notes VALUES('k', 0, 0, 0, 0)");
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned set = 1; set < 16; set++) {
            bool columns[5] = {false, (set & 1) != 0, (set & 2) != 0, (set & 4) != 0, (set & 8) != 0};
            sqlite3_stmt *update = scope_file_update(scope->file, notes, columns);
            assert_ptr_equal(scope_file_update(scope->file, notes, columns), update);
            for (int i = 1; i < 5; i++)
                if (columns[i])
                    sqlite3_bind_int(update, i + 1, (int)set);
            sqlite3_bind_text(update, 6, "k", 1, SQLITE_STATIC);
            scope_execute(scope, "UPDATE notes SET a = 0, b = 0, c = 0, d = 0");
            assert_int_equal(statement_run(update), SQLITE_OK);
            char expected[32];
            snprintf(expected, sizeof expected, "%u,%u,%u,%u", columns[1] ? set : 0, columns[2] ? set : 0,
                     columns[3] ? set : 0, columns[4] ? set : 0);
            assert_string_equal(scope_query(scope, "SELECT a, b, c, d FROM notes"), expected);
        }
    }
}

static int stop(void *arg)
{
    (void)arg;
    return 1;
}

static void test_a_row_that_cannot_be_read_is_not_taken_for_none(void **state)
{
    struct scope *scope = *state;
    const struct collection *notes = &scope->room.kind->collections[0];
    struct buf row = {0};
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a')");
    assert_false(scope_file_read_row(scope->file, notes, SLICE("b"), &row));
    assert_int_equal(scope->file->failed, ERR_OK);
    sqlite3_progress_handler(scope->file->database.db, 1, stop, NULL);
    assert_false(scope_file_read_row(scope->file, notes, SLICE("a"), &row));
    assert_int_equal(scope->file->failed, ERR_TIMEOUT);
    sqlite3_progress_handler(scope->file->database.db, 0, NULL, NULL);
    assert_true(scope_file_read_row(scope->file, notes, SLICE("a"), &row));
    buf_release(&row);
}

/* Wherever that hits while a file is made and opened: it is as if it had not been, or had gone well. */
static void test_a_read_that_fails_leaves_nothing_half_done(void **state)
{
    struct scope *scope = *state;
    bool has_failed = true;
    int n = 0;
    close_file(scope);
    for (; has_failed; n++) {
        struct buf why = {0};
        unlink(scope->path);
        reads_fail(".db", n);
        enum err err = scope_file_open(scope->path, &scope->name, scope->room.kind, true, 0, &scope->file, &why);
        has_failed = reads_mend();
        assert_true(err == ERR_OK || (has_failed && err == ERR_IO));
        close_file(scope);
        scope_reopen(scope);
        assert_string_equal(scope_query(scope, "SELECT count(*), floor = max(seq) FROM _sync_collections, _sync_log"),
                            "1,1");
        close_file(scope);
        buf_release(&why);
    }
    assert_true(n > 3);
}

/* The linker's names (--wrap). NOLINTBEGIN(bugprone-reserved-identifier) */
enum err __real_dir_sync_of(const char *path);
enum err __wrap_dir_sync_of(const char *path);
/* NOLINTEND(bugprone-reserved-identifier) */

static bool folders_fail;
static int n_folder_syncs;

enum err __wrap_dir_sync_of(const char *path) /* NOLINT(bugprone-reserved-identifier) */
{
    n_folder_syncs++;
    return folders_fail ? ERR_IO : __real_dir_sync_of(path);
}

static void test_waking_a_scope_syncs_nothing(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a')");
    close_file(scope);
    n_folder_syncs = 0;
    scope_reopen(scope);
    assert_string_equal(scope_query(scope, "SELECT id FROM notes"), "a");
    close_file(scope);
    assert_int_equal(n_folder_syncs, 0);
    assert_false(exists(scope, "-wal"));
    scope_reopen(scope);
    scope_execute(scope, "INSERT INTO notes(id) VALUES('b')");
    assert_int_equal(n_folder_syncs, 0); /* the journal has it */
    assert_int_equal(database_checkpoint(&scope->file->database, NULL), ERR_OK);
    assert_int_equal(database_checkpoint(&scope->file->database, NULL), ERR_OK);
    assert_int_equal(n_folder_syncs, 1);
}

static void test_a_file_is_not_written_before_its_wal_is_kept(void **state)
{
    struct scope *scope = *state;
    struct buf why = {0};
    close_file(scope);
    scope_reopen(scope);
    struct buf file = copy_of(scope, "");
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a')");
    folders_fail = true;
    assert_int_equal(database_checkpoint(&scope->file->database, &why), ERR_IO);
    assert_true(slice_eq(buf_slice(&why), SLICE("its folder cannot be synced")));
    close_file(scope);
    folders_fail = false;
    struct buf now = copy_of(scope, "");
    assert_true(slice_eq(buf_slice(&now), buf_slice(&file)));
    scope_reopen(scope);
    assert_string_equal(scope_query(scope, "SELECT id FROM notes"), "a");
    buf_release(&why);
    buf_release(&file);
    buf_release(&now);
}

static void test_a_file_whose_wal_could_be_lost_is_not_written(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a')");
    struct buf file = copy_of(scope, ""), wal = copy_of(scope, "-wal");
    close_file(scope);
    write_beside(scope, "", buf_slice(&file));
    write_beside(scope, "-wal", buf_slice(&wal));
    folders_fail = true;
    check_refused(scope, scope->name.text, ERR_IO, "its folder cannot be synced");
    folders_fail = false;
    struct buf now = copy_of(scope, "");
    assert_true(slice_eq(buf_slice(&now), buf_slice(&file)));
    assert_true(exists(scope, "-wal"));
    scope_reopen(scope);
    assert_string_equal(scope_query(scope, "SELECT id FROM notes"), "a");
    buf_release(&file);
    buf_release(&wal);
    buf_release(&now);
}

#define SCOPE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCOPE_TEST(test_a_file_is_named_after_the_hash_of_its_scope),
        SCOPE_TEST(test_a_file_is_created_only_when_asked_for),
        SCOPE_TEST(test_what_was_written_is_there_again),
        SCOPE_TEST(test_leftovers_of_a_creation_are_swept_away),
        SCOPE_TEST(test_the_wal_of_a_file_that_is_gone_is_not_replayed),
        SCOPE_TEST(test_a_crash_loses_nothing_that_was_committed),
        SCOPE_TEST(test_a_file_whose_wal_could_be_lost_is_not_written),
        SCOPE_TEST(test_waking_a_scope_syncs_nothing),
        SCOPE_TEST(test_a_file_is_not_written_before_its_wal_is_kept),
        SCOPE_TEST(test_what_was_abandoned_is_saved_when_it_is_opened),
        SCOPE_TEST(test_a_file_of_another_scope_is_refused),
        SCOPE_TEST(test_another_format_is_refused),
        SCOPE_TEST(test_a_damaged_file_is_refused),
        SCOPE_TEST(test_a_path_that_cannot_be_followed_is_not_taken_for_none),
        SCOPE_TEST(test_a_file_is_in_one_hand),
        SCOPE_TEST(test_open_is_asked_with_claims_scope_and_time),
        SCOPE_TEST(test_updates_of_any_columns_are_prepared),
        SCOPE_TEST(test_a_row_that_cannot_be_read_is_not_taken_for_none),
        SCOPE_TEST(test_a_read_that_fails_leaves_nothing_half_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
