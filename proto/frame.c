#include "proto/frame.h"

#include <assert.h>

#include "proto/mp.h"

/* Decoding: one pass finds a map's fields as slices of its encoding, then each field is read by what it must be. */

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

enum op_field { OP_FIELD_TYPE, OP_FIELD_KEY, OP_FIELD_COLS, N_OP_FIELDS };

static const struct slice OP_FIELD_NAMES[N_OP_FIELDS] = {
    [OP_FIELD_TYPE] = NAME("type"),
    [OP_FIELD_KEY] = NAME("key"),
    [OP_FIELD_COLS] = NAME("cols"),
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

/* Skips a value and returns its encoding; empty if it is broken. */
static struct slice take_value(struct slice *in, unsigned depth_max)
{
    struct slice value = *in;
    if (!mp_skip(in, depth_max))
        return (struct slice){0};
    value.len -= in->len;
    return value;
}

/* Reads a map with text for keys, and keeps the encodings of the values that `names` lists; of a repeated key, the
 * last. */
static bool read_fields(struct slice *in, const struct slice *names, size_t n_names, struct slice *ret_fields)
{
    struct mp_token map, key;
    if (!mp_read(in, &map) || map.type != MP_MAP)
        return false;
    for (uint32_t left = map.n; left > 0; left--) {
        if (!mp_read(in, &key) || key.type != MP_STR)
            return false;
        struct slice value = take_value(in, FRAME_DEPTH_MAX - 1);
        if (value.len == 0)
            return false;
        size_t i = find_name(key.bytes, names, n_names);
        if (i < n_names)
            ret_fields[i] = value;
    }
    return true;
}

static bool read_text(struct slice field, struct slice *ret_text)
{
    struct mp_token token;
    if (!mp_read(&field, &token) || token.type != MP_STR)
        return false;
    *ret_text = token.bytes;
    return true;
}

/* An id, or the name of a collection or command. */
static bool read_name(struct slice field, struct slice *ret_name)
{
    return read_text(field, ret_name) && ret_name->len >= 1 && ret_name->len <= FRAME_NAME_MAX;
}

static bool is_absent(struct slice field)
{
    struct mp_token token;
    return field.len == 0 || (mp_read(&field, &token) && token.type == MP_NIL);
}

/* A map from names to values; absent is an empty one. */
static bool read_columns(struct slice field, struct columns *ret_columns)
{
    *ret_columns = (struct columns){0};
    if (is_absent(field))
        return true;
    struct mp_token map, name;
    if (!mp_read(&field, &map) || map.type != MP_MAP)
        return false;
    *ret_columns = (struct columns){field, map.n};
    for (uint32_t left = map.n; left > 0; left--)
        if (!mp_read(&field, &name) || name.type != MP_STR || !mp_skip(&field, FRAME_DEPTH_MAX))
            return false;
    return true;
}

static bool read_op(struct slice *in, struct op *ret_op)
{
    struct slice fields[N_OP_FIELDS] = {{0}}, type;
    if (!read_fields(in, OP_FIELD_NAMES, N_OP_FIELDS, fields) || !read_text(fields[OP_FIELD_TYPE], &type))
        return false;
    size_t i = find_name(type, OP_TYPE_NAMES, N_OP_TYPES);
    ret_op->type = (enum op_type)i;
    return i < N_OP_TYPES && read_text(fields[OP_FIELD_KEY], &ret_op->key) &&
           read_columns(fields[OP_FIELD_COLS], &ret_op->columns);
}

static bool read_ops(struct slice field, struct ops *ret_ops)
{
    struct mp_token array;
    if (!mp_read(&field, &array) || array.type != MP_ARRAY || array.n == 0)
        return false;
    *ret_ops = (struct ops){field, array.n};
    struct op op;
    for (uint32_t left = array.n; left > 0; left--)
        if (!read_op(&field, &op))
            return false;
    return true;
}

static struct slice present(struct slice field)
{
    return is_absent(field) ? (struct slice){0} : field;
}

static struct shape read_shape(const struct slice fields[N_FIELDS])
{
    return (struct shape){
        .where = present(fields[FIELD_WHERE]),
        .order_by = present(fields[FIELD_ORDER_BY]),
        .limit = present(fields[FIELD_LIMIT]),
        .offset = present(fields[FIELD_OFFSET]),
        .cursor = present(fields[FIELD_CURSOR]),
    };
}

static bool read_sub(const struct slice fields[N_FIELDS], struct frame *frame)
{
    frame->sub.shape = read_shape(fields);
    frame->sub.has_since = !is_absent(fields[FIELD_SINCE]);
    frame->sub.since = (struct slice){0};
    read_text(fields[FIELD_SINCE], &frame->sub.since);
    return read_name(fields[FIELD_SUB_ID], &frame->id) && read_name(fields[FIELD_COLLECTION], &frame->sub.collection);
}

static bool read_mut(const struct slice fields[N_FIELDS], struct frame *frame)
{
    return read_name(fields[FIELD_TX_ID], &frame->id) && read_name(fields[FIELD_COLLECTION], &frame->mut.collection) &&
           read_ops(fields[FIELD_OPS], &frame->mut.ops);
}

static bool read_call(const struct slice fields[N_FIELDS], struct frame *frame)
{
    return read_name(fields[FIELD_TX_ID], &frame->id) && read_name(fields[FIELD_NAME], &frame->call.name) &&
           read_columns(fields[FIELD_ARGS], &frame->call.args);
}

static bool read_fetch(const struct slice fields[N_FIELDS], struct frame *frame)
{
    frame->fetch.shape = read_shape(fields);
    return read_name(fields[FIELD_FETCH_ID], &frame->id) &&
           read_name(fields[FIELD_COLLECTION], &frame->fetch.collection);
}

static bool read_frame(const struct slice fields[N_FIELDS], struct frame *frame)
{
    switch (frame->type) {
    case FRAME_SUB:
        return read_sub(fields, frame);
    case FRAME_UNSUB:
        return read_name(fields[FIELD_SUB_ID], &frame->id);
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
    struct slice fields[N_FIELDS] = {{0}}, type;
    if (!read_fields(&message, FIELD_NAMES, N_FIELDS, fields) || message.len > 0 || !read_text(fields[FIELD_T], &type))
        return false;
    size_t i = find_name(type, FRAME_TYPE_NAMES, N_FRAME_TYPES);
    struct frame frame;
    frame.type = (enum frame_type)i;
    if (i == N_FRAME_TYPES || !read_frame(fields, &frame))
        return false;
    *ret_frame = frame;
    return true;
}

bool ops_next(struct ops *ops, struct op *ret_op)
{
    if (ops->n == 0)
        return false;
    ops->n--;
    bool read = read_op(&ops->encoded, ret_op);
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
        return (struct value){.type = VALUE_NESTED, .bytes = take_value(in, FRAME_DEPTH_MAX)};
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

static char *put_seq(char *out, uint64_t seq)
{
    char digits[SEQ_DIGITS];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + seq % 10);
        seq /= 10;
    } while (seq > 0);
    return put_text(out, "seq", slice_of(digits + at, sizeof digits - at));
}

static void finish(struct buf *buf, const char *end)
{
    buf->len = (size_t)(end - buf->data);
    assert(buf->len <= buf->capacity);
}

void frame_snap(struct buf *buf, struct slice sub, struct slice key, struct slice row, uint64_t seq)
{
    char *out = buf_reserve(buf, FRAME_ROOM + sub.len + key.len + row.len);
    out = put_start(out, 5, "snap");
    out = put_text(out, "sub", sub);
    out = put_text(out, "key", key);
    out = put_encoded(out, "row", row);
    finish(buf, put_seq(out, seq));
}

void frame_snap_end(struct buf *buf, struct slice sub, uint64_t seq)
{
    char *out = buf_reserve(buf, FRAME_ROOM + sub.len);
    out = put_start(out, 3, "snap-end");
    out = put_text(out, "sub", sub);
    finish(buf, put_seq(out, seq));
}

void frame_delta(struct buf *buf, struct slice sub, struct slice key, enum op_type op, struct slice row, uint64_t seq)
{
    assert((op == OP_DELETE) == (row.len == 0));
    char *out = buf_reserve(buf, FRAME_ROOM + sub.len + key.len + row.len);
    out = put_start(out, op == OP_DELETE ? 5 : 6, "d");
    out = put_text(out, "sub", sub);
    out = put_text(out, "key", key);
    out = put_text(out, "op", OP_TYPE_NAMES[op]);
    if (op != OP_DELETE)
        out = put_encoded(out, "cols", row);
    finish(buf, put_seq(out, seq));
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

void frame_rejected(struct buf *buf, struct slice tx, const char *code, struct slice message)
{
    struct slice code_text = code == NULL ? (struct slice){0} : slice_str(code);
    char *out = buf_reserve(buf, FRAME_ROOM + tx.len + code_text.len + message.len);
    out = put_start(out, 3, "rejected");
    out = put_text(out, "txId", tx);
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
