/*
 * HTTP: a request's head as browsers send it is read, and what others would read differently is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/http.h"

#define GET(path)     "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define HEADERS(text) "GET / HTTP/1.1\r\nHost: localhost\r\n" text "\r\n\r\n"

static struct http_request parse(const char *text)
{
    struct http_request request;
    if (http_parse(slice_str(text), &request) != HTTP_DONE)
        fail_msg("not a request: %s", text);
    return request;
}

static void assert_bad(struct slice text)
{
    struct http_request request;
    if (http_parse(text, &request) != HTTP_BAD)
        fail_msg("not refused: %.*s", (int)text.len, text.data);
}

static void assert_text(struct slice slice, const char *expected)
{
    char *text = mem_dup(slice);
    assert_string_equal(text, expected);
    free(text);
}

/* ---- a head is read ---- */

static const char UPGRADE[] = "GET /v1/chat/room/lobby%2F1/sync?token=abc&deny=close HTTP/1.1\r\n"
                              "Host: localhost:8080\r\n"
                              "User-Agent: \t Mozilla/5.0 (X11; Linux x86_64) \r\n"
                              "Connection: keep-alive, Upgrade\r\n"
                              "Upgrade:websocket\r\n"
                              "Sec-WebSocket-Protocol: a\r\n"
                              "Sec-WebSocket-Protocol: b\r\n"
                              "X-Empty:\r\n"
                              "\r\n";

static void test_a_browsers_upgrade_is_read(void **state)
{
    (void)state;
    struct http_request request = parse(UPGRADE);
    assert_text(request.method, "GET");
    assert_text(request.path, "/v1/chat/room/lobby%2F1/sync");
    assert_text(request.query, "token=abc&deny=close");
    assert_int_equal(request.minor, 1);
    assert_int_equal(request.n_headers, 7);
    assert_int_equal(request.head_len, sizeof UPGRADE - 1);
    assert_text(*http_header(&request, "host"), "localhost:8080");
    assert_text(*http_header(&request, "USER-AGENT"), "Mozilla/5.0 (X11; Linux x86_64)");
    assert_text(*http_header(&request, "sec-websocket-protocol"), "a");
    assert_text(*http_header(&request, "x-empty"), "");
    assert_null(http_header(&request, "origin"));
}

static void test_a_token_is_found_in_a_list_of_any_case_and_in_repeated_headers(void **state)
{
    (void)state;
    struct http_request request = parse(UPGRADE);
    assert_true(http_header_has(&request, "connection", "upgrade"));
    assert_true(http_header_has(&request, "Connection", "KEEP-ALIVE"));
    assert_false(http_header_has(&request, "connection", "keep"));
    assert_false(http_header_has(&request, "connection", "keep-alive, Upgrade"));
    assert_true(http_header_has(&request, "Upgrade", "WebSocket"));
    assert_true(http_header_has(&request, "Sec-WebSocket-Protocol", "b"));
    assert_false(http_header_has(&request, "x-empty", "b"));
    request = parse(HEADERS("Connection: , \t upgrade\t,,"));
    assert_true(http_header_has(&request, "connection", "upgrade"));
}

static void test_a_head_that_has_not_ended_waits_for_more(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof UPGRADE - 1; len++) {
        struct http_request request;
        assert_int_equal(http_parse(slice_of(UPGRADE, len), &request), HTTP_MORE);
    }
}

static void test_what_follows_a_head_is_not_its(void **state)
{
    (void)state;
    struct http_request request = parse(GET("/a") "GET /b \x01\n");
    assert_int_equal(request.head_len, sizeof GET("/a") - 1);
    assert_text(request.path, "/a");
}

static void test_a_target_is_a_path_and_a_query(void **state)
{
    (void)state;
    struct http_request request = parse(GET("/?"));
    assert_text(request.path, "/");
    assert_text(request.query, "");
    request = parse(GET("/a?b?c=/d"));
    assert_text(request.path, "/a");
    assert_text(request.query, "b?c=/d");
}

static void test_an_older_request_needs_no_host(void **state)
{
    (void)state;
    struct http_request request = parse("GET / HTTP/1.0\r\n\r\n");
    assert_int_equal(request.minor, 0);
    assert_int_equal(request.n_headers, 0);
}

/* ---- a head is refused ---- */

