/*
 * A `call`: which arguments are taken, what is run, and what the caller gets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/scope.h"

static const char DEFINITION[] =
    "`collections`:{`notes`:{`key`:`id`,`insert`:{}}},"
    "`commands`:{"
    "`keep`:{`args`:{`t`:`text`,`i`:`integer`,`r`:`real`,`b`:`boolean`,`x`:`blob`},"
    "`execute`:[`INSERT INTO kept VALUES(:t, :i, :r, :b, :x)`]},"
    "`pin`:{`args`:{`id`:`text`},`authorize`:`claim('role') = 'admin' AND :id <> 'secret'`,"
    "`execute`:[`UPDATE notes SET pinned = 1 WHERE id = :id`,`INSERT INTO notes(id) VALUES(:id || '-pin')`],"
    "`result`:`SELECT count(*) FROM notes WHERE pinned`},"
    "`half`:{`args`:{`x`:`real`},`execute`:[`SELECT 1`],`result`:`SELECT :x / 2`},"
    "`rows`:{`args`:{`n`:`integer`},`execute`:[`SELECT 1`],"
    "`result`:`SELECT id, pinned AS p FROM notes ORDER BY id LIMIT :n`},"
    "`one`:{`args`:{`n`:`integer`},`execute`:[`SELECT 1`],`result`:`SELECT id FROM notes ORDER BY id LIMIT :n`},"
    "`nothing`:{`execute`:[`DELETE FROM notes WHERE id = claim('sub')`]},"
    "`null`:{`execute`:[`SELECT 1`],`result`:`SELECT NULL`},"
    "`large`:{`args`:{`n`:`integer`},`execute`:[`INSERT INTO notes(id) VALUES('large')`],"
    "`result`:`SELECT zeroblob(:n)`},"
    "`many`:{`args`:{`n`:`integer`},`execute`:[`SELECT 1`],`result`:"
    "`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT :n) SELECT n, hex(zeroblob(500)) AS h FROM "
    "c`"
    "},"
    "`cast`:{`args`:{`x`:`blob`},`execute`:[`SELECT 1`],`result`:`SELECT CAST(:x AS TEXT)`},"
    "`broken`:{`execute`:[`INSERT INTO notes(id) VALUES('x')`],`result`:`SELECT json_extract('{', '$')`}}";

static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, pinned INTEGER);"
                             "CREATE TABLE kept(t TEXT PRIMARY KEY, i, r, b, x);";

static int set_up(void **state)
{
    struct scope *scope = mem_zero(1, sizeof *scope);
    scope_open(scope, DEFINITION, TABLES);
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a'), ('b')");
    *state = scope;
    return 0;
}

static int tear_down(void **state)
{
    scope_close(*state);
    free(*state);
    return 0;
}

/* Each call has a transaction id of its own. */
static const char *call(struct scope *scope, const char *name, const char *args)
{
    static unsigned n;
    struct buf frame = {0};
    buf_printf(&frame, "{'t':'call','txId':'t%u','name':'%s','args':%s}", n++, name, args);
    const char *outcome = scope_decide(scope, frame.data);
    buf_release(&frame);
    return outcome;
}

static void check(struct scope *scope, const char *name, const char *args, const char *outcome)
{
    assert_string_equal(call(scope, name, args), outcome);
}

/* ---- arguments ---- */

static void test_arguments_are_bound_as_their_type(void **state)
{
    struct scope *scope = *state;
    check(scope, "keep", "{'t':'x','i':5000000000,'r':2,'b':true,'x':{'$bin':'00ff'}}", "committed 1");
    check(scope, "keep", "{'x':{'$bin':''},'b':false,'r':2.5,'i':{'$time':7000},'t':''}", "committed 2");
    assert_string_equal(scope_query(scope, "SELECT quote(t), quote(i), quote(r), quote(b), quote(x) FROM kept"),
                        "'x',5000000000,2.0,1,X'00FF' '',7000,2.5,0,X''");
    check(scope, "half", "{'x':5}", "committed 3 result=2.5");
}

#define KEEP(t, i, r, b, x) "{'t':" t ",'i':" i ",'r':" r ",'b':" b ",'x':" x "}"

