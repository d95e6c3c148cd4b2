#include "proto/mp.h"

#include <assert.h>

#include "base/byteorder.h"
#include "proto/utf8.h"

enum { EXT_BLOB = 0, EXT_TIME = -1 };

static bool take(struct slice *in, size_t len, const char **ret_taken)
{
    if (in->len < len)
        return false;
    *ret_taken = in->data;
    in->data += len;
    in->len -= len;
    return true;
}

/* An unsigned integer of 1, 2, 4 or 8 bytes. */
static bool take_uint(struct slice *in, unsigned width, uint64_t *ret_value)
{
    const char *at;
    if (!take(in, width, &at))
        return false;
    switch (width) {
    case 1:
        *ret_value = byte_at(at, 0);
        return true;
    case 2:
        *ret_value = be16_load(at);
        return true;
    case 4:
        *ret_value = be32_load(at);
        return true;
    default:
        *ret_value = be64_load(at);
        return true;
    }
}

static bool read_uint(struct slice *in, unsigned width, struct mp_token *token)
{
    uint64_t value;
    if (!take_uint(in, width, &value))
        return false;
    if (value <= INT64_MAX) {
        token->type = MP_INT;
        token->integer = (int64_t)value;
    } else {
        token->type = MP_REAL;
        token->real = (double)value;
    }
    return true;
}

static bool read_int(struct slice *in, unsigned width, struct mp_token *token)
{
    uint64_t value;
    if (!take_uint(in, width, &value))
        return false;
    uint64_t sign = UINT64_C(1) << (8 * width - 1);
    token->type = MP_INT;
    token->integer = (int64_t)((value ^ sign) - sign);
    return true;
}

static bool read_real(struct slice *in, unsigned width, struct mp_token *token)
{
    uint64_t bits;
    if (!take_uint(in, width, &bits))
        return false;
    token->type = MP_REAL;
    if (width == 8) {
        memcpy(&token->real, &bits, sizeof token->real);
    } else {
        uint32_t narrow = (uint32_t)bits;
        float real;
        memcpy(&real, &narrow, sizeof real);
        token->real = (double)real;
    }
    return true;
}

static bool read_bytes(struct slice *in, enum mp_type type, size_t len, struct mp_token *token)
{
    token->type = type;
    token->bytes.len = len;
    return take(in, len, &token->bytes.data) && (type != MP_STR || utf8_is_valid(token->bytes));
}

static bool read_sized_bytes(struct slice *in, enum mp_type type, unsigned width, struct mp_token *token)
{
    uint64_t len;
    return take_uint(in, width, &len) && read_bytes(in, type, len, token);
}

static bool read_container(struct slice *in, enum mp_type type, unsigned width, struct mp_token *token)
{
    uint64_t n;
    if (!take_uint(in, width, &n))
        return false;
    token->type = type;
    token->n = (uint32_t)n;
    return true;
}

/* A timestamp of 32 bits (seconds), 64 (30 of nanoseconds, 34 of seconds) or 96 (nanoseconds, then signed seconds). */
static bool time_ms(struct slice bytes, int64_t *ret_ms)
{
    int64_t seconds, ms;
    uint32_t nanoseconds = 0;
    if (bytes.len == 4) {
        seconds = be32_load(bytes.data);
    } else if (bytes.len == 8) {
        uint64_t both = be64_load(bytes.data);
        nanoseconds = (uint32_t)(both >> 34);
        seconds = (int64_t)(both & ((UINT64_C(1) << 34) - 1));
    } else if (bytes.len == 12) {
        nanoseconds = be32_load(bytes.data);
        seconds = (int64_t)be64_load(bytes.data + 4);
    } else {
        return false;
    }
    if (nanoseconds > 999999999 || __builtin_mul_overflow(seconds, 1000, &ms))
        return false;
    return !__builtin_add_overflow(ms, (int64_t)(nanoseconds / 1000000), ret_ms);
}

