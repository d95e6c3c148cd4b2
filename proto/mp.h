/*
 * mp - MessagePack, as much of it as the wire contract uses: a reader that borrows and a writer that appends.
 *
 * The reader allocates nothing: a token is a header, and strings and blobs are slices of the input. A container's
 * length is a claim of the peer; nothing is ever sized by it. The writer picks the formats that wire.md asks for.
 */
#ifndef PROTO_MP_H
#define PROTO_MP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    MP_HEADER_MAX = 9,  /* bytes that a value takes besides its text or blob */
    MP_DEPTH_MAX = 128, /* the most that mp_skip can be asked for */
};

enum mp_type { MP_NIL, MP_BOOL, MP_INT, MP_REAL, MP_STR, MP_BIN, MP_TIME, MP_ARRAY, MP_MAP, MP_EXT };

struct mp_token {
    enum mp_type type;
    union {
        int64_t integer;    /* MP_INT, MP_BOOL (0, 1), MP_TIME (milliseconds since 1970) */
        double real;        /* MP_REAL, and MP_INT's uint64 values above INT64_MAX, which are read as MP_REAL */
        struct slice bytes; /* MP_STR, MP_BIN (ext type 0 too), MP_EXT (a time that milliseconds cannot hold, too) */
        uint32_t n;         /* MP_ARRAY: items; MP_MAP: pairs. They follow as tokens. */
    };
};

/* Reads one token from the front of `in` and moves `in` behind it. False, with `in` untouched, when the bytes are not
 * MessagePack, end too soon, or hold text that is not UTF-8. */
bool mp_read(struct slice *in, struct mp_token *ret_token);

/* Skips one whole value, containers included. False as mp_read, or when containers nest deeper than `depth_max`
 * (0: no container at all; at most MP_DEPTH_MAX). Takes no more stack than a loop. */
bool mp_skip(struct slice *in, unsigned depth_max);

/* Each appends one value, or the header of a container whose items the caller appends. */
void mp_write_nil(struct buf *buf);
void mp_write_bool(struct buf *buf, bool value);
void mp_write_int(struct buf *buf, int64_t value); /* beyond [-2^31, 2^32-1]: float64 */
void mp_write_real(struct buf *buf, double value); /* an integral value within [-2^31, 2^32-1]: as an integer */
void mp_write_str(struct buf *buf, struct slice value);
void mp_write_bin(struct buf *buf, struct slice value);
void mp_write_array(struct buf *buf, uint32_t n);
void mp_write_map(struct buf *buf, uint32_t n);

/* The same for a writer that reserves once for many values: `out` has room for MP_HEADER_MAX bytes and the value's.
 * Each returns the byte behind what it wrote. */
char *mp_put_nil(char *out);
char *mp_put_bool(char *out, bool value);
char *mp_put_int(char *out, int64_t value);
char *mp_put_real(char *out, double value);
char *mp_put_str(char *out, struct slice value);
char *mp_put_bin(char *out, struct slice value);
char *mp_put_array(char *out, uint32_t n);
char *mp_put_map(char *out, uint32_t n);

#endif
