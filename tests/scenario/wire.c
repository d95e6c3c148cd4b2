#include "tests/scenario/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { READ_BYTES = 65536, NARROW_BYTES = 4096 };

struct wire {
    int fd;
};

struct wire *wire_connect(uint16_t port, bool narrow)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (narrow)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){NARROW_BYTES}, sizeof(int));
    if (connect(fd, (void *)&addr, sizeof addr) != 0) {
        close(fd);
        return NULL;
    }
    struct wire *wire = mem_zero(1, sizeof *wire);
    wire->fd = fd;
    return wire;
}

void wire_close(struct wire *wire)
{
    close(wire->fd);
    free(wire);
}

/* What is there already is there, however late it is. */
static bool wait_for(struct wire *wire, short events, int64_t deadline_us)
{
    int64_t left_us = deadline_us - clock_mono_us();
    int left_ms = left_us > 0 ? (int)(left_us / 1000) + 1 : 0;
    return poll(&(struct pollfd){wire->fd, events, 0}, 1, left_ms) > 0;
}

bool wire_write(struct wire *wire, struct slice bytes, int64_t deadline_us)
{
    while (bytes.len > 0) {
        ssize_t n = send(wire->fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0 && !wait_for(wire, POLLOUT, deadline_us))
            return false;
        if (n > 0)
            bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return true;
}

enum wire_status wire_read(struct wire *wire, struct buf *to, int64_t deadline_us)
{
    if (!wait_for(wire, POLLIN, deadline_us))
        return WIRE_LATE;
    ssize_t n = recv(wire->fd, buf_reserve(to, READ_BYTES), READ_BYTES, 0);
    if (n <= 0)
        return WIRE_CLOSED;
    to->len += (size_t)n;
    return WIRE_BYTES;
}
