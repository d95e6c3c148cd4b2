/*
 * Who gets a change in one copy with others, and when a session is looked after by itself: what the router is told
 * about it, next to what the client is.
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

/* Takes a turn, and then this is what the session has heard. */
static void check(struct stage *stage, uint32_t session, const char *lines)
{
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, session), lines);
}

/* Ben has written a, at 1; Ann has it, and has joined. */
static int set_up(void **state)
{
    struct stage *stage = mem_zero(1, sizeof *stage);
    stage_open(stage, DEFINITION, TABLES);
    stage->is_raw = true;
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_attach(stage, BEN, "{'sub':'ben'}");
    stage_mut(stage, BEN, "t1", "+a=x");
    stage_turn(stage);
    stage_heard(stage, ANN);
    assert_string_equal(stage_heard(stage, BEN), "attached\ncommitted t1 1\ndone\n");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, ANN, "snap notes a=x\nsnap-end notes 1\ndone\njoined 1\n");
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    stage_close(*state);
    free(*state);
    return 0;
}

static void add_tag(struct stage *stage, uint32_t session, const char *tx)
{
    char frame[160];
    snprintf(frame, sizeof frame, "{'t':'mut','txId':'%s','collection':'tags','ops':[{'type':'insert','key':'%s'}]}",
             tx, tx);
    stage_send(stage, session, frame);
}

static void test_who_has_joined_gets_changes_with_all_others(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, BEN, "t2", "~a=y +b=x");
    check(stage, ANN, "*d notes update a=y 2\n*d notes insert b=x 3\n*uptodate 3\n");
    assert_string_equal(stage_heard(stage, BEN), "committed t2 3\ndone\n");
}

/* Nobody wants it, so it is not even encoded. */
static void test_what_nobody_has_subscribed_to_is_not_sent(void **state)
{
    struct stage *stage = *state;
    add_tag(stage, BEN, "t2");
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, ANN), "");
    assert_int_equal(stage->n_for_all, 0);
    add_tag(stage, ANN, "t3");
    check(stage, ANN, "committed t3 3\ndone\n");
}

static void test_an_own_change_comes_with_all_others_and_before_committed(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, ANN, "t2", "~a=y");
    check(stage, ANN, "*d notes update a=y 2\n*uptodate 2\ncommitted t2 2\ndone\n");
}

static void test_two_subscriptions_of_a_session_are_two_members(void **state)
{
    struct stage *stage = *state;
    stage_send(stage, ANN, "{'t':'sub','subId':'again','collection':'notes','since':'soon'}");
    check(stage, ANN, "left\nreset again\nsnap again a=x\nsnap-end again none\ndone\n"); /* no seq counts as 0, until
                                                                                            the burst is over */
    stage_send(stage, ANN, "{'t':'unsub','subId':'nothing'}");
    check(stage, ANN, "uptodate 1\ndone\njoined 1\n");
    stage_mut(stage, BEN, "t2", "~a=y");
    check(stage, ANN, "*d notes update a=y 2\n*d again update a=y 2\n*uptodate 2\n");
}

/* In the turn in which it leaves, the changes come to it alone. */
static void test_who_subscribes_or_unsubscribes_leaves(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, BEN, "t2", "~a=y");
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    check(stage, ANN, "left\nd notes update a=y 2\nuptodate 2\nsnap-end tags 2\ndone\njoined 2\n");
    stage_mut(stage, BEN, "t3", "~a=z");
    stage_send(stage, ANN, "{'t':'unsub','subId':'notes'}");
    add_tag(stage, BEN, "t4");
    check(stage, ANN, "left\nd tags insert t4 4\nuptodate 4\ndone\njoined 4\n");
    add_tag(stage, BEN, "t5");
    check(stage, ANN, "*d tags insert t5 5\n*uptodate 5\n");
}

static void test_who_goes_is_counted_no_more(void **state)
{
    struct stage *stage = *state;
    stage_detach(stage, ANN);
    stage_mut(stage, BEN, "t2", "~a=y");
    stage_turn(stage);
    assert_int_equal(stage->n_for_all, 0);
}

/* ---- reminders ---- */

