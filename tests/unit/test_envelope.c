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
    for (enum envelope_type type = ENVELOPE_ATTACH; type <= ENVELOPE_CLOSE; type++)
        envelope_append(&buf, type, 0xfffffff0u + type, slice_of("payload", type));
    struct slice in = buf_slice(&buf);
    for (enum envelope_type type = ENVELOPE_ATTACH; type <= ENVELOPE_CLOSE; type++) {
        struct envelope envelope = decode(&in);
        assert_int_equal(envelope.type, type);
        assert_int_equal(envelope.session, 0xfffffff0u + type);
        assert_true(slice_eq(envelope.payload, slice_of("payload", type)));
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
        cmocka_unit_test(test_close_is_a_code_and_a_reason_that_may_be_empty),
    };
    return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
