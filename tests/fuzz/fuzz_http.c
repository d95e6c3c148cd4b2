/*
 * http: a result never points outside its head, more bytes never turn a verdict around, and escapes are undone.
 */
#include <assert.h>

#include "proto/http.h"

static void check_within(struct slice inner, struct slice head)
{
    assert(inner.data >= head.data && inner.data + inner.len <= head.data + head.len);
    for (size_t i = 0; i < inner.len; i++)
        assert(inner.data[i] != '\r' && inner.data[i] != '\n' && inner.data[i] != '\0');
}

static void check_query(struct slice query)
{
    struct buf value = {0};
    if (!http_query_get(query, "token", &value))
        assert(value.len == 0);
    buf_release(&value);
}

static void check_request(const struct http_request *request, struct slice in)
{
    assert(request->head_len <= in.len && request->head_len <= HTTP_HEAD_MAX);
    struct slice head = slice_of(in.data, request->head_len), cookie;
    assert(slice_eq(slice_of(head.data + head.len - 4, 4), SLICE("\r\n\r\n")));
    check_within(request->method, head);
    check_within(request->path, head);
    check_within(request->query, head);
    assert(request->path.len > 0 && request->path.data[0] == '/');
    assert(request->n_headers <= HTTP_HEADERS_MAX && request->minor >= 0 && request->minor <= 1);
    for (size_t i = 0; i < request->n_headers; i++) {
        check_within(request->headers[i].name, head);
        check_within(request->headers[i].value, head);
        assert(request->headers[i].name.len > 0);
    }
    assert(request->minor == 0 || http_header(request, "host") != NULL);
    assert(http_header(request, "transfer-encoding") == NULL);
    if (http_header_has(request, "connection", "upgrade"))
        assert(http_header(request, "CONNECTION") != NULL);
    if (http_cookie_get(request, "session", &cookie))
        check_within(cookie, head);
    check_query(request->query);
}

/* The verdict on the whole input is that on the shortest part of it that has one. */
static void check_parts(struct slice in, enum http_status status, size_t head_len)
{
    struct http_request part;
    bool is_decided = false;
    for (size_t len = 0; len <= in.len && len <= 1024; len++) {
        enum http_status now = http_parse(slice_of(in.data, len), &part);
        assert(now == HTTP_MORE || now == status);
        assert(!is_decided || now == status);
        assert(now != HTTP_DONE || (part.head_len == head_len && len >= head_len));
        is_decided = now != HTTP_MORE;
    }
}

static void check_escapes(struct slice in)
{
    struct buf encoded = {0}, decoded = {0};
    http_percent_encode(in, &encoded);
    assert(http_percent_decode(buf_slice(&encoded), true, &decoded));
    assert(slice_eq(buf_slice(&decoded), in));
    decoded.len = 0;
    if (!http_percent_decode(in, false, &decoded))
        assert(decoded.len == 0);
    assert(decoded.len <= in.len);
    buf_release(&encoded);
    buf_release(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice in = slice_of(data, len);
    struct http_request request;
    enum http_status status = http_parse(in, &request);
    if (status == HTTP_DONE)
        check_request(&request, in);
    check_parts(in, status, status == HTTP_DONE ? request.head_len : 0);
    check_query(in);
    check_escapes(in);
    return 0;
}
