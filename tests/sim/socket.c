#include "tests/sim/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/websocket.h"
#include "tests/sim/sim.h"

enum { PORT = 8080, READ_MAX = 16 << 10, STATUS_SWITCHING = 101 };

static const char MASK[4] = {0x37, (char)0xfa, 0x21, 0x3d};

void socket_init(struct socket *socket, struct loop *loop, const struct socket_handlers *handlers, void *arg)
{
    *socket = (struct socket){.loop = loop, .handlers = handlers, .arg = arg, .fd = -1};
}

void socket_drop(struct socket *socket)
{
    if (socket->fd < 0)
        return;
    watch_release(&socket->watch);
    close(socket->fd);
    socket->fd = -1;
    socket->is_open = false;
    socket->in.len = socket->out.len = socket->sent = 0;
}

static void lose(struct socket *socket, unsigned code)
{
    socket_drop(socket);
    socket->handlers->on_closed(socket->arg, code);
}

static void want(struct socket *socket)
{
    unsigned writing = socket->sent < socket->out.len ? WATCH_WRITE : 0;
    watch_want(&socket->watch, writing | (socket->is_reading ? WATCH_READ : 0));
}

/* Writing. */

static bool flush(struct socket *socket)
{
    while (socket->sent < socket->out.len) {
        ssize_t n = send(socket->fd, socket->out.data + socket->sent, socket->out.len - socket->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
        socket->sent += (size_t)n;
        buf_trim(&socket->out, &socket->sent);
    }
    return true;
}

static void send_frame(struct socket *socket, enum ws_opcode opcode, struct slice payload)
{
    char header[WS_HEADER_MAX];
    size_t len = ws_header(header, opcode, payload.len);
    header[1] |= (char)0x80;
    buf_append(&socket->out, header, len);
    buf_append(&socket->out, MASK, sizeof MASK);
    char *to = buf_reserve(&socket->out, payload.len);
    for (size_t i = 0; i < payload.len; i++)
        to[i] = (char)(payload.data[i] ^ MASK[i % 4]);
    socket->out.len += payload.len;
    want(socket); /* and it leaves when the socket takes it */
}

void socket_send(struct socket *socket, struct slice message)
{
    if (socket->is_open)
        send_frame(socket, WS_BINARY, message);
}

void socket_pause(struct socket *socket, bool is_paused)
{
    socket->is_reading = !is_paused;
    if (socket->fd >= 0)
        want(socket);
}

/* Reading. */

/* The length of a whole frame at the front of `in`, 0 while there is none. */
static size_t frame_at(struct slice in, struct slice *ret_payload)
{
    const unsigned char *bytes = (const unsigned char *)in.data;
    if (in.len < 2)
        return 0;
    size_t extra = bytes[1] == 127 ? 8 : bytes[1] == 126 ? 2 : 0, len = extra == 0 ? bytes[1] : 0;
    if ((bytes[0] & 0x80) == 0 || bytes[1] > 127)
        sim_fail("a frame of the server's is in pieces, or masked");
    if (in.len < 2 + extra)
        return 0;
    for (size_t i = 0; i < extra; i++)
        len = len << 8 | bytes[2 + i];
    if (in.len - 2 - extra < len)
        return 0;
    *ret_payload = slice_of(in.data + 2 + extra, len);
    return 2 + extra + len;
}

/* False: the socket is no more what it was. */
static bool take_frame(struct socket *socket, enum ws_opcode opcode, struct slice payload)
{
    if (opcode == WS_BINARY)
        socket->handlers->on_message(socket->arg, payload);
    else if (opcode == WS_PING)
        send_frame(socket, WS_PONG, payload);
    else if (opcode == WS_CLOSE)
        lose(socket,
             payload.len < 2 ? 0 : (unsigned)((unsigned char)payload.data[0] << 8 | (unsigned char)payload.data[1]));
    return socket->is_open;
}

static void take_frames(struct socket *socket)
{
    size_t done = 0, len;
    struct slice payload;
    while ((len = frame_at(slice_of(socket->in.data + done, socket->in.len - done), &payload)) > 0) {
        enum ws_opcode opcode = (enum ws_opcode)(socket->in.data[done] & 0x0f);
        done += len;
        if (!take_frame(socket, opcode, payload))
            return;
    }
    buf_consume(&socket->in, done);
}

/* The answer to the request. */
static void take_head(struct socket *socket)
{
    struct slice in = buf_slice(&socket->in);
    const char *end = memmem(in.data, in.len, "\r\n\r\n", 4);
    if (end == NULL)
        return;
    long status = in.len > 12 ? strtol(in.data + 9, NULL, 10) : 0;
    if (status != STATUS_SWITCHING && status != 503)
        sim_fail("an upgrade was answered with %ld", status);
    if (status != STATUS_SWITCHING) {
        lose(socket, 0);
        return;
    }
    buf_consume(&socket->in, (size_t)(end + 4 - in.data));
    socket->is_open = true;
    socket->handlers->on_open(socket->arg);
}

static void receive(struct socket *socket)
{
    buf_reserve(&socket->in, READ_MAX + 1);
    ssize_t n = recv(socket->fd, socket->in.data + socket->in.len, READ_MAX, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lose(socket, 0);
        return;
    }
    socket->in.len += (size_t)n;
    socket->in.data[socket->in.len] = '\0';
    if (!socket->is_open)
        take_head(socket);
    if (socket->is_open)
        take_frames(socket);
}

static void on_ready(void *arg, unsigned ready)
{
    struct socket *socket = arg;
    if ((ready & WATCH_WRITE) != 0 && !flush(socket)) {
        lose(socket, 0);
        return;
    }
    if ((ready & WATCH_READ) != 0)
        receive(socket);
    if (socket->fd >= 0)
        want(socket);
}

void socket_open(struct socket *to, const char *path, const char *protocol)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to->is_reading = true;
    to->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (to->fd < 0)
        sim_fail("a client gets no socket");
    watch_init(&to->watch, to->loop, to->fd, on_ready, to);
    if (connect(to->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        lose(to, 0);
        return;
    }
    buf_printf(&to->out,
               "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
               path);
    if (protocol != NULL)
        buf_printf(&to->out, "Sec-WebSocket-Protocol: %s\r\n", protocol);
    buf_printf(&to->out, "\r\n");
    want(to);
}
