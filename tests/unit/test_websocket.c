/*
 * WebSocket framing: what a client may send, in whatever pieces it arrives, and what ends the connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "proto/websocket.h"
#include "tests/lib/mpjson.h"

enum { KEEP_MAX = 100, MESSAGE_MAX = 1000 };

static const char MASK[4] = {'\x37', '\xfa', '\x21', '\x3d'};

/* Appends a client's frame; `first` is the header's first byte. */
static void client_frame(struct buf *buf, unsigned first, struct slice payload)
{
    char header[WS_HEADER_MAX];
    size_t len = ws_header(header, (enum ws_opcode)(first & 0x0f), payload.len);
    header[0] = (char)first;
    header[1] = (char)(header[1] | 0x80);
    buf_append(buf, header, len);
    buf_append(buf, MASK, sizeof MASK);
    for (size_t i = 0; i < payload.len; i++) {
        char byte = (char)(payload.data[i] ^ MASK[i % 4]);
        buf_append(buf, &byte, 1);
    }
}

static void client_text(struct buf *buf, unsigned first, const char *payload)
{
    client_frame(buf, first, slice_str(payload));
}

/* What came of some bytes: events as text, `|` between them; a broken connection as `!code`. */
struct outcome {
    struct buf text;
    size_t n_left; /* bytes that wait for more */
};

static void add_event(struct outcome *outcome, const struct ws_event *event)
{
    static const char *const NAMES[] = {"", "text", "binary", [WS_CLOSE] = "close", "ping", "pong"};
    buf_printf(&outcome->text, "%s", NAMES[event->opcode]);
    if (event->opcode == WS_CLOSE)
        buf_printf(&outcome->text, " %u", event->code);
    if (event->is_oversized)
        buf_printf(&outcome->text, " too long");
    buf_printf(&outcome->text, " %.*s|", (int)event->payload.len, event->payload.len == 0 ? "" : event->payload.data);
}

/* Feeds bytes to a decoder until it wants more. Returns false once the connection is broken. */
static bool feed(struct ws_decoder *decoder, struct buf *pending, struct outcome *outcome)
{
    char *data = pending->data;
    size_t len = pending->len;
    struct ws_event event;
    enum ws_code code;
    enum ws_status status;
    while ((status = ws_decode(decoder, &data, &len, &event, &code)) == WS_EVENT)
        add_event(outcome, &event);
    if (status == WS_BROKEN)
        buf_printf(&outcome->text, "!%d", (int)code);
    buf_consume(pending, pending->len - len);
    outcome->n_left = pending->len;
    return status == WS_MORE;
}

/* Decodes a copy of `bytes`, which arrive in two pieces, cut at `cut`. */
static struct outcome decode_cut(struct slice bytes, size_t cut)
{
    struct ws_decoder decoder;
    ws_decoder_init(&decoder, KEEP_MAX, MESSAGE_MAX);
    struct outcome outcome = {0};
    struct buf pending = {0};
    buf_append(&pending, bytes.data, cut);
    if (feed(&decoder, &pending, &outcome)) {
        buf_append(&pending, bytes.data + cut, bytes.len - cut);
        feed(&decoder, &pending, &outcome);
    }
    buf_append(&outcome.text, "", 1);
    buf_release(&pending);
    ws_decoder_release(&decoder);
    return outcome;
}

/* However the bytes are cut, they mean the same. Takes what `buf` holds. */
static void assert_outcome(struct buf *buf, const char *expected)
{
    for (size_t cut = 0; cut <= buf->len; cut++) {
        struct outcome outcome = decode_cut(buf_slice(buf), cut);
        assert_string_equal(outcome.text.data, expected);
        buf_release(&outcome.text);
    }
    buf_release(buf);
}

static void assert_bytes_outcome(const char *hex, const char *expected)
{
    struct buf buf = {0};
    mpjson_bytes(hex, &buf);
    assert_outcome(&buf, expected);
}

/* ---- messages ---- */

static void test_the_examples_of_the_rfc_are_understood(void **state)
{
    (void)state;
    assert_bytes_outcome("81 85 37fa213d 7f9f4d5158", "text Hello|");
    assert_bytes_outcome("89 85 37fa213d 7f9f4d5158", "ping Hello|");
    assert_bytes_outcome("01 83 00000000 48656c 80 82 00000000 6c6f", "text Hello|");
}