static void test_a_request_line_of_another_shape_is_refused(void **state)
{
    (void)state;
    static const char *const LINES[] = {
        "",
        "GET",
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET / HTTP/1.11",
        "GET\t/ HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET * HTTP/1.1",
        "GET a HTTP/1.1",
        "GET http://localhost/ HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /\xc3\xa4 HTTP/1.1",
        "CONNECT localhost:80 HTTP/1.1",
    };
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        struct buf head = {0};
        buf_printf(&head, "%s\r\nHost: localhost\r\n\r\n", LINES[i]);
        assert_bad(buf_slice(&head));
        buf_release(&head);
    }
}

static void test_a_header_of_another_shape_is_refused(void **state)
{
    (void)state;
    assert_bad(SLICE(HEADERS("X")));
    assert_bad(SLICE(HEADERS(": x")));
    assert_bad(SLICE(HEADERS("X : x")));
    assert_bad(SLICE(HEADERS(" X: x")));
    assert_bad(SLICE(HEADERS("X: x\r\n folded")));
    assert_bad(SLICE(HEADERS("X: x\r\n\tfolded: x")));
    assert_bad(SLICE(HEADERS("X\xc3\xa4: x")));
    assert_bad(SLICE(HEADERS("(X): x")));
}

static void test_bare_line_ends_and_control_characters_are_refused(void **state)
{
    (void)state;
    assert_bad(SLICE("GET / HTTP/1.1\nHost: localhost\n\n"));
    assert_bad(SLICE(HEADERS("X: a\nY: b")));
    assert_bad(SLICE(HEADERS("X: a\rY: b")));
    assert_bad(SLICE(HEADERS("X: a\r\r")));
    assert_bad(SLICE(HEADERS("X: a\0b")));
    assert_bad(SLICE(HEADERS("X: a\x7f")));
    assert_bad(SLICE(HEADERS("X: a\x1b[0m")));
}

static void test_garbage_is_refused_at_its_first_wrong_byte(void **state)
{
    (void)state;
    assert_bad(SLICE("\x16\x03\x01\x02")); /* TLS */
    assert_bad(SLICE("GET / HTTP/1.1\r\nHost: local\n"));
    assert_bad(SLICE("hello\r\n"));
}

static void test_exactly_one_host_is_asked_for(void **state)
{
    (void)state;
    assert_bad(SLICE("GET / HTTP/1.1\r\n\r\n"));
    assert_bad(SLICE(HEADERS("Host: other")));
    assert_bad(SLICE("GET / HTTP/1.0\r\nhost: a\r\nHOST: b\r\n\r\n"));
}

static void test_a_body_is_refused(void **state)
{
    (void)state;
    assert_bad(SLICE(HEADERS("Content-Length: 1")));
    assert_bad(SLICE(HEADERS("Content-Length: +0")));
    assert_bad(SLICE(HEADERS("Content-Length: 0\r\ncontent-length: 5")));
    assert_bad(SLICE(HEADERS("Transfer-Encoding: chunked")));
    assert_bad(SLICE(HEADERS("Transfer-Encoding: identity")));
    parse(HEADERS("Content-Length: 0"));
}

