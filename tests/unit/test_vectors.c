/*
 * The golden frames of proto/vectors, which every client is tested with, against the product's decoder and encoders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/file.h"
#include "proto/frame.h"
#include "tests/lib/mpjson.h"

static cJSON *load(const char *name)
{
    const char *root = getenv("srcdir");
    char path[512];
    snprintf(path, sizeof path, "%s/proto/vectors/%s", root == NULL ? "." : root, name);
    struct buf text = {0};
    if (file_read(path, 1 << 20, &text) != ERR_OK)
        fail_msg("cannot read %s", path);
    cJSON *vectors = cJSON_ParseWithLength(text.data, text.len);
    buf_release(&text);
    if (cJSON_GetArraySize(vectors) == 0)
        fail_msg("%s holds no vectors", path);
    return vectors;
}

static const char *text_of(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    return text == NULL ? "" : text;
}

static void assert_same_json(const char *name, const cJSON *actual, const cJSON *expected)
{
    if (cJSON_Compare(actual, expected, true))
        return;
    char *is = cJSON_PrintUnformatted(actual), *should = cJSON_PrintUnformatted(expected);
    fail_msg("%s\n  is     %.2000s\n  should %.2000s", name, is, should);
}

/* ---- a decoded frame, as the vectors describe it ---- */

static void add_text(cJSON *json, const char *name, struct slice text)
{
    char *copy = mem_dup(text);
    cJSON_AddStringToObject(json, name, copy);
    free(copy);
}

static void add_encoded(cJSON *json, const char *name, struct slice encoded)
{
    if (encoded.len > 0)
        cJSON_AddItemToObject(json, name, mpjson_read(&encoded));
}

static void add_shape(cJSON *json, const struct shape *shape)
{
    add_encoded(json, "where", shape->where);
    add_encoded(json, "orderBy", shape->order_by);
    add_encoded(json, "limit", shape->limit);
    add_encoded(json, "offset", shape->offset);
    add_encoded(json, "cursor", shape->cursor);
}

static cJSON *value_json(const struct value *value)
{
    struct slice encoded = value->bytes;
    switch (value->type) {
    case VALUE_NIL:
        break;
    case VALUE_BOOL:
        return cJSON_CreateBool(value->integer != 0);
    case VALUE_INT:
        return mpjson_int(value->integer);
    case VALUE_REAL:
        return mpjson_real(value->real);
    case VALUE_TEXT:
        return mpjson_text(value->bytes);
    case VALUE_BLOB:
        return mpjson_bin(value->bytes);
    case VALUE_NESTED:
        return mpjson_read(&encoded);
    }
    return cJSON_CreateNull();
}

static void add_columns(cJSON *json, const char *name, struct columns columns)
{
    if (columns.n == 0)
        return;
    cJSON *map = cJSON_AddObjectToObject(json, name);
    struct slice column;
    struct value value;
    while (columns_next(&columns, &column, &value)) {
        char *copy = mem_dup(column);
        cJSON_AddItemToObject(map, copy, value_json(&value));
        free(copy);
    }
}

static void add_ops(cJSON *json, struct ops ops)
{
    static const char *const TYPES[] = {"insert", "update", "delete"};
    cJSON *array = cJSON_AddArrayToObject(json, "ops");
    struct op op;
    while (ops_next(&ops, &op)) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(array, item);
        cJSON_AddStringToObject(item, "type", TYPES[op.type]);
        add_text(item, "key", op.key);
        add_columns(item, "cols", op.columns);
    }
}

