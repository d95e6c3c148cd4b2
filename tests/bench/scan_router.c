#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/scan.h"
#include "tests/bench/sockets.h"
#include "tests/bench/websocket.h"

struct router {
    nghttp2_session *session;
    int worker, client;
    struct buffer inbox;  /* from the client */
    struct buffer torn;   /* from the worker: length-prefixed frames, the last one perhaps in part */
    struct buffer out;    /* to the client */
    struct buffer asking; /* the body of the request that is being sent */
};

/* ---- from the worker to the client ---- */

static void flush(struct router *router)
{
    write_all(router->client, buffer_head(&router->out), buffer_len(&router->out));
    buffer_take(&router->out, buffer_len(&router->out));
}

static void relay(struct router *router)
{
    struct buffer *in = &router->torn;
    uint32_t len = 0;
    while (buffer_len(in) >= sizeof(len)) {
        memcpy(&len, buffer_head(in), sizeof(len));
        if (buffer_len(in) < sizeof(len) + len) {
            return;
        }
        uint8_t *at = buffer_room(&router->out, 10);
        buffer_grew(&router->out, websocket_server_header(at, WS_BINARY, len));
        buffer_append(&router->out, buffer_head(in) + sizeof(len), len);
        buffer_take(in, sizeof(len) + len);
    }
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t len, void *arg)
{
    struct router *router = arg;
    (void)session, (void)flags, (void)stream;
    buffer_append(&router->torn, bytes, len);
    relay(router);
    return 0;
}

/* ---- from the client to the worker ---- */

static ssize_t read_asking(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t len, uint32_t *flags,
                           nghttp2_data_source *source, void *arg)
{
    struct buffer *asking = source->ptr;
    (void)session, (void)stream, (void)arg;
    size_t taken = buffer_len(asking) < len ? buffer_len(asking) : len;
    memcpy(bytes, buffer_head(asking), taken);
    buffer_take(asking, taken);
    *flags |= buffer_len(asking) == 0 ? NGHTTP2_DATA_FLAG_EOF : NGHTTP2_DATA_FLAG_NONE;
    return (ssize_t)taken;
}

static void ask(struct router *router, const struct websocket_message *message)
{
#define NV(name, value)                                                                                                \
    {                                                                                                                  \
        (uint8_t *)name, (uint8_t *)value, sizeof(name) - 1, sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE                   \
    }
    static const nghttp2_nv head[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":authority", "scan"),
                                      NV(":path", "/")};
#undef NV
    nghttp2_data_provider body = {.source.ptr = &router->asking, .read_callback = read_asking};
    buffer_append(&router->asking, message->payload, message->len);
    if (nghttp2_submit_request(router->session, NULL, head, sizeof(head) / sizeof(head[0]), &body, NULL) < 0) {
        fail("cannot send an h2 request");
    }
    scan_h2_write(router->session, router->worker);
}

/* The driver sends a `sub`, and after each snapshot an `unsub`, which needs no answer. */
static bool is_sub(const struct websocket_message *message)
{
    static const char unsub[] = "\xa1t\xa5unsub";
    return message->opcode == WS_BINARY &&
           (message->len < sizeof(unsub) || memcmp(message->payload + 1, unsub, sizeof(unsub) - 1) != 0);
}

/* False when the client has left. */
static bool on_client(struct router *router)
{
    struct websocket_message message;
    const char *why = NULL;
    ssize_t got = recv(router->client, buffer_room(&router->inbox, 4096), 4096, 0);
    if (got <= 0) {
        return false;
    }
    buffer_grew(&router->inbox, (size_t)got);
    for (long used; buffer_len(&router->inbox) > 0; buffer_take(&router->inbox, (size_t)used)) {
        uint8_t *bytes = buffer_head(&router->inbox);
        used = websocket_next(bytes, buffer_len(&router->inbox), WS_FROM_CLIENT, &message, &why);
        if (used < 0) {
            fail("from the driver: %s", why);
        }
        if (used == 0) {
            return true;
        }
        if (is_sub(&message)) {
            ask(router, &message);
        }
    }
    return true;
}

/* ---- one client after the other ---- */

static void upgrade(int client)
{
    char head[WEBSOCKET_HEAD_MAX] = "";
    size_t len = 0;
    while (!strstr(head, "\r\n\r\n")) {
        ssize_t got = recv(client, head + len, sizeof(head) - 1 - len, 0);
        if (got <= 0) {
            fail("no upgrade request");
        }
        len += (size_t)got;
    }
    write_all(client, WEBSOCKET_UPGRADED, strlen(WEBSOCKET_UPGRADED));
}

static void serve(struct router *router)
{
    upgrade(router->client);
    for (;;) {
        struct pollfd fds[2] = {{.fd = router->client, .events = POLLIN}, {.fd = router->worker, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0) {
            fail_errno("poll");
        }
        if (fds[0].revents && !on_client(router)) {
            return;
        }
        if (fds[1].revents) {
            if (!scan_h2_read(router->session, router->worker)) {
                fail("the worker is gone");
            }
            flush(router);
            scan_h2_write(router->session, router->worker);
        }
    }
}

static nghttp2_session *open_session(struct router *router)
{
    nghttp2_session *session = NULL;
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    if (nghttp2_session_client_new(&session, callbacks, router)) {
        fail("out of memory");
    }
    nghttp2_session_callbacks_del(callbacks);
    scan_h2_start(session);
    return session;
}

void scan_router(int fd, int listener)
{
    struct router router = {.worker = fd};
    router.session = open_session(&router);
    scan_h2_write(router.session, router.worker);
    for (;;) {
        router.client = accept_from(listener);
        serve(&router);
        close(router.client);
    }
}
