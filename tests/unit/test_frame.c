/*
 * Frames: what a client may say and in which shapes, and what walks out of the decoder again. What each frame looks
 * like in bytes is in proto/vectors, and tested by test_vectors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "proto/frame.h"
#include "proto/mp.h"
#include "tests/lib/mpjson.h"

/* Decodes JSON text (with ' for ") as a client would send it. `message` holds the bytes that the frame borrows. */
static bool decode(const char *quoted, struct buf *message, struct frame *frame)
{
    cJSON *json = mpjson_parse(quoted);
    message->len = 0;
    mpjson_write(json, message);
    cJSON_Delete(json);
    return frame_decode(buf_slice(message), frame);
}

static void assert_dropped(const char *quoted)
{
    struct buf message = {0};
    struct frame frame;
    if (decode(quoted, &message, &frame))
        fail_msg("not dropped: %s", quoted);
    buf_release(&message);
}

static void assert_dropped_bytes(const char *hex)
{
    struct buf message = {0};
    struct frame frame;
    mpjson_bytes(hex, &message);
    if (frame_decode(buf_slice(&message), &frame))
        fail_msg("not dropped: %s", hex);
    buf_release(&message);
}

static void assert_text(struct slice slice, const char *expected)
{
    char *text = mem_dup(slice);
    assert_string_equal(text, expected);
    free(text);
}

/* ---- subscriptions and fetches ---- */

static void test_a_sub_names_its_collection_and_says_nothing_else(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(decode("{'t':'sub','subId':'tasks#1','collection':'tasks'}", &message, &frame));
    assert_int_equal(frame.type, FRAME_SUB);
    assert_text(frame.id, "tasks#1");
    assert_text(frame.sub.collection, "tasks");
    assert_false(frame.sub.has_since);
    assert_int_equal(frame.sub.shape.where.len + frame.sub.shape.order_by.len + frame.sub.shape.limit.len +
                         frame.sub.shape.offset.len + frame.sub.shape.cursor.len,
                     0);
    buf_release(&message);
}

static void test_nil_is_as_good_as_missing(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(decode("{'t':'sub','subId':'a','collection':'b','where':null,'orderBy':null,'limit':null,"
                       "'offset':null,'since':null}",
                       &message, &frame));
    assert_false(frame.sub.has_since);
    assert_int_equal(frame.sub.shape.where.len + frame.sub.shape.order_by.len + frame.sub.shape.limit.len +
                         frame.sub.shape.offset.len,
                     0);
    assert_true(decode("{'t':'call','txId':'a','name':'b','args':null}", &message, &frame));
    assert_int_equal(frame.call.args.n, 0);
    buf_release(&message);
}

static void test_the_shape_of_a_sub_is_kept_as_it_was_encoded(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(decode("{'t':'sub','subId':'a','collection':'b','where':{'type':'val','value':true},'orderBy':[],"
                       "'limit':10,'offset':'x','since':'17'}",
                       &message, &frame));
    const struct shape *shape = &frame.sub.shape;
    assert_memory_equal(shape->where.data, "\x82\xa4type\xa3val\xa5value\xc3", shape->where.len);
    assert_true(slice_eq(shape->order_by, SLICE("\x90")));
    assert_true(slice_eq(shape->limit, SLICE("\x0a")));
    assert_true(slice_eq(shape->offset, SLICE("\xa1x")));
    assert_true(frame.sub.has_since);
    assert_text(frame.sub.since, "17");
    buf_release(&message);
}

static void test_since_zero_is_a_text_and_any_other_type_is_no_seq(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(decode("{'t':'sub','subId':'a','collection':'b','since':'0'}", &message, &frame));
    assert_true(frame.sub.has_since);
    assert_text(frame.sub.since, "0");
    static const char *const OTHERS[] = {"0", "17", "true", "[]", "{'a':1}", "''", "{'$bin':'31'}"};
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        char quoted[128];
        snprintf(quoted, sizeof quoted, "{'t':'sub','subId':'a','collection':'b','since':%s}", OTHERS[i]);
        assert_true(decode(quoted, &message, &frame));
        assert_true(frame.sub.has_since);
        assert_int_equal(frame.sub.since.len, 0);
    }
    buf_release(&message);
}

