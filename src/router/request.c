#include "src/router/request.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/metrics.h"
#include "proto/route.h"
#include "src/router/client.h"
#include "src/router/identity.h"
#include "src/router/static.h"

static const char *status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 426:
        return "Upgrade Required";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

/* What is not modified has no body, and tells of none. */
static void write_head(struct connection *connection, int status, const char *type, const char *headers, size_t len)
{
    struct buf *out = connection_out(connection);
    buf_printf(out, "HTTP/1.1 %d %s\r\n%s%s", status, status_text(status), headers,
               connection->is_last ? "Connection: close\r\n" : "");
    if (status != 304)
        buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\nX-Content-Type-Options: nosniff\r\n", type, len);
    buf_printf(out, "\r\n");
}

void request_answer(struct connection *connection, int status, const char *type, const char *headers, struct slice body)
{
    write_head(connection, status, type, headers, body.len);
    if (!connection->is_head)
        buf_append_slice(connection_out(connection), body);
    if (connection->is_last)
        connection_become(connection, CONNECTION_CLOSING);
}

void request_answer_file(struct connection *connection, const char *type, const char *headers, int file, size_t len)
{
    write_head(connection, 200, type, headers, len);
    if (connection->is_head || len == 0)
        close(file);
    else
        connection_send_file(connection, file, len);
    if (connection->is_last)
        connection_become(connection, CONNECTION_CLOSING);
}

void request_answer_text(struct connection *connection, int status, const char *text)
{
    const char *headers = status == 426   ? "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                          : status == 401 ? "WWW-Authenticate: Bearer\r\n"
                          : status == 503 ? "Retry-After: 1\r\n"
                                          : "";
    request_answer(connection, status, "text/plain; charset=utf-8", headers, slice_str(text));
}

/* The upgrade. */

static bool wants_websocket(const struct http_request *request)
{
    return http_header_has(request, "connection", "upgrade") && http_header_has(request, "upgrade", "websocket");
}

void request_answer_upgrade(struct connection *connection, const struct upgrade *upgrade)
{
    buf_printf(connection_out(connection),
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n%s\r\n",
               upgrade->accept, upgrade->dialect == DIALECT_V1 ? "Sec-WebSocket-Protocol: " SUBPROTOCOL_V1 "\r\n" : "");
}

static bool denies_by_close(const struct http_request *request)
{
    struct buf deny = {0};
    bool closes = http_query_get(request->query, "deny", &deny) && slice_eq(buf_slice(&deny), SLICE("close"));
    buf_release(&deny);
    return closes;
}

/* Answers with the status; or accepts and closes, so that a browser sees why. */
static void refuse(struct connection *connection, const struct upgrade *upgrade, int status, enum ws_code code,
                   const char *why)
{
    if (!upgrade->may_accept_to_close) {
        request_answer_text(connection, status, why);
        return;
    }
    request_answer_upgrade(connection, upgrade);
    ws_close_frame(connection_out(connection), code, why);
    connection_become(connection, CONNECTION_CLOSING);
}

static void attach(struct connection *connection, const struct http_request *request, const struct scope_name *name,
                   const struct app_kind *kind, const struct upgrade *upgrade)
{
    struct buf claims = {0};
    int64_t expires_s;
    if (!identity_origin_is_allowed(connection, request)) {
        metric_add(METRIC_ROUTER_REFUSED_ORIGIN, 1);
        refuse(connection, upgrade, 403, WS_CODE_FORBIDDEN, "this origin is not allowed");
    } else if (!identity_of(connection, request, &claims, &expires_s)) {
        metric_add(METRIC_ROUTER_REFUSED_IDENTITY, 1);
        refuse(connection, upgrade, 401, WS_CODE_EXPIRED, "no valid token");
    } else {
        connection_become(connection, CONNECTION_WAITING);
        connection->client = client_new(connection, name, kind, buf_slice(&claims), expires_s, upgrade);
        if (connection->client == NULL) {
            connection_become(connection, CONNECTION_HTTP);
            request_answer_text(connection, 503, "no worker has this scope at the moment; try again");
        }
    }
    buf_release(&claims);
}

