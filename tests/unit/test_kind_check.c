/*
 * The mistakes of an app that only a database shows: each is one line, with file, path and what to do.
 *
 * Definitions are written with ` for ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/room.h"

#define NOTES             "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT, author TEXT, len INTEGER AS (length(text)) STORED);"
#define COLLECTION(inner) "`collections`:{`notes`:{`key`:`id`" inner "}}"
#define COMMAND(inner)    "`commands`:{`pin`:{" inner "}}"
#define INSERT(inner)     COLLECTION(",`insert`:{" inner "}")
#define UPDATE(inner)     COLLECTION(",`update`:{" inner "}")
#define DELETE(inner)     COLLECTION(",`delete`:{" inner "}")

#define IN_KIND    "app.json: kinds.room."
#define IN_NOTES   IN_KIND "collections.notes"
#define IN_COMMAND IN_KIND "commands.pin."
#define ROWID      "nothing may read rowid: it is not the same after a replay; use the primary key"

/* 255 bytes */
#define TEN  "tenletters"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "fives"

struct mistake {
    const char *definition, *sql, *lines;
};

static void check_mistakes(const struct mistake *mistakes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct room room;
        room_open(&room, mistakes[i].definition, mistakes[i].sql);
        assert_string_equal(room_problems(&room), mistakes[i].lines);
        assert_null(room.kind);
        room_close(&room);
    }
}

#define CHECK_MISTAKES(mistakes) check_mistakes(mistakes, sizeof(mistakes) / sizeof *(mistakes))

static void check_good(const char *definition, const char *sql)
{
    struct room room;
    room_open(&room, definition, sql);
    assert_string_equal(room_problems(&room), "");
    assert_non_null(room.kind);
    room_close(&room);
}

/* ---- tables ---- */