static void test_a_fetch_may_carry_a_cursor(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(
        decode("{'t':'fetch','fetchId':'f','collection':'b','cursor':{'whereFrom':1},'limit':5}", &message, &frame));
    assert_int_equal(frame.type, FRAME_FETCH);
    assert_text(frame.id, "f");
    assert_true(slice_eq(frame.fetch.shape.cursor, SLICE("\x81\xa9whereFrom\x01")));
    assert_true(slice_eq(frame.fetch.shape.limit, SLICE("\x05")));
    assert_int_equal(frame.fetch.shape.where.len, 0);
    buf_release(&message);
}

/* ---- mutations and calls ---- */

static void test_ops_are_walked_with_their_keys_and_columns(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(decode("{'t':'mut','txId':'t1','collection':'tasks','ops':["
                       "{'type':'insert','key':'a','cols':{'id':'a','n':1}},"
                       "{'cols':{'n':2},'key':'','type':'update'},"
                       "{'type':'delete','key':'c'},"
                       "{'type':'delete','key':'d','cols':null},"
                       "{'type':'update','key':'e','cols':{}}]}",
                       &message, &frame));
    static const struct {
        enum op_type type;
        const char *key;
        uint32_t n_columns;
    } EXPECTED[] = {
        {OP_INSERT, "a", 2}, {OP_UPDATE, "", 1}, {OP_DELETE, "c", 0}, {OP_DELETE, "d", 0}, {OP_UPDATE, "e", 0}};
    struct ops ops = frame.mut.ops;
    struct op op;
    assert_int_equal(ops.n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(ops_next(&ops, &op));
        assert_int_equal(op.type, EXPECTED[i].type);
        assert_text(op.key, EXPECTED[i].key);
        assert_int_equal(op.columns.n, EXPECTED[i].n_columns);
    }
    assert_false(ops_next(&ops, &op));
    /* The frame's own iterator has not moved. */
    assert_int_equal(frame.mut.ops.n, 5);
    buf_release(&message);
}

static struct value next_value(struct columns *columns, const char *name)
{
    struct slice found;
    struct value value;
    assert_true(columns_next(columns, &found, &value));
    assert_text(found, name);
    return value;
}

static void test_columns_are_walked_with_their_types(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(decode("{'t':'call','txId':'t1','name':'put','args':{'nil':null,'yes':true,'no':false,'int':-5,"
                       "'real':2.5,'text':'x','blob':{'$bin':'00ff'},'time':{'$time':-1},'array':[1,[2]],"
                       "'map':{'a':{}},'after':7}}",
                       &message, &frame));
    struct columns args = frame.call.args;
    assert_int_equal(next_value(&args, "nil").type, VALUE_NIL);
    struct value value = next_value(&args, "yes");
    assert_true(value.type == VALUE_BOOL && value.integer == 1);
    value = next_value(&args, "no");
    assert_true(value.type == VALUE_BOOL && value.integer == 0);
    value = next_value(&args, "int");
    assert_true(value.type == VALUE_INT && value.integer == -5);
    value = next_value(&args, "real");
    assert_true(value.type == VALUE_REAL && value.real == 2.5);
    value = next_value(&args, "text");
    assert_true(value.type == VALUE_TEXT && slice_eq(value.bytes, SLICE("x")));
    value = next_value(&args, "blob");
    assert_true(value.type == VALUE_BLOB && slice_eq(value.bytes, SLICE("\0\xff")));
    value = next_value(&args, "time");
    assert_true(value.type == VALUE_INT && value.integer == -1);
    value = next_value(&args, "array");
    assert_true(value.type == VALUE_NESTED && slice_eq(value.bytes, SLICE("\x92\x01\x91\x02")));
    value = next_value(&args, "map");
    assert_true(value.type == VALUE_NESTED && slice_eq(value.bytes, SLICE("\x81\xa1"
                                                                          "a\x80")));
    value = next_value(&args, "after");
    assert_true(value.type == VALUE_INT && value.integer == 7);
    struct slice name;
    assert_false(columns_next(&args, &name, &value));
    buf_release(&message);
}

static void test_an_unknown_extension_is_no_columns_value(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    mpjson_bytes("84 a174 a463616c6c a474784964 a161 a46e616d65 a162 a461726773 82 a178 d4 05 00 a179 01", &message);
    assert_true(frame_decode(buf_slice(&message), &frame));
    struct columns args = frame.call.args;
    struct value value = next_value(&args, "x");
    assert_true(value.type == VALUE_NESTED && slice_eq(value.bytes, SLICE("\xd4\x05\0")));
    assert_int_equal(next_value(&args, "y").integer, 1);
    buf_release(&message);
}

