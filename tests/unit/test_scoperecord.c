/*
 * What a journal's record says of a scope: the bytes stay what they are, and bytes that are none are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shards/log/scoperecord.h"

static const unsigned char CHANGES[] = {
    1,                                              /* changes */
    3,    0,    'a',  '/',  'b',                    /* the scope's name */
    0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* incarnation -2 */
    0x02, 0x01, 0,    0,    0,    0,    0,    0,    /* transaction 258 */
    0x03, 0,    0x80, 0,    0,    0,    0,    0,    /* first seq 2^23 + 3 */
    0x04, 0,    0x80, 0,    0,    0,    0,    0,    /* last seq 2^23 + 4 */
    'x',  'y',                                      /* rowchanges */
};

static void test_a_record_is_these_bytes(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct scoperecord record = {SCOPERECORD_CHANGES, SLICE("a/b"), -2, 258, 8388611, 8388612, SLICE("xy")}, read;
    buf_append(&buf, "front", 5); /* it is appended */
    scoperecord_write(&buf, &record);
    assert_int_equal(buf.len, 5 + sizeof CHANGES);
    assert_memory_equal(buf.data + 5, CHANGES, sizeof CHANGES);
    assert_true(scoperecord_read(slice_of(CHANGES, sizeof CHANGES), &read));
    assert_int_equal(read.type, SCOPERECORD_CHANGES);
    assert_true(slice_eq(read.scope, SLICE("a/b")));
    assert_int_equal(read.incarnation, -2);
    assert_int_equal(read.tx, 258);
    assert_int_equal(read.first_seq, 8388611);
    assert_int_equal(read.last_seq, 8388612);
    assert_true(slice_eq(read.changes, SLICE("xy")));
    buf_release(&buf);
}

static void check_round_trip(const struct scoperecord *record)
{
    struct buf buf = {0};
    struct scoperecord read;
    scoperecord_write(&buf, record);
    assert_true(scoperecord_read(buf_slice(&buf), &read));
    assert_int_equal(read.type, record->type);
    assert_true(slice_eq(read.scope, record->scope));
    assert_int_equal(read.incarnation, record->incarnation);
    assert_int_equal(read.tx, record->tx);
    assert_int_equal(read.first_seq, record->first_seq);
    assert_int_equal(read.last_seq, record->last_seq);
    assert_true(slice_eq(read.changes, record->changes));
    buf_release(&buf);
}

static void test_what_is_written_is_read(void **state)
{
    (void)state;
    char *large = mem_zero(1, UINT16_MAX);
    check_round_trip(&(struct scoperecord){SCOPERECORD_BARRIER, SLICE("a/b/c"), 7, 1, 2, 1, SLICE("")});
    check_round_trip(&(struct scoperecord){SCOPERECORD_BARRIER, SLICE("a/b/c"), 7, 1, 0, 0, SLICE_NONE});
    check_round_trip(&(struct scoperecord){SCOPERECORD_RESTORE, SLICE("a/b/c"), -7, 1, 5, 4, SLICE("")});
    check_round_trip(
        &(struct scoperecord){SCOPERECORD_CHANGES, SLICE("x"), INT64_MIN, INT64_MAX, UINT64_MAX, 1, SLICE("\0\0")});
    check_round_trip(&(struct scoperecord){SCOPERECORD_CHANGES, slice_of(large, UINT16_MAX), INT64_MAX, 0, 1, 2,
                                           slice_of(large, UINT16_MAX)});
    free(large);
}

static void test_what_is_cut_off_is_none(void **state)
{
    (void)state;
    struct scoperecord read;
    for (size_t len = 0; len < sizeof CHANGES - 2; len++) {
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, CHANGES, len);
        assert_false(scoperecord_read(slice_of(copy, len), &read));
        free(copy);
    }
}

static void test_other_types_and_lengths_are_none(void **state)
{
    (void)state;
    unsigned char bytes[sizeof CHANGES];
    struct scoperecord read;
    memcpy(bytes, CHANGES, sizeof bytes);
    for (int type = 0; type < 256; type++) {
        bytes[0] = (unsigned char)type;
        assert_int_equal(scoperecord_read(slice_of(bytes, sizeof bytes), &read), type >= 1 && type <= 3);
    }
    bytes[0] = 1;
    bytes[1] = 6; /* three more than there are behind the name */
    assert_false(scoperecord_read(slice_of(bytes, sizeof bytes), &read));
    bytes[2] = 0xff;
    assert_false(scoperecord_read(slice_of(bytes, sizeof bytes), &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_these_bytes),
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_what_is_cut_off_is_none),
        cmocka_unit_test(test_other_types_and_lengths_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
