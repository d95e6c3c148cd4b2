/*
 * What a session is told, and in which order: its subscriptions begin and end, changes, answers.
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

enum { ANN = 1, BEN = 2, EVE = 3 };

static const char DEFINITION[] =
    "`collections`:{`notes`:{`key`:`id`,`insert`:{},`update`:{},`delete`:{}},`tags`:{`key`:`id`,`insert`:{}},"
    "`totals`:{`key`:`id`}},"
    "`commands`:{`big`:{`args`:{`n`:`integer`},`execute`:[`SELECT 1`],`result`:`SELECT hex(zeroblob(:n))`}}";

static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT CHECK(text <> 'bad'));"
                             "CREATE TABLE tags(id TEXT PRIMARY KEY, text TEXT);"
                             "CREATE TABLE totals(id TEXT PRIMARY KEY, text TEXT);"
                             "CREATE TRIGGER counts AFTER INSERT ON tags BEGIN"
                             " INSERT INTO totals VALUES('tags', '1') ON CONFLICT DO UPDATE SET text = text + 1; END;";

static int set_up(void **state)
{
    struct stage *stage = mem_zero(1, sizeof *stage);
    stage_open(stage, DEFINITION, TABLES);
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_attach(stage, BEN, "{'sub':'ben'}");
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, ANN), "attached\n");
    assert_string_equal(stage_heard(stage, BEN), "attached\n");
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    stage_close(*state);
    free(*state);
    return 0;
}

/* Takes a turn, and then this is what the session has heard. */
static void check(struct stage *stage, uint32_t session, const char *lines)
{
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, session), lines);
}

/* Both are subscribed to notes, of which there are a and b, and have heard of it. */
static void begin_with_two(struct stage *stage)
{
    stage_mut(stage, BEN, "t0", "+a=x +b=x");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_sub(stage, BEN, "notes", STAGE_NO_SINCE);
    check(stage, ANN, "snap notes a=x\nsnap notes b=x\nsnap-end notes 2\n");
    check(stage, BEN, "committed t0 2\nsnap notes a=x\nsnap notes b=x\nsnap-end notes 2\n");
}

/* ---- snapshots and live changes ---- */

static void test_a_scope_without_a_file_is_empty(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, ANN, "snap-end notes none\n");
    assert_null(stage->actor->feed.file);
    stage_mut(stage, BEN, "t1", "+a=x");
    check(stage, ANN, "d notes insert a=x 1\nuptodate 1\n");
    assert_string_equal(stage_heard(stage, BEN), "committed t1 1\n");
}

static void test_a_snapshot_comes_by_key_and_is_live_then(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, BEN, "t1", "+b=x +c=x +a=x");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, ANN, "snap notes a=x\nsnap notes b=x\nsnap notes c=x\nsnap-end notes 3\n");
    stage_mut(stage, BEN, "t2", "-b ~a=y");
    check(stage, ANN, "d notes delete b 4\nd notes update a=y 5\nuptodate 5\n");
}

static void test_own_changes_come_before_committed(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_mut(stage, ANN, "t1", "~a=y");
    check(stage, ANN, "d notes update a=y 3\nuptodate 3\ncommitted t1 3\n");
    assert_string_equal(stage_heard(stage, BEN), "d notes update a=y 3\nuptodate 3\n");
}

static void test_what_touches_no_subscription_is_committed_alone(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, BEN, "tags", STAGE_NO_SINCE);
    stage_mut(stage, ANN, "t1", "+a=x");
    check(stage, ANN, "committed t1 1\n");
    assert_string_equal(stage_heard(stage, BEN), "snap-end tags 1\n");
    stage_mut(stage, ANN, "t2", "-nothing");
    check(stage, ANN, "committed t2 2\n");
    assert_string_equal(stage_heard(stage, BEN), "");
}

static void test_what_a_trigger_changed_is_told_too(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "totals", STAGE_NO_SINCE);
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    check(stage, ANN, "snap-end totals none\nsnap-end tags none\n");
    stage_send(stage, BEN, "{'t':'mut','txId':'t1','collection':'tags','ops':[{'type':'insert','key':'x'}]}");
    check(stage, ANN, "d tags insert x 1\nd totals insert tags=1 2\nuptodate 2\n");
}

static void test_a_rejection_moves_no_cursor(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_mut(stage, ANN, "t1", "~a=bad");
    check(stage, ANN, "rejected t1 CONSTRAINT: CHECK constraint failed: text <> 'bad'\n");
    assert_string_equal(stage_heard(stage, BEN), "");
}

/* ---- turns ---- */

