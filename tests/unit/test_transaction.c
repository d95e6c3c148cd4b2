/*
 * One transaction, one outcome: its positions in the log, its receipt, and nothing left of what was rejected.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/scope.h"

static const char DEFINITION[] =
    "`collections`:{`notes`:{`key`:`id`,`insert`:{`set`:{`at`:`now_ms()`}},`update`:{},`delete`:{}},"
    "`links`:{`key`:`id`,`insert`:{},`update`:{}},`totals`:{`key`:`id`}},"
    "`commands`:{`write`:{`args`:{`x`:`blob`},`execute`:[`INSERT INTO notes VALUES(CAST(:x AS TEXT), 'x', 1)`]},"
    "`fill`:{`args`:{`x`:`blob`},`execute`:[`INSERT INTO notes VALUES('k', CAST(:x AS TEXT), 1)`]},"
    "`mint`:{`args`:{`id`:`blob`},`execute`:[`INSERT INTO links(id) VALUES(:id)`]},"
    "`count`:{`execute`:[`SELECT 1`],`result`:`SELECT count(*) FROM notes`}}";

static const char TABLES[] =
    "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT CHECK(text <> 'bad'), at INTEGER);"
    "CREATE TABLE links(id TEXT PRIMARY KEY, note TEXT REFERENCES notes DEFERRABLE INITIALLY DEFERRED,"
    " other TEXT REFERENCES links DEFERRABLE INITIALLY DEFERRED);"
    "CREATE TABLE totals(id TEXT PRIMARY KEY, n INTEGER);"
    "CREATE TRIGGER counts AFTER INSERT ON links BEGIN"
    " INSERT INTO totals VALUES('links', 1) ON CONFLICT DO UPDATE SET n = n + 1; END;";

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

#define MUT(tx, collection, ops) "{'t':'mut','txId':'" tx "','collection':'" collection "','ops':[" ops "]}"
#define INSERT(key, cols)        "{'type':'insert','key':'" key "','cols':{" cols "}}"
#define UPDATE(key, cols)        "{'type':'update','key':'" key "','cols':{" cols "}}"
#define DELETE(key)              "{'type':'delete','key':'" key "'}"
#define CALL(tx, name, args)     "{'t':'call','txId':'" tx "','name':'" name "','args':" args "}"

static void check(struct scope *scope, const char *frame, const char *outcome)
{
    assert_string_equal(scope_decide(scope, frame), outcome);
}

/* The log behind the scope's beginning: position, key and operation of each key's latest change. */
static void check_log(struct scope *scope, const char *entries)
{
    char *sql = sqlite3_mprintf("SELECT seq - %lld, key, op FROM _sync_log WHERE seq > %lld ORDER BY seq",
                                (long long)scope->base, (long long)scope->base);
    assert_string_equal(scope_query(scope, sql), entries);
    sqlite3_free(sql);
}

/* ---- positions ---- */

static void test_each_change_takes_a_position(void **state)
{
    struct scope *scope = *state;
    check(scope, MUT("t1", "notes", INSERT("a", "") "," INSERT("b", "") "," UPDATE("a", "'text':'x'")), "committed 3");
    check_log(scope, "2,b,0 3,a,1");
    check(scope, MUT("t2", "notes", DELETE("b")), "committed 4");
    check_log(scope, "3,a,1 4,b,2");
    check(scope, MUT("t3", "links", INSERT("l", "")), "committed 6"); /* the trigger's change takes one too */
    check_log(scope, "3,a,1 4,b,2 5,l,0 6,links,0");
}

static void test_a_transaction_without_a_change_takes_one(void **state)
{
    struct scope *scope = *state;
    check(scope, MUT("t1", "notes", DELETE("a")), "committed 1");
    check(scope, MUT("t2", "notes", INSERT("a", "'text':'bad'")),
          "rejected CONSTRAINT: CHECK constraint failed: text <> 'bad'");
    check(scope, CALL("t3", "count", "null"), "committed 3 result=0");
    check_log(scope, "3,,3");
    check(scope, MUT("t4", "notes", INSERT("a", "")), "committed 4");
}