static void test_arguments_of_another_type_are_refused(void **state)
{
    static const struct {
        const char *args, *why;
    } CASES[] = {
        {KEEP("5", "1", "1", "true", "{'$bin':''}"), "argument 't' must be of type text"},
        {KEEP("{'$bin':''}", "1", "1", "true", "{'$bin':''}"), "argument 't' must be of type text"},
        {KEEP("''", "1.5", "1", "true", "{'$bin':''}"), "argument 'i' must be of type integer"},
        {KEEP("''", "'1'", "1", "true", "{'$bin':''}"), "argument 'i' must be of type integer"},
        {KEEP("''", "{'$real':1e300}", "1", "true", "{'$bin':''}"), "argument 'i' must be of type integer"},
        {KEEP("''", "{'$real':'NaN'}", "1", "true", "{'$bin':''}"), "argument 'i' must be of type integer"},
        {KEEP("''", "true", "1", "true", "{'$bin':''}"), "argument 'i' must be of type integer"},
        {KEEP("''", "1", "true", "true", "{'$bin':''}"), "argument 'r' must be of type real"},
        {KEEP("''", "1", "1", "1", "{'$bin':''}"), "argument 'b' must be of type boolean"},
        {KEEP("''", "1", "1", "true", "'text'"), "argument 'x' must be of type blob"},
        {KEEP("null", "1", "1", "true", "{'$bin':''}"), "argument 't' must be of type text"},
        {KEEP("[1]", "1", "1", "true", "{'$bin':''}"), "argument 't' must be of type text"},
        {"{'t':'','i':1,'r':1,'b':true}", "argument 'x' must be of type blob"},
        {"{'t':'','T':''}", "unknown argument 'T'"},
        {"{}", "argument 't' must be of type text"},
        {"null", "argument 't' must be of type text"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf outcome = {0};
        buf_printf(&outcome, "rejected VALIDATION: %s", CASES[i].why);
        check(*state, "keep", CASES[i].args, outcome.data);
        buf_release(&outcome);
    }
    assert_string_equal(scope_query(*state, "SELECT count(*) FROM kept"), "0");
}

/* ---- what is decided ---- */

static void test_checks_come_in_their_order(void **state)
{
    struct scope *scope = *state;
    check(scope, "unpin", "{'none':1}", "rejected UNKNOWN_COMMAND: unknown command 'unpin'");
    check(scope, "pin", "{'id':5}", "rejected VALIDATION: argument 'id' must be of type text");
    check(scope, "pin", "{'id':'a'}", "rejected FORBIDDEN: not allowed to call 'pin'");
    scope_become(scope, "{'sub':'ann','role':'admin'}");
    check(scope, "pin", "{'id':'secret'}", "rejected FORBIDDEN: not allowed to call 'pin'");
    check(scope, "pin", "{'id':'a'}", "committed 6 result=1");
    check(scope, "pin", "{'id':'a'}", "rejected CONSTRAINT: UNIQUE constraint failed: notes.id");
    assert_string_equal(scope_query(scope, "SELECT id, pinned FROM notes ORDER BY id"), "a,1 a-pin,NULL b,NULL");
}

static void test_all_statements_or_none(void **state)
{
    struct scope *scope = *state;
    scope_become(scope, "{'sub':'ann','role':'admin'}");
    scope_execute(scope, "INSERT INTO notes(id) VALUES('a-pin')");
    check(scope, "pin", "{'id':'a'}", "rejected CONSTRAINT: UNIQUE constraint failed: notes.id");
    check(scope, "broken", "null", "rejected EXECUTE_FAILED: mutation failed");
    assert_string_equal(scope_query(scope, "SELECT id, pinned FROM notes ORDER BY id"), "a,NULL a-pin,NULL b,NULL");
    assert_string_equal(scope_changes(scope), "");
}

/* ---- the result ---- */

static void test_one_value_comes_alone_and_rows_as_rows(void **state)
{
    struct scope *scope = *state;
    check(scope, "nothing", "null", "committed 1");
    check(scope, "null", "{}", "committed 2 result=null");
    check(scope, "one", "{'n':1}", "committed 3 result=\"a\"");
    check(scope, "one", "{'n':0}", "committed 4 result=[]");
    check(scope, "one", "{'n':2}", "committed 5 result=[{\"id\":\"a\"},{\"id\":\"b\"}]");
    check(scope, "rows", "{'n':1}", "committed 6 result=[{\"id\":\"a\",\"p\":null}]");
}

static void test_a_result_can_be_read(void **state)
{
    check(*state, "cast", "{'x':{'$bin':'6162'}}", "committed 1 result=\"ab\"");
    check(*state, "cast", "{'x':{'$bin':'ff'}}", "rejected CONSTRAINT: text must be UTF-8");
}

static void test_a_result_has_a_limit(void **state)
{
    struct scope *scope = *state;
    assert_int_equal(strncmp(call(scope, "large", "{'n':1000000}"), "committed", 9), 0);
    scope_execute(scope, "DELETE FROM notes");
    check(scope, "large", "{'n':1048577}", "rejected LIMIT_EXCEEDED: the result is above 1048576 bytes");
    check(scope, "many", "{'n':1000000000}", "rejected LIMIT_EXCEEDED: the result is above 1048576 bytes");
    assert_string_equal(scope_query(scope, "SELECT * FROM notes"), ""); /* and nothing happened */
}

#define SCOPE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCOPE_TEST(test_arguments_are_bound_as_their_type),
        SCOPE_TEST(test_arguments_of_another_type_are_refused),
        SCOPE_TEST(test_checks_come_in_their_order),
        SCOPE_TEST(test_all_statements_or_none),
        SCOPE_TEST(test_one_value_comes_alone_and_rows_as_rows),
        SCOPE_TEST(test_a_result_can_be_read),
        SCOPE_TEST(test_a_result_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
