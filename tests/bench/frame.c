#include "tests/bench/frame.h"

/* Which fields a frame must have, as bits. */
enum { HAS_SUB = 1, HAS_KEY = 2, HAS_OP = 4, HAS_TX = 8, HAS_SEQ = 16, HAS_ROW = 32, HAS_ERROR = 64 };

static const struct {
    const char *name;
    unsigned needs;
} kinds[] = {
    [FRAME_UNKNOWN] = {"?", 0},
    [FRAME_SNAP] = {"snap", HAS_SUB | HAS_KEY | HAS_ROW | HAS_SEQ},
    [FRAME_SNAP_END] = {"snap-end", HAS_SUB | HAS_SEQ},
    [FRAME_DELTA] = {"d", HAS_SUB | HAS_KEY | HAS_OP | HAS_SEQ},
    [FRAME_UPTODATE] = {"uptodate", HAS_SEQ},
    [FRAME_COMMITTED] = {"committed", HAS_TX | HAS_SEQ},
    [FRAME_REJECTED] = {"rejected", HAS_TX | HAS_ERROR},
    [FRAME_RESET] = {"reset", 0},
    [FRAME_PAGE] = {"page", HAS_SEQ},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *frame_name(enum frame_type type)
{
    return kinds[type].name;
}

static enum frame_type type_named(const struct mp_value *value)
{
    for (enum frame_type type = FRAME_SNAP; type < N_KINDS; type++) {
        if (mp_is(value, kinds[type].name)) {
            return type;
        }
    }
    return FRAME_UNKNOWN;
}

static bool read_text(struct mp_reader *reader, struct text *ret)
{
    struct mp_value value;
    if (!mp_next(reader, &value) || (value.type != MP_STR && value.type != MP_NIL)) {
        return false;
    }
    *ret = value.text;
    return true;
}

/* A seq is a decimal string, below 2^53: 18 digits leave room and cannot overflow. */
static bool read_seq(struct mp_reader *reader, struct frame *frame)
{
    struct text digits = {0};
    if (!read_text(reader, &digits) || digits.len > 18) {
        return false;
    }
    for (uint32_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9') {
            return false;
        }
        frame->seq = frame->seq * 10 + (uint64_t)(digits.at[i] - '0');
    }
    frame->has_seq = digits.len > 0;
    return true;
}

static bool read_span(struct mp_reader *reader, struct mp_reader *ret)
{
    const uint8_t *start = reader->at;
    if (!mp_skip(reader)) {
        return false;
    }
    *ret = (struct mp_reader){start, reader->at};
    return true;
}

static bool read_error(struct mp_reader *reader, struct frame *frame)
{
    struct mp_value map, name;
    if (!mp_next(reader, &map) || map.type != MP_MAP) {
        return false;
    }
    for (uint32_t i = 0; i < map.n; i++) {
        if (!mp_next(reader, &name)) {
            return false;
        }
        bool ok = mp_is(&name, "code")      ? read_text(reader, &frame->code)
                  : mp_is(&name, "message") ? read_text(reader, &frame->message)
                                            : mp_skip(reader);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool read_field(struct mp_reader *reader, const struct mp_value *name, struct frame *frame)
{
    if (mp_is(name, "t")) {
        struct mp_value type;
        bool ok = mp_next(reader, &type) && type.type == MP_STR;
        frame->type = ok ? type_named(&type) : FRAME_UNKNOWN;
        return ok;
    }
    if (mp_is(name, "sub")) {
        return read_text(reader, &frame->sub);
    }
    if (mp_is(name, "key")) {
        return read_text(reader, &frame->key);
    }
    if (mp_is(name, "op")) {
        return read_text(reader, &frame->op);
    }
    if (mp_is(name, "cols") || mp_is(name, "row")) {
        return read_span(reader, &frame->row);
    }
    if (mp_is(name, "seq")) {
        return read_seq(reader, frame);
    }
    if (mp_is(name, "txId")) {
        return read_text(reader, &frame->tx);
    }
    if (mp_is(name, "error")) {
        return read_error(reader, frame);
    }
    return mp_is(name, "result") ? read_span(reader, &frame->result) : mp_skip(reader);
}

static unsigned fields_of(const struct frame *frame)
{
    return (frame->sub.at ? HAS_SUB : 0u) | (frame->key.at ? HAS_KEY : 0u) | (frame->op.at ? HAS_OP : 0u) |
           (frame->tx.at ? HAS_TX : 0u) | (frame->has_seq ? HAS_SEQ : 0u) | (frame->row.at ? HAS_ROW : 0u) |
           (frame->message.at ? HAS_ERROR : 0u);
}

const char *frame_decode(const uint8_t *bytes, size_t len, struct frame *ret_frame)
{
    struct mp_reader reader = {bytes, bytes + len};
    struct mp_value map, name;
    *ret_frame = (struct frame){0};
    if (!mp_next(&reader, &map) || map.type != MP_MAP) {
        return "a message that is no MessagePack map";
    }
    for (uint32_t i = 0; i < map.n; i++) {
        if (!mp_next(&reader, &name) || name.type != MP_STR || !read_field(&reader, &name, ret_frame)) {
            return "a frame with a field that does not decode";
        }
    }
    if (reader.at != reader.end) {
        return "a frame with bytes after it";
    }
    if (kinds[ret_frame->type].needs & ~fields_of(ret_frame)) {
        return "a frame that lacks a field of its type";
    }
    return NULL;
}

static void put_text(struct buffer *out, const char *name, struct text value)
{
    mp_str(out, name);
    mp_text(out, value);
}

static void put_pair(struct buffer *out, const char *name, const char *value)
{
    put_text(out, name, text_of(value));
}

void frame_sub(struct buffer *out, const char *sub, const char *collection, const char *since)
{
    mp_map(out, since ? 4 : 3);
    put_pair(out, "t", "sub");
    put_pair(out, "subId", sub);
    put_pair(out, "collection", collection);
    if (since) {
        put_pair(out, "since", since);
    }
}

void frame_unsub(struct buffer *out, const char *sub)
{
    mp_map(out, 2);
    put_pair(out, "t", "unsub");
    put_pair(out, "subId", sub);
}

void frame_insert(struct buffer *out, struct text tx, const char *collection, struct text key)
{
    mp_map(out, 4);
    put_pair(out, "t", "mut");
    put_text(out, "txId", tx);
    put_pair(out, "collection", collection);
    mp_str(out, "ops");
    mp_array(out, 1);
    mp_map(out, 3);
    put_pair(out, "type", "insert");
    put_text(out, "key", key);
    mp_str(out, "cols");
}

void frame_call(struct buffer *out, struct text tx, const char *name)
{
    mp_map(out, 4);
    put_pair(out, "t", "call");
    put_text(out, "txId", tx);
    put_pair(out, "name", name);
    mp_str(out, "args");
}