static void test_changes_know_their_positions(void **state)
{
    struct scope *scope = *state;
    check(scope, MUT("t1", "notes", INSERT("a", "") "," INSERT("b", "")), "committed 2");
    const struct capture *capture = &scope->file->capture;
    assert_int_equal(capture->n, 2);
    assert_int_equal(capture->changes[0].seq - scope->base, 1);
    assert_int_equal(capture->changes[1].seq - scope->base, 2);
}

static void test_a_rejection_leaves_its_receipt_and_a_position(void **state)
{
    struct scope *scope = *state;
    check(scope, MUT("t1", "notes", INSERT("a", "") "," INSERT("b", "'text':'bad'")),
          "rejected CONSTRAINT: CHECK constraint failed: text <> 'bad'");
    assert_string_equal(scope_query(scope, "SELECT * FROM notes"), "");
    assert_string_equal(scope_query(scope, "SELECT tx, code FROM _sync_receipts"), "t1,CONSTRAINT");
    check_log(scope, "1,,3");
}

static void test_one_of_a_turn_does_not_disturb_the_others(void **state)
{
    struct scope *scope = *state;
    assert_int_equal(scope_file_run(scope->file, TRANSACTION_BEGIN), ERR_OK);
    check(scope, MUT("t1", "notes", INSERT("a", "")), "committed 1");
    check(scope, MUT("t2", "links", INSERT("l", "'note':'none'")),
          "rejected CONSTRAINT: FOREIGN KEY constraint failed");
    check(scope, CALL("t3", "mint", "{'id':{'$bin':'ff'}}"),
          "rejected CONSTRAINT: a row's key must not be NULL; in a collection, a text, not empty");
    check(scope, MUT("t4", "links", INSERT("l", "'note':'a'")), "committed 5");
    assert_int_equal(scope_file_run(scope->file, TRANSACTION_COMMIT), ERR_OK);
    assert_string_equal(scope_query(scope, "SELECT id, note FROM links"), "l,a");
    assert_string_equal(scope_query(scope, "SELECT n FROM totals"), "1");
    assert_int_equal(scope->file->capture.n, 3);
}

/* ---- what only the end of a transaction shows ---- */

static void test_a_deferred_foreign_key_may_be_met_late(void **state)
{
    struct scope *scope = *state;
    check(scope, MUT("t1", "links", INSERT("x", "'other':'y'") "," INSERT("y", "'other':'x'")), "committed 4");
    check(scope, MUT("t2", "links", UPDATE("x", "'other':'z'")), "rejected CONSTRAINT: FOREIGN KEY constraint failed");
    check(scope, MUT("t3", "links", UPDATE("x", "'other':'z'") "," INSERT("z", "")), "committed 8");
}

static void test_a_key_is_text_and_not_empty(void **state)
{
    static const char WHY[] = "rejected CONSTRAINT: a row's key must not be NULL; in a collection, a text, not empty";
    struct scope *scope = *state;
    check(scope, CALL("t1", "mint", "{'id':{'$bin':''}}"), WHY);
    check(scope, CALL("t2", "mint", "{'id':{'$bin':'6162'}}"), WHY);
    assert_string_equal(scope_query(scope, "SELECT count(*) FROM links"), "0");
}

/* SQL can make text of any bytes, but a message with it could not be decoded. */
static void test_text_is_utf8(void **state)
{
    struct scope *scope = *state;
    check(scope, CALL("t1", "fill", "{'x':{'$bin':'61ff'}}"), "rejected CONSTRAINT: text must be UTF-8");
    check(scope, CALL("t2", "write", "{'x':{'$bin':'c0'}}"), "rejected CONSTRAINT: text must be UTF-8");
    check(scope, CALL("t3", "write", "{'x':{'$bin':'c3a4'}}"), "committed 3");
    assert_string_equal(scope_query(scope, "SELECT id FROM notes"), "\xc3\xa4");
}

/* ---- the same id again ---- */

