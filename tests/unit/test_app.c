/*
 * What an author of an app.json gets: a definition, or every mistake with its place and what to do.
 *
 * Texts are written with ' for ", so that they can be read here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "proto/app.h"
#include "proto/json.h"
#include "proto/shape.h"

#define KIND(inner)       "{'app':'a','kinds':{'room':{'migrations':'room'," inner "}}}"
#define COLLECTION(inner) KIND("'collections':{'messages':{'key':'id'," inner "}}")
#define COMMAND(inner)    KIND("'commands':{'pin':{" inner "}}")

static struct app *parse(const char *quoted, struct problems *problems)
{
    char *text = mem_dup(slice_str(quoted));
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    struct app *app = app_parse(slice_str(text), "app.json", problems);
    free(text);
    return app;
}

static char *text_of(const struct problems *problems)
{
    return mem_dup(buf_slice(&problems->text));
}

/* ---- a definition that says everything ---- */

static const char *const WHOLE =
    "{'app':'chat','auth':{'keys':'keys.json','audience':'chat','issuer':'https://id.example','cookie':'session',"
    "'origins':['https://chat.example','http://localhost:5173']},'kinds':{'room':{'migrations':'room','open':'1',"
    "'collections':{"
    "'messages':{'key':'id','insert':{'columns':['text'],'set':{'author':'claim(1)','created_at':'now_ms()'}},"
    "'update':{'columns':[],'authorize':'old.author = 1'},'delete':{}},"
    "'tags':{'key':'Name'}},"
    "'commands':{'pinAll':{'args':{'id':'text','n':'integer','r':'real','b':'boolean','x':'blob'},"
    "'authorize':'1','execute':['UPDATE a','UPDATE b'],'result':'SELECT 1'}},"
    "'limits':{'frames_per_second':12.5}}, 'desk':{'migrations':'desk'}}}";

static struct app *parse_whole(void)
{
    struct problems problems = {0};
    struct app *app = parse(WHOLE, &problems);
    assert_non_null(app);
    assert_int_equal(problems.n, 0);
    return app;
}

static void test_app_and_auth_are_read(void **state)
{
    (void)state;
    struct app *app = parse_whole();
    assert_null(app->dir);
    assert_string_equal(app->name, "chat");
    assert_string_equal(app->keys, "keys.json");
    assert_string_equal(app->audience, "chat");
    assert_string_equal(app->issuer, "https://id.example");
    assert_string_equal(app->cookie, "session");
    assert_int_equal(app->n_origins, 2);
    assert_string_equal(app->origins[1], "http://localhost:5173");
    assert_int_equal(app->n_kinds, 2);
    app_free(app);
}

static void test_kinds_are_found_by_name(void **state)
{
    (void)state;
    struct app *app = parse_whole();
    const struct app_kind *room = app_find_kind(app, SLICE("room")), *desk = app_find_kind(app, SLICE("desk"));
    assert_non_null(room);
    assert_string_equal(room->migrations, "room");
    assert_string_equal(room->open, "1");
    assert_true(room->frames_per_second == 12.5);
    assert_non_null(desk);
    assert_null(desk->open);
    assert_true(desk->frames_per_second == 200);
    assert_int_equal(desk->n_collections, 0);
    assert_int_equal(desk->n_commands, 0);
    assert_null(app_find_kind(app, SLICE("roo")));
    assert_null(app_find_kind(app, SLICE("")));
    app_free(app);
}

static void test_rules_are_read(void **state)
{
    (void)state;
    struct app *app = parse_whole();
    const struct app_kind *room = app_find_kind(app, SLICE("room"));
    assert_int_equal(room->n_collections, 2);
    const struct app_collection *messages = &room->collections[0], *tags = &room->collections[1];
    assert_string_equal(messages->name, "messages");
    assert_string_equal(messages->key, "id");

    assert_true(messages->insert.allowed);
    assert_false(messages->insert.any_column);
    assert_int_equal(messages->insert.n_columns, 1);
    assert_string_equal(messages->insert.columns[0], "text");
    assert_int_equal(messages->insert.n_set, 2);
    assert_string_equal(messages->insert.set[1].column, "created_at");
    assert_string_equal(messages->insert.set[1].expression, "now_ms()");
    assert_null(messages->insert.authorize);

    assert_false(messages->update.any_column);
    assert_int_equal(messages->update.n_columns, 0);
    assert_string_equal(messages->update.authorize, "old.author = 1");

    assert_true(messages->delete.allowed);
    assert_true(messages->delete.any_column);

    assert_string_equal(tags->key, "Name");
    assert_false(tags->insert.allowed || tags->update.allowed || tags->delete.allowed);
    app_free(app);
}

