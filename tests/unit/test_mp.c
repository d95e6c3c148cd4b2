/*
 * MessagePack: what the reader takes, what the writer chooses, and that both agree with msgpack-c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <msgpack.h>

#include "proto/mp.h"
#include "proto/utf8.h"
#include "tests/lib/mpjson.h"

static const uint32_t N_ROUNDS = 20000;

static uint64_t random_state;

static uint64_t random_bits(void)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t random_below(uint64_t n)
{
    return random_bits() % n;
}

/* Of any magnitude, so that each format comes up. */
static int64_t random_int(void)
{
    return (int64_t)random_bits() >> random_below(64);
}

static double random_real(void)
{
    uint64_t bits = random_bits();
    double real;
    memcpy(&real, &bits, sizeof real);
    return isnan(real) || random_below(3) == 0 ? (double)random_int() : real;
}

/* Around the limits of the formats, and small. */
static size_t random_len(void)
{
    static const size_t LIMITS[] = {0, 15, 31, 32, 255, 256, 65535, 65536};
    return random_below(8) == 0 ? LIMITS[random_below(8)] : random_below(20);
}

static char some_bytes[70000];

static struct slice random_bytes(void)
{
    return slice_of(some_bytes, random_len());
}

/* ---- the reader against msgpack-c's writer ---- */

static void pack_int(msgpack_packer *packer, struct mp_token *token)
{
    token->type = MP_INT;
    token->integer = random_int();
    if (random_below(2) == 0)
        msgpack_pack_int64(packer, token->integer);
    else
        msgpack_pack_fix_int64(packer, token->integer);
}

static void pack_real(msgpack_packer *packer, struct mp_token *token)
{
    token->type = MP_REAL;
    token->real = random_real();
    if (random_below(2) == 0) {
        msgpack_pack_double(packer, token->real);
        return;
    }
    float narrow = (float)random_int();
    token->real = (double)narrow;
    msgpack_pack_float(packer, narrow);
}

static void pack_time(msgpack_packer *packer, struct mp_token *token)
{
    msgpack_timestamp time = {.tv_sec = random_int() / 2000, .tv_nsec = (uint32_t)random_below(1000000000)};
    if (random_below(2) == 0)
        time.tv_nsec = 0;
    token->type = MP_TIME;
    token->integer = time.tv_sec * 1000 + time.tv_nsec / 1000000;
    msgpack_pack_timestamp(packer, &time);
}

static void pack_bytes(msgpack_packer *packer, struct mp_token *token)
{
    static const enum mp_type TYPES[] = {MP_STR, MP_BIN, MP_EXT};
    token->type = TYPES[random_below(3)];
    token->bytes = random_bytes();
    if (token->type == MP_STR)
        msgpack_pack_str_with_body(packer, token->bytes.data, token->bytes.len);
    else if (token->type == MP_BIN && random_below(2) == 0)
        msgpack_pack_bin_with_body(packer, token->bytes.data, token->bytes.len);
    else
        msgpack_pack_ext_with_body(packer, token->bytes.data, token->bytes.len, token->type == MP_BIN ? 0 : 7);
}

static void pack_plain(msgpack_packer *packer, struct mp_token *token)
{
    token->type = random_below(2) == 0 ? MP_NIL : MP_BOOL;
    token->integer = (int64_t)random_below(2);
    if (token->type == MP_NIL)
        msgpack_pack_nil(packer);
    else if (token->integer != 0)
        msgpack_pack_true(packer);
    else
        msgpack_pack_false(packer);
}

/* A container's header alone is a token. */
static void pack_container(msgpack_packer *packer, struct mp_token *token)
{
    token->type = random_below(2) == 0 ? MP_ARRAY : MP_MAP;
    token->n = (uint32_t)(random_bits() >> (32 + random_below(32)));
    if (token->type == MP_ARRAY)
        msgpack_pack_array(packer, token->n);
    else
        msgpack_pack_map(packer, token->n);
}