static void answer_sync(struct connection *connection, const struct http_request *request,
                        const struct scope_name *name)
{
    const struct app *app = connection->router->app;
    const struct app_kind *kind = slice_eq(name->app, slice_str(app->name)) ? app_find_kind(app, name->kind) : NULL;
    const struct slice *key = http_header(request, "sec-websocket-key");
    const struct slice *version = http_header(request, "sec-websocket-version");
    struct upgrade upgrade = {
        .dialect = http_header_has(request, "sec-websocket-protocol", SUBPROTOCOL_V1) ? DIALECT_V1 : DIALECT_BASE,
        .may_accept_to_close = denies_by_close(request)};
    if (kind == NULL)
        request_answer_text(connection, 404, "no such app or kind");
    else if (!slice_eq(request->method, SLICE("GET")))
        request_answer_text(connection, 405, "a sync session begins with GET");
    else if (!wants_websocket(request))
        request_answer_text(connection, 426, "expected websocket upgrade");
    else if (version == NULL || !slice_eq(*version, SLICE("13")))
        request_answer_text(connection, 426, "this server speaks version 13 of the WebSocket protocol");
    else if (key == NULL || !ws_accept(*key, upgrade.accept))
        request_answer_text(connection, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
    else
        attach(connection, request, name, kind, &upgrade);
}

/* Metrics: those of the router, and those of its shards' process. */

static void answer_metrics(void *arg, struct slice shard_text)
{
    struct connection *connection = arg;
    struct buf text = {0};
    connection->question = NULL;
    metrics_print(&text, "skerry_router");
    buf_append_slice(&text, shard_text);
    connection_become(connection, CONNECTION_HTTP);
    request_answer(connection, 200, "text/plain; version=0.0.4", "", buf_slice(&text));
    buf_release(&text);
    connection_resume(connection);
}

static void ask_metrics(struct connection *connection)
{
    if (!connection->is_local) {
        request_answer_text(connection, 403, "metrics are for loopback only");
        return;
    }
    connection_become(connection, CONNECTION_WAITING);
    connection->question = link_ask_metrics(connection->router->links[0], answer_metrics, connection);
    if (connection->question == NULL)
        answer_metrics(connection, SLICE(""));
}

static bool all_links_up(const struct router *router)
{
    for (unsigned i = 0; i < router->options.n_shards; i++)
        if (!link_is_up(router->links[i]))
            return false;
    return true;
}

static void answer_ready(struct connection *connection)
{
    if (connection->router->is_stopping)
        request_answer_text(connection, 503, "stopping");
    else if (!all_links_up(connection->router))
        request_answer_text(connection, 503, "not every shard is connected");
    else
        request_answer_text(connection, 200, "ready");
}

static void answer(struct connection *connection, const struct http_request *request)
{
    struct scope_name name;
    if (route_parse_sync(request->path, &name))
        answer_sync(connection, request, &name);
    else if (slice_eq(request->path, SLICE("/livez")))
        request_answer_text(connection, 200, "alive");
    else if (slice_eq(request->path, SLICE("/readyz")))
        answer_ready(connection);
    else if (slice_eq(request->path, SLICE("/metrics")))
        ask_metrics(connection);
    else
        static_answer(connection, request);
}

static bool is_last(const struct http_request *request)
{
    return request->minor == 0 || http_header_has(request, "connection", "close");
}

void request_receive(struct connection *connection, char **data, size_t *len)
{
    struct http_request request;
    switch (http_parse(slice_of(*data, *len), &request)) {
    case HTTP_MORE:
        return;
    case HTTP_BAD:
        metric_add(METRIC_ROUTER_BAD_REQUESTS, 1);
        connection->is_head = false;
        connection->is_last = true;
        request_answer_text(connection, 400, "that is not an HTTP/1.1 request");
        return;
    case HTTP_DONE:
        *data += request.head_len;
        *len -= request.head_len;
        connection->is_head = slice_eq(request.method, SLICE("HEAD"));
        connection->is_last = is_last(&request);
        answer(connection, &request);
        return;
    }
}