static bool read_ext(struct slice *in, size_t len, struct mp_token *token)
{
    uint64_t kind;
    if (!take_uint(in, 1, &kind) || !read_bytes(in, MP_EXT, len, token))
        return false;
    struct slice bytes = token->bytes;
    if ((int8_t)kind == EXT_BLOB)
        token->type = MP_BIN;
    else if ((int8_t)kind == EXT_TIME && time_ms(bytes, &token->integer))
        token->type = MP_TIME;
    return true;
}

static bool read_sized_ext(struct slice *in, unsigned width, struct mp_token *token)
{
    uint64_t len;
    return take_uint(in, width, &len) && read_ext(in, len, token);
}

/* The formats whose lead byte is a kind alone; widths double from one to the next. */
static bool read_long(struct slice *in, uint8_t lead, struct mp_token *token)
{
    switch (lead) {
    case 0xc0:
        token->type = MP_NIL;
        return true;
    case 0xc2:
    case 0xc3:
        token->type = MP_BOOL;
        token->integer = lead & 1;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return read_sized_bytes(in, MP_BIN, 1u << (lead - 0xc4), token);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return read_sized_ext(in, 1u << (lead - 0xc7), token);
    case 0xca:
    case 0xcb:
        return read_real(in, 4u << (lead - 0xca), token);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return read_uint(in, 1u << (lead - 0xcc), token);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return read_int(in, 1u << (lead - 0xd0), token);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return read_ext(in, (size_t)1 << (lead - 0xd4), token);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return read_sized_bytes(in, MP_STR, 1u << (lead - 0xd9), token);
    case 0xdc:
    case 0xdd:
        return read_container(in, MP_ARRAY, 2u << (lead - 0xdc), token);
    case 0xde:
    case 0xdf:
        return read_container(in, MP_MAP, 2u << (lead - 0xde), token);
    default:
        return false; /* 0xc1 is no format */
    }
}

/* As mp_read, but a failure may leave `in` and `token` changed. */
static bool read_token(struct slice *in, struct mp_token *token)
{
    const char *at;
    if (!take(in, 1, &at))
        return false;
    uint8_t lead = (uint8_t)*at;
    if (lead >= 0xa0 && lead < 0xc0)
        return read_bytes(in, MP_STR, lead & 0x1f, token);
    if (lead < 0x80 || lead >= 0xe0) {
        token->type = MP_INT;
        token->integer = (int8_t)lead;
        return true;
    }
    if (lead >= 0xc0)
        return read_long(in, lead, token);
    token->type = lead < 0x90 ? MP_MAP : MP_ARRAY;
    token->n = lead & 0x0f;
    return true;
}

bool mp_read(struct slice *in, struct mp_token *ret_token)
{
    struct slice rest = *in;
    struct mp_token token;
    if (!read_token(&rest, &token))
        return false;
    *in = rest;
    *ret_token = token;
    return true;
}

bool mp_skip(struct slice *in, unsigned depth_max)
{
    assert(depth_max <= MP_DEPTH_MAX);
    struct slice rest = *in;
    uint64_t left[MP_DEPTH_MAX + 1]; /* per open container, the values that are still to come */
    unsigned depth = 0;
    left[0] = 1;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0) {
                *in = rest;
                return true;
            }
            depth--;
        }
        left[depth]--;
        struct mp_token token;
        if (!read_token(&rest, &token))
            return false;
        if (token.type != MP_ARRAY && token.type != MP_MAP)
            continue;
        if (depth == depth_max)
            return false;
        left[++depth] = token.type == MP_MAP ? 2 * (uint64_t)token.n : token.n;
    }
}

static char *put_byte(char *out, unsigned value)
{
    *out = (char)value;
    return out + 1;
}

char *mp_put_nil(char *out)
{
    return put_byte(out, 0xc0);
}

char *mp_put_bool(char *out, bool value)
{
    return put_byte(out, value ? 0xc3 : 0xc2);
}

