/*
 * Whose SQL may do what, and what the functions of the rules answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shards/scope/database.h"
#include "tests/lib/folder.h"

static const char TABLES[] =
    "CREATE TABLE _sync_log(seq INTEGER PRIMARY KEY, key TEXT);"
    "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);"
    "CREATE TABLE tags(id TEXT PRIMARY KEY, note TEXT REFERENCES notes, CHECK(id <> 'bad'));"
    "CREATE TABLE numbered(n INTEGER PRIMARY KEY, text TEXT);"
    "CREATE VIEW plain AS SELECT text FROM notes;"
    "CREATE VIEW log AS SELECT key FROM _sync_log;"
    "CREATE VIEW rows AS SELECT rowid AS n FROM notes;"
    "CREATE VIEW mine AS SELECT * FROM notes WHERE text = claim('sub');"
    "CREATE TABLE logged(id TEXT PRIMARY KEY);"
    "CREATE TRIGGER logs AFTER INSERT ON logged BEGIN INSERT INTO _sync_log(key) VALUES(new.id); END;"
    "CREATE TABLE counted(id TEXT PRIMARY KEY);"
    "CREATE TRIGGER counts AFTER INSERT ON counted BEGIN INSERT INTO notes VALUES(new.id, new.rowid); END;"
    "CREATE TABLE signed(id TEXT PRIMARY KEY);"
    "CREATE TRIGGER signs AFTER INSERT ON signed BEGIN INSERT INTO notes VALUES(new.id, claim('sub')); END;"
    "INSERT INTO notes VALUES('n1', 'hello'), ('n2', 'bye');";

static int open_tables(void **state)
{
    struct database *database = mem_zero(1, sizeof *database);
    struct buf why = {0};
    assert_int_equal(database_open(database, ":memory:", true, &why), ERR_OK);
    assert_int_equal(database_run(database, SQL_OURS, TABLES, &why), ERR_OK);
    *state = database;
    return 0;
}

static int close_tables(void **state)
{
    database_close(*state);
    free(*state);
    return 0;
}

/* ---- who may do what ---- */

enum { OURS = 1 << SQL_OURS, MIGRATION = 1 << SQL_MIGRATION, STATEMENT = 1 << SQL_STATEMENT, RULE = 1 << SQL_RULE };

struct power {
    const char *sql;
    unsigned kinds;  /* who may, beside the server */
    const char *why; /* the end of what the others are told */
};

static void check_power(struct database *database, const struct power *power, enum sql_kind kind)
{
    struct buf why = {0};
    sqlite3_stmt *statement = database_prepare(database, kind, power->sql, &why);
    if ((statement != NULL) != ((power->kinds & 1U << kind) != 0))
        fail_msg("kind %d: %s: %.*s", kind, power->sql, (int)why.len, why.len == 0 ? "" : why.data);
    if (statement == NULL && strstr(why.data, power->why) == NULL)
        fail_msg("kind %d: %s: says %s", kind, power->sql, why.data);
    sqlite3_finalize(statement);
    buf_release(&why);
}

static void check_powers(struct database *database, const struct power *powers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (enum sql_kind kind = SQL_MIGRATION; kind <= SQL_RULE; kind++)
            check_power(database, &powers[i], kind);
}

#define CHECK_POWERS(state, powers) check_powers(*(state), powers, sizeof(powers) / sizeof *(powers))

static void test_reading_and_writing_rows(void **state)
{
    static const struct power POWERS[] = {
        {"SELECT id, text FROM notes", MIGRATION | STATEMENT | RULE, ""},
        {"SELECT * FROM plain", MIGRATION | STATEMENT | RULE, ""},
        {"SELECT n FROM numbered", MIGRATION | STATEMENT | RULE, ""},
        {"SELECT count(*) FROM notes", MIGRATION | STATEMENT | RULE, ""},
        {"SELECT value FROM json_each(claim('rooms'))", MIGRATION | STATEMENT | RULE, ""},
        {"WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a LIMIT 3) SELECT n FROM a",
         MIGRATION | STATEMENT | RULE, ""},
        {"INSERT INTO notes VALUES('n3', claim('sub'))", MIGRATION | STATEMENT, "(a rule only reads)"},
        {"INSERT INTO notes VALUES('n3', 'x') RETURNING id", MIGRATION | STATEMENT, "(a rule only reads)"},
        {"UPDATE notes SET text = 'x'", MIGRATION | STATEMENT, "(a rule only reads)"},
        {"DELETE FROM notes", MIGRATION | STATEMENT, "(a rule only reads)"},
    };
    CHECK_POWERS(state, POWERS);
}