static void pack_random(msgpack_packer *packer, struct mp_token *token)
{
    static void (*const PACK[])(msgpack_packer *, struct mp_token *) = {pack_int,   pack_real,  pack_time,
                                                                        pack_bytes, pack_plain, pack_container};
    PACK[random_below(sizeof PACK / sizeof *PACK)](packer, token);
}

static void assert_same_token(const struct mp_token *token, const struct mp_token *expected)
{
    assert_int_equal(token->type, expected->type);
    switch (token->type) {
    case MP_NIL:
        break;
    case MP_BOOL:
    case MP_INT:
    case MP_TIME:
        assert_int_equal(token->integer, expected->integer);
        break;
    case MP_REAL:
        assert_memory_equal(&token->real, &expected->real, sizeof token->real);
        break;
    case MP_STR:
    case MP_BIN:
    case MP_EXT:
        assert_true(slice_eq(token->bytes, expected->bytes));
        break;
    case MP_ARRAY:
    case MP_MAP:
        assert_int_equal(token->n, expected->n);
        break;
    }
}

static void test_all_that_msgpack_c_writes_is_read_the_same(void **state)
{
    (void)state;
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    for (uint32_t round = 0; round < N_ROUNDS; round++) {
        struct mp_token expected, token;
        msgpack_sbuffer_clear(&buffer);
        pack_random(&packer, &expected);
        struct slice in = slice_of(buffer.data, buffer.size);
        assert_true(mp_read(&in, &token));
        assert_int_equal(in.len, 0);
        assert_same_token(&token, &expected);
    }
    msgpack_sbuffer_destroy(&buffer);
}

/* ---- the writer against msgpack-c's reader ---- */

