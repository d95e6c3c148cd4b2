/*
 * SQL of an app that has no end is found before a client can call it, and what has one is let be.
 *
 * Definitions are written with ` for ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/room.h"

enum { LIMIT_MS = 100, PATIENCE_MS = 30000 };

#define NOTES "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT NOT NULL, author TEXT);"

/* For ever; for ever as a query; for ever, asked about `old`; up to a limit. */
#define COUNT        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c"
#define ENDLESS      COUNT ") SELECT max(n) FROM c"
#define ENDLESS_OLD  COUNT " WHERE old.author IS NULL) SELECT max(n) FROM c"
#define UNTIL(limit) "(" COUNT " WHERE n < " limit ") SELECT max(n) FROM c)"

#define COLLECTION(rules) "`collections`:{`notes`:{`key`:`id`," rules "}}"
#define COMMAND(inner)    "`commands`:{`pin`:{" inner "}}"

#define HAS_NO_END "has not ended after 0.1 s in an empty scope; does a WITH RECURSIVE lack an end?\n"
#define IN_NOTES   "app.json: kinds.room.collections.notes."
#define IN_COMMAND "app.json: kinds.room.commands.pin."

static void check_within(int64_t limit_ms, const char *definition, const char *sql, const char *lines)
{
    struct room room;
    room_open(&room, definition, sql);
    problems_release(&room.problems);
    kind_try(room.app, &room.app->kinds[0], limit_ms, &room.problems);
    assert_string_equal(room_problems(&room), lines);
    room_close(&room);
}

static void check(const char *definition, const char *sql, const char *lines)
{
    check_within(LIMIT_MS, definition, sql, lines);
}

/* However slow the machine is. */
static void check_good(const char *definition, const char *sql)
{
    check_within(PATIENCE_MS, definition, sql, "");
}

static void test_what_has_no_end_is_named(void **state)
{
    (void)state;
    check("`open`:`(" ENDLESS ")`", NOTES, "app.json: kinds.room.open: " HAS_NO_END);
    check(COLLECTION("`insert`:{`authorize`:`(" ENDLESS ")`}"), NOTES, IN_NOTES "insert.authorize: " HAS_NO_END);
    check(COLLECTION("`insert`:{`set`:{`author`:`claim('sub')`,`text`:`(" ENDLESS ")`}}"), NOTES,
          IN_NOTES "insert.set.text: " HAS_NO_END);
    check(COLLECTION("`update`:{`set`:{`text`:`(" ENDLESS_OLD ")`}}"), NOTES, IN_NOTES "update.set.text: " HAS_NO_END);
    check(COLLECTION("`update`:{`authorize`:`(" ENDLESS_OLD ")`}"), NOTES, IN_NOTES "update.authorize: " HAS_NO_END);
    check(COLLECTION("`delete`:{`authorize`:`old.id <> '' OR (" ENDLESS_OLD ")`}"), NOTES,
          IN_NOTES "delete.authorize: " HAS_NO_END);
    check(COMMAND("`authorize`:`(" ENDLESS ")`,`execute`:[`SELECT 1`]"), NOTES, IN_COMMAND "authorize: " HAS_NO_END);
    check(COMMAND("`execute`:[`SELECT 1`,`DELETE FROM notes WHERE text = (" ENDLESS
                  ")`,`INSERT INTO notes(id, text) " COUNT ") SELECT 'n' || n, '' FROM c`],`result`:`" COUNT
                  ") SELECT n FROM c`"),
          NOTES "INSERT INTO notes VALUES('a', 'b', 'c');",
          IN_COMMAND "execute[1]: " HAS_NO_END IN_COMMAND "execute[2]: " HAS_NO_END IN_COMMAND "result: " HAS_NO_END);
}

static void test_what_fills_the_memory_is_named(void **state)
{
    (void)state;
    struct room room;
    room_open(&room, COMMAND("`execute`:[`INSERT INTO blobs " COUNT ") SELECT n, randomblob(30000000) FROM c`]"),
              "CREATE TABLE blobs(n INTEGER PRIMARY KEY, blob BLOB);");
    kind_try(room.app, &room.app->kinds[0], PATIENCE_MS, &room.problems);
    assert_string_equal(room_problems(&room), IN_COMMAND
                        "execute[0]: has written 256 MiB in an empty scope; does a WITH RECURSIVE lack an end?\n");
    room_close(&room);
}

