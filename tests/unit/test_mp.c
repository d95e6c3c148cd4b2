/*
 * MessagePack: each format as the reader takes it and the writer chooses it, and what a peer may not do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "proto/mp.h"
#include "tests/lib/mpjson.h"

/* ---- the formats, one by one ---- */

static void assert_bytes(struct buf *buf, const char *expected)
{
    struct buf hex = {0};
    mpjson_hex(buf_slice(buf), &hex);
    buf_append(&hex, "", 1);
    assert_string_equal(hex.data, expected);
    buf_release(&hex);
    buf->len = 0;
}

static void test_an_integer_takes_the_smallest_format_and_beyond_32_bits_a_float64(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *bytes;
    } CASES[] = {
        {0, "00"},
        {127, "7f"},
        {128, "cc80"},
        {255, "ccff"},
        {256, "cd0100"},
        {65535, "cdffff"},
        {65536, "ce00010000"},
        {4294967295, "ceffffffff"},
        {4294967296, "cb41f0000000000000"},
        {INT64_MAX, "cb43e0000000000000"},
        {-1, "ff"},
        {-32, "e0"},
        {-33, "d0df"},
        {-128, "d080"},
        {-129, "d1ff7f"},
        {-32768, "d18000"},
        {-32769, "d2ffff7fff"},
        {-2147483648, "d280000000"},
        {-2147483649, "cbc1e0000000200000"},
        {INT64_MIN, "cbc3e0000000000000"},
    };
    struct buf buf = {0};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        mp_write_int(&buf, CASES[i].value);
        assert_bytes(&buf, CASES[i].bytes);
        mp_write_real(&buf, (double)CASES[i].value);
        assert_bytes(&buf, CASES[i].bytes);
    }
    buf_release(&buf);
}

static void test_a_real_that_is_no_integer_is_a_float64(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *bytes;
    } CASES[] = {
        {0.5, "cb3fe0000000000000"},      {-1.5, "cbbff8000000000000"},      {1e300, "cb7e37e43c8800759c"},
        {INFINITY, "cb7ff0000000000000"}, {-INFINITY, "cbfff0000000000000"}, {-0.0, "00"},
    };
    struct buf buf = {0};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        mp_write_real(&buf, CASES[i].value);
        assert_bytes(&buf, CASES[i].bytes);
    }
    mp_write_real(&buf, NAN);
    struct slice in = buf_slice(&buf);
    struct mp_token token;
    assert_true(mp_read(&in, &token));
    assert_true(token.type == MP_REAL && isnan(token.real));
    buf_release(&buf);
}

static void assert_header(struct buf *buf, const char *expected, size_t payload_len)
{
    assert_true(buf->len >= payload_len);
    buf->len -= payload_len;
    assert_bytes(buf, expected);
}

static char some_bytes[65536];

static void test_a_length_takes_the_smallest_format(void **state)
{
    (void)state;
    static const struct {
        uint32_t len;
        const char *str, *bin, *array, *map;
    } CASES[] = {
        {0, "a0", "c400", "90", "80"},
        {15, "af", "c40f", "9f", "8f"},
        {16, "b0", "c410", "dc0010", "de0010"},
        {31, "bf", "c41f", "dc001f", "de001f"},
        {32, "d920", "c420", "dc0020", "de0020"},
        {255, "d9ff", "c4ff", "dc00ff", "de00ff"},
        {256, "da0100", "c50100", "dc0100", "de0100"},
        {65535, "daffff", "c5ffff", "dcffff", "deffff"},
        {65536, "db00010000", "c600010000", "dd00010000", "df00010000"},
    };
    struct buf buf = {0};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        mp_write_str(&buf, slice_of(some_bytes, CASES[i].len));
        assert_header(&buf, CASES[i].str, CASES[i].len);
        mp_write_bin(&buf, slice_of(some_bytes, CASES[i].len));
        assert_header(&buf, CASES[i].bin, CASES[i].len);
        mp_write_array(&buf, CASES[i].len);
        assert_bytes(&buf, CASES[i].array);
        mp_write_map(&buf, CASES[i].len);
        assert_bytes(&buf, CASES[i].map);
    }
    buf_release(&buf);
}