static cJSON *frame_json(const struct frame *frame)
{
    static const char *const TAGS[] = {"sub", "unsub", "mut", "call", "fetch"};
    static const char *const IDS[] = {"subId", "subId", "txId", "txId", "fetchId"};
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "t", TAGS[frame->type]);
    add_text(json, IDS[frame->type], frame->id);
    switch (frame->type) {
    case FRAME_SUB:
        add_text(json, "collection", frame->sub.collection);
        add_shape(json, &frame->sub.shape);
        if (frame->sub.has_since)
            add_text(json, "since", frame->sub.since);
        break;
    case FRAME_UNSUB:
        break;
    case FRAME_MUT:
        add_text(json, "collection", frame->mut.collection);
        add_ops(json, frame->mut.ops);
        break;
    case FRAME_CALL:
        add_text(json, "name", frame->call.name);
        add_columns(json, "args", frame->call.args);
        break;
    case FRAME_FETCH:
        add_text(json, "collection", frame->fetch.collection);
        add_shape(json, &frame->fetch.shape);
        break;
    }
    return json;
}

/* ---- a description, as the decoder sees it: no repetitions, no unknown fields, absent things missing ---- */

static cJSON *known_json(const cJSON *json);

static cJSON *known_object(const cJSON *json)
{
    cJSON *object = cJSON_CreateObject();
    const cJSON *item;
    cJSON_ArrayForEach(item, json) {
        cJSON_AddItemToObject(object, item->string, known_json(item));
    }
    return object;
}

static cJSON *known_array(const cJSON *json)
{
    cJSON *array = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, json) {
        cJSON_AddItemToArray(array, known_json(item));
    }
    return array;
}

/* Repeated text or bytes, written out by way of the wire. */
static cJSON *known_json(const cJSON *json)
{
    bool is_repeat = cJSON_HasObjectItem(json, "$repeat"), is_bin = cJSON_HasObjectItem(json, "$bin");
    if (is_repeat || is_bin) {
        struct buf buf = {0};
        mpjson_write(json, &buf);
        struct slice in = buf_slice(&buf);
        cJSON *known = mpjson_read(&in);
        buf_release(&buf);
        return known;
    }
    if (cJSON_IsObject(json))
        return known_object(json);
    return cJSON_IsArray(json) ? known_array(json) : cJSON_Duplicate(json, true);
}

static void keep_only(cJSON *object, const char *names)
{
    cJSON *item, *next;
    for (item = object->child; item != NULL; item = next) {
        next = item->next;
        char name[64];
        snprintf(name, sizeof name, " %s ", item->string);
        if (strstr(names, name) == NULL || cJSON_IsNull(item))
            cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
    }
}

/* A column's timestamp has become milliseconds; no columns at all are as good as missing. */
static void know_columns(cJSON *object, const char *name)
{
    cJSON *columns = cJSON_GetObjectItemCaseSensitive(object, name), *column;
    if (columns == NULL)
        return;
    cJSON_ArrayForEach(column, columns) {
        const cJSON *time = cJSON_GetObjectItemCaseSensitive(column, "$time");
        if (time == NULL)
            continue;
        double ms = time->valuedouble;
        cJSON_Delete(column->child);
        column->child = NULL;
        column->type = cJSON_Number;
        cJSON_SetNumberValue(column, ms);
    }
    if (columns->child == NULL)
        cJSON_DeleteItemFromObjectCaseSensitive(object, name);
}

static cJSON *known_frame(const cJSON *description)
{
    static const char *const FIELDS[][2] = {
        {"sub", " t subId collection where orderBy limit offset since "},
        {"unsub", " t subId "},
        {"mut", " t txId collection ops "},
        {"call", " t txId name args "},
        {"fetch", " t fetchId collection where orderBy limit offset cursor "},
    };
    cJSON *frame = known_json(description), *op;
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
        if (strcmp(text_of(frame, "t"), FIELDS[i][0]) == 0)
            keep_only(frame, FIELDS[i][1]);
    know_columns(frame, "args");
    cJSON_ArrayForEach(op, cJSON_GetObjectItemCaseSensitive(frame, "ops")) {
        keep_only(op, " type key cols ");
        know_columns(op, "cols");
    }
    return frame;
}

/* ---- client to server ---- */

static bool decode(const cJSON *vector, struct buf *message, struct frame *frame)
{
    mpjson_bytes(text_of(vector, "bytes"), message);
    return frame_decode(buf_slice(message), frame);
}

