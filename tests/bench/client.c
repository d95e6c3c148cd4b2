#include "tests/bench/client.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/timing.h"
#include "tests/bench/websocket.h"

#define READ_SIZE   ((size_t)256 << 10)
#define EVENTS_MAX  256
#define OPENING_MAX 64
#define SILENCE_SEC 10

_Noreturn void client_fail(const struct client *client, const char *why)
{
    fail("connection %d to scope '%s': %s", client->number, client->scope, why);
}

_Noreturn void client_refuse(const struct client *client, const struct frame *frame, const char *why)
{
#define TEXT(text) (int)(text).len, (text).at ? (text).at : ""
    fail("connection %d to scope '%s', cursor %" PRIu64 ": %s (%s key '%.*s' txId '%.*s' seq %" PRIu64 " %.*s %.*s)",
         client->number, client->scope, client->session.cursor, why, frame_name(frame->type), TEXT(frame->key),
         TEXT(frame->tx), frame->seq, TEXT(frame->code), TEXT(frame->message));
#undef TEXT
}

static void resolve(struct target *target, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error) {
        fail("cannot resolve %s:%s: %s", host, port, gai_strerror(error));
    }
    memcpy(&target->address, found->ai_addr, sizeof(target->address));
    freeaddrinfo(found);
}

static void parse_url(struct target *target, const char *url)
{
    char host[200], port[8];
    int path_at = 0;
    if (sscanf(url, "ws://%199[^:/]:%7[0-9]%n", host, port, &path_at) != 2 || url[path_at] != '/') {
        fail("the URL is ws://HOST:PORT/PATH, with {scope} in PATH");
    }
    if (!strstr(url + path_at, "{scope}") || strlen(url + path_at) >= sizeof(target->path)) {
        fail("the URL's path names its scope with {scope} and is shorter than %zu bytes", sizeof(target->path));
    }
    snprintf(target->host, sizeof(target->host), "%s:%s", host, port);
    memcpy(target->path, url + path_at, strlen(url + path_at) + 1);
    resolve(target, host, port);
}

void net_init(struct net *net, const char *url, client_open_cb *on_open, client_frame_cb *on_frame)
{
    *net = (struct net){
        .on_open = on_open, .on_frame = on_frame, .poll_ms = 100, .batch = EVENTS_MAX, .read_max = READ_SIZE};
    parse_url(&net->target, url);
    net->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (net->epoll < 0) {
        fail_errno("epoll_create1");
    }
}

void net_release(struct net *net)
{
    close(net->epoll);
    buffer_release(&net->inbox);
}

static void watch(struct client *client, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(client->net->epoll, op, client->fd, &event)) {
        fail_errno("epoll_ctl");
    }
}

void client_open(struct client *client, struct net *net, int number, const char *scope, void *owner)
{
    *client = (struct client){.net = net, .owner = owner, .number = number, .scope = scope};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0) {
        fail_errno("connection %d: socket", number);
    }
    int on = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (net->receive_buffer > 0) { /* before it connects, for the window that it announces */
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &net->receive_buffer, sizeof(net->receive_buffer));
    }
    const struct sockaddr_in *address = &net->target.address;
    if (connect(client->fd, (const struct sockaddr *)address, sizeof(*address)) && errno != EINPROGRESS) {
        fail_errno("cannot connect to %s", net->target.host);
    }
    watch(client, EPOLL_CTL_ADD, EPOLLOUT);
    net->n_clients++;
}

void client_close(struct client *client)
{
    close(client->fd);
    buffer_release(&client->torn);
    buffer_release(&client->out);
    buffer_release(&client->scratch);
    client->fd = -1;
    client->net->n_clients--;
    client->net->n_live -= client->session.state == SESSION_LIVE;
}

struct buffer *client_begin(struct client *client)
{
    assert(buffer_len(&client->scratch) == 0);
    return &client->scratch;
}

void client_end(struct client *client)
{
    size_t len = buffer_len(&client->scratch);
    websocket_send(&client->out, WS_BINARY, buffer_head(&client->scratch), len);
    buffer_take(&client->scratch, len);
}

