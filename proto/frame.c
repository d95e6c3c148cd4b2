#include "proto/frame.h"

#include <assert.h>

#include "proto/mp.h"

/* Decoding: one pass over the message, whatever the order of its fields. */

/* clang-format off */
#define NAME(text) {"" text, sizeof(text) - 1}
/* clang-format on */

enum field {
    FIELD_T,
    FIELD_SUB_ID,
    FIELD_TX_ID,
    FIELD_FETCH_ID,
    FIELD_COLLECTION,
    FIELD_OPS,
    FIELD_NAME,
    FIELD_ARGS,
    FIELD_WHERE,
    FIELD_ORDER_BY,
    FIELD_LIMIT,
    FIELD_OFFSET,
    FIELD_SINCE,
    FIELD_CURSOR,
    N_FIELDS,
};

static const struct slice FIELD_NAMES[N_FIELDS] = {
    [FIELD_T] = NAME("t"),
    [FIELD_SUB_ID] = NAME("subId"),
    [FIELD_TX_ID] = NAME("txId"),
    [FIELD_FETCH_ID] = NAME("fetchId"),
    [FIELD_COLLECTION] = NAME("collection"),
    [FIELD_OPS] = NAME("ops"),
    [FIELD_NAME] = NAME("name"),
    [FIELD_ARGS] = NAME("args"),
    [FIELD_WHERE] = NAME("where"),
    [FIELD_ORDER_BY] = NAME("orderBy"),
    [FIELD_LIMIT] = NAME("limit"),
    [FIELD_OFFSET] = NAME("offset"),
    [FIELD_SINCE] = NAME("since"),
    [FIELD_CURSOR] = NAME("cursor"),
};

/* How many containers a value may still open, by what is already open around it. */
enum {
    DEPTH_FIELD = FRAME_DEPTH_MAX - 1,    /* the message */
    DEPTH_ARG = FRAME_DEPTH_MAX - 2,      /* the message, args */
    DEPTH_OP_FIELD = FRAME_DEPTH_MAX - 3, /* the message, ops, the op */
    DEPTH_COLUMN = FRAME_DEPTH_MAX - 4,   /* the message, ops, the op, cols */
};

static const struct slice FRAME_TYPE_NAMES[] = {
    [FRAME_SUB] = NAME("sub"),   [FRAME_UNSUB] = NAME("unsub"), [FRAME_MUT] = NAME("mut"),
    [FRAME_CALL] = NAME("call"), [FRAME_FETCH] = NAME("fetch"),
};

static const struct slice OP_TYPE_NAMES[] = {
    [OP_INSERT] = NAME("insert"),
    [OP_UPDATE] = NAME("update"),
    [OP_DELETE] = NAME("delete"),
};

enum { N_FRAME_TYPES = FRAME_FETCH + 1, N_OP_TYPES = OP_DELETE + 1 };

/* Where `text` stands in `names`, or `n`. */
static size_t find_name(struct slice text, const struct slice *names, size_t n)
{
    size_t i = 0;
    while (i < n && !slice_eq(text, names[i]))
        i++;
    return i;
}

static bool take_text(struct slice *in, struct slice *ret_text)
{
    struct mp_token token;
    if (!mp_read(in, &token) || token.type != MP_STR)
        return false;
    *ret_text = token.bytes;
    return true;
}

static bool take_map(struct slice *in, uint32_t *ret_n)
{
    struct mp_token token;
    if (!mp_read(in, &token) || token.type != MP_MAP)
        return false;
    *ret_n = token.n;
    return true;
}

static bool is_nil(struct slice in)
{
    struct mp_token token;
    return mp_read(&in, &token) && token.type == MP_NIL;
}

/* A map from names to values; nil is an empty one. */
static bool take_columns(struct slice *in, unsigned depth_max, struct columns *ret_columns)
{
    *ret_columns = (struct columns){0};
    if (is_nil(*in))
        return mp_skip(in, 0);
    uint32_t n;
    if (!take_map(in, &n))
        return false;
    *ret_columns = (struct columns){*in, n};
    struct slice name;
    for (; n > 0; n--)
        if (!take_text(in, &name) || !mp_skip(in, depth_max))
            return false;
    return true;
}