/* Several transactions of several sessions in one turn: a changed key goes once, as it is at the end. */
static void test_a_key_goes_once_per_turn(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_mut(stage, ANN, "t1", "~a=y +c=x +d=x");
    stage_mut(stage, BEN, "t2", "~a=z -b +b=new -c");
    stage_mut(stage, ANN, "t3", "~d=y");
    check(stage, BEN,
          "d notes update a=z 6\nd notes insert b=new 8\nd notes delete c 9\nd notes update d=y 10\n"
          "uptodate 10\ncommitted t2 9\n");
    assert_string_equal(stage_heard(stage, ANN), "d notes update a=z 6\nd notes insert b=new 8\nd notes delete c 9\n"
                                                 "d notes update d=y 10\nuptodate 10\ncommitted t1 5\n"
                                                 "committed t3 10\n");
}

static void test_the_same_key_of_two_collections_is_two(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    stage_turn(stage);
    stage_heard(stage, ANN);
    stage_mut(stage, BEN, "t1", "+k=x");
    stage_send(stage, BEN, "{'t':'mut','txId':'t2','collection':'tags','ops':[{'type':'insert','key':'k'}]}");
    check(stage, ANN, "d notes insert k=x 3\nd tags insert k 4\nuptodate 5\n");
}

static void test_what_came_in_one_turn_is_answered_in_order(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_mut(stage, ANN, "t1", "+c=x");
    stage_send(stage, ANN, "{'t':'fetch','fetchId':'f1','collection':'notes'}");
    stage_sub(stage, ANN, "tags", STAGE_NO_SINCE);
    stage_send(stage, ANN, "{'t':'sub','subId':'s','collection':'none'}");
    stage_mut(stage, ANN, "t2", "+d=bad");
    stage_mut(stage, ANN, "t1", "+c=x");
    check(stage, ANN,
          "d notes insert c=x 3\nuptodate 4\ncommitted t1 3\npage f1 4\nsnap-end tags 4\nreset s\n"
          "rejected t2 CONSTRAINT: CHECK constraint failed: text <> 'bad'\ncommitted t1 3\n");
}

static void test_a_replay_comes_behind_what_is_pending(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_mut(stage, BEN, "t1", "+c=x");
    stage_mut(stage, BEN, "t0", "+a=x +b=x");
    check(stage, BEN, "d notes insert c=x 3\nuptodate 3\ncommitted t1 3\ncommitted t0 2\n");
}

/* Such a result is not kept while it waits, but read from its receipt. */
static void test_a_large_result_is_answered_too(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_send(stage, ANN, "{'t':'call','txId':'t1','name':'big','args':{'n':10}}");
    stage_send(stage, ANN, "{'t':'call','txId':'t2','name':'big','args':{'n':3000}}");
    stage_send(stage, ANN, "{'t':'call','txId':'t2','name':'big','args':{'n':5}}");
    stage_mut(stage, ANN, "t3", "-a");
    check(stage, ANN,
          "d notes delete a 5\nuptodate 5\ncommitted t1 3 result=\"00000000000000000000\"\n"
          "committed t2 4 result=...\ncommitted t2 4 result=...\ncommitted t3 5\n");
}

/* ---- subscriptions that are not, or no more ---- */

static void test_what_a_sub_cannot_be_is_refused(void **state)
{
    static const char *const SHAPES[] = {
        "'collection':'none'",
        "'collection':'_sync_log'",
        "'collection':'notes','where':{'type':'val','value':true}",
        "'collection':'notes','orderBy':[]",
        "'collection':'notes','limit':1",
        "'collection':'notes','offset':0",
        "'collection':'none','since':'5'",
    };
    struct stage *stage = *state;
    begin_with_two(stage);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        char frame[200];
        snprintf(frame, sizeof frame, "{'t':'sub','subId':'s',%s}", SHAPES[i]);
        stage_send(stage, ANN, frame);
        check(stage, ANN, "reset s\n");
    }
    stage_mut(stage, BEN, "t1", "-a");
    check(stage, ANN, "d notes delete a 3\nuptodate 3\n");
}

static void test_a_refusal_ends_the_older_one_of_that_name(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_send(stage, ANN, "{'t':'sub','subId':'notes','collection':'none'}");
    check(stage, ANN, "reset notes\n");
    stage_mut(stage, BEN, "t1", "-a");
    check(stage, ANN, "");
}

static void test_an_unsub_ends_one_and_leaves_the_others(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_send(stage, ANN, "{'t':'sub','subId':'other','collection':'notes'}");
    stage_mut(stage, BEN, "t1", "-a");
    check(stage, ANN, "d notes delete a 3\nuptodate 3\nsnap other b=x\nsnap-end other 3\n");
    stage_mut(stage, BEN, "t2", "~b=y");
    check(stage, ANN, "d notes update b=y 4\nd other update b=y 4\nuptodate 4\n");
    stage_send(stage, ANN, "{'t':'unsub','subId':'notes'}");
    stage_send(stage, ANN, "{'t':'unsub','subId':'never there'}");
    stage_mut(stage, BEN, "t3", "~b=z");
    check(stage, ANN, "d other update b=z 5\nuptodate 5\n");
}

