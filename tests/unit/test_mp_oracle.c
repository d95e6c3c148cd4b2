/*
 * MessagePack against msgpack-c: what one writes the other reads, and both refuse the same garbage.
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

int main(void)
{
    for (size_t i = 0; i < sizeof some_bytes; i++)
        some_bytes[i] = (char)('a' + i % 26);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_msgpack_c_writes_is_read_the_same),
        cmocka_unit_test(test_all_that_is_written_msgpack_c_reads_the_same),
        cmocka_unit_test(test_garbage_is_refused_where_msgpack_c_refuses_it),
    };
    return cmocka_run_group_tests_name("MessagePack against msgpack-c", tests, NULL, NULL);
}
