/*
 * `skerry check` of an app with mistakes in every file: all of them are named at once.
 *
 * Definitions are written with ` for ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/control/app_check.h"
#include "tests/lib/folder.h"

static void write_text(const struct folder *folder, const char *name, const char *text)
{
    char *copy = mem_dup(slice_str(text));
    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '`' ? '"' : *c;
    folder_write(folder, name, slice_str(copy));
    free(copy);
}

/* The lines, without the folder's path. */
static char *check(const struct folder *folder)
{
    struct problems problems = {0};
    struct buf lines = {0};
    bool ok = app_check(folder->path, &problems);
    assert_int_equal(ok, problems.n == 0);
    buf_append(&problems.text, "", 1);
    for (char *line = problems.text.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        assert_int_equal(strncmp(line, folder->path, strlen(folder->path)), 0);
        line += strlen(folder->path) + 1;
        buf_append(&lines, line, (size_t)(end - line) + 1);
    }
    buf_append(&lines, "", 1);
    problems_release(&problems);
    return lines.data;
}

static void check_lines(const struct folder *folder, const char *expected)
{
    char *found = check(folder);
    assert_string_equal(found, expected);
    free(found);
}

static void test_no_file_hides_the_mistakes_of_another(void **state)
{
    struct folder *folder = *state;
    write_text(folder, "keys.json", "{`keys`:[{`kty`:`RSA`}]}");
    write_text(folder, "room/0001_notes.sql", "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);");
    write_text(folder, "list/0001_items.sql", "CREATE TABEL items(id TEXT PRIMARY KEY);");
    write_text(folder, "app.json",
               "{`app`:`test`,`auth`:{`keys`:`keys.json`,`cookies`:`c`},`kinds`:{"
               "`room`:{`migrations`:`room`,`opens`:`1`,`collections`:{"
               "`notes`:{`key`:`id`,`insert`:{`colums`:[]}},`tags`:{`key`:`id`}},"
               "`commands`:{`pin`:{`exec`:[]},`wipe`:{`execute`:[`DELETE FROM nots`,`DELETE FROM notes`]}}},"
               "`list`:{`migrations`:`list`},`card`:{`migrations`:`../card`},`page`:{`migrations`:`page`}}}");
    check_lines(
        folder,
        "app.json: auth: unknown key \"cookies\"; known keys are audience, cookie, issuer, keys, origins (did you mean "
        "\"cookie\"?)\n"
        "app.json: kinds.room: unknown key \"opens\"; known keys are collections, commands, limits, migrations, open "
        "(did you mean \"open\"?)\n"
        "app.json: kinds.room.collections.notes.insert: unknown key \"colums\"; known keys are authorize, columns, set "
        "(did you mean \"columns\"?)\n"
        "app.json: kinds.room.commands.pin: unknown key \"exec\"; known keys are args, authorize, execute, result\n"
        "app.json: kinds.room.commands.pin: \"execute\" is missing; it must be an array\n"
        "app.json: kinds.card.migrations: \"../card\" must be a name within the app's folder, without / and ..\n"
        "keys.json: keys[0]: \"kty\" must be \"oct\": this version of Skerry supports no other keys\n"
        "app.json: kinds.room.collections.tags: the migrations in room create no table of that name\n"
        "app.json: kinds.room.commands.wipe.execute[0]: no such table: nots\n"
        "list/0001_items.sql: near \"TABEL\": syntax error\n"
        "page: cannot be read: No such file or directory\n");
}

static void test_what_cannot_be_judged_is_not_blamed(void **state)
{
    struct folder *folder = *state;
    write_text(folder, "room/0001_notes.sql", "CREATE TABLE notes(id TEXT PRIMARY KEY);");
    write_text(folder, "app.json",
               "{`app`:`test`,`kinds`:{`room`:{`migrations`:`room`,`collections`:{"
               "`notes`:{`key`:1,`insert`:{`set`:{`id`:`1`}},`update`:{`authorize`:`old.nothing`}}},"
               "`commands`:{`put`:{`args`:{`id`:`string`},`execute`:[`INSERT INTO notes VALUES(:id, :no)`]}}}}}");
    check_lines(folder,
                "app.json: kinds.room.collections.notes.key: must be a text, not a number\n"
                "app.json: kinds.room.commands.put.args.id: \"string\" must be one of text, integer, real, boolean, "
                "blob\n");
}

/* This takes the five seconds that it is about. */
static void test_sql_without_an_end_does_not_keep_it(void **state)
{
    struct folder *folder = *state;
    write_text(folder, "room/0001_notes.sql",
               "CREATE TABLE notes(n INTEGER PRIMARY KEY);"
               "INSERT INTO notes WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT -n FROM c) SELECT max(n) FROM c;");
    write_text(folder, "app.json", "{`app`:`test`,`kinds`:{`room`:{`migrations`:`room`}}}");
    check_lines(folder, "room/0001_notes.sql: interrupted: it has not ended after 5 s in an empty scope; does a WITH "
                        "RECURSIVE lack an end?\n");
}

static void test_a_good_app_has_no_mistakes(void **state)
{
    (void)state;
    struct problems problems = {0};
    assert_true(app_check("examples/chat", &problems));
    assert_true(app_check("examples/board", &problems));
    assert_int_equal(problems.n, 0);
}

static int set_up(void **state)
{
    struct folder *folder = mem_zero(1, sizeof *folder);
    folder_make(folder);
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    folder_remove(*state);
    free(*state);
    return 0;
}

int main(void)
{
    /* The examples are found from the top of the sources. */
    const char *srcdir = getenv("srcdir");
    if (srcdir != NULL && chdir(srcdir) < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_file_hides_the_mistakes_of_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_judged_is_not_blamed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sql_without_an_end_does_not_keep_it, set_up, tear_down),
        cmocka_unit_test(test_a_good_app_has_no_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