static void test_who_is_concerned_by_nothing_is_told_the_head_now_and_then(void **state)
{
    struct stage *stage = *state;
    add_tag(stage, BEN, "t2");
    check(stage, ANN, "");
    stage_remind(stage);
    check(stage, ANN, "*uptodate 2\n");
    stage_remind(stage);
    check(stage, ANN, "");
    stage_mut(stage, BEN, "t3", "~a=y");
    check(stage, ANN, "*d notes update a=y 3\n*uptodate 3\n");
    stage_remind(stage);
    check(stage, ANN, ""); /* she knows it */
}

/* Others' changes concern her as little as nobody's. */
static void test_who_is_concerned_by_nothing_is_told_although_others_are(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, BEN, "tags", STAGE_NO_SINCE);
    stage_turn(stage);
    stage_heard(stage, BEN);
    add_tag(stage, BEN, "t2");
    check(stage, ANN, "");
    stage_remind(stage);
    add_tag(stage, BEN, "t3");
    check(stage, ANN, "*uptodate 3\n");
    assert_string_equal(stage_heard(stage, BEN), "*d tags insert t2 2\n*uptodate 2\ncommitted t2 2\ndone\n"
                                                 "*d tags insert t3 3\n*uptodate 3\ncommitted t3 3\ndone\n");
}

/* ---- too slow ---- */

static void test_who_lags_goes_on_from_there_and_joins_again(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, BEN, "t2", "~a=1 +b=1");
    stage_turn(stage);
    stage_mut(stage, BEN, "t3", "~a=2");
    stage_turn(stage);
    stage_heard(stage, ANN); /* which the router has dropped */
    stage_lag(stage, ANN, 1, STAGE_CREDIT);
    check(stage, ANN, "left\nlagged\nd notes insert b=1 3\nd notes update a=2 4\nuptodate 4\njoined 4\n");
}

static void test_nothing_is_owed_twice_to_who_lags(void **state)
{
    struct stage *stage = *state;
    stage_set_credit(stage, ANN, 0);
    stage_mut(stage, ANN, "t2", "~a=1");
    check(stage, ANN, "*d notes update a=1 2\n*uptodate 2\n"); /* without credit it is not answered */
    stage_lag(stage, ANN, 1, STAGE_CREDIT);
    stage_mut(stage, ANN, "t2", "~a=1"); /* it comes again */
    check(stage, ANN, "left\nlagged\nd notes update a=1 2\nuptodate 2\ncommitted t2 2\ndone\njoined 2\n");
}

/* Its request comes again: as if nothing had been sent yet, of which nothing was delivered. */
static void test_a_subscription_that_had_begun_begins_again(void **state)
{
    struct stage *stage = *state;
    stage_set_credit(stage, ANN, 1);
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    add_tag(stage, BEN, "t2");
    add_tag(stage, BEN, "t3");
    check(stage, ANN, "left\nsnap tags t2\n");
    stage_lag(stage, ANN, 1, STAGE_CREDIT);
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    check(stage, ANN, "lagged\nuptodate 3\nsnap tags t2\nsnap tags t3\nsnap-end tags 3\ndone\njoined 3\n");
}

/* A change of a subscription that goes then, and no other follows: still its boundary does. */
static void test_what_was_delivered_of_a_turn_has_its_boundary(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, BEN, "t2", "~a=1 ~a=2 +b=1");
    check(stage, ANN, "*d notes update a=2 3\n*d notes insert b=1 4\n*uptodate 4\n"); /* of which she got the first */
    stage_lag(stage, ANN, 1, STAGE_CREDIT);
    stage_send(stage, ANN, "{'t':'unsub','subId':'notes'}");
    stage_mut(stage, ANN, "t3", "-none");
    check(stage, ANN, "left\nlagged\nuptodate 5\ndone\ncommitted t3 5\ndone\n");
}

