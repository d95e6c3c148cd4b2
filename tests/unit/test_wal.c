/*
 * The write-ahead log is written a commit at a time, and is what it would have been: a copy of the files tells the
 * same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/bytes.h"
#include "base/file.h"
#include "shards/scope/wal.h"
#include "tests/lib/folder.h"

enum { CACHE_PAGES = 20 };

struct world {
    struct folder folder;
    sqlite3 *db;
};

/* What SQLite's own VFS is asked to write into a log; from `fail_at` on it refuses. */
static struct {
    int n, fail_at;
    int64_t bytes;
    sqlite3_io_methods methods;
    const sqlite3_io_methods *own;
} log_writes;

static int count_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    if (++log_writes.n >= log_writes.fail_at)
        return SQLITE_FULL;
    log_writes.bytes += len;
    return log_writes.own->xWrite(file, data, len, at);
}

/* Reads of the database, which may fail as SQLite's own VFS tells of EIO. */
static struct {
    bool fail;
    sqlite3_io_methods methods;
    const sqlite3_io_methods *own;
} database_reads;

static int read_database(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
    return database_reads.fail ? SQLITE_IOERR_CORRUPTFS : database_reads.own->xRead(file, to, len, at);
}

static sqlite3_vfs *unix_vfs;

static int count_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    int code = unix_vfs->xOpen(unix_vfs, name, file, flags, ret_flags);
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        log_writes.own = file->pMethods;
        log_writes.methods = *file->pMethods;
        log_writes.methods.xWrite = count_write;
        file->pMethods = &log_writes.methods;
    }
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB) != 0) {
        database_reads.own = file->pMethods;
        database_reads.methods = *file->pMethods;
        database_reads.methods.xRead = read_database;
        file->pMethods = &database_reads.methods;
    }
    return code;
}

/* Before anything asks for wal_vfs(), which takes the default for its own. */
static int count_writes(void **state)
{
    static sqlite3_vfs counting;
    (void)state;
    unix_vfs = sqlite3_vfs_find(NULL);
    counting = *unix_vfs;
    counting.zName = "counting";
    counting.xOpen = count_open;
    return sqlite3_vfs_register(&counting, 1);
}

static void run(struct world *world, const char *sql)
{
    assert_int_equal(sqlite3_exec(world->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t result = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

static void open_file(struct world *world)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    assert_int_equal(sqlite3_open_v2(folder_at(&world->folder, "file.db").text, &world->db, flags, wal_vfs()),
                     SQLITE_OK);
    char pragmas[160];
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
             "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = %d",
             CACHE_PAGES);
    run(world, pragmas);
}

static int set_up(void **state)
{
    struct world *world = mem_zero(1, sizeof *world);
    folder_make(&world->folder);
    log_writes.fail_at = INT32_MAX;
    open_file(world);
    run(world, "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE, text)");
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    assert_int_equal(sqlite3_close(world->db), SQLITE_OK);
    folder_remove(&world->folder);
    free(world);
    return 0;
}

static void copy_file(const struct world *world, const char *from, const char *to)
{
    struct buf bytes = {0};
    assert_int_equal(file_read(folder_at(&world->folder, from).text, INT32_MAX, &bytes), ERR_OK);
    folder_write(&world->folder, to, buf_slice(&bytes));
    buf_release(&bytes);
}

/* As if the process had been killed now: what another one finds in the files. */
static void check_copy(const struct world *world, int64_t rows)
{
    sqlite3 *db = NULL;
    copy_file(world, "file.db", "copy.db");
    copy_file(world, "file.db-wal", "copy.db-wal");
    assert_int_equal(sqlite3_open_v2(folder_at(&world->folder, "copy.db").text, &db, SQLITE_OPEN_READWRITE, "unix"),
                     SQLITE_OK);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), rows);
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void insert(struct world *world, int64_t first, int64_t n)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE i(i) AS (SELECT %lld UNION ALL SELECT i + 1 FROM i LIMIT %lld)"
             " INSERT INTO t SELECT i, 'a' || i, 'b' || i, hex(zeroblob(400)) FROM i",
             (long long)first, (long long)n);
    run(world, sql);
}

static void test_a_commit_is_one_write(void **state)
{
    struct world *world = *state;
    insert(world, 0, 1);
    for (int64_t i = 1; i < 50; i++) {
        int before = log_writes.n;
        insert(world, i, 1);
        assert_int_equal(log_writes.n, before + 1);
        check_copy(world, i + 1);
    }
}

/* More than the cache and than one write holds: pages go to the log before the commit, are read back, and go again. */
static void test_a_transaction_that_spills(void **state)
{
    struct world *world = *state;
    run(world, "BEGIN");
    insert(world, 0, 2000);
    check_copy(world, 0);
    run(world, "UPDATE t SET text = text || 'x'");
    assert_int_equal(number(world->db, "SELECT count(*) FROM t WHERE text LIKE '%x'"), 2000);
    check_copy(world, 0);
    run(world, "COMMIT");
    check_copy(world, 2000);
}

