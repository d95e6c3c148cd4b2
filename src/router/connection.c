#include "src/router/connection.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "src/router/client.h"
#include "src/router/link.h"
#include "src/router/request.h"

enum { READ_CHUNK = 64 << 10, FILE_CHUNK = 256 << 10, SENT_KEPT = 1 << 10 };

static int64_t now_ms(void)
{
    return clock_mono_us() / 1000;
}

/* Which states may follow: a row per state, a bit per next one. */
static const unsigned NEXT[] = {
    [CONNECTION_HTTP] = 1u << CONNECTION_WAITING | 1u << CONNECTION_CLOSING | 1u << CONNECTION_DEAD,
    [CONNECTION_WAITING] =
        1u << CONNECTION_HTTP | 1u << CONNECTION_WEBSOCKET | 1u << CONNECTION_CLOSING | 1u << CONNECTION_DEAD,
    [CONNECTION_WEBSOCKET] = 1u << CONNECTION_CLOSING | 1u << CONNECTION_DEAD,
    [CONNECTION_CLOSING] = 1u << CONNECTION_DEAD,
    [CONNECTION_DEAD] = 0,
};

/* The peer has to take what waits before more of what it sent is looked at. */
static bool is_full(const struct connection *connection)
{
    return connection_waiting(connection) >= ROUTER_OUT_MAX || connection->file >= 0;
}

/* Reads when somebody wants bytes and the peer takes ours. */
static void update_watch(struct connection *connection)
{
    bool wants = connection->state == CONNECTION_HTTP || connection->state == CONNECTION_CLOSING ||
                 (connection->state == CONNECTION_WEBSOCKET && client_may_receive(connection->client));
    unsigned wanted = wants && !is_full(connection) ? WATCH_READ : 0;
    if (connection_is_blocked(connection))
        wanted |= WATCH_WRITE;
    watch_want(&connection->watch, wanted);
}

void connection_become(struct connection *connection, enum connection_state state)
{
    assert((NEXT[connection->state] & 1u << state) != 0);
    connection->state = state;
    connection->heard_ms = now_ms();
    if (state == CONNECTION_DEAD) {
        watch_release(&connection->watch);
        list_remove(&connection->link);
        list_append(&connection->router->dead, &connection->link);
    } else if (state == CONNECTION_CLOSING) {
        connection_out(connection);
    } else {
        update_watch(connection);
    }
}

void connection_kill(struct connection *connection)
{
    if (connection->state == CONNECTION_DEAD)
        return;
    connection_become(connection, CONNECTION_DEAD);
    if (connection->client != NULL)
        client_free(connection->client);
    connection->client = NULL;
    if (connection->question != NULL)
        link_forget(connection->question);
    connection->question = NULL;
}

void connection_free(struct connection *connection)
{
    assert(connection->state == CONNECTION_DEAD);
    list_remove(&connection->link);
    list_remove(&connection->dirty_link);
    close(connection->fd);
    if (connection->file >= 0)
        close(connection->file);
    buf_release(&connection->in);
    buf_release(&connection->out);
    free(connection);
    metric_add(METRIC_ROUTER_CONNECTIONS, -1);
}

struct buf *connection_out(struct connection *connection)
{
    if (connection_waiting(connection) == 0)
        connection->progressed_ms = now_ms();
    if (connection->sent > SENT_KEPT) { /* so that it does not grow for what has left: there are many */
        buf_consume(&connection->out, connection->sent);
        connection->sent = 0;
    }
    if (list_is_empty(&connection->dirty_link))
        list_append(&connection->router->dirty, &connection->dirty_link);
    return &connection->out;
}

void connection_send_file(struct connection *connection, int file, size_t len)
{
    assert(connection->file < 0);
    connection_out(connection);
    connection->file = file;
    connection->file_left = len;
}

/* Handles bytes from the front of `data` as long as somebody wants them; returns how many it took. What still comes
 * to a socket that closes is read and dropped: unread, it would make the kernel reset the connection, and the peer
 * would lose our last words. */
static size_t handle(struct connection *connection, char *data, size_t len)
{
    size_t left = len;
    bool more = true;
    while (more && left > 0) {
        size_t before = left;
        if (connection->state == CONNECTION_HTTP && !is_full(connection))
            request_receive(connection, &data, &left);
        else if (connection->state == CONNECTION_WEBSOCKET)
            client_receive(connection->client, &data, &left);
        more = left < before;
    }
    return connection->state == CONNECTION_CLOSING ? len : len - left;
}

static void handle_joined(struct connection *connection)
{
    struct buf in = connection->in;
    connection->in = (struct buf){0};
    size_t taken = handle(connection, in.data, in.len);
    buf_consume(&in, taken);
    if (in.len == 0)
        buf_release(&in);
    connection->in = in;
}