static void test_a_mut_needs_good_ops(void **state)
{
    (void)state;
    static const char *const OPS[] = {
        "null",
        "[]",
        "{}",
        "'x'",
        "[1]",
        "[[]]",
        "[{}]",
        "[{'type':'insert'}]",
        "[{'key':'a'}]",
        "[{'type':'insert','key':1}]",
        "[{'type':'insert','key':null}]",
        "[{'type':'upsert','key':'a'}]",
        "[{'type':'INSERT','key':'a'}]",
        "[{'type':1,'key':'a'}]",
        "[{'type':'insert','key':'a','cols':[]}]",
        "[{'type':'insert','key':'a','cols':1}]",
        "[{'type':'insert','key':'a','cols':'x'}]",
        "[{'type':'insert','key':'a'},{'type':'insert'}]",
    };
    char quoted[256];
    for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++) {
        snprintf(quoted, sizeof quoted, "{'t':'mut','txId':'a','collection':'b','ops':%s}", OPS[i]);
        assert_dropped(quoted);
    }
    assert_dropped("{'t':'mut','txId':'a','collection':'b'}");
    assert_dropped_bytes("84 a174 a36d7574 a474784964 a161 aa636f6c6c656374696f6e a162 a36f7073 91 "
                         "83 a474797065 a6696e73657274 a36b6579 a161 a4636f6c73 81 01 02"); /* cols: {1: 2} */
}

static void test_args_are_a_map_or_nothing(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(decode("{'t':'call','txId':'a','name':'b'}", &message, &frame));
    assert_int_equal(frame.call.args.n, 0);
    assert_true(decode("{'t':'call','txId':'a','name':'b','args':{}}", &message, &frame));
    assert_int_equal(frame.call.args.n, 0);
    assert_dropped("{'t':'call','txId':'a','name':'b','args':[]}");
    assert_dropped("{'t':'call','txId':'a','name':'b','args':false}");
    assert_dropped("{'t':'call','txId':'a','name':'b','args':'x'}");
    buf_release(&message);
}

/* ---- what makes any frame undecodable ---- */

static void test_a_frame_without_a_usable_tag_or_id_is_dropped(void **state)
{
    (void)state;
    static const char *const FRAMES[] = {
        "{}",
        "[]",
        "'sub'",
        "null",
        "{'subId':'a','collection':'b'}",
        "{'t':null,'subId':'a','collection':'b'}",
        "{'t':1,'subId':'a','collection':'b'}",
        "{'t':'SUB','subId':'a','collection':'b'}",
        "{'t':'snap','subId':'a','collection':'b'}",
        "{'t':'sub','collection':'b'}",
        "{'t':'sub','subId':'','collection':'b'}",
        "{'t':'sub','subId':1,'collection':'b'}",
        "{'t':'sub','subId':null,'collection':'b'}",
        "{'t':'sub','subId':{'$bin':'61'},'collection':'b'}",
        "{'t':'sub','txId':'a','collection':'b'}",
        "{'t':'sub','subId':'a'}",
        "{'t':'sub','subId':'a','collection':''}",
        "{'t':'sub','subId':'a','collection':7}",
        "{'t':'unsub'}",
        "{'t':'unsub','subId':['a']}",
        "{'t':'mut','collection':'b','ops':[{'type':'delete','key':'a'}]}",
        "{'t':'mut','txId':'a','ops':[{'type':'delete','key':'a'}]}",
        "{'t':'call','name':'b'}",
        "{'t':'call','txId':'a'}",
        "{'t':'call','txId':'a','name':''}",
        "{'t':'fetch','collection':'b'}",
        "{'t':'fetch','fetchId':'a'}",
    };
    for (size_t i = 0; i < sizeof FRAMES / sizeof *FRAMES; i++)
        assert_dropped(FRAMES[i]);
}

static void test_an_id_is_of_1_to_128_bytes(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    for (int len = 1; len <= 130; len++) {
        char quoted[256];
        snprintf(quoted, sizeof quoted, "{'t':'unsub','subId':'%0*d'}", len, 0);
        assert_int_equal(decode(quoted, &message, &frame), len <= FRAME_NAME_MAX);
    }
    buf_release(&message);
}