static void check_decoded(const cJSON *vector)
{
    const char *name = text_of(vector, "name");
    struct buf message = {0};
    struct frame frame;
    if (!decode(vector, &message, &frame))
        fail_msg("%s: dropped", name);
    cJSON *actual = frame_json(&frame), *expected = known_frame(cJSON_GetObjectItemCaseSensitive(vector, "frame"));
    assert_same_json(name, actual, expected);
    cJSON_Delete(actual);
    cJSON_Delete(expected);
    buf_release(&message);
}

static void test_every_client_frame_is_read_as_described(void **state)
{
    (void)state;
    cJSON *vectors = load("client.json");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, vectors) {
        check_decoded(vector);
    }
    cJSON_Delete(vectors);
}

static void test_every_malformed_message_is_dropped_or_left_to_be_refused(void **state)
{
    (void)state;
    cJSON *vectors = load("malformed.json");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, vectors) {
        if (strcmp(text_of(vector, "outcome"), "decoded") == 0) {
            check_decoded(vector);
            continue;
        }
        assert_string_equal(text_of(vector, "outcome"), "dropped");
        struct buf message = {0};
        struct frame frame;
        if (decode(vector, &message, &frame))
            fail_msg("%s: not dropped", text_of(vector, "name"));
        buf_release(&message);
    }
    cJSON_Delete(vectors);
}

/* ---- server to client ---- */

static void encode_field(const cJSON *frame, const char *name, struct buf *buf)
{
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(frame, name);
    if (field != NULL)
        mpjson_write(field, buf);
}

/* The text of a field, which may be a repetition. The caller frees it. */
static char *field_text(const cJSON *frame, const char *name)
{
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(frame, name);
    if (field == NULL)
        return NULL;
    cJSON *known = known_json(field);
    char *text = mem_dup(slice_str(cJSON_GetStringValue(known)));
    cJSON_Delete(known);
    return text;
}

/* What the encoders are given. Texts are empty and encodings of no bytes where the frame has no such field. */
struct parts {
    char *texts[4];
    struct slice sub, key, tx, fetch;
    struct buf row, result, rows;
    uint64_t seq;
    uint32_t n_rows;
    bool has_sub;
};

static struct slice part_text(struct parts *parts, size_t i, const cJSON *frame, const char *name)
{
    parts->texts[i] = field_text(frame, name);
    return parts->texts[i] == NULL ? SLICE_NONE : slice_str(parts->texts[i]);
}

static void parts_init(struct parts *parts, const cJSON *frame)
{
    *parts = (struct parts){0};
    parts->sub = part_text(parts, 0, frame, "sub");
    parts->key = part_text(parts, 1, frame, "key");
    parts->tx = part_text(parts, 2, frame, "txId");
    parts->fetch = part_text(parts, 3, frame, "fetchId");
    parts->has_sub = parts->texts[0] != NULL;
    encode_field(frame, "row", &parts->row);
    encode_field(frame, "cols", &parts->row);
    encode_field(frame, "result", &parts->result);
    seq_parse(slice_str(text_of(frame, "seq")), &parts->seq);
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(frame, "rows")) {
        mpjson_write(row, &parts->rows);
        parts->n_rows++;
    }
}

static void parts_release(struct parts *parts)
{
    for (size_t i = 0; i < 4; i++)
        free(parts->texts[i]);
    buf_release(&parts->row);
    buf_release(&parts->result);
    buf_release(&parts->rows);
}

static enum op_type op_of(const cJSON *frame)
{
    const char *op = text_of(frame, "op");
    return strcmp(op, "insert") == 0 ? OP_INSERT : strcmp(op, "update") == 0 ? OP_UPDATE : OP_DELETE;
}