static void receive(struct connection *connection, char *data, size_t len)
{
    /* A head that trickles in was waited for since its first byte; nobody waits for what comes after the end. */
    bool is_head_begun = connection->state == CONNECTION_HTTP && connection->in.len > 0;
    if (!is_head_begun && connection->state != CONNECTION_CLOSING)
        connection->heard_ms = now_ms();
    if (connection->in.len > 0) {
        buf_append(&connection->in, data, len);
        handle_joined(connection);
        return;
    }
    size_t taken = handle(connection, data, len);
    buf_append(&connection->in, data + taken, len - taken);
}

static void on_ready(void *arg, unsigned ready)
{
    static _Thread_local char chunk[READ_CHUNK];
    struct connection *connection = arg;
    if ((ready & WATCH_READ) != 0) {
        ssize_t len = recv(connection->fd, chunk, sizeof chunk, 0);
        if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
            connection_kill(connection);
            return;
        }
        if (len > 0)
            receive(connection, chunk, (size_t)len);
    }
    if (connection->state != CONNECTION_DEAD) {
        if ((ready & WATCH_WRITE) != 0)
            connection_out(connection);
        update_watch(connection);
    }
}

void connection_resume(struct connection *connection)
{
    if (connection->in.len > 0)
        handle_joined(connection);
    if (connection->state != CONNECTION_DEAD)
        update_watch(connection);
}

static void set_no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void connection_new(struct router *router, int fd, bool is_local)
{
    struct connection *connection = mem_zero(1, sizeof *connection);
    connection->router = router;
    connection->fd = fd;
    connection->file = -1;
    connection->is_local = is_local;
    connection->heard_ms = now_ms();
    list_init(&connection->dirty_link);
    list_append(&router->connections, &connection->link);
    watch_init(&connection->watch, router->loop, fd, on_ready, connection);
    set_no_delay(fd);
    update_watch(connection);
    metric_add(METRIC_ROUTER_CONNECTIONS, 1);
}

/* Whether the socket only has to be waited for. */
static bool is_passing(void)
{
    return errno == EAGAIN || errno == EINTR;
}

ssize_t connection_send(struct connection *connection, struct slice bytes)
{
    assert(connection_waiting(connection) == 0);
    ssize_t len = send(connection->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    if (len < 0 && !is_passing()) {
        connection_kill(connection);
        return -1;
    }
    connection->progressed_ms = now_ms();
    return len < 0 ? 0 : len;
}

void connection_keep(struct connection *connection, struct slice bytes)
{
    buf_append_slice(&connection->out, bytes);
    update_watch(connection);
}

/* Each returns false if the socket is broken. */

static bool send_bytes(struct connection *connection)
{
    ssize_t len = send(connection->fd, connection->out.data + connection->sent, connection->out.len - connection->sent,
                       MSG_NOSIGNAL);
    if (len < 0)
        return is_passing();
    connection->progressed_ms = now_ms();
    connection->sent += (size_t)len;
    buf_trim(&connection->out, &connection->sent);
    if (connection->out.len == 0)
        buf_release(&connection->out);
    return true;
}

static bool send_file(struct connection *connection)
{
    size_t most = connection->file_left < FILE_CHUNK ? connection->file_left : FILE_CHUNK;
    ssize_t len = sendfile(connection->fd, connection->file, NULL, most);
    if (len < 0)
        return is_passing();
    if (len == 0)
        return false; /* the file was cut short under our hands */
    connection->progressed_ms = now_ms();
    connection->file_left -= (size_t)len;
    if (connection->file_left == 0) {
        close(connection->file);
        connection->file = -1;
    }
    return true;
}

static bool send_out(struct connection *connection)
{
    if (connection->out.len > 0 && !send_bytes(connection))
        return false;
    return connection->out.len > 0 || connection->file < 0 || send_file(connection);
}

void connection_flush(struct connection *connection)
{
    list_remove(&connection->dirty_link);
    if (connection->state == CONNECTION_DEAD)
        return;
    bool was_full = is_full(connection);
    if (!send_out(connection)) {
        connection_kill(connection);
        return;
    }
    if (connection->client != NULL)
        client_drained(connection->client);
    if (connection->state == CONNECTION_DEAD)
        return;
    if (connection->state == CONNECTION_CLOSING && connection_waiting(connection) == 0)
        shutdown(connection->fd, SHUT_WR); /* the peer's end, or the sweep, ends it */
    if (was_full && !is_full(connection))
        connection_resume(connection);
    else
        update_watch(connection);
}