void client_flush(struct client *client)
{
    while (buffer_len(&client->out) > 0) {
        ssize_t sent = send(client->fd, buffer_head(&client->out), buffer_len(&client->out), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            fail_errno("connection %d: the server is gone", client->number);
        }
        if (sent < 0) {
            break;
        }
        buffer_take(&client->out, (size_t)sent);
    }
    bool must_wait = buffer_len(&client->out) > 0;
    if (must_wait != client->is_writing) {
        client->is_writing = must_wait;
        watch(client, EPOLL_CTL_MOD, must_wait ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

void client_subscribe(struct client *client, const char *sub, const char *collection)
{
    frame_sub(client_begin(client), sub, collection, NULL);
    client_end(client);
    session_subscribe(&client->session, sub);
}

void client_resume(struct client *client, const char *sub, const char *collection, uint64_t since)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, since);
    frame_sub(client_begin(client), sub, collection, digits);
    client_end(client);
    session_resume(&client->session, sub, since);
}

void client_unsubscribe(struct client *client)
{
    frame_unsub(client_begin(client), client->session.sub);
    client_end(client);
    client->net->n_live -= client->session.state == SESSION_LIVE;
    session_unsubscribe(&client->session);
}

/* The path with `{scope}` replaced. */
static void send_request(struct client *client)
{
    const struct target *target = &client->net->target;
    const char *hole = strstr(target->path, "{scope}");
    char path[sizeof(target->path) + 256];
    int len = snprintf(path, sizeof(path), "%.*s%s%s", (int)(hole - target->path), target->path, client->scope,
                       hole + strlen("{scope}"));
    if (len < 0 || (size_t)len >= sizeof(path)) {
        fail("the name of scope '%.40s...' is too long", client->scope);
    }
    websocket_request(&client->out, target->host, path);
    client->asked_ns = now_ns();
    client->state = CLIENT_UPGRADING;
    client->is_writing = true; /* EPOLLOUT waited for the connect */
    client_flush(client);
}

static void on_connected(struct client *client)
{
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        errno = error;
        fail_errno("cannot connect to %s", client->net->target.host);
    }
    send_request(client);
}

/* The upgrade's answer: its length, or 0 when it is incomplete. */
static size_t read_response(struct client *client, const uint8_t *bytes, size_t len)
{
    const char *why = "a response that is no HTTP";
    long used = websocket_response(bytes, len, &why);
    if (used < 0 || (used > 0 && why)) {
        char text[160];
        snprintf(text, sizeof(text), "the server did not upgrade: %s", why);
        client_fail(client, text);
    }
    if (used > 0) {
        client->state = CLIENT_OPEN;
        client->net->on_open(client);
    }
    return (size_t)used;
}

static void on_frame(struct client *client, const uint8_t *bytes, size_t len, uint64_t now)
{
    struct frame frame;
    const char *why = frame_decode(bytes, len, &frame);
    if (why) {
        client_fail(client, why);
    }
    client->net->n_frames++;
    if (frame.type == FRAME_UNKNOWN || !session_concerns(&client->session, &frame)) {
        return;
    }
    enum session_state before = client->session.state;
    why = session_take(&client->session, &frame);
    if (why) {
        client_refuse(client, &frame, why);
    }
    client->net->n_live += before != SESSION_LIVE && client->session.state == SESSION_LIVE;
    client->net->on_frame(client, &frame, now);
}

static void on_closed(const struct client *client, const struct websocket_message *message)
{
    char text[160];
    int code = message->len < 2 ? 1005 : message->payload[0] << 8 | message->payload[1];
    int reason_len = message->len < 2 ? 0 : (int)message->len - 2;
    snprintf(text, sizeof(text), "the server closed it with %d %.*s", code, reason_len,
             reason_len ? (const char *)message->payload + 2 : "");
    client_fail(client, text);
}