static void test_messages_follow_each_other(void **state)
{
    (void)state;
    struct buf buf = {0};
    client_text(&buf, 0x81, "ping");
    client_text(&buf, 0x82, "");
    client_text(&buf, 0x82, "a longer one, so that whole blocks are unmasked too");
    client_text(&buf, 0x8a, "");
    assert_outcome(&buf, "text ping|binary |binary a longer one, so that whole blocks are unmasked too|pong |");
}

static void test_each_form_of_length_is_read(void **state)
{
    (void)state;
    static const size_t LENS[] = {0, 1, 125, 126, 127, 999, 65535, 65536, 70000};
    for (size_t i = 0; i < sizeof LENS / sizeof *LENS; i++) {
        char *payload = mem_alloc(LENS[i] + 1);
        memset(payload, 'x', LENS[i]);
        struct buf buf = {0};
        client_frame(&buf, 0x82, slice_of(payload, LENS[i]));
        struct ws_decoder decoder;
        ws_decoder_init(&decoder, 70000, 70000);
        char *data = buf.data;
        size_t len = buf.len;
        struct ws_event event;
        enum ws_code code;
        assert_int_equal(ws_decode(&decoder, &data, &len, &event, &code), WS_EVENT);
        assert_true(slice_eq(event.payload, slice_of(payload, LENS[i])));
        assert_int_equal(len, 0);
        ws_decoder_release(&decoder);
        buf_release(&buf);
        free(payload);
    }
}

static void test_a_message_comes_in_fragments_with_control_frames_between(void **state)
{
    (void)state;
    struct buf buf = {0};
    client_text(&buf, 0x02, "one ");
    client_text(&buf, 0x89, "still there?");
    client_text(&buf, 0x00, "");
    client_text(&buf, 0x00, "two ");
    client_text(&buf, 0x8a, "");
    client_text(&buf, 0x80, "three");
    client_text(&buf, 0x81, "next");
    assert_outcome(&buf, "ping still there?|pong |binary one two three|text next|");
}

static void test_a_decoder_keeps_no_memory_between_messages(void **state)
{
    (void)state;
    struct ws_decoder decoder;
    ws_decoder_init(&decoder, KEEP_MAX, MESSAGE_MAX);
    struct buf buf = {0};
    struct outcome outcome = {0};
    client_text(&buf, 0x82, "whole");
    assert_true(feed(&decoder, &buf, &outcome));
    assert_null(decoder.partial.data);
    client_text(&buf, 0x02, "in ");
    assert_true(feed(&decoder, &buf, &outcome));
    assert_non_null(decoder.partial.data);
    client_text(&buf, 0x80, "pieces");
    assert_true(feed(&decoder, &buf, &outcome));
    assert_null(decoder.partial.data);
    buf_release(&outcome.text);
    buf_release(&buf);
    ws_decoder_release(&decoder);
}

/* ---- messages that are too long to keep ---- */

static void test_a_message_too_long_to_keep_is_passed_over(void **state)
{
    (void)state;
    char many[MESSAGE_MAX];
    memset(many, 'x', sizeof many);
    struct buf buf = {0};
    client_frame(&buf, 0x82, slice_of(many, KEEP_MAX + 1));
    client_text(&buf, 0x82, "short");
    client_frame(&buf, 0x81, slice_of(many, MESSAGE_MAX));
    client_text(&buf, 0x81, "ping");
    assert_outcome(&buf, "binary too long |binary short|text too long |text ping|");
}

static void test_fragments_too_long_to_keep_are_passed_over(void **state)
{
    (void)state;
    char many[KEEP_MAX];
    memset(many, 'x', sizeof many);
    struct buf buf = {0};
    client_frame(&buf, 0x02, slice_of(many, KEEP_MAX));
    client_text(&buf, 0x89, "still there?");
    client_text(&buf, 0x00, "y");
    client_text(&buf, 0x8a, "");
    client_frame(&buf, 0x00, slice_of(many, KEEP_MAX));
    client_text(&buf, 0x80, "");
    client_frame(&buf, 0x02, slice_of(many, KEEP_MAX / 2));
    client_text(&buf, 0x80, "");
    char expected[200];
    snprintf(expected, sizeof expected, "ping still there?|pong |binary too long |binary %.*s|", KEEP_MAX / 2, many);
    assert_outcome(&buf, expected);
}

