/*
 * fan - the ceiling of row d: one process that writes ten frames a writev to each of n sockets that has room, and
 * another that reads them. The frames have the size of the driver's deltas; nobody looks inside.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/sockets.h"
#include "tests/bench/timing.h"

#define GATHER      10
#define EVENTS_MAX  256
#define SOCKETS_MAX 4000

struct fan {
    long n_sockets, frame_bytes, seconds; /* options */
    int listener;
    int epoll;
    int sockets[SOCKETS_MAX];
    size_t torn[SOCKETS_MAX]; /* bytes of a frame that were written before the socket was full */
};

static void watch(struct fan *fan, uint32_t events)
{
    fan->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < fan->n_sockets; i++) {
        struct epoll_event event = {.events = events, .data.u64 = (uint64_t)i};
        if (epoll_ctl(fan->epoll, EPOLL_CTL_ADD, fan->sockets[i], &event)) {
            fail_errno("epoll_ctl");
        }
    }
}

/* ---- the reader ---- */

static void report(const struct fan *fan, uint64_t bytes, uint64_t ns)
{
    uint64_t frames = bytes / (uint64_t)fan->frame_bytes;
    printf("{\"work\":\"fan\",\"sockets\":%ld,\"frame_bytes\":%ld,\"deliveries\":%" PRIu64
           ",\"deliveries_per_s\":%.1f}\n",
           fan->n_sockets, fan->frame_bytes, frames, (double)frames * (double)NS_PER_SEC / (double)ns);
}

/* One read of a socket that has something: its bytes; 0 at its end. */
static size_t read_some(int fd)
{
    static char bytes[256 << 10];
    ssize_t got = read(fd, bytes, sizeof(bytes));
    if (got < 0) {
        fail_errno("read");
    }
    return (size_t)got;
}

static void reader(void *arg)
{
    struct fan *fan = arg;
    struct epoll_event events[EVENTS_MAX];
    for (long i = 0; i < fan->n_sockets; i++) {
        fan->sockets[i] = connect_to(fan->listener);
    }
    watch(fan, EPOLLIN);
    uint64_t bytes = 0, start = 0;
    for (long n_open = fan->n_sockets; n_open > 0;) {
        int n = epoll_wait(fan->epoll, events, EVENTS_MAX, -1);
        start = start ? start : now_ns();
        for (int i = 0; i < n; i++) {
            int fd = fan->sockets[events[i].data.u64];
            size_t got = read_some(fd);
            bytes += got;
            if (got == 0) {
                close(fd);
                n_open--;
            }
        }
    }
    report(fan, bytes, now_ns() - start);
}

/* ---- the writer ---- */

/* Ten frames, less what was written of the first one before. */
static void write_ten(struct fan *fan, uint64_t i, char *frame)
{
    struct iovec parts[GATHER];
    size_t len = (size_t)fan->frame_bytes;
    for (int p = 0; p < GATHER; p++) {
        parts[p] = (struct iovec){frame, len};
    }
    parts[0] = (struct iovec){frame + fan->torn[i], len - fan->torn[i]};
    ssize_t written = writev(fan->sockets[i], parts, GATHER);
    if (written < 0 && errno != EAGAIN) {
        fail_errno("writev");
    }
    fan->torn[i] = (fan->torn[i] + (written > 0 ? (size_t)written : 0)) % len;
}

static void write_until(struct fan *fan, uint64_t end)
{
    struct epoll_event events[EVENTS_MAX];
    char *frame = calloc(1, (size_t)fan->frame_bytes);
    if (!frame) {
        fail("out of memory");
    }
    while (now_ns() < end) {
        int n = epoll_wait(fan->epoll, events, EVENTS_MAX, 100);
        for (int i = 0; i < n; i++) {
            write_ten(fan, events[i].data.u64, frame);
        }
    }
    free(frame);
}

static void set_nonblocking(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK)) {
        fail_errno("fcntl");
    }
}

static void writer(struct fan *fan)
{
    for (long i = 0; i < fan->n_sockets; i++) {
        fan->sockets[i] = accept_from(fan->listener);
        set_nonblocking(fan->sockets[i]);
    }
    watch(fan, EPOLLOUT);
    write_until(fan, now_ns() + (uint64_t)fan->seconds * NS_PER_SEC);
    for (long i = 0; i < fan->n_sockets; i++) {
        close(fan->sockets[i]);
    }
}

int main(int argc, char **argv)
{
    static struct fan fan = {.n_sockets = 100, .frame_bytes = 190, .seconds = 3};
    const struct option_number numbers[] = {{"sockets", &fan.n_sockets, 1, SOCKETS_MAX, "sockets that are read"},
                                            {"frame-bytes", &fan.frame_bytes, 1, 65536, "bytes of a frame"},
                                            {"seconds", &fan.seconds, 1, 60, "time of the measurement"},
                                            {0}};
    fail_as("fan");
    options_parse(&(struct options){"fan [--OPTION VALUE]...", numbers, NULL}, argc, argv);
    fan.listener = listen_on_loopback();
    pid_t child = fork_child(reader, &fan);
    writer(&fan);
    join_child(child);
    return EXIT_SUCCESS;
}