static const char *const WHOLE[] = {
    "{'t':'sub','subId':'a','collection':'b','where':{'type':'func','args':[1,2.5]},'since':'1'}",
    "{'t':'unsub','subId':'a'}",
    "{'t':'mut','txId':'a','collection':'b','ops':[{'type':'insert','key':'k','cols':{'x':'y','z':{'$bin':'00'}}}]}",
    "{'t':'call','txId':'a','name':'b','args':{'x':{'$time':5}}}",
    "{'t':'fetch','fetchId':'a','collection':'b','limit':5}",
};

static void test_a_frame_cut_anywhere_or_with_more_behind_it_is_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE; i++) {
        struct buf message = {0};
        struct frame frame;
        assert_true(decode(WHOLE[i], &message, &frame));
        for (size_t len = 0; len < message.len; len++) {
            /* At its exact length, so that a read behind it is seen. */
            char *copy = mem_dup(slice_of(message.data, len));
            assert_false(frame_decode(slice_of(copy, len), &frame));
            free(copy);
        }
        mp_write_nil(&message);
        assert_false(frame_decode(buf_slice(&message), &frame));
        buf_release(&message);
    }
}

static void test_a_frame_that_is_dropped_leaves_the_result_alone(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame, before;
    memset(&frame, 0x5a, sizeof frame);
    before = frame;
    assert_false(decode("{'t':'call','txId':'a','args':{}}", &message, &frame));
    assert_memory_equal(&frame, &before, sizeof frame);
    buf_release(&message);
}

static void test_fields_come_in_any_order_and_unknown_ones_are_ignored(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(decode("{'ops':[{'since':1,'key':'a','type':'delete','x':{'y':[]}}],'args':3,'x':{'y':[1]},"
                       "'collection':'b','txId':'c','base':'5','t':'mut'}",
                       &message, &frame));
    assert_int_equal(frame.mut.ops.n, 1);
    assert_text(frame.id, "c");
    assert_true(decode("{'t':'unsub','subId':'a','ops':7,'args':[1],'limit':{}}", &message, &frame));
    buf_release(&message);
}

static void test_of_a_repeated_field_the_last_counts(void **state)
{
    (void)state;
    struct buf message = {0};
    struct frame frame;
    assert_true(decode("{'t':'sub','t':'unsub','subId':1,'subId':'a','subId':'b'}", &message, &frame));
    assert_int_equal(frame.type, FRAME_UNSUB);
    assert_text(frame.id, "b");
    assert_true(decode("{'t':'mut','txId':'a','collection':'b','ops':9,'ops':[{'type':'insert','type':'delete',"
                       "'key':'x','key':'y','cols':{'a':1},'cols':null}]}",
                       &message, &frame));
    struct op op;
    assert_true(ops_next(&frame.mut.ops, &op));
    assert_int_equal(op.type, OP_DELETE);
    assert_text(op.key, "y");
    assert_int_equal(op.columns.n, 0);
    assert_dropped("{'t':'mut','txId':'a','collection':'b','ops':[{'type':'delete','key':'y'}],'ops':9}");
    assert_dropped("{'t':'unsub','subId':'a','subId':1}");
    assert_dropped("{'t':'call','txId':'a','name':'b','args':{},'args':1}");
    buf_release(&message);
}

static void test_keys_of_a_frame_are_text(void **state)
{
    (void)state;
    assert_dropped_bytes("83 a174 a5756e737562 a57375624964 a161 01 02");
    assert_dropped_bytes("83 a174 a5756e737562 a57375624964 a161 c0 02");
    assert_dropped_bytes("83 a174 a5756e737562 a57375624964 a161 c4 01 61 02");
}

static void test_text_that_is_not_utf8_makes_a_frame_undecodable_wherever_it_is(void **state)
{
    (void)state;
    assert_dropped_bytes("82 a174 a5756e737562 a57375624964 a1ff");
    assert_dropped_bytes("83 a174 a5756e737562 a57375624964 a161 a178 91 a1ff");
    assert_dropped_bytes("83 a174 a5756e737562 a57375624964 a161 a1ff 01");
}