static uint32_t number_of(const cJSON *json, const char *name)
{
    return (uint32_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static void encode_rejected(const cJSON *frame, struct slice tx, uint64_t seq, struct buf *buf)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(frame, "error");
    char *code = field_text(error, "code"), *message = field_text(error, "message");
    bool is_put_off = cJSON_HasObjectItem(frame, "retryMs");
    frame_rejected(buf, tx, code, slice_str(message), seq, is_put_off ? number_of(frame, "retryMs") : 0);
    free(code);
    free(message);
}

static void encode_hello(const cJSON *frame, struct buf *buf)
{
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(frame, "limits");
    struct buf types = {0};
    struct hello hello = {.server = slice_str(text_of(frame, "server")),
                          .session = slice_str(text_of(frame, "session"))};
    assert_true(seq_parse(slice_str(text_of(frame, "head")), &hello.head));
    assert_true(seq_parse(slice_str(text_of(frame, "floor")), &hello.floor));
    encode_field(frame, "types", &types);
    hello.types = buf_slice(&types);
    hello.schema = number_of(frame, "schema");
    hello.ops = number_of(limits, "ops");
    hello.subs = number_of(limits, "subs");
    hello.frames_per_second = number_of(limits, "frames_per_second");
    hello.receipts_s = number_of(frame, "receipts");
    frame_hello(buf, &hello);
    buf_release(&types);
}

static void encode_gone(const cJSON *frame, struct buf *buf)
{
    frame_gone(buf, text_of(frame, "code"), slice_str(text_of(frame, "message")), number_of(frame, "retryMs"));
}

static void encode_snap(const struct parts *parts, struct buf *buf)
{
    struct snap_frame snap;
    snap_frame_init(&snap, parts->sub, parts->seq);
    frame_snap(buf, &snap, parts->key, buf_slice(&parts->row));
}

static void encode(const cJSON *frame, struct buf *buf)
{
    struct parts parts;
    parts_init(&parts, frame);
    const struct slice *sub = parts.has_sub ? &parts.sub : NULL;
    const char *tag = text_of(frame, "t");
    if (strcmp(tag, "snap") == 0)
        encode_snap(&parts, buf);
    else if (strcmp(tag, "snap-end") == 0)
        frame_snap_end(buf, parts.sub, parts.seq);
    else if (strcmp(tag, "d") == 0)
        frame_delta(buf, parts.sub, parts.key, op_of(frame), buf_slice(&parts.row), parts.seq);
    else if (strcmp(tag, "uptodate") == 0)
        frame_uptodate(buf, parts.seq, sub);
    else if (strcmp(tag, "reset") == 0)
        frame_reset(buf, sub);
    else if (strcmp(tag, "committed") == 0)
        frame_committed(buf, parts.tx, parts.seq, buf_slice(&parts.result));
    else if (strcmp(tag, "rejected") == 0)
        encode_rejected(frame, parts.tx, parts.seq, buf);
    else if (strcmp(tag, "page") == 0)
        frame_page(buf, parts.fetch, parts.n_rows, buf_slice(&parts.rows), parts.seq);
    else if (strcmp(tag, "hello") == 0)
        encode_hello(frame, buf);
    else if (strcmp(tag, "gone") == 0)
        encode_gone(frame, buf);
    else
        fail_msg("no encoder for %s", tag);
    parts_release(&parts);
}

static void test_every_server_frame_is_written_byte_for_byte(void **state)
{
    (void)state;
    cJSON *vectors = load("server.json");
    const cJSON *vector;
    cJSON_ArrayForEach(vector, vectors) {
        struct buf expected = {0}, actual = {0};
        mpjson_bytes(text_of(vector, "bytes"), &expected);
        encode(cJSON_GetObjectItemCaseSensitive(vector, "frame"), &actual);
        if (!slice_eq(buf_slice(&actual), buf_slice(&expected))) {
            struct buf hex = {0};
            mpjson_hex(buf_slice(&actual), &hex);
            fail_msg("%s: written as %.*s", text_of(vector, "name"), (int)hex.len, hex.data);
        }
        buf_release(&expected);
        buf_release(&actual);
    }
    cJSON_Delete(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_client_frame_is_read_as_described),
        cmocka_unit_test(test_every_malformed_message_is_dropped_or_left_to_be_refused),
        cmocka_unit_test(test_every_server_frame_is_written_byte_for_byte),
    };
    return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
