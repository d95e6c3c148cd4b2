/*
 * Envelopes: what two of our own processes say to each other, and what ends a channel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/envelope.h"
#include "tests/lib/mpjson.h"

static struct envelope decode(struct slice *in)
{
    struct envelope envelope;
    assert_int_equal(envelope_decode(in, &envelope), ENVELOPE_WHOLE);
    return envelope;
}

static enum envelope_status status_of(const char *hex)
{
    struct buf buf = {0};
    mpjson_bytes(hex, &buf);
    struct slice in = buf_slice(&buf);
    struct envelope envelope;
    enum envelope_status status = envelope_decode(&in, &envelope);
    if (status != ENVELOPE_WHOLE)
        assert_int_equal(in.len, buf.len);
    buf_release(&buf);
    return status;
}

static void test_envelopes_come_out_as_they_went_in_one_after_the_other(void **state)
{
    (void)state;
    struct buf buf = {0};
    for (enum envelope_type type = ENVELOPE_ATTACH; type <= ENVELOPE_LAST; type++)
        envelope_append(&buf, type, 0xfffffff0u + type, slice_of("a payload of so many bytes", type));
    struct slice in = buf_slice(&buf);
    for (enum envelope_type type = ENVELOPE_ATTACH; type <= ENVELOPE_LAST; type++) {
        struct envelope envelope = decode(&in);
        assert_int_equal(envelope.type, type);
        assert_int_equal(envelope.session, 0xfffffff0u + type);
        assert_true(slice_eq(envelope.payload, slice_of("a payload of so many bytes", type)));
    }
    assert_int_equal(in.len, 0);
    buf_release(&buf);
}

static void note(void *arg, const struct envelope *envelope)
{
    buf_printf(arg, "%d:%.*s ", (int)envelope->session, (int)envelope->payload.len, envelope->payload.data);
}

static void test_bytes_may_arrive_in_pieces_of_any_size(void **state)
{
    (void)state;
    struct buf buf = {0};
    envelope_append(&buf, ENVELOPE_MESSAGE, 1, SLICE("one"));
    envelope_append(&buf, ENVELOPE_MESSAGE, 2, SLICE("two"));
    envelope_append(&buf, ENVELOPE_MESSAGE, 3, SLICE("three"));
    for (size_t step = 1; step <= buf.len; step++) {
        struct buf partial = {0}, notes = {0};
        for (size_t at = 0; at < buf.len; at += step) {
            size_t len = buf.len - at < step ? buf.len - at : step;
            assert_true(envelope_receive(&partial, slice_of(buf.data + at, len), note, &notes));
        }
        assert_string_equal(notes.data, "1:one 2:two 3:three ");
        assert_null(partial.data);
        buf_release(&notes);
    }
    buf_release(&buf);
    struct buf partial = {0};
    assert_false(envelope_receive(&partial, SLICE("no envelope at all"), note, NULL));
    buf_release(&partial);
}

static void test_the_header_is_little_endian(void **state)
{
    (void)state;
    struct buf buf = {0};
    envelope_append(&buf, ENVELOPE_MESSAGE, 0x01020304, SLICE("hi"));
    assert_int_equal(buf.len, 14);
    assert_memory_equal(buf.data, "\5\0\0\0\4\3\2\1\2\0\0\0hi", 14);
    buf_release(&buf);
}

static void test_a_payload_may_be_written_in_place(void **state)
{
    (void)state;
    struct buf buf = {0}, same = {0};
    envelope_append(&buf, ENVELOPE_DETACH, 1, (struct slice){0});
    size_t begun = envelope_begin(&buf, ENVELOPE_MESSAGE, 2);
    for (int i = 0; i < 1000; i++)
        buf_append_slice(&buf, SLICE("0123456789"));
    envelope_end(&buf, begun);
    struct slice in = buf_slice(&buf);
    decode(&in);
    struct envelope envelope = decode(&in);
    assert_int_equal(envelope.payload.len, 10000);
    envelope_append(&same, ENVELOPE_DETACH, 1, (struct slice){0});
    envelope_append(&same, ENVELOPE_MESSAGE, 2, envelope.payload);
    assert_true(slice_eq(buf_slice(&buf), buf_slice(&same)));
    buf_release(&buf);
    buf_release(&same);
}

static void test_a_part_of_an_envelope_waits_for_more(void **state)
{
    (void)state;
    struct buf buf = {0};
    envelope_append_attach(&buf, 7, DIALECT_BASE, SLICE("{\"sub\":\"ann\"}"));
    for (size_t len = 0; len < buf.len; len++) {
        struct slice in = slice_of(buf.data, len);
        struct envelope envelope;
        assert_int_equal(envelope_decode(&in, &envelope), ENVELOPE_MORE);
        assert_int_equal(in.len, len);
    }
    buf_release(&buf);
}

static void test_what_no_peer_of_ours_writes_ends_the_channel(void **state)
{
    (void)state;
    assert_int_equal(status_of("01 000000 00*4 00*4"), ENVELOPE_WHOLE);
    assert_int_equal(status_of("00 000000 00*4 00*4"), ENVELOPE_BAD);
    assert_int_equal(status_of("0f 000000 00*4 00*4"), ENVELOPE_BAD);
    assert_int_equal(status_of("01 010000 00*4 00*4"), ENVELOPE_BAD);
    assert_int_equal(status_of("01 000100 00*4 00*4"), ENVELOPE_BAD);
    assert_int_equal(status_of("01 000001 00*4 00*4"), ENVELOPE_BAD);
}

static void test_a_payload_above_the_maximum_is_refused_before_it_comes(void **state)
{
    (void)state;
    assert_int_equal(status_of("05 000000 00*4 00000004"), ENVELOPE_MORE);
    assert_int_equal(status_of("05 000000 00*4 01000004"), ENVELOPE_BAD);
    assert_int_equal(status_of("05 000000 00*4 ffffffff"), ENVELOPE_BAD);
}

static void test_credit_is_a_number(void **state)
{
    (void)state;
    struct buf buf = {0};
    envelope_append_credit(&buf, 3, 0xfedcba98);
    struct slice in = buf_slice(&buf);
    struct envelope envelope = decode(&in);
    uint32_t bytes;
    assert_int_equal(envelope.session, 3);
    assert_true(envelope_credit(&envelope, &bytes));
    assert_int_equal(bytes, 0xfedcba98);
    envelope.payload.len = 3;
    assert_false(envelope_credit(&envelope, &bytes));
    envelope = (struct envelope){ENVELOPE_MESSAGE, 3, SLICE("four")};
    assert_false(envelope_credit(&envelope, &bytes));
    buf_release(&buf);
}

static void test_close_is_a_code_and_a_reason_that_may_be_empty(void **state)
{
    (void)state;
    struct buf buf = {0};
    envelope_append_close(&buf, 3, 4403, "not allowed");
    envelope_append_close(&buf, 3, 1012, "");
    struct slice in = buf_slice(&buf), reason;
    struct envelope envelope = decode(&in);
    uint16_t code;
    assert_true(envelope_close(&envelope, &code, &reason));
    assert_int_equal(code, 4403);
    assert_true(slice_eq(reason, SLICE("not allowed")));
    envelope = decode(&in);
    assert_true(envelope_close(&envelope, &code, &reason));
    assert_int_equal(code, 1012);
    assert_int_equal(reason.len, 0);
    envelope.payload.len = 1;
    assert_false(envelope_close(&envelope, &code, &reason));
    envelope = (struct envelope){ENVELOPE_CREDIT, 3, SLICE("four")};
    assert_false(envelope_close(&envelope, &code, &reason));
    buf_release(&buf);
}

static void test_an_attach_is_a_dialect_and_claims(void **state)
{
    (void)state;
    struct buf buf = {0};
    envelope_append_attach(&buf, 3, DIALECT_V1, SLICE("{}"));
    struct slice in = buf_slice(&buf), claims;
    struct envelope envelope = decode(&in);
    enum dialect dialect;
    assert_true(envelope_attach(&envelope, &dialect, &claims));
    assert_int_equal(dialect, DIALECT_V1);
    assert_true(slice_eq(claims, SLICE("{}")));
    envelope.payload = SLICE("\x02{}"); /* a dialect that this version does not know */
    assert_false(envelope_attach(&envelope, &dialect, &claims));
    envelope.payload = SLICE("");
    assert_false(envelope_attach(&envelope, &dialect, &claims));
    envelope = (struct envelope){ENVELOPE_MESSAGE, 3, SLICE("\x01{}")};
    assert_false(envelope_attach(&envelope, &dialect, &claims));
    buf_release(&buf);
}

