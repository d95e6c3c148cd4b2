/*
 * A journal: what it says is durable has been synced, what it holds is in order and whole, segments are used again when
 * they may be and not before, and a disk that fails ends the process.
 *
 * At the end of each test it is judged whether its writes and syncs came in an order that a power cut at any moment
 * could not harm.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "shards/log/journal.h"
#include "shards/log/replay.h"
#include "shards/log/segment.h"
#include "tests/lib/disk.h"
#include "tests/lib/rows.h"
#include "tests/lib/world.h"

enum { SEGMENTS_MAX = 32, PATIENCE_MS = 20000, MEGABYTE = 1 << 20 };

/* ---- a journal on a loop ---- */

struct bench {
    struct folder folder;
    struct folder_path dir;
    struct loop *loop;
    struct timer patience;
    struct journal *journal;
    uint64_t awaited;
};

static void on_durable(void *arg)
{
    struct bench *bench = arg;
    disk_note_told(journal_durable(bench->journal));
}

static bool turn(void *arg)
{
    struct bench *bench = arg;
    if (journal_durable(bench->journal) >= bench->awaited)
        loop_stop(bench->loop);
    return false;
}

static void lose_patience(void *arg)
{
    (void)arg;
    fail_msg("what was waited for did not come");
}

static int set_up(void **state)
{
    struct bench *bench = mem_zero(1, sizeof *bench);
    struct problems problems = {0};
    folder_make(&bench->folder);
    bench->dir = folder_at(&bench->folder, "journal");
    bench->loop = loop_new(turn, bench);
    timer_init(&bench->patience, bench->loop, lose_patience, bench);
    disk_begin();
    bench->journal = journal_open(bench->dir.text, bench->loop, on_durable, bench, &problems);
    assert_non_null(bench->journal);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    disk_hold_syncs(false);
    journal_close(bench->journal);
    disk_check();
    loop_free(bench->loop);
    folder_remove(&bench->folder);
    free(bench);
    return 0;
}

/* A record whose payload says its number first. */
static void write_record(struct bench *bench, uint32_t number, size_t payload_len)
{
    struct buf *buf = journal_begin(bench->journal);
    memset(buf_reserve(buf, payload_len), (int)number, payload_len);
    memcpy(buf->data + buf->len, &number, sizeof number);
    buf->len += payload_len;
    journal_end(bench->journal);
}

static void wait_for(struct bench *bench, uint64_t position)
{
    bench->awaited = position;
    timer_start(&bench->patience, PATIENCE_MS);
    if (journal_durable(bench->journal) < position)
        loop_run(bench->loop);
    timer_stop(&bench->patience);
    assert_in_range(journal_durable(bench->journal), position, journal_position(bench->journal));
}

static void flush_and_wait(struct bench *bench)
{
    journal_flush(bench->journal);
    wait_for(bench, journal_position(bench->journal));
}

/* Records [first, end), of a megabyte each, a batch each. */
static void write_megabytes(struct bench *bench, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        write_record(bench, i, MEGABYTE);
        flush_and_wait(bench);
    }
}

static void close_journal(struct bench *bench)
{
    journal_close(bench->journal);
    bench->journal = NULL;
}

/* ---- what is on the disk then ---- */

struct segments {
    struct buf bytes[SEGMENTS_MAX];
    struct segment_header headers[SEGMENTS_MAX];
    size_t n; /* with a header, in the order of their generations */
    size_t n_files;
};

static void add_segment(struct segments *segments, struct buf *bytes)
{
    struct segment_header header;
    segments->n_files++;
    assert_int_equal(bytes->len, JOURNAL_SEGMENT_BYTES);
    if (!segment_header_read(buf_slice(bytes), &header)) {
        buf_release(bytes);
        return;
    }
    size_t i = segments->n++;
    for (; i > 0 && segments->headers[i - 1].generation > header.generation; i--) {
        segments->headers[i] = segments->headers[i - 1];
        segments->bytes[i] = segments->bytes[i - 1];
    }
    segments->headers[i] = header;
    segments->bytes[i] = *bytes;
}

