/*
 * A herd: who asks for the same snapshot within the same moment is served from one read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "shards/feed/session.h"
#include "tests/lib/stage.h"

enum {
    ANN = 1,
    BEN = 2,
    EVE = 3,
    ROW = 70, /* of credit: a row takes a little more, so that n times this is worth n rows, and 1 is worth one */
    PLENTY = 100000000,
};

static const char DEFINITION[] = "`collections`:{`notes`:{`key`:`id`,`insert`:{},`update`:{},`delete`:{}},"
                                 "`tags`:{`key`:`id`,`insert`:{}}}";
static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);"
                             "CREATE TABLE tags(id TEXT PRIMARY KEY, text TEXT);";

static uint64_t n_read, n_shared; /* before the test */

/* Ben has written a to d, and subscribes to nothing. Ann and Eve are there. */
static int set_up(void **state)
{
    struct stage *stage = mem_zero(1, sizeof *stage);
    stage_open(stage, DEFINITION, TABLES);
    stage_attach(stage, BEN, "{'sub':'ben'}");
    stage_mut(stage, BEN, "t0", "+a=1 +b=1 +c=1 +d=1");
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_attach(stage, EVE, "{'sub':'eve'}");
    stage_turn(stage);
    stage_heard(stage, ANN);
    stage_heard(stage, EVE);
    n_read = metric_get(METRIC_SHARD_SLICES_READ);
    n_shared = metric_get(METRIC_SHARD_SLICES_SHARED);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    stage_close(*state);
    free(*state);
    assert_int_equal(metric_get(METRIC_SHARD_SLICES_BYTES), 0);
    return 0;
}

/* So often rows were read since the test began, and so often they were taken from what another had read. */
static void check_counts(uint64_t read, uint64_t shared)
{
    assert_int_equal(metric_get(METRIC_SHARD_SLICES_READ) - n_read, read);
    assert_int_equal(metric_get(METRIC_SHARD_SLICES_SHARED) - n_shared, shared);
}

static void subscribe_both(struct stage *stage)
{
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_sub(stage, EVE, "notes", STAGE_NO_SINCE);
}

/* Takes a turn with that credit for each, and then this is what they have heard. */
static void check(struct stage *stage, int64_t ann, const char *ann_lines, int64_t eve, const char *eve_lines)
{
    stage_set_credit(stage, ANN, ann);
    stage_set_credit(stage, EVE, eve);
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, ANN), ann_lines);
    assert_string_equal(stage_heard(stage, EVE), eve_lines);
}

/* Ben writes `n` notes, k000 and so on, each with a text of `len` bytes. */
static void write_large(struct stage *stage, int n, int len)
{
    for (int i = 0; i < n; i++) {
        struct buf ops = {0};
        char tx[20];
        snprintf(tx, sizeof tx, "large%d", i);
        buf_printf(&ops, "+k%03d=%0*d", i, len, i);
        stage_mut(stage, BEN, tx, ops.data);
        stage_turn(stage);
        buf_release(&ops);
    }
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* Takes turns until it has heard all rows and the end; returns how many lines that were. */
static size_t read_to_the_end(struct stage *stage, uint32_t session)
{
    for (size_t n = 0;;) {
        stage_turn(stage);
        const char *heard = stage_heard(stage, session);
        n += count_lines(heard);
        if (strstr(heard, "snap-end") != NULL)
            return n;
        assert_true(*heard != '\0');
    }
}

/* ---- one read for all ---- */

static const char WHOLE_BUT_D[] = "snap notes a=1\nsnap notes b=1\nsnap notes c=1\n";
static const char WHOLE[] = "snap notes a=1\nsnap notes b=1\nsnap notes c=1\nsnap notes d=1\nsnap-end notes 4\n";

static void test_two_who_ask_at_once_are_served_from_one_read(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, PLENTY, WHOLE, PLENTY, WHOLE);
    check_counts(1, 1);
    assert_int_equal(stage->slices.bytes, 0);
}

