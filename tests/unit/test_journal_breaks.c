/*
 * A journal whose disk fails: nothing is called durable that is not, what was durable stays, and it goes on by itself
 * when the disk is well again. And one whose disk is full, which says so in time.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/metrics.h"
#include "shards/log/segment.h"
#include "tests/lib/desk.h"
#include "tests/lib/disk.h"

enum { SMALL_RECORD = 4000 };

static void test_short_writes_are_continued(void **state)
{
    struct desk *desk = *state;
    disk_shorten_writes(1000);
    for (uint32_t i = 0; i < 20; i++)
        desk_write(desk, i, 3000);
    desk_flush_and_wait(desk);
    desk_close(desk);
    desk_check_records(desk, 0, 20);
}

/* ---- broken ---- */

/* Records [first, end), a batch each. */
static void write_some(struct desk *desk, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        desk_write(desk, i, SMALL_RECORD);
        desk_flush_and_wait(desk);
    }
}

/* Lets a record fail with these errors: the journal is where it was before. */
static void break_it(struct desk *desk, int write_errno, int sync_errno)
{
    uint64_t before = journal_durable(desk->journal);
    disk_fail(write_errno, sync_errno);
    desk_write(desk, 999, SMALL_RECORD);
    journal_flush(desk->journal);
    desk_wait_for_break(desk, desk->n_breaks + 1);
    assert_int_equal(journal_breaks(desk->journal), desk->n_breaks);
    assert_int_equal(journal_durable(desk->journal), before);
    assert_int_equal(journal_position(desk->journal), before);
    assert_false(journal_has_room(desk->journal));
}

static void mend_it(struct desk *desk)
{
    disk_fail(0, 0);
    desk_wait_for_room(desk, true);
}

static void test_it_goes_on_behind_what_was_durable(void **state)
{
    static const struct {
        int write_errno, sync_errno;
    } CASES[] = {{ENOSPC, 0}, {EIO, 0}, {0, EIO}, {0, ENOSPC}};
    struct desk *desk = *state;
    uint64_t breaks = metric_get(METRIC_SHARD_JOURNAL_BREAKS), broken = metric_get(METRIC_SHARD_JOURNALS_BROKEN);
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        write_some(desk, n, n + 3);
        n += 3;
        break_it(desk, CASES[i].write_errno, CASES[i].sync_errno);
        assert_int_equal(metric_get(METRIC_SHARD_JOURNAL_BREAKS), breaks + i + 1);
        assert_int_equal(metric_get(METRIC_SHARD_JOURNALS_BROKEN), broken + 1);
        mend_it(desk);
        assert_int_equal(metric_get(METRIC_SHARD_JOURNALS_BROKEN), broken);
    }
    write_some(desk, n, n + 3);
    desk_close(desk);
    desk_check_records(desk, 0, n + 3);
}

/* It says why, for `status`, and no more when it is over. */
static void test_it_says_why(void **state)
{
    struct desk *desk = *state;
    struct journal_status status;
    journal_look(desk->journal, &status);
    assert_false(status.is_broken);
    assert_true(status.has_room);
    assert_null(status.doing);
    break_it(desk, 0, EIO);
    journal_look(desk->journal, &status);
    assert_true(status.is_broken);
    assert_false(status.has_room);
    assert_non_null(status.doing);
    assert_int_equal(status.error, EIO);
    mend_it(desk);
    write_some(desk, 0, 1);
    journal_look(desk->journal, &status);
    assert_false(status.is_broken);
    assert_null(status.doing);
    assert_int_equal(status.durable, status.position);
}

/* Turns go on until the loop hears of it. What they wrote depends on what was lost, and is lost with it. */
static void test_what_was_flushed_before_it_is_known_is_lost(void **state)
{
    struct desk *desk = *state;
    write_some(desk, 0, 2);
    uint64_t before = journal_durable(desk->journal);
    disk_hold_syncs(true);
    desk_write(desk, 997, SMALL_RECORD);
    journal_flush(desk->journal);
    disk_wait_for_sync();
    desk_write(desk, 998, SMALL_RECORD);
    journal_flush(desk->journal);
    disk_fail(0, EIO);
    disk_hold_syncs(false);
    desk_wait_for_break(desk, 1);
    assert_int_equal(journal_position(desk->journal), before);
    mend_it(desk);
    write_some(desk, 2, 4);
    desk_close(desk);
    desk_check_records(desk, 0, 4);
}

static void test_what_is_flushed_while_it_is_broken_waits(void **state)
{
    struct desk *desk = *state;
    write_some(desk, 0, 2);
    break_it(desk, EIO, 0);
    uint64_t before = journal_durable(desk->journal);
    for (uint32_t i = 2; i < 5; i++) {
        desk_write(desk, i, SMALL_RECORD);
        journal_flush(desk->journal);
    }
    assert_int_equal(journal_durable(desk->journal), before);
    disk_fail(0, 0);
    desk_wait_for(desk, journal_position(desk->journal));
    assert_int_equal(desk->n_breaks, 1);
    desk_close(desk);
    desk_check_records(desk, 0, 5);
}