static void read_segments(const struct bench *bench, struct segments *segments)
{
    struct dirent **entries = NULL;
    int n = scandir(bench->dir.text, &entries, NULL, alphasort);
    *segments = (struct segments){0};
    for (int i = 0; i < n; i++) {
        struct buf bytes = {0};
        char name[300];
        snprintf(name, sizeof name, "journal/%s", entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            assert_int_equal(file_read(folder_at(&bench->folder, name).text, JOURNAL_SEGMENT_BYTES, &bytes), ERR_OK);
            add_segment(segments, &bytes);
        }
        free(entries[i]);
    }
    free(entries);
}

static void release_segments(struct segments *segments)
{
    for (size_t i = 0; i < segments->n; i++)
        buf_release(&segments->bytes[i]);
}

/* The records that the folder holds are those of these numbers, without a gap in their positions. */
static void check_records(const struct bench *bench, uint32_t first, uint32_t end)
{
    struct segments segments;
    struct record record;
    uint32_t expected = first, number;
    read_segments(bench, &segments);
    uint64_t position = segments.n == 0 ? 0 : segments.headers[0].position, durable = 0;
    for (size_t i = 0; i < segments.n; i++) {
        struct slice rest = slice_of(segments.bytes[i].data + SEGMENT_HEADER, JOURNAL_SEGMENT_BYTES - SEGMENT_HEADER);
        assert_int_equal(segments.headers[i].position, position);
        if (i > 0)
            assert_int_equal(segments.headers[i].generation, segments.headers[i - 1].generation + 1);
        while (record_read(rest, &record) && record.generation == segments.headers[i].generation) {
            assert_int_equal(record.position, position);
            assert_in_range(record.durable, durable, position);
            memcpy(&number, record.payload.data, sizeof number);
            assert_int_equal(number, expected++);
            position += record.len;
            durable = record.durable;
            rest = slice_of(rest.data + record.len, rest.len - record.len);
        }
    }
    assert_int_equal(expected, end);
    release_segments(&segments);
}

static size_t count_files(const struct bench *bench)
{
    struct segments segments;
    read_segments(bench, &segments);
    release_segments(&segments);
    return segments.n_files;
}

/* ---- durable ---- */

static void test_what_is_flushed_becomes_durable(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(journal_position(bench->journal), 0);
    write_record(bench, 0, 10);
    assert_int_equal(journal_position(bench->journal), record_len(10));
    write_record(bench, 1, 100);
    assert_int_equal(journal_position(bench->journal), record_len(10) + record_len(100));
    flush_and_wait(bench);
    assert_int_equal(journal_durable(bench->journal), journal_position(bench->journal));
    write_record(bench, 2, 4);
    journal_flush(bench->journal);
    journal_flush(bench->journal); /* of nothing */
    wait_for(bench, journal_position(bench->journal));
    close_journal(bench);
    check_records(bench, 0, 3);
}

static void test_nothing_is_durable_before_its_sync(void **state)
{
    struct bench *bench = *state;
    write_record(bench, 0, 10);
    flush_and_wait(bench);
    uint64_t before = journal_durable(bench->journal);

    disk_hold_syncs(true);
    write_record(bench, 1, 10);
    journal_flush(bench->journal);
    uint64_t first = journal_position(bench->journal);
    disk_wait_for_sync();
    for (uint32_t i = 2; i < 5; i++) { /* the loop goes on; these wait together */
        write_record(bench, i, 10);
        journal_flush(bench->journal);
    }
    assert_int_equal(journal_durable(bench->journal), before);
    disk_hold_syncs(false);
    wait_for(bench, first);
    wait_for(bench, journal_position(bench->journal));
    close_journal(bench);
    check_records(bench, 0, 5);
}

/* Each record says what was durable when it was written: no more than what had been synced, and all of it but what was
 * synced meanwhile. */