static void test_commands_are_read(void **state)
{
    (void)state;
    struct app *app = parse_whole();
    const struct app_kind *room = app_find_kind(app, SLICE("room"));
    assert_int_equal(room->n_commands, 1);
    const struct app_command *command = &room->commands[0];
    assert_string_equal(command->name, "pinAll");
    static const enum app_arg_type TYPES[] = {APP_ARG_TEXT, APP_ARG_INTEGER, APP_ARG_REAL, APP_ARG_BOOLEAN,
                                              APP_ARG_BLOB};
    assert_int_equal(command->n_args, 5);
    for (size_t i = 0; i < command->n_args; i++)
        assert_int_equal(command->args[i].type, TYPES[i]);
    assert_string_equal(command->args[4].name, "x");
    assert_string_equal(command->authorize, "1");
    assert_int_equal(command->n_execute, 2);
    assert_string_equal(command->execute[1], "UPDATE b");
    assert_string_equal(command->result, "SELECT 1");
    app_free(app);
}

static void test_the_examples_load(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"chat", "board"};
    const char *srcdir = getenv("srcdir");
    for (size_t i = 0; i < 2; i++) {
        struct buf dir = {0};
        struct problems problems = {0};
        buf_printf(&dir, "%s/examples/%s", srcdir != NULL ? srcdir : ".", NAMES[i]);
        struct app *app = app_load(dir.data, &problems);
        assert_int_equal(problems.n, 0);
        assert_non_null(app);
        assert_string_equal(app->name, NAMES[i]);
        assert_string_equal(app->dir, dir.data);
        app_free(app);
        buf_release(&dir);
    }
}

static void test_the_documented_example_is_true(void **state)
{
    (void)state;
    const char *srcdir = getenv("srcdir");
    struct buf path = {0}, text = {0};
    struct problems problems = {0};
    buf_printf(&path, "%s/docs/app.md", srcdir != NULL ? srcdir : ".");
    assert_int_equal(file_read(path.data, 65536, &text), ERR_OK);
    buf_append(&text, "", 1);
    const char *start = strstr(text.data, "```json\n");
    assert_non_null(start);
    start += strlen("```json\n");
    struct app *app = app_parse(slice_of(start, (size_t)(strstr(start, "```") - start)), "app.md", &problems);
    assert_non_null(app);
    app_free(app);
    buf_release(&path);
    buf_release(&text);
}

/* ---- one mistake, one line ---- */

struct mistake {
    const char *definition, *line; /* without the file's name */
};

