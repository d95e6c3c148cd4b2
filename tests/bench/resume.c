/*
 * resume - the ceiling of row i: to accept, to upgrade and to send what was missed, in one process that does nothing
 * else.
 *
 * The driver's `storm` takes it for a server, if it writes only while its crowd is away. A `mut` is kept, encoded, as
 * the delta that tells of it. A `sub` with `since` is answered with all that was kept, a `sub` without with an empty
 * snapshot.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/mp.h"
#include "tests/bench/options.h"
#include "tests/bench/sockets.h"
#include "tests/bench/websocket.h"

#define EVENTS_MAX 256
#define FIRST_SEQ  UINT64_C(234881024000000) /* as long as a real one */

struct server {
    int listener, epoll;
    uint64_t head;
    struct buffer missed; /* messages; it grows only while nobody is being sent any */
};

struct connection {
    struct server *server;
    int fd;
    bool is_upgraded, is_resuming, is_writing;
    size_t sent;           /* of what was missed, if it is resuming */
    struct buffer in, out; /* `out` goes behind what was missed */
};

/* What a client asks for, of either sort. */
struct asked {
    struct text type, sub, since, tx, key;
    struct mp_reader cols;
};

/* ---- frames ---- */

static bool read_map(struct mp_reader *reader, struct asked *asked);

static bool read_ops(struct mp_reader *reader, struct asked *asked)
{
    struct mp_value ops;
    return mp_next(reader, &ops) && ops.type == MP_ARRAY && ops.n == 1 && read_map(reader, asked);
}

static bool read_cols(struct mp_reader *reader, struct mp_reader *ret_cols)
{
    const uint8_t *start = reader->at;
    bool ok = mp_skip(reader);
    *ret_cols = (struct mp_reader){start, reader->at};
    return ok;
}

static bool read_text(struct mp_reader *reader, const struct mp_value *name, struct asked *asked)
{
    const struct {
        const char *name;
        struct text *text;
    } fields[] = {{"t", &asked->type},
                  {"subId", &asked->sub},
                  {"since", &asked->since},
                  {"txId", &asked->tx},
                  {"key", &asked->key}};
    struct mp_value value;
    bool ok = mp_next(reader, &value);
    for (size_t i = 0; ok && i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (mp_is(name, fields[i].name)) {
            *fields[i].text = value.text;
        }
    }
    return ok;
}

/* A frame, or the one operation of a `mut`. */
static bool read_map(struct mp_reader *reader, struct asked *asked)
{
    struct mp_value map, name;
    bool ok = mp_next(reader, &map) && map.type == MP_MAP;
    for (uint32_t i = 0; ok && i < map.n; i++) {
        ok = mp_next(reader, &name) && (mp_is(&name, "ops")    ? read_ops(reader, asked)
                                        : mp_is(&name, "cols") ? read_cols(reader, &asked->cols)
                                                               : read_text(reader, &name, asked));
    }
    return ok;
}

static void put_seq(struct buffer *frame, uint64_t seq)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, seq);
    mp_str(frame, "seq");
    mp_str(frame, digits);
}

static void put_text(struct buffer *frame, const char *name, struct text text)
{
    mp_str(frame, name);
    mp_text(frame, text);
}

/* The frame in a message; what held it is empty again. */
static void put_message(struct buffer *out, struct buffer *frame)
{
    size_t len = buffer_len(frame);
    buffer_grew(out, websocket_server_header(buffer_room(out, 10), WS_BINARY, len));
    buffer_append(out, buffer_head(frame), len);
    buffer_take(frame, len);
}

/* A boundary or the end of a snapshot: `sub` may be nothing. */
static void put_boundary(struct buffer *out, const char *type, struct text sub, uint64_t seq)
{
    static struct buffer frame;
    mp_map(&frame, sub.at ? 3 : 2);
    put_text(&frame, "t", text_of(type));
    if (sub.at) {
        put_text(&frame, "sub", sub);
    }
    put_seq(&frame, seq);
    put_message(out, &frame);
}

static void put_delta(struct buffer *out, struct text sub, const struct asked *mut, uint64_t seq)
{
    static struct buffer frame;
    mp_map(&frame, 6);
    put_text(&frame, "t", text_of("d"));
    put_text(&frame, "sub", sub);
    put_text(&frame, "key", mut->key);
    put_text(&frame, "op", text_of("insert"));
    mp_str(&frame, "cols");
    buffer_append(&frame, mut->cols.at, (size_t)(mut->cols.end - mut->cols.at));
    put_seq(&frame, seq);
    put_message(out, &frame);
}

static void put_committed(struct buffer *out, struct text tx, uint64_t seq)
{
    static struct buffer frame;
    mp_map(&frame, 3);
    put_text(&frame, "t", text_of("committed"));
    put_text(&frame, "txId", tx);
    put_seq(&frame, seq);
    put_message(out, &frame);
}

/* ---- what is asked, and the answer ---- */

static void on_sub(struct connection *connection, const struct asked *asked)
{
    struct server *server = connection->server;
    connection->is_resuming = asked->since.at != NULL;
    if (!connection->is_resuming) {
        buffer_take(&server->missed, buffer_len(&server->missed)); /* another crowd gathers */
    }
    put_boundary(&connection->out, connection->is_resuming ? "uptodate" : "snap-end", asked->sub, server->head);
}

