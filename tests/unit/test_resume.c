/*
 * Coming back with a cursor: what was missed, and one boundary for all subscriptions until none of them is behind.
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

enum { ANN = 1, BEN = 2 };

static const char DEFINITION[] = "`collections`:{`notes`:{`key`:`id`,`insert`:{},`update`:{},`delete`:{}},"
                                 "`tags`:{`key`:`id`,`insert`:{}}}";
static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);"
                             "CREATE TABLE tags(id TEXT PRIMARY KEY, text TEXT);";

/* Ben has written: a and b inserted (1, 2), the tag t (3), a updated (4), b deleted (5). Then Ann comes back. */
static int set_up(void **state)
{
    struct stage *stage = mem_zero(1, sizeof *stage);
    stage_open(stage, DEFINITION, TABLES);
    stage_attach(stage, BEN, "{'sub':'ben'}");
    stage_mut(stage, BEN, "t1", "+a=1 +b=1");
    stage_send(stage, BEN, "{'t':'mut','txId':'t2','collection':'tags','ops':[{'type':'insert','key':'t'}]}");
    stage_mut(stage, BEN, "t3", "~a=2 -b");
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, BEN), "attached\ncommitted t1 2\ncommitted t2 3\ncommitted t3 5\n");
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_turn(stage);
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

/* Takes a turn, and then this is what Ann has heard. */
static void check(struct stage *stage, const char *lines)
{
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, ANN), lines);
}

/* The first frame that is no `sub`. */
static void end_burst(struct stage *stage)
{
    stage_send(stage, ANN, "{'t':'unsub','subId':'none of these'}");
}

/* ---- what was missed ---- */

static void test_nothing_was_missed(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", 5);
    end_burst(stage);
    check(stage, "uptodate notes 5\nuptodate 5\n");
    stage_mut(stage, BEN, "t4", "+c=x");
    check(stage, "d notes insert c=x 6\nuptodate 6\n");
}

static void test_each_missed_key_comes_once_in_the_order_of_its_latest_change(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", 0);
    end_burst(stage);
    check(stage, "d notes update a=2 4\nd notes delete b 5\nuptodate notes 0\nuptodate 5\n");
}

static void test_what_is_no_cursor_gets_a_snapshot(void **state)
{
    static const char *const SINCE[] = {"'soon'", "'-5'", "''", "7"};
    struct stage *stage = *state;
    for (size_t i = 0; i < sizeof SINCE / sizeof *SINCE; i++) {
        char frame[100];
        snprintf(frame, sizeof frame, "{'t':'sub','subId':'notes','collection':'notes','since':%s}", SINCE[i]);
        stage_send(stage, ANN, frame);
        check(stage, "reset notes\nsnap notes a=2\nsnap-end notes none\n");
    }
    end_burst(stage);
    check(stage, "uptodate 5\n");
}

static void test_a_cursor_outside_of_the_log_gets_a_snapshot(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", 6);
    check(stage, "reset notes\nsnap notes a=2\nsnap-end notes 5\n");
    stage_sub(stage, ANN, "tags", -1);
    check(stage, "reset tags\nsnap tags t\nsnap-end tags -1\n");
    end_burst(stage);
    check(stage, "uptodate 5\n");
}

static void test_since_zero_asks_for_a_snapshot_and_holds_nothing(void **state)
{
    struct stage *stage = *state;
    stage_send(stage, ANN, "{'t':'sub','subId':'notes','collection':'notes','since':'0'}");
    check(stage, "snap notes a=2\nsnap-end notes 5\n");
    end_burst(stage);
    check(stage, "");
}

static void test_a_cursor_of_a_scope_that_is_gone_gets_a_reset(void **state)
{
    struct stage *stage = *state;
    stage_close(stage);
    stage_open(stage, DEFINITION, TABLES);
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage->base = 1000;
    stage_sub(stage, ANN, "notes", 5);
    check(stage, "attached\nreset notes\nsnap-end notes none\n");
}

/* ---- one boundary ---- */

static void test_boundaries_carry_the_lowest_since_until_the_burst_is_over(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "tags", 4);
    check(stage, "uptodate tags 4\n");
    stage_sub(stage, ANN, "notes", 3);
    check(stage, "d notes update a=2 4\nd notes delete b 5\nuptodate notes 3\n");
    stage_mut(stage, BEN, "t4", "+c=x");
    check(stage, "d notes insert c=x 6\nuptodate 3\n");
    end_burst(stage);
    check(stage, "uptodate 6\n");
    stage_mut(stage, BEN, "t5", "-c");
    check(stage, "d notes delete c 7\nuptodate 7\n");
}

static void test_a_snapshot_of_the_burst_carries_it_too(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    stage_sub(stage, ANN, "notes", 2);
    end_burst(stage);
    check(stage,
          "snap tags t\nsnap-end tags 2\nd notes update a=2 4\nd notes delete b 5\nuptodate notes 2\nuptodate 5\n");
}