static const struct mistake MISTAKES[] = {
    /* keys */
    {COLLECTION("'insert':{'colums':[]}"),
     "kinds.room.collections.messages.insert: unknown key \"colums\"; known keys are authorize, columns, set "
     "(did you mean \"columns\"?)"},
    {COLLECTION("'Insert':{}"), "kinds.room.collections.messages: unknown key \"Insert\"; known keys are delete, "
                                "insert, key, update (did you mean \"insert\"?)"},
    {COLLECTION("'delete':{'set':{}}"),
     "kinds.room.collections.messages.delete: unknown key \"set\"; the known key is authorize"},
    {KIND("'open':'1','zebra':1"), "kinds.room: unknown key \"zebra\"; known keys are collections, commands, limits, "
                                   "migrations, open"},
    {"{'app':'a','kinds':{'room':{'migrations':'room'}},'version':2}",
     "unknown key \"version\"; known keys are app, auth, kinds"},
#define X33 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    {KIND("'" X33 X33 X33 "':1"), "kinds.room: unknown key \"" X33
                                  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; known keys are collections, commands, limits, "
                                  "migrations, open"},
    {"{'app':'a'}", "\"kinds\" is missing; it must be an object"},
    {"{'kinds':{'room':{'migrations':'room'}}}", "\"app\" is missing; it must be a text"},
    {"{'app':'a','kinds':{'room':{}}}", "kinds.room: \"migrations\" is missing; it must be a text"},
    {KIND("'collections':{'messages':{}}"), "kinds.room.collections.messages: \"key\" is missing; it must be a text"},
    {COMMAND("'result':'SELECT 1'"), "kinds.room.commands.pin: \"execute\" is missing; it must be an array"},
    {KIND("'open':'1','open':'0'"),
     "kinds.room: \"open\" is named twice (upper and lower case are the same); keep one"},
    {KIND("'collections':{'m':{'key':'id'},'M':{'key':'id'}}"),
     "kinds.room.collections: \"M\" is named twice (upper and lower case are the same); keep one"},
    {COLLECTION("'insert':{'set':{'a':'1','A':'2'}}"), "kinds.room.collections.messages.insert.set: \"A\" is named "
                                                       "twice (upper and lower case are the same); keep one"},

    /* types */
    {"[]", "must be an object"},
    {"{'app':'a','kinds':[]}", "kinds: must be an object, not an array"},
    {"{'app':1,'kinds':{'room':{'migrations':'room'}}}", "app: must be a text, not a number"},
    {KIND("'open':true"), "kinds.room.open: must be a text, not a boolean"},
    {KIND("'open':null"), "kinds.room.open: must be a text, not null"},
    {KIND("'collections':{'messages':'id'}"), "kinds.room.collections.messages: must be an object, not a text"},
    {COLLECTION("'insert':true"), "kinds.room.collections.messages.insert: must be an object, not a boolean"},
    {COLLECTION("'insert':{'columns':'text'}"),
     "kinds.room.collections.messages.insert.columns: must be an array, not a text"},
    {COLLECTION("'insert':{'columns':['a',2]}"),
     "kinds.room.collections.messages.insert.columns[1]: must be a text, not a number"},
    {COLLECTION("'insert':{'set':{'a':1}}"),
     "kinds.room.collections.messages.insert.set.a: must be a text, not a number"},
    {COMMAND("'execute':'DELETE FROM m'"), "kinds.room.commands.pin.execute: must be an array, not a text"},
    {COMMAND("'execute':['DELETE FROM m'],'args':{'n':'int'}"),
     "kinds.room.commands.pin.args.n: \"int\" must be one of text, integer, real, boolean, blob"},
    {KIND("'limits':{'frames_per_second':'200'}"), "kinds.room.limits.frames_per_second: must be a number, not a text"},
    {KIND("'limits':{'frames_per_second':-1}"),
     "kinds.room.limits.frames_per_second: must be a number from 0 (no limit) to 1000000"},
    {KIND("'limits':{'frames_per_second':1e999}"),
     "kinds.room.limits.frames_per_second: must be a number from 0 (no limit) to 1000000"},

    /* empty */
    {"{'app':'a','kinds':{}}", "kinds: is empty; an app has at least one kind of scope"},
    {KIND("'open':' \t'"), "line 1, column 58: control character"},
    {KIND("'open':'  '"), "kinds.room.open: is empty; write it or remove the key"},
    {COMMAND("'execute':[]"),
     "kinds.room.commands.pin.execute: is empty; it must be the command's SQL statements, in order"},
    {COMMAND("'execute':['']"), "kinds.room.commands.pin.execute[0]: is empty; write it or remove the key"},

    /* names */
    {"{'app':'Chat','kinds':{'room':{'migrations':'room'}}}",
     "app: \"Chat\" must be a to z, 0 to 9, _ and -, the first a letter, at most 64 bytes"},
    {"{'app':'a','kinds':{'my room':{'migrations':'room'}}}",
     "kinds.my room: this name must be a to z, 0 to 9, _ and -, the first a letter, at most 64 bytes"},
    {KIND("'collections':{'to-do':{'key':'id'}}"),
     "kinds.room.collections.to-do: this name must be a plain SQL name: letters, digits and _, the first no digit, "
     "at most 64 bytes"},
    {KIND("'collections':{'_sync_log':{'key':'id'}}"),
     "kinds.room.collections._sync_log: this name must be a table of the app's: names that begin with _sync_ or "
     "sqlite_ are taken"},
    {KIND("'collections':{'SQLite_master':{'key':'id'}}"),
     "kinds.room.collections.SQLite_master: this name must be a table of the app's: names that begin with _sync_ or "
     "sqlite_ are taken"},
    {KIND("'collections':{'m':{'key':'1d'}}"),
     "kinds.room.collections.m.key: \"1d\" must be a plain SQL name: letters, digits and _, the first no digit, at "
     "most 64 bytes"},
    {COLLECTION("'update':{'columns':['a b']}"),
     "kinds.room.collections.messages.update.columns[0]: \"a b\" must be a plain SQL name: letters, digits and _, the "
     "first no digit, at most 64 bytes"},
    {COMMAND("'execute':['x'],'args':{'a:b':'text'}"),
     "kinds.room.commands.pin.args.a:b: this name must be a plain SQL name: letters, digits and _, the first no "
     "digit, at most 64 bytes"},
    {KIND("'commands':{'_pin':{'execute':['x']}}"),
     "kinds.room.commands._pin: this name must be letters, digits, _ and -, the first a letter, at most 64 bytes"},

    /* the key's column */
    {COLLECTION("'insert':{'set':{'ID':'1'}}"),
     "kinds.room.collections.messages.insert: set: \"id\" is the key, which the client chooses; remove it"},
    {COLLECTION("'insert':{'columns':['id']}"), "kinds.room.collections.messages.insert: columns: \"id\" is the key: "
                                                "an insert writes it anyway, an update never; remove it"},
    {COLLECTION("'update':{'columns':['a','A']}"),
     "kinds.room.collections.messages.update: columns: \"A\" is named twice; keep one"},

    /* files, and what browsers send */
    {"{'app':'a','kinds':{'room':{'migrations':'../room'}}}",
     "kinds.room.migrations: \"../room\" must be a name within the app's folder, without / and .."},
    {"{'app':'a','auth':{'keys':'/etc/keys.json'},'kinds':{'room':{'migrations':'room'}}}",
     "auth.keys: \"/etc/keys.json\" must be a name within the app's folder, without / and .."},
    {"{'app':'a','auth':{'keys':'..'},'kinds':{'room':{'migrations':'room'}}}",
     "auth.keys: \"..\" must be a name within the app's folder, without / and .."},
    {"{'app':'a','auth':{'cookie':'a=b'},'kinds':{'room':{'migrations':'room'}}}",
     "auth.cookie: \"a=b\" must be a cookie's name: letters, digits and !#$%&'*+-.^_`|~, at most 64 bytes"},
    {"{'app':'a','auth':{'origins':['https://chat.example/']},'kinds':{'room':{'migrations':'room'}}}",
     "auth.origins[0]: \"https://chat.example/\" must be an origin as browsers send it, in lower case and without a "
     "path: https://chat.example:8443"},

    /* JSON */
    {"{'app':'a',\n 'kinds' {}}", "line 2, column 10: not JSON"},
    {"{'app':'a'", "line 1, column 11: not JSON"},
    {"", "line 1, column 1: not JSON"},
    {"{} {}", "line 1, column 4: not JSON"},
    {KIND("'limits':{'frames_per_second':010}"), "line 1, column 79: not a number as JSON writes them"},
    {KIND("'limits':{'frames_per_second':1.}"), "line 1, column 79: not a number as JSON writes them"},
    {KIND("'limits':{'frames_per_second':-}"), "line 1, column 79: not a number as JSON writes them"},
    {KIND("'limits':{'frames_per_second':2e+}"), "line 1, column 79: not a number as JSON writes them"},
    {"{'app':'a\x01'", "line 1, column 10: control character"},
    {"{'app':'a\\u0000b'}", "line 1, column 10: \\u0000 is not allowed"},
    {"{'app':'\xff'}", "line 1, column 1: not UTF-8"},
};