static msgpack_object unpack(msgpack_unpacked *unpacked, const struct buf *buf)
{
    size_t off = 0;
    assert_int_equal(msgpack_unpack_next(unpacked, buf->data, buf->len, &off), MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(off, buf->len);
    return unpacked->data;
}

static double number_of(const msgpack_object *object)
{
    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        return (double)object->via.u64;
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return (double)object->via.i64;
    assert_int_equal(object->type, MSGPACK_OBJECT_FLOAT64);
    return object->via.f64;
}

static void check_number(msgpack_unpacked *unpacked, struct buf *buf)
{
    double expected;
    if (random_below(2) == 0) {
        int64_t integer = random_int();
        expected = (double)integer;
        mp_write_int(buf, integer);
    } else {
        expected = random_real();
        mp_write_real(buf, expected);
    }
    msgpack_object object = unpack(unpacked, buf);
    assert_true(number_of(&object) == expected);
}

static void check_bytes(msgpack_unpacked *unpacked, struct buf *buf)
{
    struct slice bytes = random_bytes();
    mp_write_str(buf, bytes);
    msgpack_object object = unpack(unpacked, buf);
    assert_int_equal(object.type, MSGPACK_OBJECT_STR);
    assert_true(slice_eq(slice_of(object.via.str.ptr, object.via.str.size), bytes));
    buf->len = 0;
    mp_write_bin(buf, bytes);
    object = unpack(unpacked, buf);
    assert_int_equal(object.type, MSGPACK_OBJECT_BIN);
    assert_true(slice_eq(slice_of(object.via.bin.ptr, object.via.bin.size), bytes));
}

static void check_containers(msgpack_unpacked *unpacked, struct buf *buf)
{
    uint32_t n = (uint32_t)random_len();
    mp_write_map(buf, 1);
    mp_write_array(buf, n);
    for (uint32_t i = 0; i < n; i++)
        mp_write_nil(buf);
    mp_write_bool(buf, n % 2 != 0);
    msgpack_object object = unpack(unpacked, buf);
    assert_int_equal(object.type, MSGPACK_OBJECT_MAP);
    assert_int_equal(object.via.map.size, 1);
    assert_int_equal(object.via.map.ptr->key.via.array.size, n);
    assert_int_equal(object.via.map.ptr->val.type, MSGPACK_OBJECT_BOOLEAN);
    assert_int_equal(object.via.map.ptr->val.via.boolean, n % 2 != 0);
}

static void test_all_that_is_written_msgpack_c_reads_the_same(void **state)
{
    (void)state;
    static void (*const CHECK[])(msgpack_unpacked *, struct buf *) = {check_number, check_bytes, check_containers};
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    struct buf buf = {0};
    for (uint32_t round = 0; round < N_ROUNDS; round++) {
        buf.len = 0;
        CHECK[random_below(3)](&unpacked, &buf);
    }
    buf_release(&buf);
    msgpack_unpacked_destroy(&unpacked);
}

/* ---- garbage: both refuse it, or both take as much of it ---- */

/* Text that is no UTF-8 is the one thing that msgpack-c lets through. */
static bool holds_bad_text(const msgpack_object *object)
{
    if (object->type == MSGPACK_OBJECT_STR)
        return !utf8_is_valid(slice_of(object->via.str.ptr, object->via.str.size));
    bool bad = false;
    for (uint32_t i = 0; object->type == MSGPACK_OBJECT_ARRAY && i < object->via.array.size; i++)
        bad = bad || holds_bad_text(&object->via.array.ptr[i]);
    for (uint32_t i = 0; object->type == MSGPACK_OBJECT_MAP && i < object->via.map.size; i++)
        bad = bad || holds_bad_text(&object->via.map.ptr[i].key) || holds_bad_text(&object->via.map.ptr[i].val);
    return bad;
}

/* Bytes that are mostly short containers, so that structure comes of them; no 32-bit lengths, for which msgpack-c
 * would allocate. */
static struct slice random_garbage(char *bytes)
{
    size_t len = 1 + random_below(24);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)random_bits();
        if (random_below(3) == 0)
            byte = (uint8_t)(0x80 + random_below(0x24));
        bytes[i] = (char)(byte == 0xdd || byte == 0xdf || byte == 0xc9 || byte == 0xc6 || byte == 0xdb ? 0xc0 : byte);
    }
    return slice_of(bytes, len);
}

static void test_garbage_is_refused_where_msgpack_c_refuses_it(void **state)
{
    (void)state;
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    uint32_t n_taken = 0, n_refused = 0;
    for (uint32_t round = 0; round < 10 * N_ROUNDS; round++) {
        char bytes[32];
        struct slice in = random_garbage(bytes), rest = in;
        size_t off = 0;
        bool theirs = msgpack_unpack_next(&unpacked, in.data, in.len, &off) == MSGPACK_UNPACK_SUCCESS;
        if (theirs && holds_bad_text(&unpacked.data))
            theirs = false;
        assert_int_equal(mp_skip(&rest, MP_DEPTH_MAX), theirs);
        assert_int_equal(in.len - rest.len, theirs ? off : 0);
        n_taken += theirs;
        n_refused += !theirs;
    }
    assert_in_range(n_taken, N_ROUNDS, 10 * N_ROUNDS);
    assert_in_range(n_refused, N_ROUNDS, 10 * N_ROUNDS);
    msgpack_unpacked_destroy(&unpacked);
}

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
    for (size_t i = 0; i < sizeof some_bytes; i++)
        some_bytes[i] = (char)('a' + i % 26);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_msgpack_c_writes_is_read_the_same),
        cmocka_unit_test(test_all_that_is_written_msgpack_c_reads_the_same),
        cmocka_unit_test(test_garbage_is_refused_where_msgpack_c_refuses_it),
        cmocka_unit_test(test_an_integer_takes_the_smallest_format_and_beyond_32_bits_a_float64),
        cmocka_unit_test(test_a_real_that_is_no_integer_is_a_float64),
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