static void test_one_alone_keeps_nothing(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_sub(stage, EVE, "tags", STAGE_NO_SINCE);
    check(stage, 1, "snap notes a=1\n", 0, "");
    assert_int_equal(stage->slices.bytes, 0);
    check(stage, PLENTY, WHOLE + strlen("snap notes a=1\n"), PLENTY, "snap-end tags 4\n");
    check_counts(3, 0);
}

static void test_who_resumes_is_not_waited_for(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, EVE, "notes", 4);
    check(stage, PLENTY, "", PLENTY, "uptodate notes 4\n");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, 1, "snap notes a=1\n", PLENTY, "");
    assert_int_equal(stage->slices.bytes, 0);
}

static void test_those_who_are_reset_share_too(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, ANN, "notes", 99);
    stage_sub(stage, EVE, "notes", -99);
    stage_set_credit(stage, ANN, PLENTY);
    stage_turn(stage);
    check_counts(1, 1);
}

static void test_each_goes_on_as_far_as_its_own_credit(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, 3 * ROW, WHOLE_BUT_D, 1, "snap notes a=1\n");
    check(stage, 0, "", 1, "snap notes b=1\n");
    check_counts(1, 2);
    check(stage, 1, "snap notes d=1\n", 2 * ROW, "snap notes c=1\nsnap notes d=1\n");
    check_counts(2, 4);
    check(stage, 1, "snap-end notes 4\n", 1, "snap-end notes 4\n");
    check(stage, PLENTY, "", PLENTY, "");
    assert_int_equal(stage->slices.bytes, 0);
}

static void test_the_end_waits_for_credit_too(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, PLENTY, WHOLE, 4 * ROW, "snap notes a=1\nsnap notes b=1\nsnap notes c=1\nsnap notes d=1\n");
    check(stage, PLENTY, "", 1, "snap-end notes 4\n");
    assert_int_equal(stage->slices.bytes, 0);
}

static void test_three_share_as_two_do(void **state)
{
    struct stage *stage = *state;
    stage_sub(stage, BEN, "notes", STAGE_NO_SINCE);
    subscribe_both(stage);
    stage_set_credit(stage, BEN, 0);
    check(stage, 2 * ROW, "snap notes a=1\nsnap notes b=1\n", 3 * ROW, WHOLE_BUT_D);
    check_counts(2, 1);
    stage_set_credit(stage, BEN, PLENTY);
    check(stage, 0, "", 0, "");
    assert_string_equal(strstr(stage_heard(stage, BEN), "snap "), WHOLE);
    check_counts(3, 3);
}

/* It does not matter who is ahead: what each reads is there for the other. */
static void test_those_who_overtake_each_other_meet_again(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, 2 * ROW, "snap notes a=1\nsnap notes b=1\n", 1, "snap notes a=1\n");
    check(stage, 0, "", 3 * ROW, "snap notes b=1\nsnap notes c=1\nsnap notes d=1\n");
    check_counts(2, 2);
    check(stage, PLENTY, "snap notes c=1\nsnap notes d=1\nsnap-end notes 4\n", PLENTY, "snap-end notes 4\n");
    check_counts(4, 3);
}

static void test_a_large_snapshot_goes_in_slices(void **state)
{
    struct stage *stage = *state;
    write_large(stage, 100, 1000);
    subscribe_both(stage);
    stage_set_credit(stage, ANN, PLENTY);
    stage_set_credit(stage, EVE, PLENTY);
    stage_turn(stage);
    assert_int_equal(count_lines(stage_heard(stage, ANN)), 105);
    assert_int_equal(count_lines(stage_heard(stage, EVE)), 105);
    check_counts(4, 4);
    assert_int_equal(stage->slices.bytes, 0);
}

/* ---- writes meanwhile ---- */