static void test_a_lag_is_a_position(void **state)
{
    (void)state;
    struct buf buf = {0};
    uint64_t seq = 0;
    envelope_append_lag(&buf, 3, 1234567890123);
    struct slice in = buf_slice(&buf);
    struct envelope envelope = decode(&in);
    assert_true(envelope_lag(&envelope, &seq));
    assert_true(seq == 1234567890123);
    envelope.payload.len--;
    assert_false(envelope_lag(&envelope, &seq));
    envelope = (struct envelope){ENVELOPE_CREDIT, 3, SLICE("12345678")};
    assert_false(envelope_lag(&envelope, &seq));
    buf_release(&buf);
}

static void check_member(struct slice *members, uint32_t audience, const char *id)
{
    struct audience_member member;
    assert_true(envelope_next_member(members, &member));
    assert_int_equal(member.audience, audience);
    assert_true(slice_eq(member.id, slice_str(id)));
}

static void test_a_join_names_the_audience_of_each_subscription(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct audience_member member;
    size_t begun = envelope_begin_join(&buf, 9, 77);
    envelope_add_audience(&buf, 0, SLICE("\xa1n"));
    envelope_add_audience(&buf, 70000, SLICE("\xa4tags"));
    envelope_end(&buf, begun);
    struct slice in = buf_slice(&buf), members;
    struct envelope envelope = decode(&in);
    assert_int_equal(envelope.type, ENVELOPE_JOIN);
    assert_int_equal(envelope.session, 9);
    assert_int_equal(envelope_join(&envelope, &members), 77);
    check_member(&members, 0, "\xa1n");
    check_member(&members, 70000, "\xa4tags");
    assert_false(envelope_next_member(&members, &member));
    buf_release(&buf);
}