static struct mp_token read_token(const char *hex)
{
    struct buf buf = {0};
    mpjson_bytes(hex, &buf);
    struct slice in = buf_slice(&buf);
    struct mp_token token;
    assert_true(mp_read(&in, &token));
    buf_release(&buf);
    return token;
}

static void test_64_bit_integers_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_token("cf 7fffffffffffffff").integer, INT64_MAX);
    assert_int_equal(read_token("d3 8000000000000000").integer, INT64_MIN);
    assert_int_equal(read_token("d3 ffffffffffffffff").integer, -1);
    assert_int_equal(read_token("cf 0000000000000005").integer, 5);
}

static void test_an_unsigned_integer_above_the_signed_ones_is_read_as_a_real(void **state)
{
    (void)state;
    struct mp_token token = read_token("cf 8000000000000000");
    assert_int_equal(token.type, MP_REAL);
    assert_true(token.real == 9223372036854775808.0);
}

static void test_a_timestamp_of_each_form_is_milliseconds(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int64_t ms;
    } CASES[] = {
        {"d6 ff 00000000", 0},
        {"d6 ff ffffffff", 4294967295000},
        {"d7 ff 1d535300 6553f100", 1700000000123},
        {"d7 ff ee6b27ff ffffffff", 17179869183999},
        {"c7 0c ff 00000000 ffffffffffffffff", -1000},
        {"c7 0c ff 3b9ac9ff ffffffffffffffff", -1},
        {"c7 04 ff 00000001", 1000},
        {"c8 0008 ff 00000000 00000001", 1000},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct mp_token token = read_token(CASES[i].bytes);
        assert_int_equal(token.type, MP_TIME);
        assert_int_equal(token.integer, CASES[i].ms);
    }
}

static void test_what_is_no_timestamp_stays_an_extension(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "c7 0c ff 3b9aca00 0000000000000000", /* a billion nanoseconds */
        "c7 0c ff 00000000 7fffffffffffffff", /* milliseconds beyond 64 bits */
        "c7 0c ff 00000000 8000000000000000",
        "d5 ff 0000", /* no such form */
        "c7 00 ff",
        "d4 01 00",
        "c9 00000003 80 000000",
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(read_token(CASES[i]).type, MP_EXT);
}

static void test_extension_0_is_a_blob_in_each_of_its_forms(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } CASES[] = {
        {"d4 00 61", 1},     {"d5 00 61*2", 2},    {"d6 00 61*4", 4},          {"d7 00 61*8", 8},
        {"d8 00 61*16", 16}, {"c7 03 00 61*3", 3}, {"c8 0100 00 61*256", 256}, {"c9 00010000 00 61*65536", 65536},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct mp_token token = read_token(CASES[i].bytes);
        assert_int_equal(token.type, MP_BIN);
        assert_int_equal(token.bytes.len, CASES[i].len);
    }
}

/* ---- what a peer may not do ---- */

static void assert_refused(struct slice bytes)
{
    struct slice in = bytes;
    struct mp_token token;
    assert_false(mp_read(&in, &token));
    assert_ptr_equal(in.data, bytes.data);
    assert_int_equal(in.len, bytes.len);
}

static void test_a_value_cut_anywhere_is_refused_and_nothing_is_taken(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "cc 80",      "cd 0080",        "ce 00000080", "cf 00*8",        "d0 80",
        "d1 8000",    "d2 80000000",    "d3 00*8",     "ca 00*4",        "cb 00*8",
        "a1 61",      "d9 01 61",       "da 0001 61",  "db 00000001 61", "c4 01 00",
        "c5 0001 00", "c6 00000001 00", "d4 05 00",    "d5 05 00*2",     "d6 05 00*4",
        "d7 05 00*8", "d8 05 00*16",    "c7 01 05 00", "c8 0001 05 00",  "c9 00000001 05 00",
        "dc 0001",    "dd 00000001",    "de 0001",     "df 00000001",
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf buf = {0};
        mpjson_bytes(CASES[i], &buf);
        for (size_t len = 0; len < buf.len; len++)
            assert_refused(slice_of(buf.data, len));
        struct slice whole = buf_slice(&buf);
        struct mp_token token;
        assert_true(mp_read(&whole, &token));
        buf_release(&buf);
    }
}