static void test_what_is_rolled_back_leaves_nothing(void **state)
{
    struct world *world = *state;
    insert(world, 0, 10);
    run(world, "BEGIN");
    insert(world, 10, 2000);
    run(world, "ROLLBACK");
    check_copy(world, 10);
    insert(world, 10, 10);
    check_copy(world, 20);
    run(world, "PRAGMA wal_checkpoint(TRUNCATE)");
    insert(world, 20, 10);
    check_copy(world, 30);
}

static void test_closing_in_a_transaction_drops_it(void **state)
{
    struct world *world = *state;
    insert(world, 0, 10);
    run(world, "BEGIN");
    insert(world, 10, 2000);
    assert_int_equal(sqlite3_close(world->db), SQLITE_OK);
    open_file(world);
    assert_int_equal(number(world->db, "SELECT count(*) FROM t"), 10);
    insert(world, 10, 1);
    check_copy(world, 11);
}

/* Whichever write fails, the commit does, and the next one is whole. */
static void test_a_log_that_cannot_be_written(void **state)
{
    struct world *world = *state;
    int64_t rows = 0;
    int n_failed = 0;
    for (int nth = 1; nth <= 4096; nth *= 2) {
        run(world, "BEGIN");
        log_writes.fail_at = log_writes.n + nth;
        sqlite3_exec(world->db,
                     "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i LIMIT 1000)"
                     " INSERT INTO t SELECT NULL, NULL, NULL, hex(zeroblob(400)) FROM i",
                     NULL, NULL, NULL);
        bool ok =
            !sqlite3_get_autocommit(world->db) && sqlite3_exec(world->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
        log_writes.fail_at = INT32_MAX;
        if (!ok && !sqlite3_get_autocommit(world->db))
            run(world, "ROLLBACK");
        rows += ok ? 1000 : 0;
        n_failed += ok ? 0 : 1;
        check_copy(world, rows);
        run(world, "INSERT INTO t(text) VALUES('after')");
        check_copy(world, ++rows);
    }
    assert_true(n_failed > 3);
    assert_true(rows > 1000);
}

static void test_a_read_that_fails_is_no_damage(void **state)
{
    struct world *world = *state;
    insert(world, 0, 2000);
    run(world, "PRAGMA wal_checkpoint(TRUNCATE)");
    database_reads.fail = true;
    assert_int_equal(sqlite3_exec(world->db, "SELECT * FROM t", NULL, NULL, NULL), SQLITE_IOERR);
    database_reads.fail = false;
    assert_int_equal(number(world->db, "SELECT count(*) FROM t"), 2000);
}

/* Of what a killed process has left nobody knows whether the disk has it, whatever a sync says of it. */
static void test_a_log_that_is_found_is_written_anew(void **state)
{
    struct world *world = *state;
    sqlite3 *db = NULL;
    insert(world, 0, 500);
    copy_file(world, "file.db", "copy.db");
    copy_file(world, "file.db-wal", "copy.db-wal");
    struct folder_path log = folder_at(&world->folder, "copy.db-wal");
    struct stat stat_buf;
    assert_int_equal(stat(log.text, &stat_buf), 0);
    int before = log_writes.n;
    log_writes.bytes = 0;
    assert_int_equal(sqlite3_open_v2(folder_at(&world->folder, "copy.db").text, &db, SQLITE_OPEN_READWRITE, wal_vfs()),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 500);
    assert_true(log_writes.n > before);
    assert_int_equal(log_writes.bytes, stat_buf.st_size);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_a_log_that_cannot_be_written_anew_is_not_used(void **state)
{
    struct world *world = *state;
    sqlite3 *db = NULL;
    insert(world, 0, 500);
    copy_file(world, "file.db", "copy.db");
    copy_file(world, "file.db-wal", "copy.db-wal");
    assert_int_equal(sqlite3_open_v2(folder_at(&world->folder, "copy.db").text, &db, SQLITE_OPEN_READWRITE, wal_vfs()),
                     SQLITE_OK);
    log_writes.fail_at = log_writes.n + 2;
    assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; SELECT count(*) FROM t", NULL, NULL, NULL),
                     SQLITE_FULL);
    log_writes.fail_at = INT32_MAX;
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 500);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_commit_is_one_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_transaction_that_spills, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_rolled_back_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closing_in_a_transaction_drops_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_log_that_cannot_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_log_that_is_found_is_written_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_log_that_cannot_be_written_anew_is_not_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_read_that_fails_is_no_damage, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("wal", tests, count_writes, NULL);
}
