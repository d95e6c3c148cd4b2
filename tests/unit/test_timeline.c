/*
 * A new timeline: every cursor of before gets a reset, no record of before is applied, and nothing else changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shards/scope/timeline.h"
#include "tests/lib/scope.h"

static const char DEFINITION[] = "`collections`:{`notes`:{`key`:`id`,`insert`:{}},`tags`:{`key`:`id`}}";
static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);"
                             "CREATE TABLE tags(id TEXT PRIMARY KEY);";
static const char INSERT[] = "{'t':'mut','txId':'t1','collection':'notes','ops':[{'type':'insert','key':'a','cols':"
                             "{'id':'a','text':'x'}}]}";

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

/* Closes the file, starts a new timeline in it, and opens it again. */
static uint64_t start_over(struct scope *scope, uint64_t known_head, int64_t now_ms)
{
    struct buf why = {0};
    uint64_t start = 0;
    scope_file_close(scope->file);
    scope->file = NULL;
    assert_int_equal(timeline_begin(scope->path, known_head, now_ms, &start, &why), ERR_OK);
    scope_reopen(scope);
    return start;
}

/* The head is there, with every floor; all that is behind it can be told. */
static void check_start(const struct scope *scope, uint64_t start)
{
    assert_int_equal(scope->file->log.head, start);
    for (size_t i = 0; i < scope->room.kind->n_collections; i++)
        assert_int_equal(scope->file->log.floors[i], start);
}

static void test_it_starts_where_the_clock_says(void **state)
{
    struct scope *scope = *state;
    uint64_t start = start_over(scope, 0, scope->now_ms + 1000);
    assert_int_equal(start, changelog_start(scope->now_ms + 1000));
    assert_in_range(start, scope->base + 1, UINT64_MAX);
    check_start(scope, start);
}

static void test_a_clock_that_went_back_does_not_bring_seqs_back(void **state)
{
    struct scope *scope = *state;
    assert_string_equal(scope_decide(scope, INSERT), "committed 1");
    uint64_t head = scope->file->log.head;
    uint64_t start = start_over(scope, 0, scope->now_ms - 86400000);
    assert_int_equal(start, head + 1);
    check_start(scope, start);
}

static void test_it_starts_above_what_anyone_knows(void **state)
{
    struct scope *scope = *state;
    uint64_t known = changelog_start(scope->now_ms) + ((uint64_t)1 << 40);
    uint64_t start = start_over(scope, known, scope->now_ms);
    assert_int_equal(start, known + 1);
    check_start(scope, start);
}

static void test_it_is_another_incarnation(void **state)
{
    struct scope *scope = *state;
    int64_t incarnation = scope->file->incarnation, tx = scope->file->tx;
    start_over(scope, 0, scope->now_ms);
    assert_int_not_equal(scope->file->incarnation, incarnation);
    assert_int_equal(scope->file->tx, tx);
}

static void test_rows_and_receipts_stay(void **state)
{
    struct scope *scope = *state;
    scope_decide(scope, INSERT);
    uint64_t committed = scope->file->log.head;
    start_over(scope, 0, scope->now_ms + 1000);
    assert_string_equal(scope_query(scope, "SELECT * FROM notes"), "a,x");
    scope->base = committed - 1;
    assert_string_equal(scope_decide(scope, INSERT), "committed 1"); /* the receipt, at its position of then */
    assert_string_equal(scope_query(scope, "SELECT count(*) FROM notes"), "1");
}

static void test_twice_is_as_good_as_once(void **state)
{
    struct scope *scope = *state;
    uint64_t first = start_over(scope, 0, scope->now_ms), second = start_over(scope, 0, scope->now_ms);
    assert_int_equal(second, first + 1);
    check_start(scope, second);
}

static void test_what_is_no_scope_is_refused(void **state)
{
    struct scope *scope = *state;
    struct buf why = {0};
    uint64_t start = 0;
    folder_write(&scope->room.folder, "other.db", SLICE("no database at all, but long enough to look like one"));
    assert_int_not_equal(timeline_begin(folder_at(&scope->room.folder, "other.db").text, 0, 0, &start, &why), ERR_OK);
    assert_int_not_equal(timeline_begin(folder_at(&scope->room.folder, "none.db").text, 0, 0, &start, &why), ERR_OK);
    assert_int_not_equal(why.len, 0);
    assert_int_equal(start, 0);
    buf_release(&why);
}

#define TIMELINE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMELINE_TEST(test_it_starts_where_the_clock_says),
        TIMELINE_TEST(test_a_clock_that_went_back_does_not_bring_seqs_back),
        TIMELINE_TEST(test_it_starts_above_what_anyone_knows),
        TIMELINE_TEST(test_it_is_another_incarnation),
        TIMELINE_TEST(test_rows_and_receipts_stay),
        TIMELINE_TEST(test_twice_is_as_good_as_once),
        TIMELINE_TEST(test_what_is_no_scope_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