static void test_only_a_migration_changes_the_schema(void **state)
{
    static const char WHY[] = "only"; /* "only a migration may change the schema", "a rule only reads" */
    static const struct power POWERS[] = {
        {"CREATE TABLE t(a TEXT PRIMARY KEY)", MIGRATION, WHY},
        {"CREATE TABLE t AS SELECT 1", MIGRATION, WHY},
        {"CREATE INDEX i ON notes(text)", MIGRATION, WHY},
        {"CREATE UNIQUE INDEX i ON notes(text)", MIGRATION, WHY},
        {"CREATE VIEW v AS SELECT 1", MIGRATION, WHY},
        {"CREATE TRIGGER t AFTER DELETE ON notes BEGIN DELETE FROM tags; END", MIGRATION, WHY},
        {"ALTER TABLE notes ADD COLUMN more TEXT", MIGRATION, WHY},
        {"ALTER TABLE notes RENAME COLUMN text TO body", MIGRATION, WHY},
        {"ALTER TABLE notes RENAME TO items", MIGRATION, WHY},
        {"DROP TABLE tags", MIGRATION, WHY},
        {"DROP VIEW plain", MIGRATION, WHY},
        {"DROP TRIGGER logs", MIGRATION, WHY},
        {"REINDEX notes", MIGRATION, WHY},
    };
    CHECK_POWERS(state, POWERS);
}

static void test_nobody_touches_the_servers_tables(void **state)
{
    static const struct power POWERS[] = {
        {"SELECT key FROM _sync_log", 0, "(tables that start with _sync_ or sqlite_ are the server's)"},
        {"SELECT count(*) FROM _SYNC_LOG", 0, "(tables that start with _sync_ or sqlite_ are the server's)"},
        {"SELECT * FROM log", 0, "(tables that start with _sync_ or sqlite_ are the server's)"},
        {"SELECT EXISTS(SELECT 1 FROM log)", 0, "(tables that start with _sync_ or sqlite_ are the server's)"},
        {"CREATE TABLE t AS SELECT * FROM _sync_log", 0, "("},
        {"INSERT INTO _sync_log(key) VALUES('x')", 0, "("},
        {"UPDATE _sync_log SET key = 'x'", 0, "("},
        {"DELETE FROM _sync_log", 0, "("},
        {"INSERT INTO logged VALUES('x')", 0, "("},
        {"DROP TABLE _sync_log", 0, ""},
        {"ALTER TABLE _sync_log ADD COLUMN more", 0, ""},
        {"CREATE INDEX i ON _sync_log(key)", 0, ""},
        {"CREATE TRIGGER t AFTER INSERT ON _sync_log BEGIN DELETE FROM notes; END", 0, ""},
        {"CREATE TABLE _sync_mine(a TEXT PRIMARY KEY)", 0, ""},
        {"CREATE VIEW _sync_mine AS SELECT 1", 0, ""},
        {"SELECT name FROM sqlite_schema", MIGRATION, "the server's)"},
        {"SELECT name FROM sqlite_master", MIGRATION, "the server's)"},
        {"DELETE FROM sqlite_schema", 0, ""},
        {"SELECT name FROM pragma_table_info('_sync_log')", 0, ""},
        {"SELECT file FROM pragma_database_list", 0, ""},
    };
    CHECK_POWERS(state, POWERS);
}