static void test_a_change_has_a_hole_for_the_subscription(void **state)
{
    (void)state;
    struct buf buf = {0};
    size_t begun = envelope_begin_change(&buf, 5, 99);
    buf_append_slice(&buf, SLICE("head and tail"));
    envelope_end_change(&buf, begun, 5);
    struct slice in = buf_slice(&buf), head, tail;
    struct envelope envelope = decode(&in);
    assert_int_equal(envelope.type, ENVELOPE_CHANGE);
    assert_int_equal(envelope.session, 5);
    assert_int_equal(envelope_change(&envelope, &head, &tail), 99);
    assert_true(slice_eq(head, SLICE("head ")));
    assert_true(slice_eq(tail, SLICE("and tail")));
    buf_release(&buf);
}

static void test_a_boundary_has_a_position_and_a_message(void **state)
{
    (void)state;
    struct buf buf = {0};
    size_t begun = envelope_begin_boundary(&buf, true, 88);
    buf_append_slice(&buf, SLICE("message"));
    envelope_end(&buf, begun);
    struct slice in = buf_slice(&buf), message;
    struct envelope envelope = decode(&in);
    assert_int_equal(envelope.type, ENVELOPE_BOUNDARY);
    assert_int_equal(envelope.session, 1);
    assert_int_equal(envelope_boundary(&envelope, &message), 88);
    assert_true(slice_eq(message, SLICE("message")));
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelopes_come_out_as_they_went_in_one_after_the_other),
        cmocka_unit_test(test_bytes_may_arrive_in_pieces_of_any_size),
        cmocka_unit_test(test_the_header_is_little_endian),
        cmocka_unit_test(test_a_payload_may_be_written_in_place),
        cmocka_unit_test(test_a_part_of_an_envelope_waits_for_more),
        cmocka_unit_test(test_what_no_peer_of_ours_writes_ends_the_channel),
        cmocka_unit_test(test_a_payload_above_the_maximum_is_refused_before_it_comes),
        cmocka_unit_test(test_an_attach_is_a_dialect_and_claims),
        cmocka_unit_test(test_credit_is_a_number),
        cmocka_unit_test(test_a_lag_is_a_position),
        cmocka_unit_test(test_a_join_names_the_audience_of_each_subscription),
        cmocka_unit_test(test_a_change_has_a_hole_for_the_subscription),
        cmocka_unit_test(test_a_boundary_has_a_position_and_a_message),
        cmocka_unit_test(test_close_is_a_code_and_a_reason_that_may_be_empty),
    };
    return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