static void test_a_message_that_is_passed_over_takes_no_memory(void **state)
{
    (void)state;
    char many[KEEP_MAX];
    memset(many, 'x', sizeof many);
    struct ws_decoder decoder;
    ws_decoder_init(&decoder, KEEP_MAX, MESSAGE_MAX);
    struct buf buf = {0};
    struct outcome outcome = {0};
    client_frame(&buf, 0x02, slice_of(many, KEEP_MAX));
    assert_true(feed(&decoder, &buf, &outcome));
    assert_int_equal(decoder.partial.len, KEEP_MAX);
    client_frame(&buf, 0x00, slice_of(many, KEEP_MAX));
    buf.len -= KEEP_MAX / 2;
    assert_true(feed(&decoder, &buf, &outcome));
    assert_int_equal(outcome.n_left, 0);
    assert_null(decoder.partial.data);
    buf_release(&buf);
    ws_decoder_release(&decoder);
}

/* ---- what breaks a connection ---- */

static void test_a_frame_that_breaks_the_protocol_ends_the_connection(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "81 05 48656c6c6f", /* not masked */
        "c1 80 00000000",   /* reserved bits */
        "a1 80 00000000",
        "91 80 00000000",
        "83 80 00000000", /* opcodes without a meaning */
        "8b 80 00000000",
        "80 80 00000000",                /* a continuation of nothing */
        "01 80 00000000 81 80 00000000", /* a message within a message */
        "09 80 00000000",                /* a control frame in fragments */
        "89 fe 007e 00000000",           /* a control frame too long */
        "82 fe 007d 00000000",           /* a length in a longer form than it needs */
        "82 ff 000000000000ffff 00000000",
        "88 81 00000000 03", /* half a close code */
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_bytes_outcome(CASES[i], "!1002");
}

static void test_text_that_is_not_utf8_ends_the_connection(void **state)
{
    (void)state;
    assert_bytes_outcome("81 81 00000000 ff", "!1007");
    assert_bytes_outcome("01 81 00000000 c3 80 81 00000000 28", "!1007");
    assert_bytes_outcome("88 83 00000000 03e8 ff", "!1007");
    assert_bytes_outcome("82 81 00000000 ff", "binary \xff|");
}

static void test_a_character_may_be_split_over_fragments(void **state)
{
    (void)state;
    assert_bytes_outcome("01 81 00000000 c3 80 81 00000000 a4", "text \xc3\xa4|");
}

static void test_a_message_too_large_is_refused_by_its_header(void **state)
{
    (void)state;
    assert_bytes_outcome("82 fe 03e9 00000000", "!1009");
    assert_bytes_outcome("82 ff 0000000000010000 00000000", "!1009");
    assert_bytes_outcome("82 ff ffffffffffffffff 00000000", "!1009");
    struct outcome outcome = decode_cut(SLICE("\x82\xfe\x03\xe8"), 0);
    assert_string_equal(outcome.text.data, "");
    assert_int_equal(outcome.n_left, 4);
    buf_release(&outcome.text);
}

static void test_fragments_too_large_together_are_refused(void **state)
{
    (void)state;
    char half[500];
    memset(half, 'x', sizeof half);
    struct buf buf = {0};
    client_frame(&buf, 0x02, slice_of(half, sizeof half));
    client_frame(&buf, 0x00, slice_of(half, sizeof half));
    client_text(&buf, 0x00, "");
    client_text(&buf, 0x80, "x");
    assert_outcome(&buf, "!1009");
}

/* ---- closing ---- */

static void test_a_close_has_a_code_and_a_reason_or_neither(void **state)
{
    (void)state;
    assert_bytes_outcome("88 80 00000000", "close 1005 |");
    assert_bytes_outcome("88 82 00000000 03e8", "close 1000 |");
    assert_bytes_outcome("88 85 00000000 1131 627965", "close 4401 bye|");
}

static void test_only_codes_that_a_peer_may_send_are_taken(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= 5000; code++) {
        bool may = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
        char payload[2] = {(char)(code >> 8), (char)code}, expected[32];
        snprintf(expected, sizeof expected, may ? "close %u |" : "!1002", code);
        struct buf buf = {0};
        client_frame(&buf, 0x88, slice_of(payload, sizeof payload));
        assert_outcome(&buf, expected);
    }
}

static void assert_sent(struct buf *buf, const char *expected)
{
    struct buf hex = {0};
    mpjson_hex(buf_slice(buf), &hex);
    buf_append(&hex, "", 1);
    assert_string_equal(hex.data, expected);
    buf_release(&hex);
    buf_release(buf);
}