static void test_a_burst_without_a_cursor_holds_nothing(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, "snap tags t\nsnap-end tags 5\nsnap notes a=2\nsnap-end notes 5\n");
    end_burst(stage);
    check(stage, "");
}

static void test_behind_the_burst_nothing_is_held(void **state)
{
    struct stage *stage = *state;
    end_burst(stage);
    stage_sub(stage, ANN, "notes", 2);
    stage_sub(stage, ANN, "tags", 2);
    check(stage, "d notes update a=2 4\nd notes delete b 5\nuptodate notes 5\nd tags insert t 3\nuptodate tags 5\n");
}

/* Transactions come again behind the subs, and are answered behind the boundary; replayed ones too. */
static void test_answers_wait_for_the_boundary(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, ANN, "t1", "+mine=x");
    check(stage, "committed t1 6\n");
    session_free(channel_find(stage->channel, ANN));
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_sub(stage, ANN, "notes", 4);
    stage_mut(stage, ANN, "t1", "+mine=x");
    stage_send(stage, ANN, "{'t':'fetch','fetchId':'f','collection':'notes'}");
    stage_mut(stage, ANN, "t2", "~mine=y");
    check(stage, "attached\nd notes delete b 5\nd notes update mine=y 7\nuptodate notes 4\nuptodate 7\ncommitted t1 6\n"
                 "page f 7\ncommitted t2 7\n");
}

/* ---- how it ends ---- */

static void test_the_first_frame_that_is_no_sub_ends_the_burst(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", 4);
    check(stage, "d notes delete b 5\nuptodate notes 4\n");
    stage_send(stage, ANN, "{'t':'fetch','fetchId':'f','collection':'notes'}");
    check(stage, "uptodate 5\npage f 5\n");
}

static void test_a_burst_ends_two_seconds_behind_its_last_sub(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", 2);
    check(stage, "d notes update a=2 4\nd notes delete b 5\nuptodate notes 2\n");
    assert_false(list_is_empty(&stage->bursts)); /* the shard's timer looks at them */
    stage_mono_us += 1999 * 1000;
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    check(stage, "snap tags t\nsnap-end tags 2\n");
    stage_mono_us += 2001 * 1000;
    stage_send(stage, ANN, "{'t':'sub','subId':'more','collection':'tags'}");
    check(stage, "uptodate 5\nsnap more t\nsnap-end more 5\n");
    assert_true(list_is_empty(&stage->bursts));
}

static void test_a_sub_that_goes_is_waited_for_no_more(void **state)
{
    struct stage *stage = *state;
    stage_set_credit(stage, ANN, 1);
    stage_sub(stage, ANN, "notes", 2);
    check(stage, "d notes update a=2 4\n"); /* and now it may be sent nothing more */
    stage_sub(stage, ANN, "tags", 4);
    stage_send(stage, ANN, "{'t':'unsub','subId':'notes'}");
    check(stage, "");
    stage_set_credit(stage, ANN, 1000);
    check(stage, "uptodate 2\nuptodate tags 2\nuptodate 5\n");
}

static void test_a_refused_sub_is_not_waited_for(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", 2);
    stage_send(stage, ANN, "{'t':'sub','subId':'s','collection':'none','since':'1'}");
    end_burst(stage);
    check(stage, "d notes update a=2 4\nd notes delete b 5\nuptodate notes 2\nuptodate 5\nreset s\n");
}

static void test_a_namesake_takes_its_place_in_the_burst(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", 2);
    stage_send(stage, ANN, "{'t':'sub','subId':'notes','collection':'tags'}");
    check(stage, "snap notes t\nsnap-end notes 2\n");
    end_burst(stage);
    check(stage, "uptodate 5\n");
}

#define STAGE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_nothing_was_missed),
        STAGE_TEST(test_each_missed_key_comes_once_in_the_order_of_its_latest_change),
        STAGE_TEST(test_what_is_no_cursor_gets_a_snapshot),
        STAGE_TEST(test_a_cursor_outside_of_the_log_gets_a_snapshot),
        STAGE_TEST(test_since_zero_asks_for_a_snapshot_and_holds_nothing),
        STAGE_TEST(test_a_cursor_of_a_scope_that_is_gone_gets_a_reset),
        STAGE_TEST(test_boundaries_carry_the_lowest_since_until_the_burst_is_over),
        STAGE_TEST(test_a_snapshot_of_the_burst_carries_it_too),
        STAGE_TEST(test_a_burst_without_a_cursor_holds_nothing),
        STAGE_TEST(test_behind_the_burst_nothing_is_held),
        STAGE_TEST(test_answers_wait_for_the_boundary),
        STAGE_TEST(test_the_first_frame_that_is_no_sub_ends_the_burst),
        STAGE_TEST(test_a_burst_ends_two_seconds_behind_its_last_sub),
        STAGE_TEST(test_a_sub_that_goes_is_waited_for_no_more),
        STAGE_TEST(test_a_refused_sub_is_not_waited_for),
        STAGE_TEST(test_a_namesake_takes_its_place_in_the_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
