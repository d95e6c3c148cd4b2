/*
 * The recent frames of a channel: read from any position that the ring reaches back to, dropped when nobody wants them
 * or when they are too many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/router/ring.h"

static int set_up(void **state)
{
    static struct ring ring;
    ring_init(&ring);
    *state = &ring;
    return 0;
}

static int tear_down(void **state)
{
    ring_release(*state);
    return 0;
}

static void append(struct ring *ring, const char *text)
{
    ring_append(ring, &(struct envelope){ENVELOPE_CHANGE, 7, slice_str(text)});
}

/* What is there from a position on, with spaces between. */
static void check(const struct ring *ring, uint64_t position, const char *expected)
{
    struct buf text = {0};
    struct envelope envelope;
    while (position < ring_end(ring)) {
        position = ring_read(ring, position, &envelope);
        assert_int_equal(envelope.type, ENVELOPE_CHANGE);
        assert_int_equal(envelope.session, 7);
        buf_printf(&text, "%s%.*s", text.len == 0 ? "" : " ", (int)envelope.payload.len, envelope.payload.data);
    }
    assert_int_equal(position, ring_end(ring));
    assert_string_equal(text.data == NULL ? "" : text.data, expected);
    buf_release(&text);
}

static void test_each_reader_has_a_position(void **state)
{
    struct ring *ring = *state;
    uint64_t start = ring_end(ring);
    append(ring, "one");
    uint64_t second = ring_end(ring);
    append(ring, "two");
    append(ring, "");
    check(ring, start, "one two ");
    check(ring, second, "two ");
    check(ring, ring_end(ring), "");
}

static void test_what_nobody_wants_is_dropped(void **state)
{
    struct ring *ring = *state;
    uint64_t start = ring_end(ring);
    append(ring, "one");
    uint64_t second = ring_end(ring);
    append(ring, "two");
    ring_trim(ring, second, 1000);
    assert_true(start < ring->start);
    check(ring, second, "two");
    append(ring, "three");
    check(ring, second, "two three");
    ring_trim(ring, ring_end(ring), 1000);
    check(ring, ring_end(ring), "");
    assert_int_equal(ring->bytes.len, 0);
}

static void test_what_is_too_old_is_dropped_whoever_wants_it(void **state)
{
    struct ring *ring = *state;
    uint64_t positions[11];
    for (int i = 0; i < 10; i++) {
        positions[i] = ring_end(ring);
        append(ring, "12345678"); /* 20 bytes */
    }
    positions[10] = ring_end(ring);
    ring_trim(ring, positions[2], 100);
    assert_int_equal(ring->start, positions[5]);
    ring_trim(ring, positions[2], 99); /* no half of one stays */
    assert_int_equal(ring->start, positions[6]);
    check(ring, positions[8], "12345678 12345678");
    ring_trim(ring, positions[2], 0);
    assert_int_equal(ring->start, positions[10]);
}

static void test_one_that_is_never_empty_does_not_grow(void **state)
{
    struct ring *ring = *state;
    uint64_t last = ring_end(ring);
    for (int i = 0; i < 10000; i++) {
        uint64_t next = ring_end(ring);
        append(ring, "something that is said again and again");
        ring_trim(ring, last, 1000);
        last = next;
    }
    check(ring, last, "something that is said again and again");
    assert_true(ring->bytes.capacity < 4096);
}

static void test_a_large_one_is_given_back(void **state)
{
    static char large[1 << 20];
    struct ring *ring = *state;
    ring_append(ring, &(struct envelope){ENVELOPE_CHANGE, 7, slice_of(large, sizeof large)});
    ring_trim(ring, ring_end(ring), 1000);
    assert_int_equal(ring->bytes.capacity, 0);
}

#define RING_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(test_each_reader_has_a_position),
        RING_TEST(test_what_nobody_wants_is_dropped),
        RING_TEST(test_what_is_too_old_is_dropped_whoever_wants_it),
        RING_TEST(test_one_that_is_never_empty_does_not_grow),
        RING_TEST(test_a_large_one_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
