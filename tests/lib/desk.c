#include "tests/lib/desk.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "shards/log/segment.h"
#include "tests/lib/disk.h"

enum { SEGMENTS_MAX = 32, PATIENCE_MS = 20000, SMALL_SEGMENT = 64 << 10, SEGMENT_BYTES_MAX = JOURNAL_SEGMENT_BYTES };

/* ---- a journal on a loop ---- */

static void on_durable(void *arg)
{
    struct desk *desk = arg;
    disk_note_told(journal_durable(desk->journal));
}

static void on_broken(void *arg)
{
    struct desk *desk = arg;
    disk_note_lost(journal_position(desk->journal));
    desk->n_breaks++;
}

static const struct journal_handlers HANDLERS = {on_durable, on_broken};

/* Each round of events ends what waits for one. */
static bool turn(void *arg)
{
    struct desk *desk = arg;
    loop_stop(desk->loop);
    return false;
}

static void lose_patience(void *arg)
{
    (void)arg;
    fail_msg("what was waited for did not come");
}

static int set_up(void **state, size_t segment_bytes)
{
    struct desk *desk = mem_zero(1, sizeof *desk);
    struct problems problems = {0};
    struct journal_options options = {.segment_bytes = segment_bytes};
    folder_make(&desk->folder);
    desk->dir = folder_at(&desk->folder, "journal");
    desk->loop = loop_new(turn, desk);
    timer_init(&desk->patience, desk->loop, lose_patience, desk);
    disk_begin();
    desk->journal = journal_open(desk->dir.text, &options, desk->loop, &HANDLERS, desk, &problems);
    assert_non_null(desk->journal);
    *state = desk;
    return 0;
}

int desk_set_up(void **state)
{
    return set_up(state, 0);
}

int desk_set_up_small(void **state)
{
    return set_up(state, SMALL_SEGMENT);
}

int desk_tear_down(void **state)
{
    struct desk *desk = *state;
    disk_hold_syncs(false);
    journal_close(desk->journal, false);
    disk_check();
    loop_free(desk->loop);
    folder_remove(&desk->folder);
    free(desk);
    return 0;
}

void desk_write(struct desk *desk, uint32_t number, size_t payload_len)
{
    struct buf *buf = journal_begin(desk->journal);
    memset(buf_reserve(buf, payload_len), (int)number, payload_len);
    memcpy(buf->data + buf->len, &number, sizeof number);
    buf->len += payload_len;
    journal_end(desk->journal);
}

void desk_wait_for(struct desk *desk, uint64_t position)
{
    timer_start(&desk->patience, PATIENCE_MS);
    while (journal_durable(desk->journal) < position)
        loop_run(desk->loop);
    timer_stop(&desk->patience);
    assert_in_range(journal_durable(desk->journal), position, journal_position(desk->journal));
}

void desk_wait_for_break(struct desk *desk, unsigned n)
{
    timer_start(&desk->patience, PATIENCE_MS);
    while (desk->n_breaks < n)
        loop_run(desk->loop);
    timer_stop(&desk->patience);
    assert_int_equal(desk->n_breaks, n);
}

void desk_wait_for_room(struct desk *desk, bool has_room)
{
    timer_start(&desk->patience, PATIENCE_MS);
    while (journal_has_room(desk->journal) != has_room)
        loop_run(desk->loop);
    timer_stop(&desk->patience);
}

void desk_flush_and_wait(struct desk *desk)
{
    journal_flush(desk->journal);
    desk_wait_for(desk, journal_position(desk->journal));
}

void desk_close(struct desk *desk)
{
    journal_close(desk->journal, false);
    desk->journal = NULL;
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

static void read_segments(const struct desk *desk, struct segments *segments)
{
    struct dirent **entries = NULL;
    int n = scandir(desk->dir.text, &entries, NULL, alphasort);
    *segments = (struct segments){0};
    for (int i = 0; i < n; i++) {
        struct buf bytes = {0};
        char name[300];
        snprintf(name, sizeof name, "journal/%s", entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            assert_int_equal(file_read(folder_at(&desk->folder, name).text, SEGMENT_BYTES_MAX, &bytes), ERR_OK);
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

void desk_check_records(const struct desk *desk, uint32_t first, uint32_t end)
{
    struct segments segments;
    struct record record;
    uint32_t expected = first, number;
    read_segments(desk, &segments);
    uint64_t position = segments.n == 0 ? 0 : segments.headers[0].position, durable = 0;
    for (size_t i = 0; i < segments.n; i++) {
        struct slice rest = slice_of(segments.bytes[i].data + SEGMENT_HEADER, segments.bytes[i].len - SEGMENT_HEADER);
        uint64_t limit = i + 1 < segments.n ? segments.headers[i + 1].position : UINT64_MAX;
        assert_int_equal(segments.headers[i].position, position);
        while (position < limit && record_read(rest, &record) && record.generation == segments.headers[i].generation) {
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

size_t desk_count_files(const struct desk *desk)
{
    struct segments segments;
    read_segments(desk, &segments);
    release_segments(&segments);
    return segments.n_files;
}

bool desk_read_segment(const struct desk *desk, size_t number, struct buf *ret_bytes)
{
    struct segments segments;
    read_segments(desk, &segments);
    bool found = number < segments.n;
    if (found) {
        *ret_bytes = segments.bytes[number];
        segments.bytes[number] = (struct buf){0};
    }
    release_segments(&segments);
    return found;
}