static bool take_op_type(struct slice *in, enum op_type *ret_type)
{
    struct slice name;
    if (!take_text(in, &name))
        return false;
    size_t i = find_name(name, OP_TYPE_NAMES, N_OP_TYPES);
    *ret_type = (enum op_type)i;
    return i < N_OP_TYPES;
}

static bool take_op(struct slice *in, struct op *ret_op)
{
    struct op op = {.key = {0}};
    bool has_type = false, has_key = false, is_good = true;
    struct slice name;
    uint32_t n;
    if (!take_map(in, &n))
        return false;
    for (; n > 0 && is_good; n--) {
        if (!take_text(in, &name))
            return false;
        if (slice_eq(name, SLICE("type")))
            is_good = has_type = take_op_type(in, &op.type);
        else if (slice_eq(name, SLICE("key")))
            is_good = has_key = take_text(in, &op.key);
        else if (slice_eq(name, SLICE("cols")))
            is_good = take_columns(in, DEPTH_COLUMN, &op.columns);
        else
            is_good = mp_skip(in, DEPTH_OP_FIELD);
    }
    *ret_op = op;
    return is_good && has_type && has_key;
}

static bool take_ops(struct slice *in, struct ops *ret_ops)
{
    struct mp_token array;
    if (!mp_read(in, &array) || array.type != MP_ARRAY)
        return false;
    *ret_ops = (struct ops){*in, array.n};
    struct op op;
    for (uint32_t left = array.n; left > 0; left--)
        if (!take_op(in, &op))
            return false;
    return true;
}

/* What a message holds, before its tag says what it needs. */
struct fields {
    struct slice encoded[N_FIELDS]; /* of ops and args: only where they have not their shape */
    struct ops ops;                 /* n = 0: missing, empty or not of its shape */
    struct columns args;
};

/* Large fields are read as what they should be while they are passed; another shape matters only if the frame has a
 * use for the field. */
static bool take_field(struct slice *in, enum field field, struct fields *fields)
{
    struct slice start = *in;
    fields->encoded[field] = (struct slice){0};
    if (field == FIELD_OPS && take_ops(in, &fields->ops))
        return true;
    if (field == FIELD_ARGS && take_columns(in, DEPTH_ARG, &fields->args))
        return true;
    *in = start;
    if (!mp_skip(in, DEPTH_FIELD))
        return false;
    fields->encoded[field] = slice_of(start.data, start.len - in->len);
    return true;
}

static bool take_fields(struct slice *in, struct fields *ret_fields)
{
    uint32_t n;
    if (!take_map(in, &n))
        return false;
    for (; n > 0; n--) {
        struct slice name;
        if (!take_text(in, &name))
            return false;
        size_t i = find_name(name, FIELD_NAMES, N_FIELDS);
        if (i == N_FIELDS ? !mp_skip(in, DEPTH_FIELD) : !take_field(in, (enum field)i, ret_fields))
            return false;
    }
    return true;
}

/* An id, or the name of a collection or command. */
static bool read_name(const struct fields *fields, enum field field, struct slice *ret_name)
{
    struct slice encoded = fields->encoded[field];
    return take_text(&encoded, ret_name) && ret_name->len >= 1 && ret_name->len <= FRAME_NAME_MAX;
}

/* The field's encoding; empty if it is missing or nil. */
static struct slice present(const struct fields *fields, enum field field)
{
    struct slice encoded = fields->encoded[field];
    return is_nil(encoded) ? SLICE_NONE : encoded;
}

static struct shape read_shape(const struct fields *fields)
{
    return (struct shape){
        .where = present(fields, FIELD_WHERE),
        .order_by = present(fields, FIELD_ORDER_BY),
        .limit = present(fields, FIELD_LIMIT),
        .offset = present(fields, FIELD_OFFSET),
        .cursor = present(fields, FIELD_CURSOR),
    };
}

static bool read_sub(const struct fields *fields, struct frame *frame)
{
    struct slice since = present(fields, FIELD_SINCE);
    frame->sub.shape = read_shape(fields);
    frame->sub.has_since = since.len > 0;
    frame->sub.since = (struct slice){0};
    take_text(&since, &frame->sub.since);
    return read_name(fields, FIELD_SUB_ID, &frame->id) && read_name(fields, FIELD_COLLECTION, &frame->sub.collection);
}