static void test_who_begins_later_is_not_given_what_was_read_before(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, PLENTY, WHOLE, 0, "");
    assert_true(stage->slices.bytes > 0);
    stage_mut(stage, BEN, "t1", "~a=2 -b");
    check(stage, PLENTY, "d notes update a=2 5\nd notes delete b 6\nuptodate 6\n", PLENTY,
          "snap notes a=2\nsnap notes c=1\nsnap notes d=1\nsnap-end notes 6\n");
    check_counts(2, 0);
    assert_int_equal(stage->slices.bytes, 0);
}

/* What was read after a snapshot began serves it: the catch-up corrects what is newer. */
static void test_who_began_before_is_given_what_was_read_later(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, 1, "snap notes a=1\n", 1, "snap notes a=1\n");
    stage_mut(stage, BEN, "t1", "~a=2 -b ~c=2 +e=2");
    check(stage, PLENTY,
          "snap notes c=2\nsnap notes d=1\nsnap notes e=2\nsnap-end notes 4\nd notes update a=2 5\n"
          "d notes delete b 6\nd notes update c=2 7\nd notes insert e=2 8\nuptodate 8\n",
          1, "snap notes c=2\n");
    stage_mut(stage, BEN, "t2", "~d=3 -e");
    check(stage, PLENTY, "d notes update d=3 9\nd notes delete e 10\nuptodate 10\n", PLENTY,
          "snap notes d=1\nsnap notes e=2\nsnap-end notes 4\nd notes update a=2 5\nd notes delete b 6\n"
          "d notes update c=2 7\nd notes update d=3 9\nd notes delete e 10\nuptodate 10\n");
    check_counts(2, 3);
}

/* ---- what is kept, and how long ---- */

static void test_what_all_have_passed_goes(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, 1, "snap notes a=1\n", 0, "");
    assert_true(stage->slices.bytes > 0);
    check(stage, 0, "", 1, "snap notes a=1\n");
    assert_int_equal(stage->slices.bytes, 0);
}

static void test_what_the_last_one_reads_is_not_kept(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, 2 * ROW, "snap notes a=1\nsnap notes b=1\n", 0, "");
    size_t before = stage->slices.bytes;
    stage_mut(stage, BEN, "t1", "~a=2");
    check(stage, 0, "", 1, "snap notes a=2\n");
    assert_int_equal(stage->slices.bytes, before);
}

static void test_what_nobody_is_left_to_want_goes(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, PLENTY, WHOLE, 0, "");
    assert_true(stage->slices.bytes > 0);
    stage_detach(stage, EVE);
    stage_turn(stage);
    assert_int_equal(stage->slices.bytes, 0);
}

/* tear_down looks */
static void test_it_goes_with_the_scope(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, PLENTY, WHOLE, 0, "");
    assert_true(stage->slices.bytes > 0);
}

static void test_it_goes_with_the_file_that_it_was_read_from(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, 1, "snap notes a=1\n", 0, "");
    assert_true(stage->slices.bytes > 0);
    actor_suspend(stage->actor);
    assert_int_equal(stage->slices.bytes, 0);
}

static void test_it_goes_when_the_journal_breaks(void **state)
{
    struct stage *stage = *state;
    subscribe_both(stage);
    check(stage, 1, "snap notes a=1\n", 0, "");
    channel_end(stage->channel); /* as breaking ends it */
    actor_break(stage->actor, 0);
    assert_int_equal(stage->slices.bytes, 0);
}

/* The reader in front does not fill the memory: who is far behind reads by itself. */
static void test_no_more_is_kept_than_there_is_room_for(void **state)
{
    struct stage *stage = *state;
    write_large(stage, 100, 60000);
    subscribe_both(stage);
    stage_set_credit(stage, ANN, PLENTY);
    stage_set_credit(stage, EVE, 0);
    assert_int_equal(read_to_the_end(stage, ANN), 105);
    assert_in_range(stage->slices.bytes, SLICES_BYTES_MAX / 2, SLICES_BYTES_MAX);
    stage_set_credit(stage, EVE, PLENTY);
    assert_int_equal(read_to_the_end(stage, EVE), 105);
    assert_true(metric_get(METRIC_SHARD_SLICES_SHARED) > n_shared + 10);
    assert_int_equal(stage->slices.bytes, 0);
}

