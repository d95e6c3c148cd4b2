/*
 * A journal: what it says is durable has been synced, what it holds is in order and whole, segments are used again when
 * they may be and not before.
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
#include "shards/log/replay.h"
#include "shards/log/segment.h"
#include "tests/lib/desk.h"
#include "tests/lib/disk.h"
#include "tests/lib/rows.h"
#include "tests/lib/world.h"

enum { MEGABYTE = 1 << 20, RECORD_MAX = JOURNAL_SEGMENT_BYTES / 2, WAITING_MAX = 2 * JOURNAL_SEGMENT_BYTES };

static const struct journal_handlers NO_HANDLERS;

/* Records [first, end), of a megabyte each, a batch each. */
static void write_megabytes(struct desk *desk, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        desk_write(desk, i, MEGABYTE);
        desk_flush_and_wait(desk);
    }
}

/* ---- durable ---- */

static void test_what_is_flushed_becomes_durable(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(journal_position(desk->journal), 0);
    desk_write(desk, 0, 10);
    assert_int_equal(journal_position(desk->journal), record_len(10));
    desk_write(desk, 1, 100);
    assert_int_equal(journal_position(desk->journal), record_len(10) + record_len(100));
    desk_flush_and_wait(desk);
    assert_int_equal(journal_durable(desk->journal), journal_position(desk->journal));
    desk_write(desk, 2, 4);
    journal_flush(desk->journal);
    journal_flush(desk->journal); /* of nothing */
    desk_wait_for(desk, journal_position(desk->journal));
    desk_close(desk);
    desk_check_records(desk, 0, 3);
}

static void test_nothing_is_durable_before_its_sync(void **state)
{
    struct desk *desk = *state;
    desk_write(desk, 0, 10);
    desk_flush_and_wait(desk);
    uint64_t before = journal_durable(desk->journal);

    disk_hold_syncs(true);
    desk_write(desk, 1, 10);
    journal_flush(desk->journal);
    uint64_t first = journal_position(desk->journal);
    disk_wait_for_sync();
    for (uint32_t i = 2; i < 5; i++) { /* the loop goes on; these wait together */
        desk_write(desk, i, 10);
        journal_flush(desk->journal);
    }
    assert_int_equal(journal_durable(desk->journal), before);
    disk_hold_syncs(false);
    desk_wait_for(desk, first);
    desk_wait_for(desk, journal_position(desk->journal));
    desk_close(desk);
    desk_check_records(desk, 0, 5);
}

/* Each record says what was durable when it was written: no more than what had been synced, and all of it but what was
 * synced meanwhile. */
static void test_records_say_what_was_durable(void **state)
{
    struct desk *desk = *state;
    struct buf segment = {0};
    struct record record;
    for (uint32_t i = 0; i < 4; i++) {
        desk_write(desk, 2 * i, 10);
        desk_write(desk, 2 * i + 1, 10);
        desk_flush_and_wait(desk);
    }
    desk_close(desk);
    assert_true(desk_read_segment(desk, 0, &segment));
    for (size_t i = 0; i < 8; i++) {
        size_t at = SEGMENT_HEADER + i * record_len(10);
        assert_true(record_read(slice_of(segment.data + at, segment.len - at), &record));
        assert_int_equal(record.durable, i / 2 * 2 * record_len(10));
    }
    buf_release(&segment);
}

static void test_closing_syncs_what_was_written(void **state)
{
    struct desk *desk = *state;
    for (uint32_t i = 0; i < 100; i++) {
        desk_write(desk, i, 1000);
        if (i % 7 == 0)
            journal_flush(desk->journal);
    }
    desk_close(desk);
    desk_check_records(desk, 0, 100);
}

static void test_too_much_that_waits(void **state)
{
    struct desk *desk = *state;
    uint32_t n = 0;
    disk_hold_syncs(true);
    while (!journal_is_full(desk->journal)) {
        desk_write(desk, n++, MEGABYTE);
        journal_flush(desk->journal);
    }
    assert_in_range(n, WAITING_MAX / MEGABYTE, WAITING_MAX / MEGABYTE + 1);
    disk_hold_syncs(false);
    desk_wait_for(desk, journal_position(desk->journal));
    assert_false(journal_is_full(desk->journal));
    desk_close(desk);
    desk_check_records(desk, 0, n);
}

/* ---- segments ---- */

static void test_records_of_any_size_fill_segments(void **state)
{
    static const size_t LENGTHS[] = {4, 5, 4096, 100000, MEGABYTE + 3, RECORD_MAX, 7, RECORD_MAX - 1};
    struct desk *desk = *state;
    uint32_t n = 0;
    while (n < 40) { /* batches of eight, each larger than a segment */
        desk_write(desk, n, LENGTHS[n % 8]);
        if (++n % 8 == 0)
            desk_flush_and_wait(desk);
    }
    desk_close(desk);
    desk_check_records(desk, 0, 40);
}

/* A segment that ends with its last byte, and one that would be a record's padding too long. */
static void test_a_segment_that_is_filled_to_the_end(void **state)
{
    enum { HALF = (JOURNAL_SEGMENT_BYTES - SEGMENT_HEADER) / 2 - RECORD_HEADER };
    struct desk *desk = *state;
    desk_write(desk, 0, HALF);
    desk_write(desk, 1, HALF);
    desk_flush_and_wait(desk);
    desk_write(desk, 2, HALF);
    desk_write(desk, 3, HALF + 1);
    desk_flush_and_wait(desk);
    desk_close(desk);
    desk_check_records(desk, 0, 4);
}