static bool read_mut(const struct fields *fields, struct frame *frame)
{
    frame->mut.ops = fields->ops;
    return fields->ops.n > 0 && fields->encoded[FIELD_OPS].len == 0 && read_name(fields, FIELD_TX_ID, &frame->id) &&
           read_name(fields, FIELD_COLLECTION, &frame->mut.collection);
}

static bool read_call(const struct fields *fields, struct frame *frame)
{
    frame->call.args = fields->args;
    return fields->encoded[FIELD_ARGS].len == 0 && read_name(fields, FIELD_TX_ID, &frame->id) &&
           read_name(fields, FIELD_NAME, &frame->call.name);
}

static bool read_fetch(const struct fields *fields, struct frame *frame)
{
    frame->fetch.shape = read_shape(fields);
    return read_name(fields, FIELD_FETCH_ID, &frame->id) &&
           read_name(fields, FIELD_COLLECTION, &frame->fetch.collection);
}

static bool read_frame(const struct fields *fields, struct frame *frame)
{
    switch (frame->type) {
    case FRAME_SUB:
        return read_sub(fields, frame);
    case FRAME_UNSUB:
        return read_name(fields, FIELD_SUB_ID, &frame->id);
    case FRAME_MUT:
        return read_mut(fields, frame);
    case FRAME_CALL:
        return read_call(fields, frame);
    case FRAME_FETCH:
        return read_fetch(fields, frame);
    }
    return false;
}

bool frame_decode(struct slice message, struct frame *ret_frame)
{
    struct fields fields = {0};
    struct slice tag;
    if (!take_fields(&message, &fields) || message.len > 0 || !read_name(&fields, FIELD_T, &tag))
        return false;
    size_t i = find_name(tag, FRAME_TYPE_NAMES, N_FRAME_TYPES);
    struct frame frame;
    frame.type = (enum frame_type)i;
    if (i == N_FRAME_TYPES || !read_frame(&fields, &frame))
        return false;
    *ret_frame = frame;
    return true;
}

bool ops_next(struct ops *ops, struct op *ret_op)
{
    if (ops->n == 0)
        return false;
    ops->n--;
    bool read = take_op(&ops->encoded, ret_op);
    assert(read);
    return read;
}

/* Reads a value that frame_decode has been over. */
static struct value read_value(struct slice *in)
{
    struct slice start = *in;
    struct mp_token token;
    bool read = mp_read(in, &token);
    assert(read);
    switch (token.type) {
    case MP_NIL:
        break;
    case MP_BOOL:
        return (struct value){.type = VALUE_BOOL, .integer = token.integer};
    case MP_INT:
    case MP_TIME:
        return (struct value){.type = VALUE_INT, .integer = token.integer};
    case MP_REAL:
        return (struct value){.type = VALUE_REAL, .real = token.real};
    case MP_STR:
        return (struct value){.type = VALUE_TEXT, .bytes = token.bytes};
    case MP_BIN:
        return (struct value){.type = VALUE_BLOB, .bytes = token.bytes};
    case MP_ARRAY:
    case MP_MAP:
    case MP_EXT:
        *in = start;
        read = mp_skip(in, FRAME_DEPTH_MAX);
        assert(read);
        return (struct value){.type = VALUE_NESTED, .bytes = slice_of(start.data, start.len - in->len)};
    }
    return (struct value){.type = VALUE_NIL};
}

bool columns_next(struct columns *columns, struct slice *ret_name, struct value *ret_value)
{
    if (columns->n == 0)
        return false;
    columns->n--;
    struct mp_token name;
    bool read = mp_read(&columns->encoded, &name);
    assert(read && name.type == MP_STR);
    *ret_name = name.bytes;
    *ret_value = read_value(&columns->encoded);
    return read;
}

bool seq_parse(struct slice text, uint64_t *ret_seq)
{
    uint64_t seq = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || seq > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        seq = seq * 10 + digit;
    }
    if (text.len == 0)
        return false;
    *ret_seq = seq;
    return true;
}