static void test_depth_counts_the_whole_message(void **state)
{
    (void)state;
    static const struct {
        const char *front;
        int around; /* containers that the front opens */
    } CASES[] = {
        {"84 a174 a3737562 a57375624964 a161 aa636f6c6c656374696f6e a162 a57768657265", 1},
        {"83 a174 a5756e737562 a57375624964 a161 a178", 1},
        {"84 a174 a463616c6c a474784964 a161 a46e616d65 a162 a461726773 81 a178", 2},
        {"84 a174 a36d7574 a474784964 a161 aa636f6c6c656374696f6e a162 a36f7073 91 83 a474797065 a6696e73657274 "
         "a36b6579 a161 a178",
         3},
        {"84 a174 a36d7574 a474784964 a161 aa636f6c6c656374696f6e a162 a36f7073 91 83 a474797065 a6696e73657274 "
         "a36b6579 a161 a4636f6c73 81 a178",
         4},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        for (int depth = FRAME_DEPTH_MAX - 1; depth <= FRAME_DEPTH_MAX + 1; depth++) {
            struct buf message = {0};
            char inner[32];
            struct frame frame;
            snprintf(inner, sizeof inner, "91*%d c0", depth - CASES[i].around);
            mpjson_bytes(CASES[i].front, &message);
            mpjson_bytes(inner, &message);
            assert_int_equal(frame_decode(buf_slice(&message), &frame), depth <= FRAME_DEPTH_MAX);
            buf_release(&message);
        }
}

/* ---- seqs ---- */

static void test_a_seq_is_decimal_digits_up_to_63_bits(void **state)
{
    (void)state;
    uint64_t seq = 7;
    static const char *const BAD[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "a",
                                      "9223372036854775808",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "1\xd9\xa3"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(seq_parse(slice_str(BAD[i]), &seq));
    assert_int_equal(seq, 7);
    assert_true(seq_parse(SLICE("0"), &seq) && seq == 0);
    assert_true(seq_parse(SLICE("42"), &seq) && seq == 42);
    assert_true(seq_parse(SLICE("9223372036854775807"), &seq) && seq == INT64_MAX);
}

static void test_every_seq_is_written_as_it_is_read(void **state)
{
    (void)state;
    uint64_t seq = 0;
    for (int bit = -1; bit < 63; bit++) {
        uint64_t expected = bit < 0 ? 0 : (UINT64_C(1) << bit) + (unsigned)bit;
        struct buf buf = {0};
        frame_uptodate(&buf, expected, NULL);
        assert_memory_equal(buf.data, "\x82\xa1t\xa8uptodate\xa3seq", 16);
        assert_true(seq_parse(slice_of(buf.data + 17, buf.len - 17), &seq));
        assert_int_equal(seq, expected);
        buf_release(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sub_names_its_collection_and_says_nothing_else),
        cmocka_unit_test(test_nil_is_as_good_as_missing),
        cmocka_unit_test(test_the_shape_of_a_sub_is_kept_as_it_was_encoded),
        cmocka_unit_test(test_since_zero_is_a_text_and_any_other_type_is_no_seq),
        cmocka_unit_test(test_a_fetch_may_carry_a_cursor),
        cmocka_unit_test(test_ops_are_walked_with_their_keys_and_columns),
        cmocka_unit_test(test_columns_are_walked_with_their_types),
        cmocka_unit_test(test_an_unknown_extension_is_no_columns_value),
        cmocka_unit_test(test_a_mut_needs_good_ops),
        cmocka_unit_test(test_args_are_a_map_or_nothing),
        cmocka_unit_test(test_a_frame_without_a_usable_tag_or_id_is_dropped),
        cmocka_unit_test(test_an_id_is_of_1_to_128_bytes),
        cmocka_unit_test(test_a_frame_cut_anywhere_or_with_more_behind_it_is_dropped),
        cmocka_unit_test(test_a_frame_that_is_dropped_leaves_the_result_alone),
        cmocka_unit_test(test_fields_come_in_any_order_and_unknown_ones_are_ignored),
        cmocka_unit_test(test_of_a_repeated_field_the_last_counts),
        cmocka_unit_test(test_keys_of_a_frame_are_text),
        cmocka_unit_test(test_text_that_is_not_utf8_makes_a_frame_undecodable_wherever_it_is),
        cmocka_unit_test(test_depth_counts_the_whole_message),
        cmocka_unit_test(test_a_seq_is_decimal_digits_up_to_63_bits),
        cmocka_unit_test(test_every_seq_is_written_as_it_is_read),
    };
    return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