static void test_the_byte_that_is_no_format_is_refused(void **state)
{
    (void)state;
    assert_refused(SLICE("\xc1"));
}

static void test_text_that_is_not_utf8_is_refused_and_a_blob_of_it_is_not(void **state)
{
    (void)state;
    assert_refused(SLICE("\xa1\xff"));
    assert_refused(SLICE("\xd9\x02\xc0\x80"));
    struct slice in = SLICE("\xc4\x01\xff");
    assert_true(mp_skip(&in, 0));
}

static void test_a_claimed_length_costs_nothing(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "dd ffffffff",       "df ffffffff",         "db ffffffff 61",         "c6 ffffffff 61",
        "c9 ffffffff 05 61", "dd ffffffff c0*1000", "df ffffffff dd ffffffff"};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf buf = {0};
        mpjson_bytes(CASES[i], &buf);
        struct slice in = buf_slice(&buf);
        assert_false(mp_skip(&in, MP_DEPTH_MAX));
        assert_ptr_equal(in.data, buf.data);
        buf_release(&buf);
    }
}

static bool skips(const char *bytes, unsigned depth_max, size_t n_left)
{
    struct buf buf = {0};
    mpjson_bytes(bytes, &buf);
    struct slice in = buf_slice(&buf);
    bool skipped = mp_skip(&in, depth_max);
    assert_true(!skipped || in.len == n_left);
    buf_release(&buf);
    return skipped;
}

static void test_containers_nest_as_deep_as_is_allowed_and_no_deeper(void **state)
{
    (void)state;
    assert_true(skips("c0", 0, 0));
    assert_false(skips("90", 0, 0));
    assert_true(skips("90", 1, 0));
    assert_true(skips("91*80 c0", 80, 0));
    assert_false(skips("91*80 c0", 79, 0));
    assert_false(skips("91*79 90", 79, 0));
    assert_true(skips("91*128 c0", 128, 0));
    assert_false(skips("91*1000000 c0", 128, 0));
    /* Beside each other they are not within each other. */
    assert_true(skips("93 91 90 90 82 a161 90 a162 91 c0", 3, 0));
    assert_true(skips("dc ffff 90*65535", 2, 0));
}

static void test_one_value_is_skipped_and_what_follows_it_is_left(void **state)
{
    (void)state;
    assert_true(skips("82 a161 92 01 02 a162 80 c3", 2, 1));
    assert_true(skips("90 91 c0", 1, 2));
}

int main(void)
{
    memset(some_bytes, 'a', sizeof some_bytes);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_integer_takes_the_smallest_format_and_beyond_32_bits_a_float64),
        cmocka_unit_test(test_a_real_that_is_no_integer_is_a_float64),
        cmocka_unit_test(test_a_length_takes_the_smallest_format),
        cmocka_unit_test(test_64_bit_integers_are_read),
        cmocka_unit_test(test_an_unsigned_integer_above_the_signed_ones_is_read_as_a_real),
        cmocka_unit_test(test_a_timestamp_of_each_form_is_milliseconds),
        cmocka_unit_test(test_what_is_no_timestamp_stays_an_extension),
        cmocka_unit_test(test_extension_0_is_a_blob_in_each_of_its_forms),
        cmocka_unit_test(test_a_value_cut_anywhere_is_refused_and_nothing_is_taken),
        cmocka_unit_test(test_the_byte_that_is_no_format_is_refused),
        cmocka_unit_test(test_text_that_is_not_utf8_is_refused_and_a_blob_of_it_is_not),
        cmocka_unit_test(test_a_claimed_length_costs_nothing),
        cmocka_unit_test(test_containers_nest_as_deep_as_is_allowed_and_no_deeper),
        cmocka_unit_test(test_one_value_is_skipped_and_what_follows_it_is_left),
    };
    return cmocka_run_group_tests_name("MessagePack", tests, NULL, NULL);
}