static void test_migrations_that_do_not_run(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {COLLECTION(""), "CREATE TABEL notes(id TEXT PRIMARY KEY);",
         "room/0001_tables.sql: near \"TABEL\": syntax error\n"},
        {COLLECTION(""), "CREATE VIRTUAL TABLE notes USING fts5(id);",
         "room/0001_tables.sql: not authorized (virtual tables are not supported: the server cannot see their "
         "changes)\n"},
        {COLLECTION(""), "CREATE TABLE _sync_notes(id TEXT PRIMARY KEY);",
         "room/0001_tables.sql: not authorized (names that start with _sync_ are the server's)\n"},
        {COLLECTION(""), NOTES "CREATE TABLE mine(id TEXT PRIMARY KEY); ALTER TABLE mine RENAME TO _Sync_notes;",
         "room: table _Sync_notes: names that start with _sync_ are the server's; choose another\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

static void test_tables_that_cannot_be_replayed(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {"", "CREATE TABLE tags(name TEXT);",
         "room: table tags: has no primary key; rows are replayed by primary key, so give it one\n"},
        {"", "CREATE TABLE tags(n INTEGER PRIMARY KEY AUTOINCREMENT);",
         "room: table tags: uses AUTOINCREMENT; keys are minted by clients or by INTEGER PRIMARY KEY\n"},
        {"", "CREATE TABLE tags(name TEXT PRIMARY KEY, len AS (length(name)), n INTEGER);",
         "room: table tags: column len is a VIRTUAL generated column; make it STORED\n"},
        {"", "CREATE TABLE tags(share REAL, n INTEGER PRIMARY KEY) WITHOUT ROWID;",
         "room: table tags: is WITHOUT ROWID, and SQLite mixes up the types of its columns n and share when it reports "
         "changes; declare the key's columns first, in the key's order\n"},
        {"", "CREATE TABLE " LONG "x(n INTEGER PRIMARY KEY);",
         "room: table " LONG "x: has a name of 256 bytes; 255 are the most\n"},
        {"", "CREATE TABLE tags(n INTEGER PRIMARY KEY ON CONFLICT Rollback);",
         "room: table tags: its SQL says ROLLBACK, which would undo other clients' writes; use ABORT\n"},
        {"",
         NOTES "CREATE TRIGGER strict BEFORE INSERT ON notes BEGIN"
               " SELECT RAISE(ROLLBACK, 'no') WHERE new.text IS NULL; END;",
         "room: table strict: its SQL says ROLLBACK, which would undo other clients' writes; use ABORT\n"},
        {"", NOTES "CREATE TRIGGER strict BEFORE DELETE ON notes BEGIN UPDATE OR ROLLBACK notes SET id = 'x'; END;",
         "room: table strict: its SQL says ROLLBACK, which would undo other clients' writes; use ABORT\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

/* Words within texts, names and comments are only words. */
static void test_words_that_only_look_forbidden(void **state)
{
    (void)state;
    check_good("", "CREATE TABLE steps(id TEXT PRIMARY KEY, rollbacks INTEGER, \"rollback\" TEXT, [autoincrement] TEXT,"
                   " `ROLLBACK TO` TEXT,\n -- no AUTOINCREMENT here\n what TEXT CHECK(what <> 'it''s a ROLLBACK'),"
                   " /* nor a ROLLBACK */ last TEXT);");
    check_good(COMMAND("`execute`:[`DELETE FROM notes WHERE text = 'rollback' -- rollback`]"), NOTES);
}

static void test_tables_that_can_be_replayed(void **state)
{
    (void)state;
    check_good("", "CREATE TABLE " LONG "(n INTEGER PRIMARY KEY);");
    check_good("", "CREATE TABLE tags(n INTEGER PRIMARY KEY, share REAL) WITHOUT ROWID;");
    check_good("", "CREATE TABLE tags(share REAL, n INTEGER PRIMARY KEY);");
    check_good("", "CREATE TABLE tags(share REAL, name TEXT, PRIMARY KEY(name, share)) WITHOUT ROWID;");
}

static void test_tables_that_are_no_collection(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {COLLECTION(""), "CREATE TABLE tags(id TEXT PRIMARY KEY);",
         IN_NOTES ": the migrations in room create no table of that name\n"},
        {COLLECTION(""), "CREATE TABLE Notes(id TEXT PRIMARY KEY);",
         IN_NOTES ": the migrations in room create no table of that name\n"},
        {COLLECTION(""), "CREATE VIEW notes AS SELECT 1 AS id;",
         IN_NOTES ": the migrations in room create no table of that name\n"},
        {COLLECTION(""), "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT, len AS (length(text)));",
         "room: table notes: column len is a VIRTUAL generated column; make it STORED\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

static void test_keys_that_are_none(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {COLLECTION(""), "CREATE TABLE notes(id TEXT UNIQUE NOT NULL, n INTEGER PRIMARY KEY);",
         IN_NOTES ".key: the primary key of the table holds n too; it must be \"id\" alone\n" IN_NOTES
                  ".key: \"id\" is not the primary key of the table; declare it TEXT PRIMARY KEY\n"},
        {COLLECTION(""), "CREATE TABLE notes(name TEXT PRIMARY KEY);",
         IN_NOTES ".key: the primary key of the table holds name too; it must be \"id\" alone\n" IN_NOTES
                  ".key: \"id\" is not the primary key of the table; declare it TEXT PRIMARY KEY\n"},
        {COLLECTION(""), "CREATE TABLE notes(id TEXT, lang TEXT, PRIMARY KEY(id, lang));",
         IN_NOTES ".key: the primary key of the table holds lang too; it must be \"id\" alone\n"},
        {COLLECTION(""), "CREATE TABLE notes(id INTEGER PRIMARY KEY);",
         IN_NOTES ".key: column id is declared INTEGER; a key needs TEXT\n"},
        {COLLECTION(""), "CREATE TABLE notes(id PRIMARY KEY);",
         IN_NOTES ".key: column id is declared without a type; a key needs TEXT\n"},
        {COLLECTION(""), "CREATE TABLE notes(id BLOB PRIMARY KEY);",
         IN_NOTES ".key: column id is declared BLOB; a key needs TEXT\n"},
        {COLLECTION(""), "CREATE TABLE notes(id CHARINT PRIMARY KEY);",
         IN_NOTES ".key: column id is declared CHARINT; a key needs TEXT\n"},
        {COLLECTION(""), "CREATE TABLE notes(id TEXT PRIMARY KEY COLLATE NOCASE);",
         IN_NOTES ".key: column id is declared COLLATE NOCASE; keys compare by bytes, so leave it out\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

static void test_keys_that_are_good(void **state)
{
    (void)state;
    check_good(COLLECTION(""), "CREATE TABLE notes(n INTEGER, id VARCHAR(36) PRIMARY KEY);");
    check_good(COLLECTION(""), "CREATE TABLE notes(n INTEGER, id CLOB, PRIMARY KEY(id)) WITHOUT ROWID;");
    check_good(COLLECTION(""), "CREATE TABLE notes(id TEXT NOT NULL PRIMARY KEY COLLATE binary, n INTEGER) STRICT;");
}

/* ---- rules ---- */

static void test_columns_that_do_not_exist(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {INSERT("`columns`:[`text`,`texts`]"), NOTES, IN_NOTES ".insert.columns: the table has no column texts\n"},
        {UPDATE("`columns`:[`Text`]"), NOTES, IN_NOTES ".update.columns: the table has no column Text\n"},
        {UPDATE("`columns`:[`len`]"), NOTES,
         IN_NOTES ".update.columns: len is a generated column, so nobody can write it\n"},
        {INSERT("`set`:{`writer`:`claim('sub')`}"), NOTES, IN_NOTES ".insert.set: the table has no column writer\n"},
        {UPDATE("`set`:{`len`:`1`}"), NOTES,
         IN_NOTES ".update.set: len is a generated column, so nobody can write it\n"},
        {INSERT("`authorize`:`author = claim('sub')`"), NOTES, IN_NOTES ".insert.authorize: no such column: author\n"},
        {INSERT("`authorize`:`old.author = claim('sub')`"), NOTES,
         IN_NOTES ".insert.authorize: no such column: old.author\n"},
        {UPDATE("`authorize`:`old.writer = claim('sub')`"), NOTES,
         IN_NOTES ".update.authorize: no such column: old.writer\n"},
        {DELETE("`authorize`:`new.author = claim('sub')`"), NOTES,
         IN_NOTES ".delete.authorize: no such column: new.author\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

static void test_rules_that_are_no_expression(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {"`open`:`claim('sub'`", NOTES, IN_KIND "open: incomplete input\n"},
        {"`open`:`1), (2`", NOTES, IN_KIND "open: is not one expression\n"},
        {"`open`:`1); DELETE FROM notes; SELECT (1`", NOTES, IN_KIND "open: there is more than one statement\n"},
        {"`open`:`role('admin')`", NOTES, IN_KIND "open: no such function: role\n"},
        {"`open`:`claim(sub)`", NOTES, IN_KIND "open: no such column: sub\n"},
        {"`open`:`EXISTS(SELECT 1 FROM members)`", NOTES, IN_KIND "open: no such table: members\n"},
        {INSERT("`set`:{`author`:`claim('sub'`}"), NOTES, IN_NOTES ".insert.set.author: incomplete input\n"},
        {INSERT("`set`:{`author`:`'a', 'b'`}"), NOTES, IN_NOTES ".insert.set.author: row value misused\n"},
        {INSERT("`set`:{`author`:`1), (2`}"), NOTES, IN_NOTES ".insert.set.author: is not one expression\n"},
        {UPDATE("`authorize`:`old.author IS`"), NOTES, IN_NOTES ".update.authorize: near \")\": syntax error\n"},
        {DELETE("`authorize`:`old.author = \\`ann\\``"), NOTES, IN_NOTES ".delete.authorize: no such column: ann\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

static void test_parameters_that_stand_for_nothing(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {"`open`:`:id = 1`", NOTES, IN_KIND "open: no value is known for parameter :id\n"},
        {"`open`:`@key = 1`", NOTES, IN_KIND "open: no value is known for parameter @key\n"},
        {INSERT("`authorize`:`@key <> ''`"), NOTES,
         IN_NOTES ".insert.authorize: no value is known for parameter @key\n"},
        {INSERT("`authorize`:`:tex <> ''`"), NOTES,
         IN_NOTES ".insert.authorize: no value is known for parameter :tex\n"},
        {INSERT("`authorize`:`? <> ''`"), NOTES, IN_NOTES ".insert.authorize: no value is known for parameter ?\n"},
        {INSERT("`authorize`:`?1 <> ''`"), NOTES, IN_NOTES ".insert.authorize: no value is known for parameter ?1\n"},
        {INSERT("`authorize`:`$text <> ''`"), NOTES,
         IN_NOTES ".insert.authorize: no value is known for parameter $text\n"},
        {INSERT("`authorize`:`@text <> ''`"), NOTES,
         IN_NOTES ".insert.authorize: no value is known for parameter @text\n"},
        {INSERT("`authorize`:`:len < 10`"), NOTES,
         IN_NOTES ".insert.authorize: no value is known for parameter :len\n"},
        {UPDATE("`set`:{`author`:`:len`}"), NOTES,
         IN_NOTES ".update.set.author: no value is known for parameter :len\n"},
        {DELETE("`authorize`:`:author = claim('sub')`"), NOTES,
         IN_NOTES ".delete.authorize: no value is known for parameter :author\n"},
        {COMMAND("`args`:{`id`:`text`},`execute`:[`DELETE FROM notes WHERE id = :key`]"), NOTES,
         IN_COMMAND "execute[0]: no value is known for parameter :key\n"},
        {COMMAND("`args`:{`id`:`text`},`execute`:[`DELETE FROM notes WHERE id = @key`]"), NOTES,
         IN_COMMAND "execute[0]: no value is known for parameter @key\n"},
        {COMMAND("`args`:{`id`:`text`},`execute`:[`DELETE FROM notes`],`result`:`SELECT @id`"), NOTES,
         IN_COMMAND "result: no value is known for parameter @id\n"},
        {COMMAND("`authorize`:`:id = 1`,`execute`:[`DELETE FROM notes`]"), NOTES,
         IN_COMMAND "authorize: no value is known for parameter :id\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

static void test_commands_that_may_not(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {COMMAND("`execute`:[`DELETE FROM nots`]"), NOTES, IN_COMMAND "execute[0]: no such table: nots\n"},
        {COMMAND("`execute`:[`DELETE FROM notes; DELETE FROM notes`]"), NOTES,
         IN_COMMAND "execute[0]: there is more than one statement\n"},
        {COMMAND("`execute`:[`COMMIT`]"), NOTES,
         IN_COMMAND "execute[0]: not authorized (transactions are the server's: no BEGIN, COMMIT, ROLLBACK or "
                    "SAVEPOINT)\n"},
        {COMMAND("`execute`:[`DROP TABLE notes`]"), NOTES,
         IN_COMMAND "execute[0]: not authorized (only a migration may change the schema)\n"},
        {COMMAND("`execute`:[`DELETE FROM _sync_log`]"), NOTES,
         IN_COMMAND "execute[0]: not authorized (tables that start with _sync_ or sqlite_ are the server's)\n"},
        {COMMAND("`execute`:[`INSERT OR ROLLBACK INTO notes(id) VALUES('x')`]"), NOTES,
         IN_COMMAND "execute[0]: says ROLLBACK, which would undo other clients' writes; use ABORT\n"},
        {COMMAND("`execute`:[`DELETE FROM notes`],`result`:`DELETE FROM notes RETURNING id`"), NOTES,
         IN_COMMAND "result: not authorized (a rule only reads)\n"},
        {COMMAND("`execute`:[`DELETE FROM notes`],`authorize`:`(SELECT 1 FROM log)`"),
         NOTES "CREATE VIEW log AS SELECT * FROM _sync_log;",
         IN_COMMAND "authorize: access to _sync_log.seq is prohibited (tables that start with _sync_ or sqlite_ are "
                    "the server's)\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

static void test_rowid_is_read_nowhere(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {UPDATE("`authorize`:`old.rowid < 100`"), NOTES,
         IN_NOTES ".update.authorize: access to notes.ROWID is prohibited (" ROWID ")\n"},
        {"`open`:`(SELECT max(_rowid_) FROM notes) < 100`", NOTES,
         IN_KIND "open: access to notes.ROWID is prohibited (" ROWID ")\n"},
        {COMMAND("`execute`:[`DELETE FROM notes WHERE rowid < 10`]"), NOTES,
         IN_COMMAND "execute[0]: access to notes.ROWID is prohibited (" ROWID ")\n"},
        {"`open`:`(SELECT n FROM numbered) < 100`", NOTES "CREATE VIEW numbered AS SELECT rowid AS n FROM notes;",
         IN_KIND "open: access to notes.ROWID is prohibited (" ROWID ")\n"},
        {INSERT(""), NOTES "CREATE TRIGGER t AFTER INSERT ON notes BEGIN UPDATE notes SET text = new.rowid; END;",
         IN_NOTES ".insert: the table's triggers included, it fails: access to notes.ROWID is prohibited (" ROWID
                  ")\n"},
        {UPDATE(""),
         NOTES "CREATE TRIGGER t AFTER UPDATE OF author ON notes BEGIN"
               " DELETE FROM notes WHERE rowid = 1; END;",
         IN_NOTES ".update: the table's triggers included, it fails: access to notes.ROWID is prohibited (" ROWID
                  ")\n"},
        {DELETE(""), NOTES "CREATE TRIGGER t AFTER DELETE ON notes BEGIN UPDATE notes SET text = old.oid; END;",
         IN_NOTES ".delete: the table's triggers included, it fails: access to notes.ROWID is prohibited (" ROWID
                  ")\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

static void test_triggers_and_defaults_are_judged_too(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {DELETE(""), NOTES "CREATE TRIGGER t AFTER DELETE ON notes BEGIN INSERT INTO gone VALUES(old.id); END;",
         IN_NOTES ".delete: the table's triggers included, it fails: no such table: main.gone\n"},
        {INSERT(""), NOTES "CREATE TRIGGER t AFTER INSERT ON notes BEGIN UPDATE notes SET author = claim('sub'); END;",
         IN_NOTES ".insert: the table's triggers included, it fails: unsafe use of claim()\n"},
        {COLLECTION(""), "CREATE TABLE notes(id TEXT PRIMARY KEY, status TEXT DEFAULT \"open\");",
         "room: table notes: a DEFAULT cannot be computed: no such column: open; a text stands in single quotes\n"},
    };
    CHECK_MISTAKES(MISTAKES);
    check_good(UPDATE("`columns`:[`text`]"), /* nothing that is allowed fires it */
               NOTES "CREATE TRIGGER t AFTER UPDATE OF author ON notes BEGIN DELETE FROM nowhere; END;");
}

/* ---- all in one go ---- */

static void test_several_mistakes_are_told_at_once(void **state)
{
    (void)state;
    static const struct mistake MISTAKES[] = {
        {"`open`:`role()`,`collections`:{`notes`:{`key`:`id`,`insert`:{`authorize`:`nobody`},`delete`:{`authorize`:`:x`"
         "}}},"
         "`commands`:{`a`:{`execute`:[`SELECT 1`,`COMMIT`,`SELEC`]},`b`:{`execute`:[`SELECT :x`]}}",
         NOTES,
         IN_KIND "open: no such function: role\n" IN_NOTES ".insert.authorize: no such column: nobody\n" IN_NOTES
                 ".delete.authorize: no value is known for parameter :x\n" IN_KIND
                 "commands.a.execute[1]: not authorized (transactions are the server's: no BEGIN, COMMIT, ROLLBACK or "
                 "SAVEPOINT)\n" IN_KIND "commands.a.execute[2]: near \"SELEC\": syntax error\n" IN_KIND
                 "commands.b.execute[0]: no value is known for parameter :x\n"},
        {"`collections`:{`notes`:{`key`:`id`},`tags`:{`key`:`id`},`lists`:{`key`:`name`}}",
         "CREATE TABLE notes(id INTEGER PRIMARY KEY AUTOINCREMENT, v AS (1)); CREATE TABLE lists(name TEXT);",
         "room: table notes: column v is a VIRTUAL generated column; make it STORED\n"
         "room: table notes: uses AUTOINCREMENT; keys are minted by clients or by INTEGER PRIMARY KEY\n"
         "room: table lists: has no primary key; rows are replayed by primary key, so give it one\n" IN_NOTES
         ".key: column id is declared INTEGER; a key needs TEXT\n" IN_KIND
         "collections.tags: the migrations in room create no table of that name\n" IN_KIND
         "collections.lists.key: \"name\" is not the primary key of the table; declare it TEXT PRIMARY KEY\n"},
        {"`collections`:{`notes`:{`key`:`id`,`insert`:{`columns`:[`texts`],`set`:{`writer`:`me`,`author`:`you`,`len`:`"
         "1`},"
         "`authorize`:`:a = :b`},`update`:{`columns`:[`len`]}},`tags`:{`key`:`id`,`insert`:{`authorize`:`no`}}},"
         "`commands`:{`a`:{`execute`:[`DELETE OR ROLLBACK FROM nots`]}}",
         NOTES "CREATE TABLE seen(n INTEGER PRIMARY KEY AUTOINCREMENT);",
         "room: table seen: uses AUTOINCREMENT; keys are minted by clients or by INTEGER PRIMARY KEY\n" IN_KIND
         "collections.tags: the migrations in room create no table of that name\n" IN_NOTES
         ".insert.columns: the table has no column texts\n" IN_NOTES
         ".insert.set: the table has no column writer\n" IN_NOTES
         ".insert.set: len is a generated column, so nobody can write it\n" IN_NOTES
         ".update.columns: len is a generated column, so nobody can write it\n" IN_NOTES
         ".insert.set.writer: no such column: me\n" IN_NOTES ".insert.set.author: no such column: you\n" IN_NOTES
         ".insert.authorize: no value is known for parameter :a, :b\n" IN_KIND
         "commands.a.execute[0]: near \"OR\": syntax error\n" IN_KIND
         "commands.a.execute[0]: says ROLLBACK, which would undo other clients' writes; use ABORT\n"},
    };
    CHECK_MISTAKES(MISTAKES);
}

static void test_a_good_kind_has_no_mistakes(void **state)
{
    (void)state;
    check_good(
        "`open`:`scope_id() IN (SELECT value FROM json_each(claim('rooms'))) -- the rooms of the token`,"
        "`collections`:{`notes`:{`key`:`id`,"
        "`insert`:{`columns`:[`text`],`set`:{`author`:`claim('sub')`},`authorize`:`length(:text) < 10 AND :id <> ''`},"
        "`update`:{`set`:{`author`:`coalesce(:author, old.author)`},`authorize`:`old.author = claim('sub')`},"
        "`delete`:{`authorize`:`old.author = claim('sub') AND now_ms() > 0`}}},"
        "`commands`:{`pin`:{`args`:{`id`:`text`},`authorize`:`:id <> ''`,"
        "`execute`:[`UPDATE notes SET text = :id WHERE id = :id; -- a comment`,`SELECT 1`],"
        "`result`:`SELECT count(*) FROM notes WHERE id = :id`}}",
        NOTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_migrations_that_do_not_run),
        cmocka_unit_test(test_tables_that_cannot_be_replayed),
        cmocka_unit_test(test_words_that_only_look_forbidden),
        cmocka_unit_test(test_tables_that_can_be_replayed),
        cmocka_unit_test(test_tables_that_are_no_collection),
        cmocka_unit_test(test_keys_that_are_none),
        cmocka_unit_test(test_keys_that_are_good),
        cmocka_unit_test(test_columns_that_do_not_exist),
        cmocka_unit_test(test_rules_that_are_no_expression),
        cmocka_unit_test(test_parameters_that_stand_for_nothing),
        cmocka_unit_test(test_commands_that_may_not),
        cmocka_unit_test(test_rowid_is_read_nowhere),
        cmocka_unit_test(test_triggers_and_defaults_are_judged_too),
        cmocka_unit_test(test_several_mistakes_are_told_at_once),
        cmocka_unit_test(test_a_good_kind_has_no_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
