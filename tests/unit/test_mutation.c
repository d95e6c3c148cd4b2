/*
 * What a `mut` may do to rows: the checks in the order of the wire contract, the rules of the app, and the constraints
 * of its tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/scope.h"

/* notes: the rules of a chat. free: all is allowed. locked: nothing is. */
static const char DEFINITION[] =
    "`collections`:{"
    "`notes`:{`key`:`id`,"
    "`insert`:{`columns`:[`text`,`n`],`set`:{`author`:`claim('sub')`,`at`:`now_ms()`},`authorize`:`:text <> 'spam'`},"
    "`update`:{`columns`:[`text`],`set`:{`edits`:`old.edits + 1`,`shout`:`upper(:text)`},"
    "`authorize`:`old.author = claim('sub') AND :text <> old.text AND :edits < 10 AND :n IS old.n`},"
    "`delete`:{`authorize`:`old.author = claim('sub')`}},"
    "`free`:{`key`:`id`,`insert`:{},`update`:{},`delete`:{}},"
    "`children`:{`key`:`id`,`insert`:{},`delete`:{}},"
    "`sums`:{`key`:`id`,`insert`:{`set`:{`n`:`:n * 2`},`authorize`:`:n < 100`}},"
    "`asked`:{`key`:`id`,`insert`:{`authorize`:`EXISTS(SELECT 1 FROM guests WHERE id = claim('sub'))`},"
    "`delete`:{`authorize`:`EXISTS(SELECT 1 FROM guests WHERE id = claim('sub'))`},"
    "`update`:{`set`:{`text`:`(SELECT id FROM guests)`}}},"
    "`locked`:{`key`:`id`}}";

static const char TABLES[] =
    "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT, n INTEGER DEFAULT 7, author TEXT, at INTEGER,"
    " edits INTEGER NOT NULL DEFAULT 0, shout TEXT);"
    "CREATE TABLE free(id TEXT PRIMARY KEY, a, b TEXT NOT NULL DEFAULT 'b', c INTEGER CHECK(c > 0), u TEXT UNIQUE,"
    " len AS (length(b)) STORED);"
    "CREATE TABLE children(id TEXT PRIMARY KEY, parent TEXT REFERENCES free);"
    "CREATE TABLE sums(id TEXT PRIMARY KEY, n INTEGER DEFAULT 5, at INTEGER DEFAULT (now_ms()));"
    "CREATE TABLE asked(id TEXT PRIMARY KEY, text TEXT, n INTEGER);"
    "CREATE TABLE guests(id TEXT PRIMARY KEY);"
    "CREATE TABLE locked(id TEXT PRIMARY KEY, text TEXT);"
    "CREATE TRIGGER polite BEFORE INSERT ON free BEGIN"
    " SELECT RAISE(ABORT, 'say please') WHERE new.a = 'rude';"
    " SELECT abs(-9223372036854775807 - 1) WHERE new.a = 'broken'; END;";

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

/* Each mut has a transaction id of its own. */
static const char *mut(struct scope *scope, const char *collection, const char *ops)
{
    static unsigned n;
    struct buf frame = {0};
    buf_printf(&frame, "{'t':'mut','txId':'t%u','collection':'%s','ops':[%s]}", n++, collection, ops);
    const char *outcome = scope_decide(scope, frame.data);
    buf_release(&frame);
    return outcome;
}

#define INSERT(key, cols) "{'type':'insert','key':'" key "','cols':{" cols "}}"
#define UPDATE(key, cols) "{'type':'update','key':'" key "','cols':{" cols "}}"
#define DELETE(key)       "{'type':'delete','key':'" key "'}"

static void check(struct scope *scope, const char *collection, const char *ops, const char *outcome)
{
    assert_string_equal(mut(scope, collection, ops), outcome);
}

static void check_rows(struct scope *scope, const char *sql, const char *rows)
{
    assert_string_equal(scope_query(scope, sql), rows);
}

#define ALL_NOTES "SELECT id, text, n, author, at, edits, shout FROM notes ORDER BY id"
#define NOW       "1800000000000"

/* ---- what the rules make of it ---- */

