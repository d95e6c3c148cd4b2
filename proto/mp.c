#include "proto/mp.h"

#include <assert.h>

#include "base/byteorder.h"
#include "proto/utf8.h"

enum { EXT_BLOB = 0, EXT_TIME = -1 };

/* The readers below take the position and the end of the input, and return the position behind what they read; NULL
 * if it is broken, with `token` in any state. */

static bool has(const char *at, const char *end, uint64_t len)
{
    return (uint64_t)(end - at) >= len;
}

/* Big-endian, of 1, 2, 4 or 8 bytes. */
static uint64_t load_uint(const char *at, unsigned width)
{
    switch (width) {
    case 1:
        return byte_at(at, 0);
    case 2:
        return be16_load(at);
    case 4:
        return be32_load(at);
    default:
        return be64_load(at);
    }
}

static const char *read_uint(const char *at, const char *end, unsigned width, struct mp_token *token)
{
    if (!has(at, end, width))
        return NULL;
    uint64_t value = load_uint(at, width);
    if (value <= INT64_MAX) {
        token->type = MP_INT;
        token->integer = (int64_t)value;
    } else {
        token->type = MP_REAL;
        token->real = (double)value;
    }
    return at + width;
}

static const char *read_int(const char *at, const char *end, unsigned width, struct mp_token *token)
{
    if (!has(at, end, width))
        return NULL;
    uint64_t sign = UINT64_C(1) << (8 * width - 1);
    token->type = MP_INT;
    token->integer = (int64_t)((load_uint(at, width) ^ sign) - sign);
    return at + width;
}

static const char *read_float32(const char *at, const char *end, struct mp_token *token)
{
    if (!has(at, end, 4))
        return NULL;
    uint32_t bits = be32_load(at);
    float real;
    memcpy(&real, &bits, sizeof real);
    token->type = MP_REAL;
    token->real = (double)real;
    return at + 4;
}

static const char *read_float64(const char *at, const char *end, struct mp_token *token)
{
    if (!has(at, end, 8))
        return NULL;
    uint64_t bits = be64_load(at);
    token->type = MP_REAL;
    memcpy(&token->real, &bits, sizeof bits);
    return at + 8;
}

static const char *read_bytes(const char *at, const char *end, enum mp_type type, size_t len, struct mp_token *token)
{
    if (!has(at, end, len))
        return NULL;
    token->type = type;
    token->bytes = slice_of(at, len);
    return at + len;
}

static const char *read_long_bytes(const char *at, const char *end, enum mp_type type, unsigned width,
                                   struct mp_token *token)
{
    return has(at, end, width) ? read_bytes(at + width, end, type, load_uint(at, width), token) : NULL;
}

static const char *read_str(const char *at, const char *end, size_t len, struct mp_token *token)
{
    at = read_bytes(at, end, MP_STR, len, token);
    return at != NULL && utf8_is_valid(token->bytes) ? at : NULL;
}

static const char *read_long_str(const char *at, const char *end, unsigned width, struct mp_token *token)
{
    return has(at, end, width) ? read_str(at + width, end, load_uint(at, width), token) : NULL;
}

static const char *read_container(const char *at, const char *end, enum mp_type type, unsigned width,
                                  struct mp_token *token)
{
    if (!has(at, end, width))
        return NULL;
    token->type = type;
    token->n = (uint32_t)load_uint(at, width);
    return at + width;
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

static const char *read_ext(const char *at, const char *end, size_t len, struct mp_token *token)
{
    if (!has(at, end, 1))
        return NULL;
    int8_t kind = (int8_t)*at;
    at = read_bytes(at + 1, end, kind == EXT_BLOB ? MP_BIN : MP_EXT, len, token);
    int64_t ms;
    if (at != NULL && kind == EXT_TIME && time_ms(token->bytes, &ms)) {
        token->type = MP_TIME;
        token->integer = ms;
    }
    return at;
}

static const char *read_long_ext(const char *at, const char *end, unsigned width, struct mp_token *token)
{
    return has(at, end, width) ? read_ext(at + width, end, load_uint(at, width), token) : NULL;
}

/* The formats whose lead byte says nothing but the format; widths double from one to the next. */
static const char *read_long(const char *at, const char *end, uint8_t lead, struct mp_token *token)
{
    switch (lead) {
    case 0xc0:
        token->type = MP_NIL;
        return at;
    case 0xc2:
    case 0xc3:
        token->type = MP_BOOL;
        token->integer = lead & 1;
        return at;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return read_long_bytes(at, end, MP_BIN, 1u << (lead - 0xc4), token);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return read_long_ext(at, end, 1u << (lead - 0xc7), token);
    case 0xca:
        return read_float32(at, end, token);
    case 0xcb:
        return read_float64(at, end, token);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return read_uint(at, end, 1u << (lead - 0xcc), token);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return read_int(at, end, 1u << (lead - 0xd0), token);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return read_ext(at, end, (size_t)1 << (lead - 0xd4), token);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return read_long_str(at, end, 1u << (lead - 0xd9), token);
    case 0xdc:
    case 0xdd:
        return read_container(at, end, MP_ARRAY, 2u << (lead - 0xdc), token);
    case 0xde:
    case 0xdf:
        return read_container(at, end, MP_MAP, 2u << (lead - 0xde), token);
    default:
        return NULL; /* 0xc1 is no format */
    }
}

static inline const char *read_token(const char *at, const char *end, struct mp_token *token)
{
    if (at == end)
        return NULL;
    uint8_t lead = (uint8_t)*at++;
    if (lead >= 0xa0 && lead < 0xc0)
        return read_str(at, end, lead & 0x1f, token);
    if (lead < 0x80 || lead >= 0xe0) {
        token->type = MP_INT;
        token->integer = (int8_t)lead;
        return at;
    }
    if (lead >= 0xc0)
        return read_long(at, end, lead, token);
    token->type = lead < 0x90 ? MP_MAP : MP_ARRAY;
    token->n = lead & 0x0f;
    return at;
}

/* Moves `in` to `at`, which is within it; false if `at` is NULL. */
static bool move_to(struct slice *in, const char *at)
{
    if (at == NULL)
        return false;
    in->len -= (size_t)(at - in->data);
    in->data = at;
    return true;
}

bool mp_read(struct slice *in, struct mp_token *ret_token)
{
    return in->len > 0 && move_to(in, read_token(in->data, in->data + in->len, ret_token));
}

static const char *skip(const char *at, const char *end, unsigned depth_max)
{
    uint64_t left[MP_DEPTH_MAX]; /* per open container but the innermost, the values that are still to come */
    uint64_t todo = 1;
    unsigned depth = 0;
    for (;;) {
        if (todo == 0) {
            if (depth == 0)
                return at;
            todo = left[--depth];
            continue;
        }
        todo--;
        struct mp_token token;
        at = read_token(at, end, &token);
        if (at == NULL)
            return NULL;
        if (token.type != MP_ARRAY && token.type != MP_MAP)
            continue;
        if (depth == depth_max)
            return NULL;
        left[depth++] = todo;
        todo = token.type == MP_MAP ? 2 * (uint64_t)token.n : token.n;
    }
}

bool mp_skip(struct slice *in, unsigned depth_max)
{
    assert(depth_max <= MP_DEPTH_MAX);
    return in->len > 0 && move_to(in, skip(in->data, in->data + in->len, depth_max));
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