static void test_each_mistake_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof MISTAKES / sizeof MISTAKES[0]; i++) {
        struct problems problems = {0};
        struct buf expected = {0};
        assert_null(parse(MISTAKES[i].definition, &problems));
        buf_printf(&expected, "app.json: %s\n", MISTAKES[i].line);
        char *found = text_of(&problems);
        assert_string_equal(found, expected.data);
        free(found);
        buf_release(&expected);
        problems_release(&problems);
    }
}

static void test_later_keys_are_refused(void **state)
{
    (void)state;
    static const struct mistake LATER[] = {
        {COLLECTION("'types':{}"), "kinds.room.collections.messages.types"},
        {COLLECTION("'read':'1'"), "kinds.room.collections.messages.read"},
        {COLLECTION("'max_rows':1"), "kinds.room.collections.messages.max_rows"},
        {COLLECTION("'max_row_bytes':1"), "kinds.room.collections.messages.max_row_bytes"},
        {COLLECTION("'insert':{'execute':'x'}"), "kinds.room.collections.messages.insert.execute"},
        {COLLECTION("'update':{'execute':'x'}"), "kinds.room.collections.messages.update.execute"},
        {COLLECTION("'delete':{'execute':'x'}"), "kinds.room.collections.messages.delete.execute"},
        {KIND("'after_commit':[]"), "kinds.room.after_commit"},
        {KIND("'retention':{}"), "kinds.room.retention"},
        {KIND("'limits':{'ops':1}"), "kinds.room.limits.ops"},
    };
    for (size_t i = 0; i < sizeof LATER / sizeof LATER[0]; i++) {
        struct problems problems = {0};
        struct buf expected = {0};
        assert_null(parse(LATER[i].definition, &problems));
        buf_printf(&expected, "app.json: %s: not supported by this version of Skerry; remove it\n", LATER[i].line);
        char *found = text_of(&problems);
        assert_string_equal(found, expected.data);
        free(found);
        buf_release(&expected);
        problems_release(&problems);
    }
}