static void test_records_say_what_was_durable(void **state)
{
    struct bench *bench = *state;
    struct segments segments;
    struct record record;
    for (uint32_t i = 0; i < 4; i++) {
        write_record(bench, 2 * i, 10);
        write_record(bench, 2 * i + 1, 10);
        flush_and_wait(bench);
    }
    close_journal(bench);
    read_segments(bench, &segments);
    for (size_t i = 0; i < 8; i++) {
        size_t at = SEGMENT_HEADER + i * record_len(10);
        assert_true(record_read(slice_of(segments.bytes[0].data + at, JOURNAL_SEGMENT_BYTES - at), &record));
        assert_int_equal(record.durable, i / 2 * 2 * record_len(10));
    }
    release_segments(&segments);
}

static void test_closing_syncs_what_was_written(void **state)
{
    struct bench *bench = *state;
    for (uint32_t i = 0; i < 100; i++) {
        write_record(bench, i, 1000);
        if (i % 7 == 0)
            journal_flush(bench->journal);
    }
    close_journal(bench);
    check_records(bench, 0, 100);
}

static void test_too_much_that_waits(void **state)
{
    struct bench *bench = *state;
    uint32_t n = 0;
    disk_hold_syncs(true);
    while (!journal_is_full(bench->journal)) {
        write_record(bench, n++, MEGABYTE);
        journal_flush(bench->journal);
    }
    assert_in_range(n, JOURNAL_WAITING_MAX / MEGABYTE, JOURNAL_WAITING_MAX / MEGABYTE + 1);
    disk_hold_syncs(false);
    wait_for(bench, journal_position(bench->journal));
    assert_false(journal_is_full(bench->journal));
    close_journal(bench);
    check_records(bench, 0, n);
}

/* ---- segments ---- */

static void test_records_of_any_size_fill_segments(void **state)
{
    static const size_t LENGTHS[] = {4, 5, 4096, 100000, MEGABYTE + 3, JOURNAL_RECORD_MAX, 7, JOURNAL_RECORD_MAX - 1};
    struct bench *bench = *state;
    uint32_t n = 0;
    while (n < 40) { /* batches of eight, each larger than a segment */
        write_record(bench, n, LENGTHS[n % 8]);
        if (++n % 8 == 0)
            flush_and_wait(bench);
    }
    close_journal(bench);
    check_records(bench, 0, 40);
}

/* A segment that ends with its last byte, and one that would be a record's padding too long. */
static void test_a_segment_that_is_filled_to_the_end(void **state)
{
    enum { HALF = (JOURNAL_SEGMENT_BYTES - SEGMENT_HEADER) / 2 - RECORD_HEADER };
    struct bench *bench = *state;
    write_record(bench, 0, HALF);
    write_record(bench, 1, HALF);
    flush_and_wait(bench);
    write_record(bench, 2, HALF);
    write_record(bench, 3, HALF + 1);
    flush_and_wait(bench);
    close_journal(bench);
    check_records(bench, 0, 4);
}

static void test_segments_are_used_again(void **state)
{
    struct bench *bench = *state;
    for (uint32_t i = 0; i < 100; i++) {
        write_megabytes(bench, i, i + 1);
        journal_release(bench->journal, journal_position(bench->journal));
    }
    assert_in_range(count_files(bench), 2, 4);
}

/* Whatever is behind the released position is still there, however much is written. */
static void test_no_segment_is_used_again_too_early(void **state)
{
    struct bench *bench = *state;
    uint64_t released = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 100; i++) {
        if (i == 40) { /* in the middle of a segment */
            released = journal_position(bench->journal);
            kept = i;
        }
        write_megabytes(bench, i, i + 1);
        journal_release(bench->journal, released);
    }
    close_journal(bench);
    struct segments segments;
    struct record record;
    uint32_t first;
    read_segments(bench, &segments);
    assert_true(record_read(slice_of(segments.bytes[0].data + SEGMENT_HEADER, 2 * MEGABYTE), &record));
    memcpy(&first, record.payload.data, sizeof first);
    release_segments(&segments);
    assert_in_range(first, 16, kept); /* else no segment was used again at all */
    check_records(bench, first, 100);
}

/* ---- a folder that is in use ---- */

static void test_a_folder_with_segments_is_refused(void **state)
{
    struct bench *bench = *state;
    struct problems problems = {0};
    write_record(bench, 0, 10);
    close_journal(bench);
    assert_null(journal_open(bench->dir.text, bench->loop, on_durable, bench, &problems));
    assert_int_equal(problems.n, 1);
    assert_non_null(strstr(problems.text.data, "the journal's files cannot be made: File exists"));
    problems_release(&problems);
    check_records(bench, 0, 1);
}