/* An end that depends on an argument or a row, an error, a row that breaks a constraint: all of this may be meant. */
static void test_what_has_an_end_is_good(void **state)
{
    (void)state;
    static const char MANY[] = NOTES "INSERT INTO notes(id, text) " COUNT " LIMIT 1000) SELECT 'n' || n, '' FROM c;";
    static const char *const EXPRESSIONS[] = {
        "json_extract('{', '$')",
        UNTIL("1000") " > claim('n')",
        UNTIL("length(:text)"),
        UNTIL("length(old.text)"),
    };
    for (size_t i = 0; i < sizeof EXPRESSIONS / sizeof *EXPRESSIONS; i++) {
        struct buf rule = {0};
        buf_printf(&rule, COLLECTION("`update`:{`set`:{`text`:`(%s)`},`authorize`:`(%s)`}"), EXPRESSIONS[i],
                   EXPRESSIONS[i]);
        check_good(rule.data, MANY);
        buf_release(&rule);
    }
    check_good(COMMAND("`execute`:[`INSERT INTO notes(id) VALUES(NULL)`,`SELECT json_extract('{', '$')`]"), NOTES);
}

static void test_arguments_are_empty_and_never_null(void **state)
{
    (void)state;
    static const char *const TYPES[] = {"text", "integer", "real", "boolean", "blob"};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        struct buf command = {0};
        buf_printf(&command, COMMAND("`args`:{`a`:`%s`},`authorize`:`:a`,`execute`:[`%s`],`result`:`%s`"), TYPES[i],
                   COUNT " WHERE :a IS NULL) SELECT max(n) FROM c", COUNT " LIMIT :a) SELECT max(n) FROM c");
        check_good(command.data, NOTES);
        buf_release(&command);
    }
}

/* Such a call is rejected when it comes: others may be good. */
static void test_what_ends_for_some_argument_is_good(void **state)
{
    (void)state;
    check(COMMAND("`args`:{`n`:`integer`},`execute`:[`SELECT 1`],`result`:`" COUNT
                  " WHERE n <> :n) SELECT max(n) FROM c`"),
          NOTES, "");
    check(COMMAND("`args`:{`n`:`integer`},`execute`:[`SELECT 1`],`result`:`" COUNT
                  " WHERE n <> :n - 1) SELECT max(n) FROM c`"),
          NOTES, IN_COMMAND "result: " HAS_NO_END);
}

static void test_a_trial_leaves_no_rows_to_the_next(void **state)
{
    (void)state;
    check_good("`commands`:{`a`:{`execute`:[`INSERT INTO notes(id, text) VALUES('a', 'b')`]},"
               "`b`:{`execute`:[`SELECT 1`],`result`:`" COUNT
               " WHERE (SELECT count(*) FROM notes)) SELECT max(n) FROM c`}}",
               NOTES);
}

/* The server itself lets a migration take its time. */
static void test_a_migration_without_an_end_is_named(void **state)
{
    (void)state;
    struct room room;
    room_open(&room, "", NOTES);
    room_migrate(&room, "0002_more.sql", "INSERT INTO notes(id, text) " COUNT ") SELECT 'n' || n, '' FROM c;");
    room_migrate(&room, "0003_last.sql", "SELECT 1;");
    kind_try(room.app, &room.app->kinds[0], LIMIT_MS, &room.problems);
    assert_string_equal(room_problems(&room), "room/0002_more.sql: interrupted: it " HAS_NO_END);
    room_close(&room);
}

static void test_other_mistakes_are_told_with_it(void **state)
{
    (void)state;
    check("`open`:`(" ENDLESS
          ")`,`collections`:{`notes`:{`key`:`id`,`insert`:{`authorize`:`nobody`}},`tags`:{`key`:`id`,"
          "`update`:{`authorize`:`(" ENDLESS ")`}}}",
          NOTES,
          "app.json: kinds.room.collections.tags: the migrations in room create no table of that name\n" IN_NOTES
          "insert.authorize: no such column: nobody\n"
          "app.json: kinds.room.open: " HAS_NO_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_has_no_end_is_named),
        cmocka_unit_test(test_what_fills_the_memory_is_named),
        cmocka_unit_test(test_what_has_an_end_is_good),
        cmocka_unit_test(test_arguments_are_empty_and_never_null),
        cmocka_unit_test(test_what_ends_for_some_argument_is_good),
        cmocka_unit_test(test_a_trial_leaves_no_rows_to_the_next),
        cmocka_unit_test(test_a_migration_without_an_end_is_named),
        cmocka_unit_test(test_other_mistakes_are_told_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