static void test_nothing_reads_rowid_behind_the_primary_key(void **state)
{
    static const char WHY[] = "(nothing may read rowid: it is not the same after a replay; use the primary key)";
    static const struct power POWERS[] = {
        {"SELECT rowid FROM notes", MIGRATION, WHY},
        {"SELECT text FROM notes ORDER BY _rowid_", MIGRATION, WHY},
        {"DELETE FROM notes WHERE OID = 1", MIGRATION, "("},
        {"SELECT * FROM rows", MIGRATION, WHY},
        {"INSERT INTO counted VALUES('x')", MIGRATION, "("},
        {"SELECT rowid FROM numbered", MIGRATION | STATEMENT | RULE, ""}, /* there it is a column */
    };
    CHECK_POWERS(state, POWERS);
}

static void test_transactions_files_and_settings_are_the_servers(void **state)
{
    static const char TRANSACTION[] = "(transactions are the server's: no BEGIN, COMMIT, ROLLBACK or SAVEPOINT)";
    static const char OTHER[] = "(no PRAGMA, ATTACH, ANALYZE or temporary tables and triggers)";
    static const struct power POWERS[] = {
        {"BEGIN", 0, TRANSACTION},
        {"COMMIT", 0, TRANSACTION},
        {"END", 0, TRANSACTION},
        {"ROLLBACK", 0, TRANSACTION},
        {"SAVEPOINT s", 0, TRANSACTION},
        {"RELEASE s", 0, TRANSACTION},
        {"ROLLBACK TO s", 0, TRANSACTION},
        {"PRAGMA foreign_keys = OFF", 0, OTHER},
        {"PRAGMA writable_schema = ON", 0, OTHER},
        {"PRAGMA table_info(notes)", 0, OTHER},
        {"ATTACH 'other.db' AS other", 0, OTHER},
        {"DETACH other", 0, OTHER},
        {"ANALYZE", 0, OTHER},
        {"CREATE TEMP TABLE t(a)", 0, "("},
        {"CREATE TEMP VIEW v AS SELECT 1", 0, "("},
        {"CREATE TEMP TRIGGER t AFTER DELETE ON notes BEGIN DELETE FROM tags; END", 0, "("},
        {"CREATE VIRTUAL TABLE v USING fts5(a)", 0, "("},
    };
    CHECK_POWERS(state, POWERS);
}

static void test_views_and_triggers_cannot_ask_for_claims(void **state)
{
    static const struct power POWERS[] = {
        {"SELECT * FROM mine", 0, "unsafe use of claim()"},
        {"INSERT INTO signed VALUES('x')", 0, ""},
    };
    CHECK_POWERS(state, POWERS);
}

static void test_the_server_may_do_all(void **state)
{
    static const char *const SQL[] = {"SELECT key FROM log", "SELECT rowid FROM notes", "PRAGMA table_xinfo(notes)",
                                      "INSERT INTO logged VALUES('x')", "SAVEPOINT s"};
    for (size_t i = 0; i < sizeof SQL / sizeof *SQL; i++)
        check_power(*state, &(struct power){SQL[i], OURS, ""}, SQL_OURS);
}

/* ---- one statement ---- */

static void check_why(struct database *database, const char *sql, const char *expected)
{
    struct buf why = {0};
    assert_null(database_prepare(database, SQL_STATEMENT, sql, &why));
    assert_string_equal(why.data, expected);
    buf_release(&why);
}

static void test_there_is_exactly_one_statement(void **state)
{
    check_why(*state, "", "there is no statement");
    check_why(*state, " ;", "there is no statement");
    check_why(*state, "DELETE FROM notes; DELETE FROM tags", "there is more than one statement");
    check_why(*state, "DELETE FROM nots", "no such table: nots");
    check_why(*state, "SELECT \"hello\"", "no such column: hello"); /* a text stands in single quotes */
    sqlite3_stmt *statement = database_prepare(*state, SQL_STATEMENT, "DELETE FROM notes ;\n ; -- all of them\n", NULL);
    assert_non_null(statement);
    sqlite3_finalize(statement);
}