/* In a turn between, too: without credit until all has come again, no boundary can pass what is still to come. */
static void test_a_burst_that_comes_again_in_the_next_turn_is_waited_for(void **state)
{
    struct stage *stage = *state;
    add_tag(stage, BEN, "t2");
    add_tag(stage, BEN, "t3");
    stage_mut(stage, BEN, "t4", "~a=y");
    stage_turn(stage);
    stage_sub(stage, ANN, "tags", 2);
    stage_turn(stage);
    stage_heard(stage, ANN); /* which the router has dropped */
    stage_lag(stage, ANN, 4, 0);
    add_tag(stage, BEN, "t5");
    check(stage, ANN, "lagged\n");
    stage_sub(stage, ANN, "tags", 2);
    stage_set_credit(stage, ANN, STAGE_CREDIT);
    check(stage, ANN, "uptodate 2\ndone\nd tags insert t3 3\nd tags insert t5 5\nuptodate tags 2\n");
}

/* One boundary for the whole burst, also when it comes a second time. */
static void test_a_burst_that_comes_again_holds_its_boundary_again(void **state)
{
    struct stage *stage = *state;
    add_tag(stage, BEN, "t2");
    add_tag(stage, BEN, "t3");
    stage_turn(stage);
    stage_sub(stage, ANN, "tags", 2);
    check(stage, ANN, "left\ndone\nd tags insert t3 3\nuptodate tags 2\n");
    stage_lag(stage, ANN, 1, STAGE_CREDIT);
    stage_sub(stage, ANN, "tags", 2);
    check(stage, ANN, "lagged\nuptodate 2\ndone\nd tags insert t3 3\nuptodate tags 2\n");
    stage_send(stage, ANN, "{'t':'unsub','subId':'nothing'}");
    check(stage, ANN, "uptodate 3\ndone\njoined 3\n");
}

/* It would have to be reset, which is for the client to ask for. */
static void test_who_lags_below_the_floor_comes_back(void **state)
{
    struct stage *stage = *state;
    stage->actor->feed.file->log.floors[0] = stage->base + 2;
    stage_lag(stage, ANN, 1, STAGE_CREDIT);
    check(stage, ANN, "left\nlagged\nclose 1012 the changes that it missed are not in the log any more\n");
}

/* A row that two of its subscriptions want is two messages. */
static void test_each_subscription_of_who_lags_keeps_to_the_credit(void **state)
{
    struct stage *stage = *state;
    add_tag(stage, BEN, "t2");
    stage_send(stage, BEN, "{'t':'sub','subId':'x','collection':'tags'}");
    stage_send(stage, BEN, "{'t':'sub','subId':'y','collection':'tags'}");
    stage_turn(stage);
    stage_heard(stage, BEN);
    stage_lag(stage, BEN, 1, 1);
    check(stage, BEN, "left\nlagged\nd x insert t2 2\n");
    stage_set_credit(stage, BEN, STAGE_CREDIT);
    check(stage, BEN, "d y insert t2 2\nuptodate 2\njoined 2\n");
}

#define STAGE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_who_has_joined_gets_changes_with_all_others),
        STAGE_TEST(test_what_nobody_has_subscribed_to_is_not_sent),
        STAGE_TEST(test_an_own_change_comes_with_all_others_and_before_committed),
        STAGE_TEST(test_two_subscriptions_of_a_session_are_two_members),
        STAGE_TEST(test_who_subscribes_or_unsubscribes_leaves),
        STAGE_TEST(test_who_goes_is_counted_no_more),
        STAGE_TEST(test_who_is_concerned_by_nothing_is_told_the_head_now_and_then),
        STAGE_TEST(test_who_is_concerned_by_nothing_is_told_although_others_are),
        STAGE_TEST(test_who_lags_goes_on_from_there_and_joins_again),
        STAGE_TEST(test_nothing_is_owed_twice_to_who_lags),
        STAGE_TEST(test_a_subscription_that_had_begun_begins_again),
        STAGE_TEST(test_what_was_delivered_of_a_turn_has_its_boundary),
        STAGE_TEST(test_a_burst_that_comes_again_in_the_next_turn_is_waited_for),
        STAGE_TEST(test_a_burst_that_comes_again_holds_its_boundary_again),
        STAGE_TEST(test_each_subscription_of_who_lags_keeps_to_the_credit),
        STAGE_TEST(test_who_lags_below_the_floor_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
