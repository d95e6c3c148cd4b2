/*
 * A client that reads slowly: its snapshots and catch-ups stop where its credit ends, and go on from there.
 *
 * A session with any credit left may be sent one frame more, so a credit of 1 is worth one frame.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shards/feed/session.h"
#include "tests/lib/stage.h"

enum { ANN = 1, BEN = 2, EVE = 3, PLENTY = 100000 };

static const char DEFINITION[] = "`collections`:{`notes`:{`key`:`id`,`insert`:{},`update`:{},`delete`:{}},"
                                 "`tags`:{`key`:`id`,`insert`:{}}}";
static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);"
                             "CREATE TABLE tags(id TEXT PRIMARY KEY, text TEXT);";

/* Ben has written a to d, and reads fast. Ann is there. */
static int set_up(void **state)
{
    struct stage *stage = mem_zero(1, sizeof *stage);
    stage_open(stage, DEFINITION, TABLES);
    stage_attach(stage, BEN, "{'sub':'ben'}");
    stage_mut(stage, BEN, "t0", "+a=1 +b=1 +c=1 +d=1");
    stage_sub(stage, BEN, "notes", STAGE_NO_SINCE);
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_turn(stage);
    stage_heard(stage, BEN);
    stage_heard(stage, ANN);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    stage_close(*state);
    free(*state);
    return 0;
}

/* Takes a turn with that credit, and then this is what Ann has heard. */
static void check(struct stage *stage, int64_t credit, const char *lines)
{
    stage_set_credit(stage, ANN, credit);
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, ANN), lines);
}

static void write_and_turn(struct stage *stage, const char *tx, const char *ops)
{
    stage_mut(stage, BEN, tx, ops);
    stage_turn(stage);
}

/* ---- a snapshot that takes its time ---- */

static void test_nothing_comes_between_its_rows(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    check(stage, PLENTY, "snap-end tags 4\n");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, 1, "snap notes a=1\n");

    /* what happens meanwhile waits, also what she does herself */
    stage_send(stage, BEN, "{'t':'mut','txId':'t1','collection':'tags','ops':[{'type':'insert','key':'t'}]}");
    stage_mut(stage, ANN, "t2", "~a=2 -c +e=2");
    stage_send(stage, ANN, "{'t':'fetch','fetchId':'f','collection':'notes'}");
    check(stage, 1, "snap notes b=1\n");
    check(stage, 1, "snap notes d=1\n");
    check(stage, 1, "snap notes e=2\n");
    check(stage, 0, "");
    check(stage, PLENTY,
          "snap-end notes 4\nd tags insert t 5\nd notes update a=2 6\nd notes delete c 7\n"
          "d notes insert e=2 8\nuptodate 8\ncommitted t2 8\npage f 8\n");
}

static void test_it_does_not_hold_up_others(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, 1, "snap notes a=1\n");
    write_and_turn(stage, "t1", "~a=2");
    assert_string_equal(stage_heard(stage, BEN), "d notes update a=2 5\nuptodate 5\ncommitted t1 5\n");
    assert_string_equal(stage_heard(stage, ANN), "");
}

static void test_a_second_one_waits_for_the_first(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_send(stage, ANN, "{'t':'sub','subId':'again','collection':'notes'}");
    check(stage, 1, "snap notes a=1\n");
    write_and_turn(stage, "t1", "-b");
    check(stage, PLENTY,
          "snap notes c=1\nsnap notes d=1\nsnap-end notes 4\nd notes delete b 5\nuptodate 5\n"
          "snap again a=1\nsnap again c=1\nsnap again d=1\nsnap-end again 5\n");
}

static void test_one_that_began_in_an_empty_scope_ends_there(void **state)
{
    struct stage *stage = *state;
    stage_close(stage);
    stage_open(stage, DEFINITION, TABLES);
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_attach(stage, BEN, "{'sub':'ben'}");
    stage_turn(stage);
    stage_heard(stage, ANN);
    stage_send(stage, ANN, "{'t':'sub','subId':'notes','collection':'notes','since':'soon'}");
    check(stage, 1, "reset notes\n");
    stage_mut(stage, BEN, "t0", "+a=1");
    check(stage, 0, "");
    check(stage, PLENTY, "snap-end notes none\nd notes insert a=1 1\nuptodate none\n");
}

static void test_unsub_ends_it_where_it_is(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, 1, "snap notes a=1\n");
    stage_send(stage, ANN, "{'t':'unsub','subId':'notes'}");
    stage_mut(stage, ANN, "t1", "-a");
    check(stage, PLENTY, "committed t1 5\n");
}

static void test_a_namesake_begins_anew(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, 1, "snap notes a=1\n");
    write_and_turn(stage, "t1", "-b");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, PLENTY, "snap notes a=1\nsnap notes c=1\nsnap notes d=1\nsnap-end notes 5\n");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, 1, "snap notes a=1\n");
    stage_sub(stage, ANN, "notes", 4); /* or goes on from a cursor */
    check(stage, PLENTY, "d notes delete b 5\nuptodate notes 4\n");
}