/* In the middle of a batch of several segments: those that were full by then count. */
static void test_it_breaks_between_segments(void **state)
{
    struct desk *desk = *state;
    uint32_t n = 0;
    write_some(desk, n++, 1);
    disk_fail_growth(EIO);
    for (uint32_t i = 0; i < 60; i++)
        desk_write(desk, 1 + i, SMALL_RECORD);
    journal_flush(desk->journal);
    desk_wait_for_break(desk, 1);
    uint64_t durable = journal_durable(desk->journal);
    assert_int_equal(journal_position(desk->journal), durable);
    n = (uint32_t)(durable / record_len(SMALL_RECORD));
    assert_in_range(n, 2, 60);
    disk_fail_growth(0);
    desk_wait_for_room(desk, true);
    write_some(desk, n, n + 40);
    desk_close(desk);
    desk_check_records(desk, 0, n + 40);
}

/* Nobody knows what is in it, so it is not used again: it goes when nothing needs it any more. */
static void test_an_abandoned_segment_is_removed(void **state)
{
    struct desk *desk = *state;
    for (uint32_t i = 0; i < 50; i++) { /* with segments that were used again before */
        write_some(desk, i, i + 1);
        journal_release(desk->journal, journal_position(desk->journal));
    }
    break_it(desk, 0, EIO);
    mend_it(desk);
    write_some(desk, 50, 51);
    journal_release(desk->journal, journal_position(desk->journal));
    write_some(desk, 51, 52);
    assert_in_range(desk_count_files(desk), 1, 3);
    desk_close(desk);
    desk_check_records(desk, 50, 52);
}

/* What was released lies behind what is durable now: that is no leave to use a segment again. */
static void test_what_was_released_too_far_is_not_used_again(void **state)
{
    struct desk *desk = *state;
    write_some(desk, 0, 2);
    disk_fail(0, EIO);
    for (uint32_t i = 0; i < 100; i++)
        desk_write(desk, 999, SMALL_RECORD);
    journal_release(desk->journal, journal_position(desk->journal)); /* the files were checkpointed at once */
    journal_flush(desk->journal);
    desk_wait_for_break(desk, 1);
    mend_it(desk);
    write_some(desk, 2, 60);
    desk_close(desk);
    desk_check_records(desk, 2, 60); /* the first two were released */
}

/* ---- much, and full ---- */

/* Nothing could be released for long: once it is, the disk has its space back. */
static void test_what_it_has_grown_to_does_not_stay(void **state)
{
    struct desk *desk = *state;
    write_some(desk, 0, 400);
    assert_in_range(desk_count_files(desk), 25, 31);
    journal_release(desk->journal, journal_position(desk->journal));
    write_some(desk, 400, 401);
    assert_in_range(desk_count_files(desk), 2, 10);
    desk_close(desk);
    desk_check_records(desk, 17 * 16, 401); /* the oldest went first, sixteen records a segment */
}

static void test_a_full_disk_is_told_in_time(void **state)
{
    struct desk *desk = *state;
    uint32_t n = 0;
    uint64_t was_short = metric_get(METRIC_SHARD_JOURNALS_SHORT);
    disk_fail_growth(ENOSPC);
    while (journal_has_room(desk->journal)) {
        write_some(desk, n, n + 1);
        n++;
        assert_in_range(n, 0, 1000);
    }
    assert_int_equal(metric_get(METRIC_SHARD_JOURNALS_SHORT), was_short + 1);
    for (uint32_t i = 0; i < 8; i++) /* what a turn had decided by then still fits */
        desk_write(desk, n++, SMALL_RECORD);
    desk_flush_and_wait(desk);
    assert_int_equal(desk->n_breaks, 0);
    assert_false(journal_has_room(desk->journal));
    disk_fail_growth(0);
    desk_wait_for_room(desk, true);
    assert_int_equal(metric_get(METRIC_SHARD_JOURNALS_SHORT), was_short);
    write_some(desk, n, n + 40);
    desk_close(desk);
    desk_check_records(desk, 0, n + 40);
}

/* What could not be made whole does not stay, to be in the way. */
static void test_what_cannot_be_filled_is_removed(void **state)
{
    struct desk *desk = *state;
    size_t before = desk_count_files(desk);
    disk_fail_growth(ENOSPC);
    uint32_t n = 0;
    while (journal_has_room(desk->journal)) {
        write_some(desk, n, n + 1);
        n++;
    }
    assert_int_equal(desk_count_files(desk), before);
}

/* Files that were checkpointed make room, too. */
static void test_what_is_released_is_room(void **state)
{
    struct desk *desk = *state;
    uint32_t n = 0;
    disk_fail_growth(ENOSPC);
    while (journal_has_room(desk->journal)) {
        write_some(desk, n, n + 1);
        n++;
    }
    journal_release(desk->journal, journal_position(desk->journal));
    desk_wait_for_room(desk, true);
    write_some(desk, n, n + 1);
    assert_int_equal(desk->n_breaks, 0);
}

#define SMALL_TEST(test) cmocka_unit_test_setup_teardown(test, desk_set_up_small, desk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SMALL_TEST(test_short_writes_are_continued),
        SMALL_TEST(test_it_goes_on_behind_what_was_durable),
        SMALL_TEST(test_it_says_why),
        SMALL_TEST(test_what_was_flushed_before_it_is_known_is_lost),
        SMALL_TEST(test_what_is_flushed_while_it_is_broken_waits),
        SMALL_TEST(test_it_breaks_between_segments),
        SMALL_TEST(test_an_abandoned_segment_is_removed),
        SMALL_TEST(test_what_was_released_too_far_is_not_used_again),
        SMALL_TEST(test_what_it_has_grown_to_does_not_stay),
        SMALL_TEST(test_a_full_disk_is_told_in_time),
        SMALL_TEST(test_what_cannot_be_filled_is_removed),
        SMALL_TEST(test_what_is_released_is_room),
    };
    log_init("test", LOG_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