static void on_message(struct client *client, const struct websocket_message *message, uint64_t now)
{
    switch (message->opcode) {
    case WS_BINARY:
        on_frame(client, message->payload, message->len, now);
        break;
    case WS_PING:
        websocket_send(&client->out, WS_PONG, message->payload, message->len);
        break;
    case WS_CLOSE:
        on_closed(client, message);
        break;
    case WS_TEXT:
    case WS_PONG:
        break;
    }
}

/* Handle the first message of the bytes: its length, or 0 when it is incomplete. */
static size_t read_message(struct client *client, uint8_t *bytes, size_t len, uint64_t now)
{
    struct websocket_message message;
    const char *why = NULL;
    long used = websocket_next(bytes, len, WS_FROM_SERVER, &message, &why);
    if (used < 0) {
        client_fail(client, why);
    }
    if (used > 0) {
        on_message(client, &message, now);
    }
    return (size_t)used;
}

/* Everything that is whole in the inbox; the rest waits in `torn`. */
static void read_inbox(struct client *client, struct buffer *inbox, uint64_t now)
{
    while (buffer_len(inbox) > 0) {
        uint8_t *bytes = buffer_head(inbox);
        size_t len = buffer_len(inbox);
        size_t used = client->state == CLIENT_UPGRADING ? read_response(client, bytes, len)
                                                        : read_message(client, bytes, len, now);
        if (used == 0) {
            break;
        }
        buffer_take(inbox, used);
    }
    if (buffer_len(inbox) > 0) {
        buffer_append(&client->torn, buffer_head(inbox), buffer_len(inbox));
        buffer_take(inbox, buffer_len(inbox));
    } else {
        buffer_release(&client->torn);
    }
}

static void on_readable(struct client *client)
{
    struct buffer *inbox = &client->net->inbox;
    if (buffer_len(&client->torn) > 0) {
        buffer_append(inbox, buffer_head(&client->torn), buffer_len(&client->torn));
        buffer_take(&client->torn, buffer_len(&client->torn));
    }
    size_t read_max = client->net->read_max;
    ssize_t got = recv(client->fd, buffer_room(inbox, read_max), read_max, 0);
    if (got == 0) {
        client_fail(client, "the server dropped it");
    }
    if (got < 0 && errno != EAGAIN) {
        fail_errno("connection %d to scope '%s': the server is gone", client->number, client->scope);
    }
    buffer_grew(inbox, got > 0 ? (size_t)got : 0);
    read_inbox(client, inbox, now_ns());
    client_flush(client);
}

void net_poll(struct net *net, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(net->epoll, events, net->batch, timeout_ms);
    if (n < 0 && errno != EINTR) {
        fail_errno("epoll_wait");
    }
    for (int i = 0; i < n; i++) {
        struct client *client = events[i].data.ptr;
        if (client->state == CLIENT_CONNECTING) {
            on_connected(client);
        } else if (events[i].events & ~(uint32_t)EPOLLOUT) {
            on_readable(client);
        } else {
            client_flush(client);
        }
    }
}

void net_run(struct net *net, bool (*is_done)(void *arg), void *arg, const char *what)
{
    uint64_t seen = net->n_frames, since = now_ns();
    while (!is_done(arg)) {
        net_poll(net, net->poll_ms);
        if (net->n_frames != seen) {
            seen = net->n_frames;
            since = now_ns();
        } else if (now_ns() - since > SILENCE_SEC * NS_PER_SEC) {
            fail("not one frame in %d s, while waiting for %s", SILENCE_SEC, what);
        }
    }
}

static bool has_room(void *arg)
{
    const struct net *net = arg;
    return net->n_clients - net->n_live < OPENING_MAX;
}

static bool is_settled(void *arg)
{
    const struct net *net = arg;
    return net->n_live == net->n_clients;
}

void net_admit(struct net *net)
{
    net_run(net, has_room, net, "connections to be upgraded and their snapshots to end");
}

void net_settle(struct net *net)
{
    net_run(net, is_settled, net, "connections to be upgraded and their snapshots to end");
}