static void test_a_row_of_any_size_goes_with_any_credit(void **state)
{
    struct stage *stage = *state;
    struct buf ops = {0};
    buf_printf(&ops, "+aa=%0*d", 300000, 7);
    write_and_turn(stage, "t1", ops.data);
    buf_release(&ops);
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, 1, "snap notes a=1\n");
    stage_set_credit(stage, ANN, 1);
    stage_turn(stage);
    assert_in_range(strlen(stage_heard(stage, ANN)), 300000, 300100);
    check(stage, 0, "");
    assert_true(channel_find(stage->channel, ANN)->credit <= 0);
    check(stage, 1, "snap notes b=1\n");
}

/* ---- changes that take their time ---- */

static void test_a_catch_up_goes_on_where_it_stopped(void **state)
{
    struct stage *stage = *state;
    write_and_turn(stage, "t1", "~a=2 ~b=2 -c ~d=2");
    stage_sub(stage, ANN, "notes", 4);
    check(stage, 1, "d notes update a=2 5\n");
    check(stage, 1, "d notes update b=2 6\n");
    write_and_turn(stage, "t2", "~a=3 ~d=3 +e=3");
    check(stage, 1, "d notes delete c 7\n");
    stage_send(stage, ANN, "{'t':'unsub','subId':'none'}"); /* the end of the burst */
    check(stage, PLENTY,
          "d notes update a=3 9\nd notes update d=3 10\nd notes insert e=3 11\nuptodate notes 4\n"
          "uptodate 11\n");
}

/* Half a turn is no prefix that a cursor could stand for. */
static void test_changes_that_are_caught_up_have_their_boundary_at_their_end(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    stage_turn(stage);
    write_and_turn(stage, "t1", "~a=2 ~b=2");
    stage_heard(stage, ANN);
    stage_lag(stage, ANN, 4, 1);
    stage_send(stage, ANN, "{'t':'sub','subId':'more','collection':'notes'}"); /* it has to wait */
    stage_mut(stage, BEN, "t2", "~c=2");
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, ANN), "d notes update a=2 5\n");
    check(stage, 1, "d notes update b=2 6\n");
    write_and_turn(stage, "t3", "~a=3 -b");
    check(stage, 1, "d notes update c=2 7\n");
    check(stage, PLENTY,
          "d notes update a=3 8\nd notes delete b 9\nuptodate 9\nsnap more a=3\nsnap more c=2\nsnap more d=1\n"
          "snap-end more 9\n");
    check(stage, PLENTY, "");
}

static void test_who_read_nothing_is_given_only_what_is_left_of_it(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_turn(stage);
    for (int i = 0; i < 100; i++) {
        char tx[20], ops[40];
        snprintf(tx, sizeof tx, "u%d", i);
        snprintf(ops, sizeof ops, "~a=%d +new=%d -new", i, i);
        write_and_turn(stage, tx, ops);
    }
    stage_heard(stage, ANN);
    stage_lag(stage, ANN, 4, STAGE_CREDIT);
    check(stage, PLENTY, "d notes update a=99 302\nd notes delete new 304\nuptodate 304\n");
}

static void test_each_subscription_is_brought_forward_from_its_own_place(void **state)
{
    struct stage *stage = *state;
    stage_send(stage, ANN, "{'t':'unsub','subId':'none'}"); /* no burst */
    stage_sub(stage, ANN, "notes", 2);
    stage_send(stage, ANN, "{'t':'sub','subId':'other','collection':'notes','since':'soon'}");
    check(stage, 1, "d notes insert c=1 3\n");
    check(stage, 1, "d notes insert d=1 4\n");
    check(stage, PLENTY,
          "uptodate notes 4\nreset other\nsnap other a=1\nsnap other b=1\nsnap other c=1\nsnap other d=1\n"
          "snap-end other 4\n");
    write_and_turn(stage, "t1", "~a=2");
    assert_string_equal(stage_heard(stage, ANN), "d notes update a=2 5\nd other update a=2 5\nuptodate 5\n");
}

/* ---- credit ---- */

static void test_credit_is_spent_and_given_back(void **state)
{
    struct stage *stage = *state;
    struct session *ann = channel_find(stage->channel, ANN);
    assert_int_equal(ann->credit, STAGE_CREDIT);
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_turn(stage);
    assert_in_range(ann->credit, STAGE_CREDIT - 600, STAGE_CREDIT - 200);
    int64_t before = ann->credit;
    struct buf credit = {0};
    envelope_append_credit(&credit, ANN, 1000);
    assert_true(channel_receive(stage->channel, buf_slice(&credit)));
    stage_turn(stage);
    assert_int_equal(ann->credit, before + 1000);
    buf_release(&credit);
}

#define STAGE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_nothing_comes_between_its_rows),
        STAGE_TEST(test_it_does_not_hold_up_others),
        STAGE_TEST(test_a_second_one_waits_for_the_first),
        STAGE_TEST(test_one_that_began_in_an_empty_scope_ends_there),
        STAGE_TEST(test_unsub_ends_it_where_it_is),
        STAGE_TEST(test_a_namesake_begins_anew),
        STAGE_TEST(test_a_row_of_any_size_goes_with_any_credit),
        STAGE_TEST(test_a_catch_up_goes_on_where_it_stopped),
        STAGE_TEST(test_changes_that_are_caught_up_have_their_boundary_at_their_end),
        STAGE_TEST(test_who_read_nothing_is_given_only_what_is_left_of_it),
        STAGE_TEST(test_each_subscription_is_brought_forward_from_its_own_place),
        STAGE_TEST(test_credit_is_spent_and_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