char *mp_put_int(char *out, int64_t value)
{
    if (value < INT32_MIN || value > UINT32_MAX)
        return mp_put_real(out, (double)value);
    if (value >= -32 && value <= 127)
        return put_byte(out, (unsigned)value);
    if (value >= 0) {
        if (value <= UINT8_MAX)
            return put_byte(put_byte(out, 0xcc), (unsigned)value);
        if (value <= UINT16_MAX)
            return be16_store(put_byte(out, 0xcd), (uint16_t)value);
        return be32_store(put_byte(out, 0xce), (uint32_t)value);
    }
    if (value >= INT8_MIN)
        return put_byte(put_byte(out, 0xd0), (unsigned)value);
    if (value >= INT16_MIN)
        return be16_store(put_byte(out, 0xd1), (uint16_t)value);
    return be32_store(put_byte(out, 0xd2), (uint32_t)value);
}

char *mp_put_real(char *out, double value)
{
    if (value >= INT32_MIN && value <= UINT32_MAX && value == (double)(int64_t)value)
        return mp_put_int(out, (int64_t)value);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return be64_store(put_byte(out, 0xcb), bits);
}

static char *put_bytes(char *out, struct slice value)
{
    if (value.len > 0)
        memcpy(out, value.data, value.len);
    return out + value.len;
}

static char *put_length(char *out, unsigned lead8, size_t len)
{
    assert(len <= UINT32_MAX);
    if (len <= UINT8_MAX)
        return put_byte(put_byte(out, lead8), (unsigned)len);
    if (len <= UINT16_MAX)
        return be16_store(put_byte(out, lead8 + 1), (uint16_t)len);
    return be32_store(put_byte(out, lead8 + 2), (uint32_t)len);
}

char *mp_put_str(char *out, struct slice value)
{
    out = value.len < 32 ? put_byte(out, 0xa0 | (unsigned)value.len) : put_length(out, 0xd9, value.len);
    return put_bytes(out, value);
}

char *mp_put_bin(char *out, struct slice value)
{
    return put_bytes(put_length(out, 0xc4, value.len), value);
}

static char *put_container(char *out, unsigned fix, unsigned lead16, uint32_t n)
{
    if (n < 16)
        return put_byte(out, fix | n);
    if (n <= UINT16_MAX)
        return be16_store(put_byte(out, lead16), (uint16_t)n);
    return be32_store(put_byte(out, lead16 + 1), n);
}

char *mp_put_array(char *out, uint32_t n)
{
    return put_container(out, 0x90, 0xdc, n);
}

char *mp_put_map(char *out, uint32_t n)
{
    return put_container(out, 0x80, 0xde, n);
}

static void wrote(struct buf *buf, const char *end)
{
    buf->len = (size_t)(end - buf->data);
}

void mp_write_nil(struct buf *buf)
{
    wrote(buf, mp_put_nil(buf_reserve(buf, MP_HEADER_MAX)));
}

void mp_write_bool(struct buf *buf, bool value)
{
    wrote(buf, mp_put_bool(buf_reserve(buf, MP_HEADER_MAX), value));
}

void mp_write_int(struct buf *buf, int64_t value)
{
    wrote(buf, mp_put_int(buf_reserve(buf, MP_HEADER_MAX), value));
}

void mp_write_real(struct buf *buf, double value)
{
    wrote(buf, mp_put_real(buf_reserve(buf, MP_HEADER_MAX), value));
}

void mp_write_str(struct buf *buf, struct slice value)
{
    wrote(buf, mp_put_str(buf_reserve(buf, MP_HEADER_MAX + value.len), value));
}

void mp_write_bin(struct buf *buf, struct slice value)
{
    wrote(buf, mp_put_bin(buf_reserve(buf, MP_HEADER_MAX + value.len), value));
}

void mp_write_array(struct buf *buf, uint32_t n)
{
    wrote(buf, mp_put_array(buf_reserve(buf, MP_HEADER_MAX), n));
}

void mp_write_map(struct buf *buf, uint32_t n)
{
    wrote(buf, mp_put_map(buf_reserve(buf, MP_HEADER_MAX), n));
}