/* Encoding: room for a frame is reserved once, then written front to back. */

enum {
    SEQ_DIGITS = 20,
    FRAME_ROOM = 128, /* what any frame needs besides the bytes that the caller gives */
};

/* A field's name or tag: short text that the compiler knows, so that this becomes a move or two. */
static inline char *put_word(char *out, const char *word)
{
    size_t len = strlen(word);
    *out = (char)(0xa0 | len);
    memcpy(out + 1, word, len);
    return out + 1 + len;
}

static inline char *put_start(char *out, uint32_t n_fields, const char *tag)
{
    return put_word(put_word(mp_put_map(out, n_fields), "t"), tag);
}

static inline char *put_text(char *out, const char *name, struct slice text)
{
    return mp_put_str(put_word(out, name), text);
}

static inline char *put_encoded(char *out, const char *name, struct slice encoded)
{
    out = put_word(out, name);
    if (encoded.len > 0)
        memcpy(out, encoded.data, encoded.len);
    return out + encoded.len;
}

static char *put_position(char *out, const char *name, uint64_t seq)
{
    char digits[SEQ_DIGITS];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + seq % 10);
        seq /= 10;
    } while (seq > 0);
    return put_text(out, name, slice_of(digits + at, sizeof digits - at));
}

static char *put_seq(char *out, uint64_t seq)
{
    return put_position(out, "seq", seq);
}

static char *put_number(char *out, const char *name, uint32_t number)
{
    return mp_put_int(put_word(out, name), number);
}

static void finish(struct buf *buf, const char *end)
{
    buf->len = (size_t)(end - buf->data);
    assert(buf->len <= buf->capacity);
}

void snap_frame_init(struct snap_frame *snap, struct slice sub, uint64_t seq)
{
    assert(sub.len <= FRAME_NAME_MAX);
    *snap = (struct snap_frame){0};
    snap->head_len = (size_t)(put_text(put_start(snap->head, 5, "snap"), "sub", sub) - snap->head);
    snap->tail_len = (size_t)(put_seq(snap->tail, seq) - snap->tail);
}

void frame_snap(struct buf *buf, const struct snap_frame *snap, struct slice key, struct slice row)
{
    char *out = buf_reserve(buf, FRAME_ROOM + snap->head_len + key.len + row.len);
    memcpy(out, snap->head, snap->head_len);
    out = put_text(out + snap->head_len, "key", key);
    out = put_encoded(out, "row", row);
    memcpy(out, snap->tail, sizeof snap->tail); /* all of it, for a constant length: there is room */
    finish(buf, out + snap->tail_len);
}

void frame_snap_end(struct buf *buf, struct slice sub, uint64_t seq)
{
    char *out = buf_reserve(buf, FRAME_ROOM + sub.len);
    out = put_start(out, 3, "snap-end");
    out = put_text(out, "sub", sub);
    finish(buf, put_seq(out, seq));
}

static char *put_delta_head(char *out, enum op_type op)
{
    return put_word(put_start(out, op == OP_DELETE ? 5 : 6, "d"), "sub");
}

static char *put_delta_tail(char *out, struct slice key, enum op_type op, struct slice row, uint64_t seq)
{
    assert((op == OP_DELETE) == (row.len == 0));
    out = put_text(out, "key", key);
    out = put_text(out, "op", OP_TYPE_NAMES[op]);
    if (op != OP_DELETE)
        out = put_encoded(out, "cols", row);
    return put_seq(out, seq);
}

void frame_delta(struct buf *buf, struct slice sub, struct slice key, enum op_type op, struct slice row, uint64_t seq)
{
    char *out = buf_reserve(buf, FRAME_ROOM + sub.len + key.len + row.len);
    out = mp_put_str(put_delta_head(out, op), sub);
    finish(buf, put_delta_tail(out, key, op, row, seq));
}

size_t frame_delta_for_all(struct buf *buf, struct slice key, enum op_type op, struct slice row, uint64_t seq)
{
    char *start = buf_reserve(buf, FRAME_ROOM + key.len + row.len), *hole = put_delta_head(start, op);
    finish(buf, put_delta_tail(hole, key, op, row, seq));
    return (size_t)(hole - start);
}