static void test_insert_fills_in_set_and_defaults(void **state)
{
    struct scope *scope = *state;
    check(scope, "notes", INSERT("a", "'text':'hello'"), "committed 1");
    check(scope, "notes", INSERT("b", "'text':'hello','n':null,'author':'ben','at':1"), "committed 2");
    check_rows(scope, ALL_NOTES, "a,hello,7,ann," NOW ",0,NULL b,hello,NULL,ann," NOW ",0,NULL");
}

static void test_a_rule_sees_the_row_as_it_will_be(void **state)
{
    struct scope *scope = *state;
    check(scope, "sums", INSERT("a", ""), "committed 1");         /* the default, doubled */
    check(scope, "sums", INSERT("b", "'n':1000"), "committed 2"); /* what is set is not the client's to say */
    check_rows(scope, "SELECT id, n, at FROM sums", "a,10," NOW " b,10," NOW);
    check(scope, "notes", INSERT("a", "'text':'spam'"),
          "rejected FORBIDDEN: not allowed to insert this row of 'notes'");
    check(scope, "notes", INSERT("a", ""), "rejected FORBIDDEN: not allowed to insert this row of 'notes'"); /* NULL */
}

static void test_update_sees_both_rows(void **state)
{
    struct scope *scope = *state;
    mut(scope, "notes", INSERT("a", "'text':'one'"));
    check(scope, "notes", UPDATE("a", "'text':'two'"), "committed 2");
    check_rows(scope, ALL_NOTES, "a,two,7,ann," NOW ",1,TWO");
    check(scope, "notes", UPDATE("a", "'text':'two'"), "rejected FORBIDDEN: not allowed to update this row of 'notes'");
    scope_execute(scope, "UPDATE notes SET edits = 9");
    check(scope, "notes", UPDATE("a", "'text':'ten'"), "rejected FORBIDDEN: not allowed to update this row of 'notes'");
    scope_become(scope, "{'sub':'ben'}");
    scope_execute(scope, "UPDATE notes SET edits = 0");
    check(scope, "notes", UPDATE("a", "'text':'x'"), "rejected FORBIDDEN: not allowed to update this row of 'notes'");
    check_rows(scope, ALL_NOTES, "a,two,7,ann," NOW ",0,TWO");
}

static void test_update_writes_only_what_was_sent(void **state)
{
    struct scope *scope = *state;
    mut(scope, "free", INSERT("a", "'a':1,'b':'x','c':2,'u':'u'"));
    check(scope, "free", UPDATE("a", "'c':3"), "committed 2");
    check(scope, "free", UPDATE("a", "'a':null,'b':'yy'"), "committed 3");
    check_rows(scope, "SELECT * FROM free", "a,NULL,yy,3,u,2");
}

static void test_delete_asks_about_the_stored_row(void **state)
{
    struct scope *scope = *state;
    mut(scope, "notes", INSERT("a", "'text':'one'"));
    scope_become(scope, "{'sub':'ben'}");
    check(scope, "notes", DELETE("a"), "rejected FORBIDDEN: not allowed to delete this row of 'notes'");
    scope_become(scope, "{'sub':'ann'}");
    check(scope, "notes", DELETE("a"), "committed 3");
    check_rows(scope, ALL_NOTES, "");
}

/* It succeeds, changes nothing and asks no rule, but takes a position. */
static void test_what_changes_nothing_succeeds(void **state)
{
    struct scope *scope = *state;
    mut(scope, "notes", INSERT("a", "'text':'one'"));
    scope_become(scope, "{'sub':'ben'}");
    check(scope, "notes", UPDATE("b", "'text':'x'"), "committed 2");
    check(scope, "notes", DELETE("b"), "committed 3");
    check(scope, "notes", UPDATE("a", ""), "committed 4");
    check(scope, "notes", "{'type':'update','key':'a'}", "committed 5");
    check(scope, "notes", UPDATE("a", "'id':'a'"), "committed 6");
    check(scope, "notes", UPDATE("a", "'edits':5"), "committed 7"); /* set decides it, and was not asked */
    check_rows(scope, ALL_NOTES, "a,one,7,ann," NOW ",0,NULL");
}

static void test_values_are_stored_as_they_came(void **state)
{
    struct scope *scope = *state;
    mut(scope, "free", INSERT("a", "'a':true") "," INSERT("b", "'a':{'$time':1700000000123}"));
    mut(scope, "free", INSERT("c", "'a':{'$bin':'00ff'}") "," INSERT("d", "'a':2.5"));
    mut(scope, "free", INSERT("e", "'a':''") "," INSERT("f", "'a':{'$bin':''}"));
    check_rows(scope, "SELECT quote(a) FROM free ORDER BY id", "1 1700000000123 X'00FF' 2.5 '' X''");
}