static void check_replay(struct scope *scope)
{
    check(scope, MUT("t1", "notes", INSERT("a", "")), "committed 1");
    check(scope, MUT("t2", "notes", INSERT("a", "'text':'other'")),
          "rejected CONSTRAINT: UNIQUE constraint failed: notes.id");
    check(scope, CALL("t3", "count", "null"), "committed 3 result=1");
    check(scope, MUT("t4", "locked", INSERT("a", "")), "rejected -: no mutation handler for 'locked:insert'");
    assert_int_equal(scope->file->log.head - scope->base, 4);
}

static void test_a_repeat_gets_the_first_outcome_and_does_nothing(void **state)
{
    struct scope *scope = *state;
    check_replay(scope);
    scope_execute(scope, "DELETE FROM notes");
    check_replay(scope);
    assert_string_equal(scope_query(scope, "SELECT * FROM notes"), "");
    scope_reopen(scope);
    check_replay(scope);
}

static void test_an_id_is_of_a_transaction_of_any_sort(void **state)
{
    struct scope *scope = *state;
    check(scope, MUT("t1", "notes", INSERT("a", "")), "committed 1");
    check(scope, CALL("t1", "count", "null"), "committed 1");
    check(scope, MUT("t1", "nowhere", DELETE("")), "committed 1");
}

static void test_the_same_id_of_another_is_another(void **state)
{
    struct scope *scope = *state;
    check(scope, MUT("t1", "notes", INSERT("a", "")), "committed 1");
    scope_become(scope, "{'sub':'ben'}");
    check(scope, MUT("t1", "notes", INSERT("b", "")), "committed 2");
    scope_become(scope, "{'sub':'ann','iss':'elsewhere'}");
    check(scope, MUT("t1", "notes", INSERT("c", "")), "committed 3");
    scope_become(scope, "{'sub':'ann','role':'admin'}");
    check(scope, MUT("t1", "notes", INSERT("d", "")), "committed 1");
    assert_string_equal(scope_query(scope, "SELECT id FROM notes"), "a b c");
}

/* ---- under whose name, and when ---- */

static void test_time_is_the_turns_and_nobody_stays_behind(void **state)
{
    struct scope *scope = *state;
    scope->now_ms = 1800000005000;
    check(scope, MUT("t1", "notes", INSERT("a", "")), "committed 1");
    assert_string_equal(scope_query(scope, "SELECT at FROM notes"), "1800000005000");
    assert_string_equal(scope_query(scope, "SELECT sub, at FROM _sync_receipts"), "ann,1800000005000");
    assert_null(scope->file->database.context.claims);
}

/* Not decided: the caller rolls the turn back, and there is no receipt. */
static void test_a_file_that_fails_decides_nothing(void **state)
{
    struct scope *scope = *state;
    assert_int_equal(database_run(&scope->file->database, SQL_OURS, "ALTER TABLE _sync_log RENAME TO lost", NULL),
                     ERR_OK);
    check(scope, MUT("t1", "notes", INSERT("a", "")), "failed: invalid");
    assert_int_equal(database_run(&scope->file->database, SQL_OURS, "ALTER TABLE lost RENAME TO _sync_log", NULL),
                     ERR_OK);
    assert_string_equal(scope_query(scope, "SELECT * FROM notes"), "");
    check(scope, MUT("t1", "notes", INSERT("a", "")), "committed 1");
}

#define SCOPE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCOPE_TEST(test_each_change_takes_a_position),
        SCOPE_TEST(test_a_transaction_without_a_change_takes_one),
        SCOPE_TEST(test_changes_know_their_positions),
        SCOPE_TEST(test_a_rejection_leaves_its_receipt_and_a_position),
        SCOPE_TEST(test_one_of_a_turn_does_not_disturb_the_others),
        SCOPE_TEST(test_a_deferred_foreign_key_may_be_met_late),
        SCOPE_TEST(test_a_key_is_text_and_not_empty),
        SCOPE_TEST(test_text_is_utf8),
        SCOPE_TEST(test_a_repeat_gets_the_first_outcome_and_does_nothing),
        SCOPE_TEST(test_an_id_is_of_a_transaction_of_any_sort),
        SCOPE_TEST(test_the_same_id_of_another_is_another),
        SCOPE_TEST(test_time_is_the_turns_and_nobody_stays_behind),
        SCOPE_TEST(test_a_file_that_fails_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