void frame_uptodate(struct buf *buf, uint64_t seq, const struct slice *sub)
{
    char *out = buf_reserve(buf, FRAME_ROOM + (sub == NULL ? 0 : sub->len));
    out = put_start(out, sub == NULL ? 2 : 3, "uptodate");
    out = put_seq(out, seq);
    if (sub != NULL)
        out = put_text(out, "sub", *sub);
    finish(buf, out);
}

void frame_reset(struct buf *buf, const struct slice *sub)
{
    char *out = buf_reserve(buf, FRAME_ROOM + (sub == NULL ? 0 : sub->len));
    out = put_start(out, sub == NULL ? 1 : 2, "reset");
    if (sub != NULL)
        out = put_text(out, "sub", *sub);
    finish(buf, out);
}

void frame_committed(struct buf *buf, struct slice tx, uint64_t seq, struct slice result)
{
    char *out = buf_reserve(buf, FRAME_ROOM + tx.len + result.len);
    out = put_start(out, result.len == 0 ? 3 : 4, "committed");
    out = put_text(out, "txId", tx);
    out = put_seq(out, seq);
    if (result.len > 0)
        out = put_encoded(out, "result", result);
    finish(buf, out);
}

void frame_rejected(struct buf *buf, struct slice tx, const char *code, struct slice message, uint64_t seq,
                    uint32_t retry_ms)
{
    struct slice code_text = code == NULL ? SLICE_NONE : slice_str(code);
    char *out = buf_reserve(buf, FRAME_ROOM + tx.len + code_text.len + message.len);
    out = put_start(out, 3 + (seq == 0 ? 0u : 1u) + (retry_ms == 0 ? 0u : 1u), "rejected");
    out = put_text(out, "txId", tx);
    if (seq != 0)
        out = put_seq(out, seq);
    if (retry_ms != 0)
        out = put_number(out, "retryMs", retry_ms);
    out = mp_put_map(put_word(out, "error"), code == NULL ? 1 : 2);
    if (code != NULL)
        out = put_text(out, "code", code_text);
    finish(buf, put_text(out, "message", message));
}

void frame_page(struct buf *buf, struct slice fetch, uint32_t n, struct slice rows, uint64_t seq)
{
    char *out = buf_reserve(buf, FRAME_ROOM + fetch.len + rows.len);
    out = put_start(out, 4, "page");
    out = put_text(out, "fetchId", fetch);
    out = mp_put_array(put_word(out, "rows"), n);
    if (rows.len > 0)
        memcpy(out, rows.data, rows.len);
    finish(buf, put_seq(out + rows.len, seq));
}

static char *put_limits(char *out, const struct hello *hello)
{
    out = mp_put_map(put_word(out, "limits"), 5);
    out = put_number(out, "frame", FRAME_MAX);
    out = put_number(out, "ops", hello->ops);
    out = put_number(out, "subs", hello->subs);
    out = put_number(out, "depth", FRAME_PREDICATE_MAX);
    return mp_put_real(put_word(out, "frames_per_second"), hello->frames_per_second);
}

void frame_hello(struct buf *buf, const struct hello *hello)
{
    char *out = buf_reserve(buf, 2 * FRAME_ROOM + hello->server.len + hello->session.len + hello->types.len);
    out = put_start(out, 9, "hello");
    out = put_text(out, "server", hello->server);
    out = put_text(out, "session", hello->session);
    out = put_position(out, "head", hello->head);
    out = put_position(out, "floor", hello->floor);
    out = put_number(out, "schema", hello->schema);
    out = put_encoded(out, "types", hello->types);
    out = put_limits(out, hello);
    finish(buf, put_number(out, "receipts", hello->receipts_s));
}

void frame_gone(struct buf *buf, const char *code, struct slice message, uint32_t retry_ms)
{
    char *out = buf_reserve(buf, FRAME_ROOM + strlen(code) + message.len);
    out = put_start(out, 4, "gone");
    out = put_text(out, "code", slice_str(code));
    out = put_text(out, "message", message);
    finish(buf, put_number(out, "retryMs", retry_ms));
}