/* All subscriptions have the same id, which nobody but the driver's storm does. */
static void on_mut(struct connection *connection, const struct asked *asked)
{
    struct server *server = connection->server;
    size_t before = buffer_len(&server->missed);
    put_delta(&server->missed, text_of("tasks"), asked, ++server->head);
    buffer_append(&connection->out, buffer_head(&server->missed) + before, buffer_len(&server->missed) - before);
    put_boundary(&connection->out, "uptodate", (struct text){0}, server->head);
    put_committed(&connection->out, asked->tx, server->head);
}

static void on_message(struct connection *connection, const struct websocket_message *message)
{
    struct mp_reader reader = {message->payload, message->payload + message->len};
    struct asked asked = {0};
    if (message->opcode != WS_BINARY || !read_map(&reader, &asked)) {
        fail("the driver sent something that is no frame");
    }
    if (text_is(asked.type, "sub")) {
        on_sub(connection, &asked);
    } else if (text_is(asked.type, "mut")) {
        on_mut(connection, &asked);
    } else {
        fail("the driver sent a frame that is neither sub nor mut");
    }
}

/* ---- connections ---- */

static void watch(struct connection *connection, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(connection->server->epoll, op, connection->fd, &event)) {
        fail_errno("epoll_ctl");
    }
}

static void accept_all(struct server *server)
{
    int fd;
    while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof(*connection));
        if (!connection) {
            fail("out of memory");
        }
        *connection = (struct connection){.server = server, .fd = without_delay(fd)};
        watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
    if (errno != EAGAIN) {
        fail_errno("accept");
    }
}

static void close_connection(struct connection *connection)
{
    close(connection->fd);
    buffer_release(&connection->in);
    buffer_release(&connection->out);
    free(connection);
}

/* The length of the request, once it is whole. */
static size_t upgrade(struct connection *connection)
{
    uint8_t *end = memmem(buffer_head(&connection->in), buffer_len(&connection->in), "\r\n\r\n", 4);
    if (!end) {
        return 0;
    }
    connection->is_upgraded = true;
    buffer_append(&connection->out, WEBSOCKET_UPGRADED, strlen(WEBSOCKET_UPGRADED));
    return (size_t)(end + 4 - buffer_head(&connection->in));
}

static size_t read_message(struct connection *connection)
{
    struct websocket_message message;
    const char *why = NULL;
    struct buffer *in = &connection->in;
    long used = websocket_next(buffer_head(in), buffer_len(in), WS_FROM_CLIENT, &message, &why);
    if (used < 0) {
        fail("from the driver: %s", why);
    }
    if (used > 0) {
        on_message(connection, &message);
    }
    return (size_t)used;
}

/* Of what was missed and then of `out`, as much as there is room for. */
static ssize_t send_some(struct connection *connection, size_t *ret_of_missed)
{
    struct buffer *missed = &connection->server->missed;
    *ret_of_missed = connection->is_resuming ? buffer_len(missed) - connection->sent : 0;
    struct iovec parts[2] = {{buffer_head(missed) + connection->sent, *ret_of_missed},
                             {buffer_head(&connection->out), buffer_len(&connection->out)}};
    return parts[0].iov_len + parts[1].iov_len == 0 ? 0 : writev(connection->fd, parts, 2);
}

/* False when the client has left. */
static bool flush(struct connection *connection)
{
    size_t of_missed = 0;
    ssize_t sent = send_some(connection, &of_missed);
    if (sent < 0 && errno != EAGAIN) {
        return false;
    }
    size_t len = sent > 0 ? (size_t)sent : 0;
    size_t taken = len < of_missed ? len : of_missed;
    connection->sent += taken;
    buffer_take(&connection->out, len - taken);
    bool must_wait = taken < of_missed || buffer_len(&connection->out) > 0;
    if (must_wait != connection->is_writing) {
        connection->is_writing = must_wait;
        watch(connection, EPOLL_CTL_MOD, must_wait ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    return true;
}

/* False when the client has left. */
static bool on_readable(struct connection *connection)
{
    struct buffer *in = &connection->in;
    ssize_t got = recv(connection->fd, buffer_room(in, 4096), 4096, 0);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    buffer_grew(in, (size_t)got);
    for (size_t used = 1; used > 0 && buffer_len(in) > 0; buffer_take(in, used)) {
        used = connection->is_upgraded ? read_message(connection) : upgrade(connection);
    }
    return true;
}

static void serve(struct server *server)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int n = epoll_wait(server->epoll, events, EVENTS_MAX, -1);
        if (n < 0 && errno != EINTR) {
            fail_errno("epoll_wait");
        }
        for (int i = 0; i < n; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) {
                accept_all(server);
            } else if ((events[i].events & ~(uint32_t)EPOLLOUT && !on_readable(connection)) || !flush(connection)) {
                close_connection(connection);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct server server = {.head = FIRST_SEQ, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct epoll_event listening = {.events = EPOLLIN};
    fail_as("resume");
    options_parse(&(struct options){"resume; it serves until it is ended", NULL, NULL}, argc, argv);
    server.listener = listen_on_loopback();
    if (server.epoll < 0 || fcntl(server.listener, F_SETFL, O_NONBLOCK) ||
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener, &listening)) {
        fail_errno("cannot watch the listener");
    }
    announce(server.listener);
    serve(&server);
}
