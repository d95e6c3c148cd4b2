/*
 * The bytes of a segment: they stay what they are, whatever a later version writes, and no change of them goes unseen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shards/log/segment.h"

/* A segment that was begun at position 0x1122334455667788. */
static const unsigned char HEADER[SEGMENT_HEADER] = {
    'S',  'K',  'J',  'R',  'N',  'L',  '2',  '\n',                                                 /* magic */
    0x05, 0,    0,    0,    0,    0,    0,    0,                                                    /* generation */
    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,                                                 /* position */
    0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* zeros */
    0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0,                                     /* zeros */
    0x2d, 0x09, 0x89, 0x04,                                                                         /* checksum */
};

/* A record of generation 5 at position 0x1000, written when 0x0ff0 was durable. */
static const unsigned char RECORD[] = {
    'S',  'K',  'J',  'R',                /* magic */
    0x05, 0,    0,    0,                  /* length of the payload */
    0x80, 0x45, 0x06, 0x9a,               /* checksum */
    0,    0,    0,    0,                  /* zeros */
    0x05, 0,    0,    0,    0,   0, 0, 0, /* generation */
    0x00, 0x10, 0,    0,    0,   0, 0, 0, /* position */
    0xf0, 0x0f, 0,    0,    0,   0, 0, 0, /* durable */
    'h',  'e',  'l',  'l',  'o', 0, 0, 0, /* payload, padding */
};

enum { PADDING = 3 };

static void make_record(char out[sizeof RECORD])
{
    memset(out, 0xee, sizeof RECORD); /* sealing sets every byte that is not the payload's */
    memcpy(out + RECORD_HEADER, "hello", 5);
    record_seal(out, 5, 5, 0x1000, 0x0ff0);
}

static void test_a_header_is_these_bytes(void **state)
{
    (void)state;
    char header[SEGMENT_HEADER];
    struct segment_header read;
    segment_header_write(header, &(struct segment_header){5, 0x1122334455667788});
    assert_memory_equal(header, HEADER, sizeof HEADER);
    assert_true(segment_header_read(slice_of(HEADER, sizeof HEADER), &read));
    assert_int_equal(read.generation, 5);
    assert_int_equal(read.position, 0x1122334455667788);
}

static void test_a_record_is_these_bytes(void **state)
{
    (void)state;
    char record[sizeof RECORD];
    struct record read;
    make_record(record);
    assert_memory_equal(record, RECORD, sizeof RECORD);
    assert_true(record_read(slice_of(RECORD, sizeof RECORD), &read));
    assert_int_equal(read.generation, 5);
    assert_int_equal(read.position, 0x1000);
    assert_int_equal(read.durable, 0x0ff0);
    assert_int_equal(read.len, sizeof RECORD);
    assert_int_equal(read.payload.len, 5);
    assert_memory_equal(read.payload.data, "hello", 5);
}

static void test_a_changed_bit_of_a_header_is_noticed(void **state)
{
    (void)state;
    unsigned char header[sizeof HEADER];
    struct segment_header read;
    for (size_t bit = 0; bit < 8 * sizeof HEADER; bit++) {
        memcpy(header, HEADER, sizeof header);
        header[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_false(segment_header_read(slice_of(header, sizeof header), &read));
    }
}

/* But for the padding, which says nothing. */
static void test_a_changed_bit_of_a_record_is_noticed(void **state)
{
    (void)state;
    unsigned char bytes[sizeof RECORD];
    struct record read;
    for (size_t bit = 0; bit < 8 * sizeof RECORD; bit++) {
        memcpy(bytes, RECORD, sizeof bytes);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_int_equal(record_read(slice_of(bytes, sizeof bytes), &read), bit / 8 >= sizeof RECORD - PADDING);
    }
}

static void test_what_is_cut_off_is_nothing(void **state)
{
    (void)state;
    struct segment_header header;
    struct record record;
    for (size_t len = 0; len < sizeof HEADER; len++)
        assert_false(segment_header_read(slice_of(HEADER, len), &header));
    for (size_t len = 0; len < sizeof RECORD; len++) {
        char *copy = malloc(len + 1); /* so that a sanitizer sees a byte that is read behind the end */
        assert_non_null(copy);
        memcpy(copy, RECORD, len);
        assert_false(record_peek(slice_of(copy, len), &record));
        assert_false(record_read(slice_of(copy, len), &record));
        free(copy);
    }
}

static void test_what_is_not_there_is_nothing(void **state)
{
    (void)state;
    char zeros[4096] = {0};
    struct segment_header header;
    struct record record;
    assert_false(segment_header_read(slice_of(zeros, sizeof zeros), &header));
    assert_false(record_read(slice_of(zeros, sizeof zeros), &record));
    assert_false(record_read(SLICE_NONE, &record));
}

/* A length that would reach anywhere is no reason to look there. */
static void test_a_length_beyond_the_end(void **state)
{
    (void)state;
    static const uint32_t LENGTHS[] = {9, 0x7fffffff, 0xfffffff0, 0xffffffff};
    unsigned char bytes[sizeof RECORD];
    struct record record;
    memcpy(bytes, RECORD, sizeof bytes);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        memcpy(bytes + 4, &LENGTHS[i], 4);
        assert_false(record_peek(slice_of(bytes, sizeof bytes), &record));
    }
}

/* Peeking says what a record would be; reading, whether it is one. */
static void test_peeking_asks_no_checksum(void **state)
{
    (void)state;
    unsigned char bytes[sizeof RECORD];
    struct record record;
    memcpy(bytes, RECORD, sizeof bytes);
    bytes[sizeof bytes - PADDING - 1] = '!';
    assert_true(record_peek(slice_of(bytes, sizeof bytes), &record));
    assert_int_equal(record.position, 0x1000);
    assert_false(record_read(slice_of(bytes, sizeof bytes), &record));
}

static void test_records_of_any_length(void **state)
{
    (void)state;
    for (size_t len = 0; len < 40; len++) {
        size_t whole = record_len(len);
        struct record record;
        char *bytes = mem_zero(1, whole);
        assert_int_equal(whole % 8, 0);
        assert_in_range(whole, RECORD_HEADER + len, RECORD_HEADER + len + 7);
        memset(bytes + RECORD_HEADER, 'x', len);
        record_seal(bytes, len, 1, 2, 3);
        assert_true(record_read(slice_of(bytes, whole), &record));
        assert_int_equal(record.payload.len, len);
        assert_int_equal(record.len, whole);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_header_is_these_bytes),
        cmocka_unit_test(test_a_record_is_these_bytes),
        cmocka_unit_test(test_a_changed_bit_of_a_header_is_noticed),
        cmocka_unit_test(test_a_changed_bit_of_a_record_is_noticed),
        cmocka_unit_test(test_what_is_cut_off_is_nothing),
        cmocka_unit_test(test_what_is_not_there_is_nothing),
        cmocka_unit_test(test_a_length_beyond_the_end),
        cmocka_unit_test(test_peeking_asks_no_checksum),
        cmocka_unit_test(test_records_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