static void test_segments_are_used_again(void **state)
{
    struct desk *desk = *state;
    for (uint32_t i = 0; i < 100; i++) {
        write_megabytes(desk, i, i + 1);
        journal_release(desk->journal, journal_position(desk->journal));
    }
    assert_in_range(desk_count_files(desk), 2, 4);
}

/* Whatever is behind the released position is still there, however much is written. */
static void test_no_segment_is_used_again_too_early(void **state)
{
    struct desk *desk = *state;
    uint64_t released = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 100; i++) {
        if (i == 40) { /* in the middle of a segment */
            released = journal_position(desk->journal);
            kept = i;
        }
        write_megabytes(desk, i, i + 1);
        journal_release(desk->journal, released);
    }
    desk_close(desk);
    struct buf segment = {0};
    struct record record;
    uint32_t first;
    assert_true(desk_read_segment(desk, 0, &segment));
    assert_true(record_read(slice_of(segment.data + SEGMENT_HEADER, 2 * MEGABYTE), &record));
    memcpy(&first, record.payload.data, sizeof first);
    buf_release(&segment);
    assert_in_range(first, 16, kept); /* else no segment was used again at all */
    desk_check_records(desk, first, 100);
}

/* ---- a folder that is in use ---- */

static void test_a_folder_with_segments_is_refused(void **state)
{
    struct desk *desk = *state;
    struct problems problems = {0};
    desk_write(desk, 0, 10);
    desk_close(desk);
    assert_null(journal_open(desk->dir.text, NULL, desk->loop, &NO_HANDLERS, desk, &problems));
    assert_int_equal(problems.n, 1);
    assert_non_null(strstr(problems.text.data, "the journal's files cannot be made: File exists"));
    problems_release(&problems);
    desk_check_records(desk, 0, 1);
}

/* What the journal holds brings the scopes' files back, and its folder is free for the next. */
static void test_what_it_holds_can_be_replayed(void **state)
{
    struct desk *desk = *state;
    struct world *world = mem_zero(1, sizeof *world);
    struct problems problems = {0};
    world_open(world);
    world_write_some(world);
    world_stop(world);
    desk_close(desk);
    struct folder_path dir = folder_at(&world->room.folder, "data/journal/0");
    for (int life = 0; life < 2; life++) {
        desk->journal = journal_open(dir.text, NULL, desk->loop, &NO_HANDLERS, desk, &problems);
        assert_non_null(desk->journal);
        for (size_t i = 0; i < world->n; i++) {
            buf_append_slice(journal_begin(desk->journal), buf_slice(&world->transactions[i].payload));
            journal_end(desk->journal);
        }
        desk_close(desk);
        world_put(world, 0);
        assert_true(replay_all(world->data.text, &problems));
        for (size_t i = 0; i < WORLD_SCOPES; i++) {
            struct buf rows = {0};
            rows_print_file(&rows, world->places[i].path);
            assert_string_equal(rows.data, world->places[i].states[world->places[i].n].rows.data);
            buf_release(&rows);
        }
    }
    world_close(world);
    free(world);
}

/* ---- the end, and a beginning that fails ---- */

/* All that it held is in the files: the next start has nothing to replay. */
static void test_what_is_saved_is_removed(void **state)
{
    struct desk *desk = *state;
    write_megabytes(desk, 0, 20);
    assert_in_range(desk_count_files(desk), 2, 4);
    journal_close(desk->journal, true);
    desk->journal = NULL;
    assert_int_equal(desk_count_files(desk), 0);
}

static void test_a_folder_that_cannot_be_made(void **state)
{
    (void)state;
    struct problems problems = {0};
    struct folder folder;
    folder_make(&folder);
    struct loop *loop = loop_new(NULL, NULL);
    assert_null(journal_open(folder_at(&folder, "no/journal").text, NULL, loop, &NO_HANDLERS, NULL, &problems));
    assert_non_null(strstr(problems.text.data, "no/journal: the journal's files cannot be made: No such file"));
    problems_release(&problems);
    problems = (struct problems){0};

    disk_fail(ENOSPC, 0);
    assert_null(journal_open(folder_at(&folder, "journal").text, NULL, loop, &NO_HANDLERS, NULL, &problems));
    disk_fail(0, 0);
    assert_non_null(strstr(problems.text.data, "the journal's files cannot be made: No space left on device"));
    problems_release(&problems);
    loop_free(loop);
    folder_remove(&folder);
}

#define JOURNAL_TEST(test) cmocka_unit_test_setup_teardown(test, desk_set_up, desk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_what_is_flushed_becomes_durable),
        JOURNAL_TEST(test_nothing_is_durable_before_its_sync),
        JOURNAL_TEST(test_records_say_what_was_durable),
        JOURNAL_TEST(test_closing_syncs_what_was_written),
        JOURNAL_TEST(test_too_much_that_waits),
        JOURNAL_TEST(test_records_of_any_size_fill_segments),
        JOURNAL_TEST(test_a_segment_that_is_filled_to_the_end),
        JOURNAL_TEST(test_segments_are_used_again),
        JOURNAL_TEST(test_no_segment_is_used_again_too_early),
        JOURNAL_TEST(test_a_folder_with_segments_is_refused),
        JOURNAL_TEST(test_what_it_holds_can_be_replayed),
        JOURNAL_TEST(test_what_is_saved_is_removed),
        cmocka_unit_test(test_a_folder_that_cannot_be_made),
    };
    log_init("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