static void test_a_sub_that_ends_in_the_turn_of_its_beginning_is_not_heard_of(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, BEN, "t1", "+a=x");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_send(stage, ANN, "{'t':'unsub','subId':'notes'}");
    check(stage, ANN, "");
    assert_int_equal(channel_find(stage->channel, ANN)->n_subs, 0);
}

static void test_a_namesake_replaces(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, ANN, "snap notes a=x\nsnap notes b=x\nsnap-end notes 2\n");
    stage_send(stage, ANN, "{'t':'sub','subId':'notes','collection':'tags'}");
    stage_mut(stage, BEN, "t1", "-a");
    check(stage, ANN, "snap-end notes 3\n");
    assert_int_equal(channel_find(stage->channel, ANN)->n_subs, 1);
}

static void subscribe_many(struct stage *stage, int from, int end)
{
    for (int i = from; i < end; i++) {
        char frame[80];
        snprintf(frame, sizeof frame, "{'t':'sub','subId':'s%d','collection':'notes'}", i);
        stage_send(stage, ANN, frame);
    }
}

static void test_the_257th_is_refused(void **state)
{
    struct stage *stage = *state;
    subscribe_many(stage, 0, 256);
    stage_turn(stage);
    stage_heard(stage, ANN);
    subscribe_many(stage, 256, 257);
    check(stage, ANN, "reset s256\n");
    subscribe_many(stage, 255, 256); /* it replaces, and does not count twice */
    check(stage, ANN, "snap-end s255 none\n");
    stage_send(stage, ANN, "{'t':'unsub','subId':'s7'}");
    subscribe_many(stage, 256, 257);
    check(stage, ANN, "snap-end s256 none\n");
}

/* ---- who may write ---- */

static void test_an_identity_without_sub_cannot_write(void **state)
{
    struct stage *stage = *state;
    stage_attach(stage, EVE, "{'role':'admin'}");
    stage_sub(stage, EVE, "notes", STAGE_NO_SINCE);
    stage_mut(stage, EVE, "t1", "+a=x");
    check(stage, EVE, "attached\nsnap-end notes none\nrejected t1 FORBIDDEN: an identity without 'sub' cannot write\n");
    assert_null(stage->actor->feed.file); /* nothing was decided */
    stage_mut(stage, ANN, "t1", "+a=x");
    check(stage, EVE, "d notes insert a=x 1\nuptodate 1\n");
}

/* What was not decided a base session cannot be told: it is closed, comes back and sends it again. */
static void test_a_base_session_that_is_refused_comes_back(void **state)
{
    struct stage *stage = *state;
    begin_with_two(stage);
    session_refuse(channel_find(stage->channel, ANN), SLICE("t1"), "STORAGE_FULL", "no room", 1000);
    stage_mut(stage, BEN, "t2", "-a");
    check(stage, ANN, "close 1013 no room\n");
    assert_null(channel_find(stage->channel, ANN));
    assert_string_equal(stage_heard(stage, BEN), "d notes delete a 3\nuptodate 3\ncommitted t2 3\n");
}

/* ---- extended sessions ---- */

static void test_hello_comes_first_and_tells_the_head(void **state)
{
    struct stage *stage = *state;
    stage_attach_v1(stage, EVE, "{'sub':'eve'}");
    check(stage, EVE, "attached\nhello none\n");
    stage_mut(stage, BEN, "t1", "+a=x +b=x");
    stage_turn(stage);
    stage_detach(stage, EVE);
    stage_attach_v1(stage, EVE, "{'sub':'eve'}");
    stage_sub(stage, EVE, "notes", STAGE_NO_SINCE);
    check(stage, EVE, "attached\nhello 2\nsnap notes a=x\nsnap notes b=x\nsnap-end notes 2\n");
    assert_string_equal(stage_heard(stage, BEN), "committed t1 2\n");
}

static void test_a_rejection_tells_its_position(void **state)
{
    struct stage *stage = *state;
    stage_attach_v1(stage, EVE, "{'sub':'eve'}");
    stage_mut(stage, EVE, "t1", "+a=bad");
    stage_mut(stage, EVE, "t2", "+a=x");
    check(stage, EVE,
          "attached\nhello 2\nrejected t1 1 CONSTRAINT: CHECK constraint failed: text <> 'bad'\ncommitted t2 2\n");
    stage_mut(stage, EVE, "t1", "+a=bad");
    check(stage, EVE, "rejected t1 1 CONSTRAINT: CHECK constraint failed: text <> 'bad'\n");
}

