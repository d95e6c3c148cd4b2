/*
 * What the author of an app finds in the log when SQL of the app fails, of which its clients are told nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "tests/lib/output.h"
#include "tests/lib/scope.h"

static const char DEFINITION[] =
    "`open`:`json_array_length(claim('rooms'))`,`collections`:{`notes`:{`key`:`id`,"
    "`insert`:{`authorize`:`json_extract(:meta, '$.public')`},`update`:{`set`:{`meta`:`json(:text)`}},`delete`:{}}},"
    "`commands`:{`share`:{`args`:{`meta`:`text`},`execute`:[`SELECT 1`],`result`:`SELECT json(:meta)`},"
    "`count`:{`args`:{`meta`:`text`},`execute`:[`SELECT json_array_length(:meta)`]}}";

static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT, meta TEXT);"
                             "CREATE TRIGGER kept AFTER DELETE ON notes BEGIN"
                             " UPDATE notes SET meta = abs(-9223372036854775807 - length(old.id)); END;"
                             "INSERT INTO notes(id) VALUES('a'), ('b');";

/* What follows a transaction id. */
#define INSERT "'t':'mut','collection':'notes','ops':[{'type':'insert','key':'x','cols':{'meta':'{'}}]}"
#define UPDATE "'t':'mut','collection':'notes','ops':[{'type':'update','key':'b','cols':{'text':'{'}}]}"
#define DELETE "'t':'mut','collection':'notes','ops':[{'type':'delete','key':'a'}]}"
#define SHARE  "'t':'call','name':'share','args':{'meta':'{'}}"
#define COUNT  "'t':'call','name':'count','args':{'meta':'{'}}"

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

/* The lines that the log gets while this is tried `times` times. Borrowed until the next call. */
static const char *try(struct scope *scope, const char *transaction, unsigned times)
{
    static struct output output;
    static unsigned n;
    struct buf outcomes = {0};
    output_catch(&output);
    for (unsigned i = 0; i < times; i++) {
        char frame[200];
        snprintf(frame, sizeof frame, "{'txId':'t%u',%s", n++, transaction);
        const char *outcome = scope_decide(scope, frame);
        if (strcmp(outcome, "rejected EXECUTE_FAILED: mutation failed") != 0)
            buf_printf(&outcomes, "%s\n", outcome);
    }
    output_restore(&output);
    if (outcomes.len > 0)
        fail_msg("%s", outcomes.data);
    return output.err;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void check(struct scope *scope, const char *transaction, const char *said)
{
    const char *lines = try(scope, transaction, 1);
    if (count_lines(lines) != 1 || strstr(lines, said) == NULL)
        fail_msg("%s instead of %s", lines, said);
}

static void test_the_log_says_where_and_why(void **state)
{
    struct scope *scope = *state;
    check(scope, INSERT,
          " warn skerry sql_failed scope=test/room/tea op=notes:insert why=\"malformed JSON\" unsaid=0\n");
    check(scope, UPDATE, "scope=test/room/tea op=notes:update why=\"malformed JSON\"");
    check(scope, DELETE, "scope=test/room/tea op=notes:delete why=\"integer overflow\"");
    check(scope, SHARE, "scope=test/room/tea command=share why=\"malformed JSON\"");
    check(scope, COUNT, "scope=test/room/tea command=count why=\"malformed JSON\"");
}

static void test_a_flood_is_a_line_a_second(void **state)
{
    struct scope *scope = *state;
    scope->now_ms += 5000; /* after the test before */
    uint64_t before = metric_get(METRIC_SHARD_SQL_FAILURES);
    assert_int_equal(count_lines(try(scope, SHARE, 100)), 1);
    assert_int_equal(metric_get(METRIC_SHARD_SQL_FAILURES) - before, 100);
    scope->now_ms += 999;
    assert_string_equal(try(scope, SHARE, 1), "");
    check(scope, COUNT, "command=count why=\"malformed JSON\" unsaid=0\n");
    scope->now_ms += 1;
    check(scope, SHARE, "command=share why=\"malformed JSON\" unsaid=100\n");
    scope->now_ms -= 3600000; /* the clock was put right */
    check(scope, SHARE, "command=share why=\"malformed JSON\" unsaid=0\n");
}

static void test_a_door_that_is_closed_by_mistake_is_logged(void **state)
{
    static struct output output;
    struct scope *scope = *state;
    bool lets_ann_in;
    scope_become(scope, "{'sub':'ann','rooms':'tea'}"); /* not a list */
    output_catch(&output);
    enum err err = scope_file_allows(scope->file, &scope->claims, scope->now_ms, 0, &lets_ann_in);
    output_restore(&output);
    assert_int_equal(err, ERR_OK);
    assert_false(lets_ann_in);
    assert_non_null(strstr(output.err, "sql_failed scope=test/room/tea rule=open why=\"malformed JSON\""));

    scope_become(scope, "{'sub':'ann','rooms':[]}"); /* a no that was meant */
    scope->now_ms += 1000;
    output_catch(&output);
    assert_int_equal(scope_file_allows(scope->file, &scope->claims, scope->now_ms, 0, &lets_ann_in), ERR_OK);
    output_restore(&output);
    assert_false(lets_ann_in);
    assert_string_equal(output.err, "");
}

static void test_what_is_the_clients_mistake_is_not_logged(void **state)
{
    static struct output output;
    output_catch(&output);
    scope_decide(*state, "{'t':'mut','txId':'1','collection':'notes','ops':[{'type':'insert','key':'a','cols':{}}]}");
    scope_decide(*state, "{'t':'call','txId':'2','name':'share','args':{'meta':1}}");
    scope_decide(*state, "{'t':'call','txId':'3','name':'shout','args':{}}");
    output_restore(&output);
    assert_string_equal(output.err, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_log_says_where_and_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_is_a_line_a_second, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_door_that_is_closed_by_mistake_is_logged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_the_clients_mistake_is_not_logged, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