static void test_headers_are_bounded_in_number_and_length(void **state)
{
    (void)state;
    struct http_request request;
    struct buf head = {0};
    buf_printf(&head, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 1; i < HTTP_HEADERS_MAX; i++)
        buf_printf(&head, "X: y\r\n");
    buf_printf(&head, "\r\n");
    assert_int_equal(http_parse(buf_slice(&head), &request), HTTP_DONE);
    head.len -= 2;
    buf_printf(&head, "X: y\r\n\r\n");
    assert_bad(buf_slice(&head));

    for (size_t len = HTTP_HEAD_MAX - 1; len <= HTTP_HEAD_MAX + 1; len++) {
        head.len = 0;
        buf_printf(&head, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
        buf_printf(&head, "%0*d\r\n\r\n", (int)(len - head.len - 4), 0);
        assert_int_equal(head.len, len);
        assert_int_equal(http_parse(buf_slice(&head), &request), len <= HTTP_HEAD_MAX ? HTTP_DONE : HTTP_BAD);
        head.len = len - 1;
        assert_int_equal(http_parse(buf_slice(&head), &request), len <= HTTP_HEAD_MAX ? HTTP_MORE : HTTP_BAD);
    }
    buf_release(&head);
}

/* ---- queries, cookies, escapes ---- */

static void assert_query(const char *query, const char *name, const char *expected)
{
    struct buf value = {0};
    buf_printf(&value, "<");
    bool found = http_query_get(slice_str(query), name, &value);
    assert_int_equal(found, expected != NULL);
    struct slice appended = slice_of(value.data + 1, value.len - 1);
    assert_text(appended, expected == NULL ? "" : expected);
    buf_release(&value);
}

static void test_a_parameter_is_found_and_decoded(void **state)
{
    (void)state;
    assert_query("token=a.b-c&user=x", "token", "a.b-c");
    assert_query("token=a.b-c&user=x", "user", "x");
    assert_query("user=a%20b+c%2B", "user", "a b c+");
    assert_query("user=%C3%A4", "user", "\xc3\xa4");
    assert_query("a=1&a=2", "a", "1");
    assert_query("a=b=c", "a", "b=c");
    assert_query("a&b", "a", "");
    assert_query("a=", "a", "");
    assert_query("&&a=1", "a", "1");
}

static void test_a_parameter_that_is_missing_or_broken_is_not_there(void **state)
{
    (void)state;
    assert_query("", "a", NULL);
    assert_query("ab=1", "a", NULL);
    assert_query("b=a=1", "a", NULL);
    assert_query("A=1", "a", NULL);
    assert_query("a=x%", "a", NULL);
    assert_query("a=x%4", "a", NULL);
    assert_query("a=x%4&b", "a", NULL);
    assert_query("a=x%g0", "a", NULL);
    assert_query("a=x%0g", "a", NULL);
}

static void assert_cookie(const struct http_request *request, const char *name, const char *expected)
{
    struct slice value;
    bool found = http_cookie_get(request, name, &value);
    assert_int_equal(found, expected != NULL);
    if (found)
        assert_text(value, expected);
}

static void test_a_cookie_is_found_by_its_exact_name(void **state)
{
    (void)state;
    struct http_request request = parse(HEADERS("Cookie: a=1; session=x=y%20z;b=\"quoted\"\r\nCookie: c=\"; d; a=2"));
    assert_cookie(&request, "a", "1");
    assert_cookie(&request, "session", "x=y%20z");
    assert_cookie(&request, "b", "quoted");
    assert_cookie(&request, "c", "\"");
    assert_cookie(&request, "d", "");
    assert_cookie(&request, "Session", NULL);
    assert_cookie(&request, "sess", NULL);
    assert_cookie(&request, "y", NULL);
}

static void test_encoded_text_decodes_to_itself(void **state)
{
    (void)state;
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    struct buf encoded = {0}, decoded = {0};
    http_percent_encode(slice_of(all, sizeof all), &encoded);
    assert_int_equal(encoded.len, 66 + 3 * (256 - 66));
    assert_true(http_percent_decode(buf_slice(&encoded), true, &decoded));
    assert_true(slice_eq(buf_slice(&decoded), slice_of(all, sizeof all)));
    encoded.len = decoded.len = 0;
    http_percent_encode(SLICE("a-Z.0_~ /\xc3\xa4"), &encoded);
    assert_text(buf_slice(&encoded), "a-Z.0_~%20%2F%C3%A4");
    assert_true(http_percent_decode(SLICE("+"), false, &decoded));
    assert_text(buf_slice(&decoded), "+");
    buf_release(&encoded);
    buf_release(&decoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_browsers_upgrade_is_read),
        cmocka_unit_test(test_a_token_is_found_in_a_list_of_any_case_and_in_repeated_headers),
        cmocka_unit_test(test_a_head_that_has_not_ended_waits_for_more),
        cmocka_unit_test(test_what_follows_a_head_is_not_its),
        cmocka_unit_test(test_a_target_is_a_path_and_a_query),
        cmocka_unit_test(test_an_older_request_needs_no_host),
        cmocka_unit_test(test_a_request_line_of_another_shape_is_refused),
        cmocka_unit_test(test_a_header_of_another_shape_is_refused),
        cmocka_unit_test(test_bare_line_ends_and_control_characters_are_refused),
        cmocka_unit_test(test_garbage_is_refused_at_its_first_wrong_byte),
        cmocka_unit_test(test_exactly_one_host_is_asked_for),
        cmocka_unit_test(test_a_body_is_refused),
        cmocka_unit_test(test_headers_are_bounded_in_number_and_length),
        cmocka_unit_test(test_a_parameter_is_found_and_decoded),
        cmocka_unit_test(test_a_parameter_that_is_missing_or_broken_is_not_there),
        cmocka_unit_test(test_a_cookie_is_found_by_its_exact_name),
        cmocka_unit_test(test_encoded_text_decodes_to_itself),
    };
    return cmocka_run_group_tests_name("HTTP", tests, NULL, NULL);
}
