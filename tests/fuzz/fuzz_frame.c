/*
 * frame: what is decoded keeps its promises while it is walked, points into the message, and is a frame only at its
 * whole length.
 */
#include <assert.h>

#include "proto/frame.h"
#include "proto/mp.h"
#include "proto/utf8.h"

static void check_bytes(struct slice bytes, struct slice message)
{
    assert(bytes.data >= message.data && bytes.data + bytes.len <= message.data + message.len);
}

static void check_text(struct slice text, struct slice message)
{
    check_bytes(text, message);
    assert(utf8_is_valid(text));
}

static void check_name(struct slice name, struct slice message)
{
    check_text(name, message);
    assert(name.len >= 1 && name.len <= FRAME_NAME_MAX);
}

/* One value and nothing behind it. */
static void check_encoded(struct slice encoded, struct slice message)
{
    if (encoded.len == 0)
        return;
    check_bytes(encoded, message);
    assert(mp_skip(&encoded, FRAME_DEPTH_MAX) && encoded.len == 0);
}

static void check_shape(const struct shape *shape, struct slice message)
{
    check_encoded(shape->where, message);
    check_encoded(shape->order_by, message);
    check_encoded(shape->limit, message);
    check_encoded(shape->offset, message);
    check_encoded(shape->cursor, message);
}

static void check_columns(struct columns columns, struct slice message)
{
    uint32_t n = columns.n;
    struct slice name;
    struct value value;
    while (columns_next(&columns, &name, &value)) {
        check_text(name, message);
        if (value.type == VALUE_TEXT)
            check_text(value.bytes, message);
        else if (value.type == VALUE_BLOB)
            check_bytes(value.bytes, message);
        else if (value.type == VALUE_NESTED)
            check_encoded(value.bytes, message);
        n--;
    }
    assert(n == 0);
}

static void check_ops(struct ops ops, struct slice message)
{
    uint32_t n = ops.n;
    assert(n > 0);
    struct op op;
    while (ops_next(&ops, &op)) {
        assert(op.type == OP_INSERT || op.type == OP_UPDATE || op.type == OP_DELETE);
        check_text(op.key, message);
        check_columns(op.columns, message);
        n--;
    }
    assert(n == 0);
}

static void check_sub(const struct frame *frame, struct slice message)
{
    uint64_t seq;
    check_name(frame->sub.collection, message);
    check_shape(&frame->sub.shape, message);
    if (frame->sub.since.len > 0)
        check_text(frame->sub.since, message);
    if (seq_parse(frame->sub.since, &seq))
        assert(frame->sub.has_since && seq <= INT64_MAX);
}

static void check_frame(const struct frame *frame, struct slice message)
{
    check_name(frame->id, message);
    switch (frame->type) {
    case FRAME_SUB:
        check_sub(frame, message);
        break;
    case FRAME_UNSUB:
        break;
    case FRAME_MUT:
        check_name(frame->mut.collection, message);
        check_ops(frame->mut.ops, message);
        break;
    case FRAME_CALL:
        check_name(frame->call.name, message);
        check_columns(frame->call.args, message);
        break;
    case FRAME_FETCH:
        check_name(frame->fetch.collection, message);
        check_shape(&frame->fetch.shape, message);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice message = slice_of(data, len), whole = message;
    struct frame frame, shorter;
    if (!frame_decode(message, &frame))
        return 0;
    assert(mp_skip(&whole, FRAME_DEPTH_MAX) && whole.len == 0);
    check_frame(&frame, message);
    assert(!frame_decode(slice_of(data, len - 1), &shorter));
    assert(!frame_decode(slice_of(data, len / 2), &shorter));
    return 0;
}