/* What the journal holds brings the scopes' files back, and its folder is free for the next. */
static void test_what_it_holds_can_be_replayed(void **state)
{
    struct bench *bench = *state;
    struct world *world = mem_zero(1, sizeof *world);
    struct problems problems = {0};
    world_open(world);
    world_write_some(world);
    world_stop(world);
    close_journal(bench);
    struct folder_path dir = folder_at(&world->room.folder, "data/journal/0");
    for (int life = 0; life < 2; life++) {
        bench->journal = journal_open(dir.text, bench->loop, on_durable, bench, &problems);
        assert_non_null(bench->journal);
        for (size_t i = 0; i < world->n; i++) {
            buf_append_slice(journal_begin(bench->journal), buf_slice(&world->transactions[i].payload));
            journal_end(bench->journal);
        }
        close_journal(bench);
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

/* ---- a disk that fails ---- */

static void test_short_writes_are_continued(void **state)
{
    struct bench *bench = *state;
    disk_shorten_writes(1000);
    for (uint32_t i = 0; i < 20; i++)
        write_record(bench, i, 3000);
    flush_and_wait(bench);
    close_journal(bench);
    check_records(bench, 0, 20);
}

enum { EXIT_TOLD = 42, EXIT_CLOSED = 43 };

static void tell_of_durable(void *arg)
{
    (void)arg;
    _exit(EXIT_TOLD);
}

/* In a process of its own: what it ends with when these errors come after the journal was opened. */
static int run_on_failing_disk(const struct folder *folder, int write_errno, int sync_errno, size_t payload_len)
{
    pid_t pid = fork();
    assert_in_range(pid, 0, INT32_MAX);
    if (pid == 0) {
        struct bench bench = {.loop = loop_new(turn, &bench), .awaited = UINT64_MAX};
        struct problems problems = {0};
        log_init("test", LOG_ERROR);
        bench.journal = journal_open(folder_at(folder, "failing").text, bench.loop, tell_of_durable, &bench, &problems);
        disk_fail(write_errno, sync_errno);
        write_record(&bench, 0, payload_len);
        journal_flush(bench.journal);
        loop_run(bench.loop);
        _exit(EXIT_CLOSED);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_a_disk_that_fails_ends_the_process(void **state)
{
    static const struct {
        int write_errno, sync_errno, status;
    } CASES[] = {{0, 0, EXIT_TOLD}, {ENOSPC, 0, 1}, {EIO, 0, 1}, {0, EIO, 1}, {0, ENOSPC, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct folder folder;
        folder_make(&folder);
        assert_int_equal(run_on_failing_disk(&folder, CASES[i].write_errno, CASES[i].sync_errno, 100), CASES[i].status);
        folder_remove(&folder);
    }
}

static void test_a_folder_that_cannot_be_made(void **state)
{
    (void)state;
    struct problems problems = {0};
    struct folder folder;
    folder_make(&folder);
    struct loop *loop = loop_new(turn, NULL);
    assert_null(journal_open(folder_at(&folder, "no/journal").text, loop, on_durable, NULL, &problems));
    assert_non_null(strstr(problems.text.data, "no/journal: the journal's files cannot be made: No such file"));
    problems_release(&problems);
    problems = (struct problems){0};

    disk_fail(ENOSPC, 0);
    assert_null(journal_open(folder_at(&folder, "journal").text, loop, on_durable, NULL, &problems));
    disk_fail(0, 0);
    assert_non_null(strstr(problems.text.data, "the journal's files cannot be made: No space left on device"));
    problems_release(&problems);
    loop_free(loop);
    folder_remove(&folder);
}

#define JOURNAL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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
        JOURNAL_TEST(test_short_writes_are_continued),
        cmocka_unit_test(test_a_disk_that_fails_ends_the_process),
        cmocka_unit_test(test_a_folder_that_cannot_be_made),
    };
    log_init("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
