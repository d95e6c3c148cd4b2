/*
 * frame - the frames of the base contract: those of a client encoded, those of a server decoded.
 *
 * A decoded frame points into the message that it came in; the text of an absent or nil field is NULL.
 */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/mp.h"

enum frame_type {
    FRAME_UNKNOWN, /* a client ignores what it does not know */
    FRAME_SNAP,
    FRAME_SNAP_END,
    FRAME_DELTA,
    FRAME_UPTODATE,
    FRAME_COMMITTED,
    FRAME_REJECTED,
    FRAME_RESET,
    FRAME_PAGE,
};

struct frame {
    enum frame_type type;
    struct text sub, key, op, tx, code, message;
    uint64_t seq;
    bool has_seq;
    struct mp_reader row;    /* the encoded `row` or `cols` */
    struct mp_reader result; /* the encoded `result` of a committed command */
};

/* NULL, or what is wrong with the message. */
const char *frame_decode(const uint8_t *bytes, size_t len, struct frame *ret_frame);

const char *frame_name(enum frame_type type);

/* Append the frame to `out`. `since` may be NULL. */
void frame_sub(struct buffer *out, const char *sub, const char *collection, const char *since);
void frame_unsub(struct buffer *out, const char *sub);

/* A mutation of one op; the caller appends `cols`, a map, next. */
void frame_insert(struct buffer *out, struct text tx, const char *collection, struct text key);

/* A command; the caller appends `args`, a map, next. */
void frame_call(struct buffer *out, struct text tx, const char *name);

#endif