/* It comes in order with the session's other answers, and decides nothing. */
static void test_an_extended_session_is_told_when_to_try_again(void **state)
{
    struct stage *stage = *state;
    stage_attach_v1(stage, EVE, "{'sub':'eve'}");
    stage_mut(stage, EVE, "t1", "+a=x");
    check(stage, EVE, "attached\nhello 1\ncommitted t1 1\n");
    session_refuse(channel_find(stage->channel, EVE), SLICE("t2"), "STORAGE_FULL", "no room", 1000);
    stage_send(stage, EVE, "{'t':'fetch','fetchId':'f1','collection':'notes'}");
    check(stage, EVE, "rejected t2 after 1000 STORAGE_FULL: no room\npage f1 1\n");
    stage_mut(stage, EVE, "t2", "+b=x");
    check(stage, EVE, "committed t2 2\n");
}

/* Else an update could come before the insert that was put off, and find no row. */
static void test_what_was_put_off_is_not_overtaken(void **state)
{
    struct stage *stage = *state;
    stage_attach_v1(stage, EVE, "{'sub':'eve'}");
    stage_mut(stage, EVE, "t1", "+a=x");
    check(stage, EVE, "attached\nhello 1\ncommitted t1 1\n");
    session_refuse(channel_find(stage->channel, EVE), SLICE("t2"), "STORAGE_FULL", "no room", 1000);
    stage_mut(stage, EVE, "t3", "~b=y");
    stage_mut(stage, ANN, "t3", "~a=y"); /* somebody else is not held up */
    check(stage, EVE,
          "rejected t2 after 1000 STORAGE_FULL: no room\n"
          "rejected t3 after 1000 STORAGE_FULL: there is no space for it now\n");
    assert_string_equal(stage_heard(stage, ANN), "committed t3 2\n");
    stage_mut(stage, EVE, "t2", "+b=x");
    stage_mut(stage, EVE, "t3", "~b=y");
    check(stage, EVE, "committed t2 3\ncommitted t3 4\n");
    stage_mut(stage, EVE, "t4", "-b");
    check(stage, EVE, "committed t4 5\n");
}

/* The rows that the migrations of the app made come with the file. */
static void test_first_rows_are_told_to_those_who_waited(void **state)
{
    struct stage *stage = *state;
    stage_close(stage);
    stage_open(stage, DEFINITION,
               "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT); INSERT INTO notes VALUES('seed', 's');"
               "CREATE TABLE tags(id TEXT PRIMARY KEY); CREATE TABLE totals(id TEXT PRIMARY KEY);");
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, ANN, "attached\nsnap-end notes none\n");
    stage_mut(stage, ANN, "t1", "+a=x");
    check(stage, ANN, "d notes insert seed=s 1\nd notes insert a=x 2\nuptodate 2\ncommitted t1 2\n");
}

#define STAGE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_a_scope_without_a_file_is_empty),
        STAGE_TEST(test_a_snapshot_comes_by_key_and_is_live_then),
        STAGE_TEST(test_own_changes_come_before_committed),
        STAGE_TEST(test_what_touches_no_subscription_is_committed_alone),
        STAGE_TEST(test_what_a_trigger_changed_is_told_too),
        STAGE_TEST(test_a_rejection_moves_no_cursor),
        STAGE_TEST(test_a_key_goes_once_per_turn),
        STAGE_TEST(test_the_same_key_of_two_collections_is_two),
        STAGE_TEST(test_what_came_in_one_turn_is_answered_in_order),
        STAGE_TEST(test_a_replay_comes_behind_what_is_pending),
        STAGE_TEST(test_a_large_result_is_answered_too),
        STAGE_TEST(test_what_a_sub_cannot_be_is_refused),
        STAGE_TEST(test_a_refusal_ends_the_older_one_of_that_name),
        STAGE_TEST(test_an_unsub_ends_one_and_leaves_the_others),
        STAGE_TEST(test_a_sub_that_ends_in_the_turn_of_its_beginning_is_not_heard_of),
        STAGE_TEST(test_a_namesake_replaces),
        STAGE_TEST(test_the_257th_is_refused),
        STAGE_TEST(test_an_identity_without_sub_cannot_write),
        STAGE_TEST(test_a_base_session_that_is_refused_comes_back),
        STAGE_TEST(test_hello_comes_first_and_tells_the_head),
        STAGE_TEST(test_a_rejection_tells_its_position),
        STAGE_TEST(test_an_extended_session_is_told_when_to_try_again),
        STAGE_TEST(test_what_was_put_off_is_not_overtaken),
        STAGE_TEST(test_first_rows_are_told_to_those_who_waited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