static void test_a_statement_runs_to_its_end(void **state)
{
    struct database *database = *state;
    sqlite3_stmt *insert =
        database_prepare(database, SQL_STATEMENT, "INSERT INTO tags VALUES(?, 'n1') RETURNING id", NULL);
    sqlite3_bind_text(insert, 1, "t1", -1, SQLITE_STATIC);
    assert_int_equal(statement_run(insert), SQLITE_OK);
    assert_int_equal(statement_run(insert), SQLITE_CONSTRAINT_PRIMARYKEY);
    sqlite3_bind_text(insert, 1, "bad", -1, SQLITE_STATIC);
    assert_int_equal(statement_run(insert), SQLITE_CONSTRAINT_CHECK);
    sqlite3_bind_text(insert, 1, "t2", -1, SQLITE_STATIC);
    assert_int_equal(statement_run(insert), SQLITE_OK);
    sqlite3_finalize(insert);
}

static void test_foreign_keys_hold(void **state)
{
    struct buf why = {0};
    assert_int_equal(database_run(*state, SQL_STATEMENT, "INSERT INTO tags VALUES('t1', 'n9')", &why), ERR_INVALID);
    assert_string_equal(why.data, "FOREIGN KEY constraint failed");
    buf_release(&why);
}

static void test_values_have_a_limit(void **state)
{
    struct buf why = {0};
    assert_int_equal(database_run(*state, SQL_STATEMENT, "SELECT zeroblob(65 * 1024 * 1024)", &why), ERR_INVALID);
    assert_string_equal(why.data, "string or blob too big");
    buf_release(&why);
}

/* ---- functions ---- */

/* The value of an expression, as SQL would write it. */
static void check_value(struct database *database, const char *expression, const char *expected)
{
    char *sql = sqlite3_mprintf("SELECT quote(%s)", expression);
    sqlite3_stmt *statement = database_prepare(database, SQL_RULE, sql, NULL);
    assert_non_null(statement);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), expected);
    sqlite3_finalize(statement);
    sqlite3_free(sql);
}

static void test_claims_become_values(void **state)
{
    struct database *database = *state;
    struct claims claims;
    assert_true(claims_init(&claims, SLICE("{\"sub\":\"ann\",\"n\":3,\"big\":9007199254740991,\"r\":2.5,\"yes\":true,"
                                           "\"no\":false,\"none\":null,\"rooms\":[\"tea\",2],\"o\":{\"a\":1}}")));
    check_value(database, "claim('sub')", "NULL"); /* nobody is there */
    database->context.claims = &claims;
    check_value(database, "claim('sub')", "'ann'");
    check_value(database, "claim('SUB')", "NULL");
    check_value(database, "claim('n')", "3");
    check_value(database, "claim('big')", "9007199254740991");
    check_value(database, "claim('r')", "2.5");
    check_value(database, "claim('yes')", "1");
    check_value(database, "claim('no')", "0");
    check_value(database, "claim('none')", "NULL");
    check_value(database, "claim(NULL)", "NULL");
    check_value(database, "claim('rooms')", "'[\"tea\",2]'");
    check_value(database, "claim('o')", "'{\"a\":1}'");
    check_value(database, "'tea' IN (SELECT value FROM json_each(claim('rooms')))", "1");
    database->context.claims = NULL;
    claims_release(&claims);
}

static void test_scope_and_time_are_told(void **state)
{
    struct database *database = *state;
    database->context.scope_id = SLICE("tea room");
    database->context.now_ms = 1700000000123;
    check_value(database, "scope_id()", "'tea room'");
    check_value(database, "now_ms()", "1700000000123");
}

/* ---- files ---- */

static void check_open(const char *path, bool create, enum err expected, const char *why_end)
{
    struct database database;
    struct buf why = {0};
    assert_int_equal(database_open(&database, path, create, &why), expected);
    assert_null(database.db);
    assert_int_equal(strncmp(why.data, path, strlen(path)), 0);
    assert_string_equal(why.data + strlen(path), why_end);
    buf_release(&why);
}