/* A herd does not hold up others: it gets some in each turn, and who had to wait is the first in the next. Who only
 * wants an answer does not wait. */
static void test_a_turn_gives_no_more_than_its_share(void **state)
{
    struct stage *stage = *state;
    write_large(stage, 100, 60000);
    stage_heard(stage, BEN);
    subscribe_both(stage);
    stage_set_credit(stage, ANN, ACTOR_RELEASE_BYTES);
    stage_set_credit(stage, EVE, ACTOR_RELEASE_BYTES);
    stage_mut(stage, BEN, "t1", "-none");
    stage_turn(stage);
    assert_in_range(count_lines(stage_heard(stage, ANN)), ACTOR_RELEASE_BYTES / 61000, 2 * ACTOR_RELEASE_BYTES / 61000);
    assert_string_equal(stage_heard(stage, EVE), "");
    assert_non_null(strstr(stage_heard(stage, BEN), "committed t1"));
    assert_false(list_is_empty(&stage->actor->dirty_link));
    stage_set_credit(stage, ANN, ACTOR_RELEASE_BYTES);
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, ANN), "");
    assert_in_range(count_lines(stage_heard(stage, EVE)), ACTOR_RELEASE_BYTES / 61000, 2 * ACTOR_RELEASE_BYTES / 61000);
}

static void test_a_row_that_there_is_no_room_for_is_read_by_each(void **state)
{
    struct stage *stage = *state;
    write_large(stage, 1, SLICES_BYTES_MAX);
    subscribe_both(stage);
    stage_set_credit(stage, ANN, PLENTY);
    stage_set_credit(stage, EVE, 0);
    assert_int_equal(read_to_the_end(stage, ANN), 6);
    stage_set_credit(stage, EVE, PLENTY);
    assert_int_equal(read_to_the_end(stage, EVE), 6);
    assert_int_equal(metric_get(METRIC_SHARD_SLICES_SHARED), n_shared);
    assert_int_equal(stage->slices.bytes, 0);
}

#define STAGE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_two_who_ask_at_once_are_served_from_one_read),
        STAGE_TEST(test_one_alone_keeps_nothing),
        STAGE_TEST(test_who_resumes_is_not_waited_for),
        STAGE_TEST(test_those_who_are_reset_share_too),
        STAGE_TEST(test_each_goes_on_as_far_as_its_own_credit),
        STAGE_TEST(test_the_end_waits_for_credit_too),
        STAGE_TEST(test_three_share_as_two_do),
        STAGE_TEST(test_those_who_overtake_each_other_meet_again),
        STAGE_TEST(test_a_large_snapshot_goes_in_slices),
        STAGE_TEST(test_who_begins_later_is_not_given_what_was_read_before),
        STAGE_TEST(test_who_began_before_is_given_what_was_read_later),
        STAGE_TEST(test_what_all_have_passed_goes),
        STAGE_TEST(test_what_the_last_one_reads_is_not_kept),
        STAGE_TEST(test_what_nobody_is_left_to_want_goes),
        STAGE_TEST(test_it_goes_with_the_scope),
        STAGE_TEST(test_it_goes_with_the_file_that_it_was_read_from),
        STAGE_TEST(test_it_goes_when_the_journal_breaks),
        STAGE_TEST(test_no_more_is_kept_than_there_is_room_for),
        STAGE_TEST(test_a_turn_gives_no_more_than_its_share),
        STAGE_TEST(test_a_row_that_there_is_no_room_for_is_read_by_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