static void test_of_a_column_sent_twice_the_last_counts(void **state)
{
    struct scope *scope = *state;
    check(scope, "free", INSERT("a", "'a':1,'a':2"), "committed 1");
    check(scope, "free", UPDATE("a", "'c':1,'c':0"), "rejected CONSTRAINT: CHECK constraint failed: c > 0");
    check_rows(scope, "SELECT a, c FROM free", "2,NULL");
}

/* ---- what is refused, and in which order ---- */

static void test_more_than_128_ops_are_refused_first(void **state)
{
    struct scope *scope = *state;
    struct buf ops = {0};
    for (int i = 0; i < 128; i++)
        buf_printf(&ops, "%s{'type':'insert','key':'k%d'}", i == 0 ? "" : ",", i);
    check(scope, "free", ops.data, "committed 128");
    buf_printf(&ops, ",{'type':'insert','key':'','cols':{'none':1}}");
    check(scope, "nowhere", ops.data, "rejected LIMIT_EXCEEDED: more than 128 ops");
    buf_release(&ops);
}

static void test_the_shape_of_an_op_is_checked_before_its_rule(void **state)
{
    static const struct {
        const char *collection, *ops, *outcome;
    } CASES[] = {
        {"nowhere", INSERT("", ""), "rejected VALIDATION: the key is empty"},
        {"locked", DELETE(""), "rejected VALIDATION: the key is empty"},
        {"locked", INSERT("a", "'none':1"), "rejected VALIDATION: unknown column 'none'"},
        {"locked", UPDATE("a", "'id':'b'"), "rejected VALIDATION: the key column 'id' must hold the key"},
        {"locked", INSERT("a", "'text':[]"), "rejected VALIDATION: column 'text' cannot hold an array or a map"},
        {"free", INSERT("a", "'id':1"), "rejected VALIDATION: the key column 'id' must hold the key"},
        {"free", INSERT("a", "'id':null"), "rejected VALIDATION: the key column 'id' must hold the key"},
        {"free", INSERT("a", "'ID':'a'"), "rejected VALIDATION: unknown column 'ID'"},
        {"free", INSERT("a", "'len':1"), "rejected VALIDATION: column 'len' cannot be written"},
        {"free", UPDATE("a", "'a':{'x':1}"), "rejected VALIDATION: column 'a' cannot hold an array or a map"},
        {"notes", UPDATE("a", "'n':1"), "rejected VALIDATION: column 'n' cannot be written"},
        {"notes", INSERT("a", "'text':'spam','edits':1"), "rejected VALIDATION: column 'edits' cannot be written"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        check(*state, CASES[i].collection, CASES[i].ops, CASES[i].outcome);
}

static void test_an_operation_without_a_rule_is_refused(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO locked VALUES('a', 'x')");
    check(scope, "locked", INSERT("b", "'text':'x'"), "rejected -: no mutation handler for 'locked:insert'");
    check(scope, "locked", UPDATE("a", "'text':'y'"), "rejected -: no mutation handler for 'locked:update'");
    check(scope, "locked", DELETE("a"), "rejected -: no mutation handler for 'locked:delete'");
    check(scope, "children", UPDATE("a", "'parent':null"), "rejected -: no mutation handler for 'children:update'");
    check(scope, "nowhere", INSERT("a", ""), "rejected -: no mutation handler for 'nowhere:insert'");
    check(scope, "guests", INSERT("ann", ""), "rejected -: no mutation handler for 'guests:insert'");
    check(scope, "_sync_log", DELETE("a"), "rejected -: no mutation handler for '_sync_log:delete'");
    check_rows(scope, "SELECT * FROM locked", "a,x");
}

static void test_the_rule_is_asked_before_the_table(void **state)
{
    struct scope *scope = *state;
    mut(scope, "notes", INSERT("a", "'text':'one'"));
    check(scope, "notes", INSERT("a", "'text':'spam'"),
          "rejected FORBIDDEN: not allowed to insert this row of 'notes'");
    check(scope, "notes", INSERT("a", "'text':'two'"), "rejected CONSTRAINT: UNIQUE constraint failed: notes.id");
}

static void test_constraints_are_told_in_sqlites_words(void **state)
{
    static const struct {
        const char *collection, *ops, *outcome;
    } CASES[] = {
        {"free", INSERT("a", ""), "rejected CONSTRAINT: UNIQUE constraint failed: free.id"},
        {"free", INSERT("b", "'u':'taken'"), "rejected CONSTRAINT: UNIQUE constraint failed: free.u"},
        {"free", INSERT("b", "'b':null"), "rejected CONSTRAINT: NOT NULL constraint failed: free.b"},
        {"free", INSERT("b", "'c':0"), "rejected CONSTRAINT: CHECK constraint failed: c > 0"},
        {"free", UPDATE("a", "'b':null"), "rejected CONSTRAINT: NOT NULL constraint failed: free.b"},
        {"free", INSERT("b", "'a':'rude'"), "rejected CONSTRAINT: say please"},
        {"free", INSERT("b", "'a':'broken'"), "rejected EXECUTE_FAILED: mutation failed"},
        {"children", INSERT("x", "'parent':'nobody'"), "rejected CONSTRAINT: FOREIGN KEY constraint failed"},
        {"free", DELETE("a"), "rejected CONSTRAINT: FOREIGN KEY constraint failed"},
    };
    struct scope *scope = *state;
    mut(scope, "free", INSERT("a", "'u':'taken'"));
    mut(scope, "children", INSERT("c", "'parent':'a'"));
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        check(scope, CASES[i].collection, CASES[i].ops, CASES[i].outcome);
    check_rows(scope, "SELECT id, u FROM free", "a,taken");
}

static void test_one_bad_op_takes_the_others_back(void **state)
{
    struct scope *scope = *state;
    check(scope, "free", INSERT("a", "") "," UPDATE("a", "'b':'x'") "," INSERT("b", "'c':0"),
          "rejected CONSTRAINT: CHECK constraint failed: c > 0");
    assert_string_equal(scope_changes(scope), "");
    check_rows(scope, "SELECT * FROM free", "");
    check(scope, "free", INSERT("a", "") "," UPDATE("a", "'b':'x'") "," DELETE("a") "," INSERT("a", "'b':'y'"),
          "committed 5");
    check_rows(scope, "SELECT id, b FROM free", "a,y");
}

/* A rule that cannot be asked allows nothing: the file is not what its kind says, and must be closed. */
static void check_fails(struct scope *scope, const char *ops)
{
    check(scope, "asked", ops, "failed: invalid");
    check_rows(scope, "SELECT * FROM asked", "a,x,1");
    scope->file->failed = ERR_OK;
}

static void test_a_rule_that_does_not_compile_here_allows_nothing(void **state)
{
    struct scope *scope = *state;
    scope_execute(scope, "INSERT INTO asked VALUES('a', 'x', 1)");
    assert_int_equal(database_run(&scope->file->database, SQL_OURS, "DROP TABLE guests", NULL), ERR_OK);
    check_fails(scope, INSERT("b", ""));
    check_fails(scope, UPDATE("a", "'n':2"));
    check_fails(scope, DELETE("a"));
}

#define SCOPE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCOPE_TEST(test_insert_fills_in_set_and_defaults),
        SCOPE_TEST(test_a_rule_sees_the_row_as_it_will_be),
        SCOPE_TEST(test_update_sees_both_rows),
        SCOPE_TEST(test_update_writes_only_what_was_sent),
        SCOPE_TEST(test_delete_asks_about_the_stored_row),
        SCOPE_TEST(test_what_changes_nothing_succeeds),
        SCOPE_TEST(test_values_are_stored_as_they_came),
        SCOPE_TEST(test_of_a_column_sent_twice_the_last_counts),
        SCOPE_TEST(test_more_than_128_ops_are_refused_first),
        SCOPE_TEST(test_the_shape_of_an_op_is_checked_before_its_rule),
        SCOPE_TEST(test_an_operation_without_a_rule_is_refused),
        SCOPE_TEST(test_the_rule_is_asked_before_the_table),
        SCOPE_TEST(test_constraints_are_told_in_sqlites_words),
        SCOPE_TEST(test_one_bad_op_takes_the_others_back),
        SCOPE_TEST(test_a_rule_that_does_not_compile_here_allows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
