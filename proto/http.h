/*
 * http - a strict parser for the head of an HTTP/1.1 request, and the few things one asks of it.
 *
 * It borrows from the input. What RFC 9112 lets a server refuse is refused: bare CR or LF, folded lines, spaces before
 * a colon, control characters, more than one Host, a target that is no path, any body (the contract has none yet).
 */
#ifndef PROTO_HTTP_H
#define PROTO_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

enum { HTTP_HEAD_MAX = 16384, HTTP_HEADERS_MAX = 64 };

struct http_header {
    struct slice name, value; /* value without the spaces around it */
};

struct http_request {
    struct slice method; /* "GET" */
    struct slice path;   /* as sent, percent-encoded, without the query; starts with '/' */
    struct slice query;  /* behind '?', as sent; empty if there is none */
    int minor;           /* HTTP/1.0 or HTTP/1.1 */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t n_headers;
    size_t head_len; /* bytes of the head, the empty line included */
};

enum http_status { HTTP_DONE, HTTP_MORE, HTTP_BAD };

/* HTTP_MORE as long as the head has no end; HTTP_BAD (answer 400 and close) as soon as it is wrong or longer than
 * HTTP_HEAD_MAX. `ret_request` means something with HTTP_DONE alone. */
enum http_status http_parse(struct slice in, struct http_request *ret_request);

/* The value of a header, by name in any case; NULL if it is missing. Of several, the first. */
const struct slice *http_header(const struct http_request *request, const char *name);

/* Whether a comma-separated header holds `token`, in any case ("Connection: keep-alive, Upgrade"). */
bool http_header_has(const struct http_request *request, const char *name, const char *token);

/* Finds parameter `name` in a query and appends its decoded value, the first of several. False, with nothing appended,
 * if it is missing or its encoding is broken. */
bool http_query_get(struct slice query, const char *name, struct buf *ret_value);

/* Finds cookie `name`; the value as sent, without quotes. */
bool http_cookie_get(const struct http_request *request, const char *name, struct slice *ret_value);

/* Appends the percent-decoded `text`; `plus` also makes '+' a space. False, with nothing appended, if an escape is
 * broken. What comes out may be any bytes, NUL too. */
bool http_percent_decode(struct slice text, bool plus, struct buf *ret_text);

/* Appends `text` with everything but unreserved characters percent-encoded. */
void http_percent_encode(struct slice text, struct buf *buf);

#endif
