/*
 * frame - the frames of the wire contract (proto/wire.md): decoded from a client, encoded for a client.
 *
 * Decoding allocates nothing: a frame borrows from the message that it was decoded from. Ops and columns are checked
 * for shape once, in frame_decode, and walked with iterators that therefore cannot fail.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    FRAME_MAX = 1 << 20,      /* bytes of a client's message; longer ones are dropped */
    FRAME_NAME_MAX = 128,     /* bytes of a subId, txId, fetchId, collection or command name; the least is 1 */
    FRAME_PREDICATE_MAX = 64, /* functions of a predicate within each other */
    FRAME_DEPTH_MAX = 80,     /* containers within each other: those of a predicate and what surrounds them */
};

enum frame_type { FRAME_SUB, FRAME_UNSUB, FRAME_MUT, FRAME_CALL, FRAME_FETCH };

enum op_type { OP_INSERT, OP_UPDATE, OP_DELETE };

enum value_type { VALUE_NIL, VALUE_BOOL, VALUE_INT, VALUE_REAL, VALUE_TEXT, VALUE_BLOB, VALUE_NESTED };

/* A value of a column or an argument. VALUE_NESTED is an array, a map or an unknown extension: no column holds one. */
struct value {
    enum value_type type;
    union {
        int64_t integer; /* VALUE_BOOL: 0 or 1; VALUE_INT: also a timestamp, in milliseconds */
        double real;
        struct slice bytes; /* VALUE_TEXT, VALUE_BLOB; VALUE_NESTED: its encoding */
    };
};

/* A map from names to values, walked with columns_next. */
struct columns {
    struct slice encoded; /* the pairs that are left */
    uint32_t n;           /* how many */
};

struct op {
    enum op_type type;
    struct slice key;       /* may be empty: that is for the rules to refuse */
    struct columns columns; /* none, nil and missing are all n = 0 */
};

struct ops {
    struct slice encoded;
    uint32_t n;
};

/* Where the optional parts of a `sub` or `fetch` were there and not nil: their encoding; else len = 0. */
struct shape {
    struct slice where, order_by, limit, offset, cursor;
};

struct frame {
    enum frame_type type;
    struct slice id; /* subId, txId or fetchId */
    union {
        struct {
            struct slice collection;
            struct shape shape;
            bool has_since;
            struct slice since; /* len 0 with has_since: it was not a string, so no seq */
        } sub;
        struct {
            struct slice collection;
            struct ops ops;
        } mut;
        struct {
            struct slice name;
            struct columns args;
        } call;
        struct {
            struct slice collection;
            struct shape shape;
        } fetch;
    };
};

/* Decodes one message. False when it is to be dropped and counted: not one MessagePack map and nothing else, no usable
 * tag, id or collection, or (of a mut or call) the wrong shape. Of a repeated field the last counts. What else is wrong
 * with a sub is left to the answer. */
bool frame_decode(struct slice message, struct frame *ret_frame);

/* The next op, or false at the end. */
bool ops_next(struct ops *ops, struct op *ret_op);

/* The next column, or false at the end. A name that the peer sent twice comes twice. */
bool columns_next(struct columns *columns, struct slice *ret_name, struct value *ret_value);

/* A seq as it stands on the wire, decimal digits alone. False for anything else, and above 2^63-1. */
bool seq_parse(struct slice text, uint64_t *ret_seq);

/* What all rows of a snapshot have in common, encoded: what stands before the key, and behind the row. */
struct snap_frame {
    char head[FRAME_NAME_MAX + 16], tail[32];
    size_t head_len, tail_len;
};

void snap_frame_init(struct snap_frame *snap, struct slice sub, uint64_t seq);

/* Encoders: each appends one whole message. `row` is an encoded map of columns. */
void frame_snap(struct buf *buf, const struct snap_frame *snap, struct slice key, struct slice row);
void frame_snap_end(struct buf *buf, struct slice sub, uint64_t seq);
/* `row` is empty for OP_DELETE. */
void frame_delta(struct buf *buf, struct slice sub, struct slice key, enum op_type op, struct slice row, uint64_t seq);
/* The same for every subscription: its id, a MessagePack string, is missing at the offset that is returned. */
size_t frame_delta_for_all(struct buf *buf, struct slice key, enum op_type op, struct slice row, uint64_t seq);
/* `sub` NULL: for the whole session. The same of frame_reset. */
void frame_uptodate(struct buf *buf, uint64_t seq, const struct slice *sub);
void frame_reset(struct buf *buf, const struct slice *sub);
/* `result` is an encoded value, or empty: the field is left out then, which a client reads as nil. */
void frame_committed(struct buf *buf, struct slice tx, uint64_t seq, struct slice result);
/* `code` NULL: a rejection without a code. `seq` and `retry_ms` are [+]: where one is 0, the field is left out. */
void frame_rejected(struct buf *buf, struct slice tx, const char *code, struct slice message, uint64_t seq,
                    uint32_t retry_ms);
/* `rows` is the encoding of n maps, one after the other. */
void frame_page(struct buf *buf, struct slice fetch, uint32_t n, struct slice rows, uint64_t seq);

/* [+] What a session is told first. `frame_hello` adds what is the same for all. */
struct hello {
    struct slice server, session;
    uint64_t head, floor;
    uint32_t schema;
    struct slice types; /* an encoded map */
    uint32_t ops, subs;
    double frames_per_second; /* 0: no limit */
    uint32_t receipts_s;
};

void frame_hello(struct buf *buf, const struct hello *hello);

/* [+] Before a close: what has happened, and when to come back. */
void frame_gone(struct buf *buf, const char *code, struct slice message, uint32_t retry_ms);

#endif
