/*
 * mp - MessagePack, as much of it as the wire contract uses: a reader that borrows and a writer that appends.
 *
 * The reader allocates nothing: a token is a header, and strings and blobs are slices of the input. A container's
 * length is a claim of the peer; nothing is ever sized by it. The writer picks the formats that WIRE.md section 2 asks for.
 */
#ifndef PROTO_MP_H
#define PROTO_MP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum mp_type { MP_NIL, MP_BOOL, MP_INT, MP_REAL, MP_STR, MP_BIN, MP_TIME, MP_ARRAY, MP_MAP, MP_EXT };

struct mp_token {
    enum mp_type type;
    union {
        int64_t integer;    /* MP_INT, MP_BOOL (0, 1), MP_TIME (milliseconds since 1970) */
        double real;        /* MP_REAL, and MP_INT's uint64 values above INT64_MAX, which are read as MP_REAL */
        struct slice bytes; /* MP_STR, MP_BIN (ext type 0 too), MP_EXT */
        uint32_t n;         /* MP_ARRAY: items; MP_MAP: pairs. They follow as tokens. */
    };
};

/* Reads one token from the front of `in` and moves `in` behind it. False, with `in` untouched, when the bytes are not
 * MessagePack, end too soon, or hold text that is not UTF-8. */
bool mp_read(struct slice *in, struct mp_token *ret_token);

/* Skips one whole value, containers included. False as mp_read, or when containers nest deeper than `depth_max`.
 * Takes no more stack than a loop. */
bool mp_skip(struct slice *in, unsigned depth_max);

void mp_write_nil(struct buf *buf);
void mp_write_bool(struct buf *buf, bool value);
void mp_write_int(struct buf *buf, int64_t value);   /* beyond [-2^31, 2^32-1]: float64 */
void mp_write_real(struct buf *buf, double value);   /* an integral value within [-2^31, 2^32-1]: as an integer */
void mp_write_str(struct buf *buf, struct slice value);
void mp_write_bin(struct buf *buf, struct slice value);
void mp_write_array(struct buf *buf, uint32_t n);
void mp_write_map(struct buf *buf, uint32_t n);

#endif
