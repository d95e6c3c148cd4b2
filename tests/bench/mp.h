/*
 * mp - the MessagePack that the sync contract uses, written into a buffer and read as tokens.
 *
 * Reading copies nothing: strings and binaries point into the message, a map or an array is only its header and
 * its items follow. Nothing is read past the end, whatever the peer wrote.
 */
#ifndef BENCH_MP_H
#define BENCH_MP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tests/bench/buffer.h"

/* Bytes that something else owns; `at` is NULL when there is no string at all. */
struct text {
    const char *at;
    uint32_t len;
};

/* Inline, so that a literal is measured and compared without a loop. */
static inline struct text text_of(const char *string)
{
    return (struct text){string, (uint32_t)strlen(string)};
}

static inline bool text_equals(struct text a, struct text b)
{
    return a.at && b.at && a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static inline bool text_is(struct text text, const char *wanted)
{
    return text_equals(text, text_of(wanted));
}

void mp_nil(struct buffer *out);
void mp_map(struct buffer *out, uint32_t n);
void mp_array(struct buffer *out, uint32_t n);
void mp_str(struct buffer *out, const char *text);
void mp_text(struct buffer *out, struct text text);

/* As the contract wants it: the smallest format within 32 bits, else a float64. */
void mp_int(struct buffer *out, int64_t value);

enum mp_type { MP_NIL, MP_BOOL, MP_INT, MP_FLOAT, MP_STR, MP_BIN, MP_EXT, MP_ARRAY, MP_MAP };

struct mp_value {
    enum mp_type type;
    bool wide;        /* an integer in one of the 64-bit formats */
    uint32_t n;       /* items of an array, pairs of a map */
    struct text text; /* the bytes of a string, binary or ext */
    int64_t i;        /* an integer, a boolean, an ext's type */
    double f;
};

struct mp_reader {
    const uint8_t *at, *end;
};

/* For mp_next(): any format. */
bool mp_next_any(struct mp_reader *reader, struct mp_value *ret_value);

/*
 * The next token; false when the bytes are not MessagePack or end too early. Of the value, only what its type names is
 * set. Inline for short strings, which is what most of a frame is made of.
 */
static inline bool mp_next(struct mp_reader *reader, struct mp_value *ret_value)
{
    if (reader->at == reader->end || (*reader->at & 0xe0) != 0xa0) {
        return mp_next_any(reader, ret_value);
    }
    uint32_t len = *reader->at & 0x1f;
    if (reader->end - reader->at <= (ptrdiff_t)len) {
        return false;
    }
    ret_value->type = MP_STR;
    ret_value->text = (struct text){(const char *)reader->at + 1, len};
    reader->at += 1 + len;
    return true;
}

/* Skip the next value and everything in it, at most MP_DEPTH levels. */
#define MP_DEPTH 32
bool mp_skip(struct mp_reader *reader);

static inline bool mp_is(const struct mp_value *value, const char *wanted)
{
    return value->type == MP_STR && text_is(value->text, wanted);
}

#endif