static void test_a_close_frame_is_sent_with_its_code(void **state)
{
    (void)state;
    struct buf buf = {0};
    ws_close_frame(&buf, WS_CODE_RESTART, "bye");
    assert_sent(&buf, "880503f4627965");
    ws_close_frame(&buf, WS_CODE_FORBIDDEN, "");
    assert_sent(&buf, "88021133");
}

static void test_a_long_reason_is_cut_between_characters(void **state)
{
    (void)state;
    char reason[151] = "";
    for (size_t i = 0; i < 50; i++)
        memcpy(reason + 3 * i, "\xe2\x82\xac", 3); /* 41 of them are 123 bytes */
    struct buf buf = {0};
    ws_close_frame(&buf, WS_CODE_GOING_AWAY, reason);
    assert_int_equal(buf.len, 2 + 2 + 123);
    buf_release(&buf);
    ws_close_frame(&buf, WS_CODE_GOING_AWAY, reason + 1); /* no text at all in front */
    assert_int_equal(buf.len, 2 + 2);
    buf_release(&buf);
    reason[0] = 'x';
    memmove(reason + 1, reason + 3, strlen(reason + 3) + 1);
    ws_close_frame(&buf, WS_CODE_GOING_AWAY, reason); /* 1 + 40 * 3 */
    assert_int_equal(buf.len, 2 + 2 + 121);
    buf_release(&buf);
}

/* ---- sending and the handshake ---- */

static void test_a_frame_is_sent_final_unmasked_and_with_the_shortest_length(void **state)
{
    (void)state;
    struct buf buf = {0};
    ws_frame(&buf, WS_TEXT, SLICE("pong"));
    assert_sent(&buf, "8104706f6e67");
    static const struct {
        size_t len;
        const char *header;
    } CASES[] = {
        {0, "8200"}, {125, "827d"}, {126, "827e007e"}, {65535, "827effff"}, {65536, "827f0000000000010000"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char header[WS_HEADER_MAX];
        buf_append(&buf, header, ws_header(header, WS_BINARY, CASES[i].len));
        assert_sent(&buf, CASES[i].header);
    }
}

static void test_a_handshake_is_answered_as_in_the_rfc(void **state)
{
    (void)state;
    char accept[WS_ACCEPT_LEN + 1];
    assert_true(ws_accept(SLICE("dGhlIHNhbXBsZSBub25jZQ=="), accept));
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_a_key_that_is_not_16_bytes_is_refused(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25j Q==",
        "dGhlIHNhbXBsZSBub25j_Q==",
    };
    char accept[WS_ACCEPT_LEN + 1];
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_false(ws_accept(slice_str(CASES[i]), accept));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_of_the_rfc_are_understood),
        cmocka_unit_test(test_messages_follow_each_other),
        cmocka_unit_test(test_each_form_of_length_is_read),
        cmocka_unit_test(test_a_message_comes_in_fragments_with_control_frames_between),
        cmocka_unit_test(test_a_decoder_keeps_no_memory_between_messages),
        cmocka_unit_test(test_a_message_too_long_to_keep_is_passed_over),
        cmocka_unit_test(test_fragments_too_long_to_keep_are_passed_over),
        cmocka_unit_test(test_a_message_that_is_passed_over_takes_no_memory),
        cmocka_unit_test(test_a_frame_that_breaks_the_protocol_ends_the_connection),
        cmocka_unit_test(test_text_that_is_not_utf8_ends_the_connection),
        cmocka_unit_test(test_a_character_may_be_split_over_fragments),
        cmocka_unit_test(test_a_message_too_large_is_refused_by_its_header),
        cmocka_unit_test(test_fragments_too_large_together_are_refused),
        cmocka_unit_test(test_a_close_has_a_code_and_a_reason_or_neither),
        cmocka_unit_test(test_only_codes_that_a_peer_may_send_are_taken),
        cmocka_unit_test(test_a_close_frame_is_sent_with_its_code),
        cmocka_unit_test(test_a_long_reason_is_cut_between_characters),
        cmocka_unit_test(test_a_frame_is_sent_final_unmasked_and_with_the_shortest_length),
        cmocka_unit_test(test_a_handshake_is_answered_as_in_the_rfc),
        cmocka_unit_test(test_a_key_that_is_not_16_bytes_is_refused),
    };
    return cmocka_run_group_tests_name("WebSocket", tests, NULL, NULL);
}