/* ---- many mistakes ---- */

static void test_all_mistakes_come_at_once(void **state)
{
    (void)state;
    struct problems problems = {0};
    assert_null(parse("{'app':'A','auth':{'key':'x'},'kinds':{'room':{'migrations':'a/b','open':1,'collections':"
                      "{'messages':{'insert':{'colums':[]}}}}}}",
                      &problems));
    assert_int_equal(problems.n, 6);
    char *found = text_of(&problems);
    static const char *const EACH[] = {"app: \"A\"",       "auth: unknown key \"key\"",      "kinds.room.migrations:",
                                       "kinds.room.open:", "insert: unknown key \"colums\"", "messages: \"key\" is"};
    for (size_t i = 0; i < 6; i++)
        assert_non_null(strstr(found, EACH[i]));
    free(found);
    problems_release(&problems);
}

static void test_a_flood_of_mistakes_is_cut(void **state)
{
    (void)state;
    struct problems problems = {0};
    struct buf text = {0};
    buf_printf(&text, "{'app':'a'");
    for (size_t i = 0; i < SHAPE_MEMBERS_MAX - 2; i++)
        buf_printf(&text, ",'x%zu':0", i);
    buf_printf(&text, "}");
    assert_null(parse(text.data, &problems));
    assert_int_equal(problems.n, SHAPE_MEMBERS_MAX - 1); /* `kinds` is missing, too */
    size_t n_lines = 0;
    for (size_t i = 0; i < problems.text.len; i++)
        n_lines += problems.text.data[i] == '\n';
    assert_int_equal(n_lines, PROBLEMS_MAX + 1);
    buf_release(&text);
    problems_release(&problems);
}

static void test_a_name_cannot_forge_a_line(void **state)
{
    (void)state;
    struct problems problems = {0};
    assert_null(parse("{'app':'a','kinds':{'room':{'migrations':'room'}},'x\\napp.json: all is well':1}", &problems));
    char *found = text_of(&problems);
    assert_non_null(strstr(found, "x?app.json: all is well"));
    assert_ptr_equal(strchr(found, '\n'), found + strlen(found) - 1);
    free(found);
    problems_release(&problems);
}

/* ---- bounds ---- */

static void expect_one(const struct buf *text, const char *line)
{
    struct problems problems = {0};
    assert_null(app_parse(buf_slice(text), "app.json", &problems));
    char *found = text_of(&problems);
    assert_string_equal(found, line);
    free(found);
    problems_release(&problems);
}

static void test_size_and_depth_are_bounded(void **state)
{
    (void)state;
    struct buf text = {0};
    for (size_t i = 0; i <= JSON_DEPTH_MAX; i++)
        buf_printf(&text, "[");
    expect_one(&text, "app.json: line 1, column 33: nested too deep\n");
    text.len = 0;
    memset(buf_reserve(&text, APP_JSON_MAX + 1), ' ', APP_JSON_MAX + 1);
    text.len = APP_JSON_MAX + 1;
    expect_one(&text, "app.json: is larger than 1048576 bytes\n");
    text.len = 0;
    buf_printf(&text, "{\"app\":\"a\"");
    for (size_t i = 0; i < SHAPE_MEMBERS_MAX; i++)
        buf_printf(&text, ",\"x\":0");
    buf_printf(&text, "}");
    expect_one(&text, "app.json: has more than 1000 members\n");
    buf_release(&text);
}

static void test_a_missing_file_is_named(void **state)
{
    (void)state;
    struct problems problems = {0};
    assert_null(app_load("no/such/app", &problems));
    char *found = text_of(&problems);
    assert_string_equal(found, "no/such/app/app.json: no such file; an app is a folder with an app.json in it\n");
    free(found);
    problems_release(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_app_and_auth_are_read),
        cmocka_unit_test(test_kinds_are_found_by_name),
        cmocka_unit_test(test_rules_are_read),
        cmocka_unit_test(test_commands_are_read),
        cmocka_unit_test(test_the_examples_load),
        cmocka_unit_test(test_the_documented_example_is_true),
        cmocka_unit_test(test_each_mistake_is_named),
        cmocka_unit_test(test_later_keys_are_refused),
        cmocka_unit_test(test_all_mistakes_come_at_once),
        cmocka_unit_test(test_a_flood_of_mistakes_is_cut),
        cmocka_unit_test(test_a_name_cannot_forge_a_line),
        cmocka_unit_test(test_size_and_depth_are_bounded),
        cmocka_unit_test(test_a_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