static void test_a_file_that_cannot_be_opened_may_have_a_wal(void **state)
{
    struct folder folder;
    struct database database;
    struct buf why = {0};
    (void)state;
    folder_make(&folder);
    folder_write(&folder, "file.db/not-a-file", SLICE(""));
    folder_write(&folder, "file.db-wal", SLICE("left by a crash"));
    assert_int_equal(database_open(&database, folder_at(&folder, "file.db").text, false, &why), ERR_IO);
    assert_null(database.db);
    buf_release(&why);
    folder_remove(&folder);
}

static void test_a_file_that_cannot_be_opened_is_named(void **state)
{
    (void)state;
    struct folder folder;
    struct database database;
    struct buf why = {0};
    folder_make(&folder);
    check_open(folder_at(&folder, "none.db").text, false, ERR_IO, ": unable to open database file");
    check_open(folder_at(&folder, "none/none.db").text, true, ERR_IO, ": unable to open database file");
    folder_write(&folder, "text.db", SLICE("This is no database, and never was one, whatever its name says."));
    check_open(folder_at(&folder, "text.db").text, false, ERR_DAMAGED, ": file is not a database");
    assert_int_equal(database_open(&database, folder_at(&folder, "used.db").text, true, &why), ERR_OK);
    assert_int_equal(database_run(&database, SQL_OURS, "CREATE TABLE t(a)", &why), ERR_OK);
    check_open(folder_at(&folder, "used.db").text, false, ERR_BUSY, ": database is locked");
    database_close(&database);
    buf_release(&why);
    folder_remove(&folder);
}

/* Files of earlier versions have larger pages, and keep them. */
static void check_pages(const char *path, bool create, int page_bytes)
{
    struct database database;
    struct buf why = {0};
    assert_int_equal(database_open(&database, path, create, &why), ERR_OK);
    assert_int_equal(database.page_bytes, page_bytes);
    assert_int_equal(database_run(&database, SQL_OURS, "CREATE TABLE t(a)", &why), ERR_OK);
    assert_int_not_equal(database.wal_bytes, 0);
    assert_int_equal(database.wal_bytes % page_bytes, 0);
    assert_int_equal(database_checkpoint(&database, &why), ERR_OK);
    assert_int_equal(database.wal_bytes, 0);
    database_close(&database);
}

static void test_what_waits_for_a_checkpoint_is_counted_in_bytes(void **state)
{
    (void)state;
    struct folder folder;
    sqlite3 *db;
    folder_make(&folder);
    check_pages(folder_at(&folder, "new.db").text, true, 1024);
    assert_int_equal(sqlite3_open(folder_at(&folder, "old.db").text, &db), SQLITE_OK);
    static const char SQL[] = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; CREATE TABLE old(a)";
    assert_int_equal(sqlite3_exec(db, SQL, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    check_pages(folder_at(&folder, "old.db").text, false, 8192);
    folder_remove(&folder);
}

#define TABLES_TEST(test) cmocka_unit_test_setup_teardown(test, open_tables, close_tables)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLES_TEST(test_reading_and_writing_rows),
        TABLES_TEST(test_only_a_migration_changes_the_schema),
        TABLES_TEST(test_nobody_touches_the_servers_tables),
        TABLES_TEST(test_nothing_reads_rowid_behind_the_primary_key),
        TABLES_TEST(test_transactions_files_and_settings_are_the_servers),
        TABLES_TEST(test_views_and_triggers_cannot_ask_for_claims),
        TABLES_TEST(test_the_server_may_do_all),
        TABLES_TEST(test_there_is_exactly_one_statement),
        TABLES_TEST(test_a_statement_runs_to_its_end),
        TABLES_TEST(test_foreign_keys_hold),
        TABLES_TEST(test_values_have_a_limit),
        TABLES_TEST(test_claims_become_values),
        TABLES_TEST(test_scope_and_time_are_told),
        cmocka_unit_test(test_what_waits_for_a_checkpoint_is_counted_in_bytes),
        cmocka_unit_test(test_a_file_that_cannot_be_opened_is_named),
        cmocka_unit_test(test_a_file_that_cannot_be_opened_may_have_a_wal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
