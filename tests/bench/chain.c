/*
 * chain - the ceiling of row a: what one frame's way costs without any product in it.
 *
 *     client --TCP--> router --Unix socket--> worker --> a thread that writes and fdatasyncs, and all the way back
 *
 * Three processes, each with a poll() of its own, one frame in flight, no SQLite. The file is written before the
 * measurement, so that a sync has no metadata to write.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/sockets.h"
#include "tests/bench/timing.h"

#define FRAME_SIZE 256
#define FILE_SIZE  (16 << 20)

struct chain {
    const char *dir;
    long seconds;
    int listener;
    int link[2]; /* router, worker */
};

struct frame256 {
    uint64_t number;
    char rest[FRAME_SIZE - sizeof(uint64_t)];
};

/* ---- the worker: a loop and a thread, each waking the other with an eventfd ---- */

struct syncer {
    int fd;
    int wake, done;
    struct frame256 frame; /* whose turn it is to touch it follows from the eventfds */
    off_t at;
};

static void signal_event(int fd)
{
    uint64_t one = 1;
    if (write(fd, &one, sizeof(one)) != sizeof(one)) {
        fail_errno("eventfd");
    }
}

static void wait_event(int fd)
{
    uint64_t n;
    if (read(fd, &n, sizeof(n)) != sizeof(n)) {
        fail_errno("eventfd");
    }
}

static void *sync_thread(void *arg)
{
    struct syncer *syncer = arg;
    for (;;) {
        wait_event(syncer->wake);
        if (pwrite(syncer->fd, &syncer->frame, FRAME_SIZE, syncer->at) != FRAME_SIZE || fdatasync(syncer->fd)) {
            fail_errno("cannot write the chain's file");
        }
        syncer->at = (syncer->at + FRAME_SIZE) % FILE_SIZE;
        signal_event(syncer->done);
    }
    return NULL;
}

static void fill_file(int fd)
{
    static char zeroes[1 << 20];
    for (int i = 0; i < FILE_SIZE / (int)sizeof(zeroes); i++) {
        if (write(fd, zeroes, sizeof(zeroes)) != (ssize_t)sizeof(zeroes)) {
            fail_errno("cannot write the chain's file");
        }
    }
    if (fsync(fd)) {
        fail_errno("fsync");
    }
}

static void open_syncer(struct syncer *syncer, const char *dir)
{
    char path[512];
    pthread_t thread;
    snprintf(path, sizeof(path), "%.480s/chain.file", dir);
    syncer->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (syncer->fd < 0) {
        fail_errno("cannot create %s", path);
    }
    unlink(path);
    fill_file(syncer->fd);
    syncer->wake = eventfd(0, EFD_CLOEXEC);
    syncer->done = eventfd(0, EFD_CLOEXEC);
    if (syncer->wake < 0 || syncer->done < 0 || pthread_create(&thread, NULL, sync_thread, syncer)) {
        fail("cannot start the syncing thread");
    }
}

/* Wait until one of the two can be read; which. */
static int wait_for_either(int a, int b)
{
    struct pollfd fds[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0) {
        fail_errno("poll");
    }
    return fds[0].revents ? a : b;
}

static void worker(void *arg)
{
    struct chain *chain = arg;
    static struct syncer syncer;
    close(chain->listener);
    close(chain->link[0]);
    open_syncer(&syncer, chain->dir);
    write_all(chain->link[1], &syncer.frame, FRAME_SIZE); /* the file is ready */
    for (;;) {
        if (wait_for_either(chain->link[1], syncer.done) == syncer.done) {
            wait_event(syncer.done);
            write_all(chain->link[1], &syncer.frame, FRAME_SIZE);
        } else if (read_all(chain->link[1], &syncer.frame, FRAME_SIZE)) {
            signal_event(syncer.wake);
        } else {
            return;
        }
    }
}

/* ---- the router: whole frames from either side to the other ---- */

static void router(void *arg)
{
    struct chain *chain = arg;
    struct frame256 frame;
    close(chain->link[1]);
    int client = accept_from(chain->listener);
    for (;;) {
        int from = wait_for_either(client, chain->link[0]);
        if (!read_all(from, &frame, FRAME_SIZE)) {
            return;
        }
        write_all(from == client ? chain->link[0] : client, &frame, FRAME_SIZE);
    }
}

/* ---- the client ---- */

static void exchange(int fd, uint64_t number)
{
    struct frame256 frame = {.number = number};
    write_all(fd, &frame, FRAME_SIZE);
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    if (poll(&readable, 1, 5000) != 1) {
        fail("no answer within 5 s");
    }
    if (!read_all(fd, &frame, FRAME_SIZE) || frame.number != number) {
        fail("a wrong answer");
    }
}

static void measure(const struct chain *chain, int fd)
{
    static struct histogram latencies;
    struct frame256 ready;
    if (!read_all(fd, &ready, FRAME_SIZE)) {
        fail("the worker did not start");
    }
    uint64_t number = 0;
    while (number < 200) {
        exchange(fd, ++number);
    }
    uint64_t start = now_ns(), end = start + (uint64_t)chain->seconds * NS_PER_SEC, now = start;
    while (now < end) {
        uint64_t before = now;
        exchange(fd, ++number);
        now = now_ns();
        histogram_add(&latencies, now - before);
    }
    printf("{\"work\":\"chain\",\"frames_per_s\":%.1f,",
           (double)latencies.n * (double)NS_PER_SEC / (double)(now - start));
    histogram_print(&latencies, "answer_ms");
    printf("}\n");
}

int main(int argc, char **argv)
{
    struct chain chain = {.seconds = 3};
    const struct option_text texts[] = {{"dir", &chain.dir, "a folder on a real disk"}, {0}};
    const struct option_number numbers[] = {{"seconds", &chain.seconds, 1, 60, "time of the measurement"}, {0}};
    fail_as("chain");
    options_parse(&(struct options){"chain --dir DIR [--OPTION VALUE]...", numbers, texts}, argc, argv);
    chain.listener = listen_on_loopback();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, chain.link)) {
        fail_errno("socketpair");
    }
    pid_t worker_pid = fork_child(worker, &chain);
    pid_t router_pid = fork_child(router, &chain);
    close(chain.link[0]);
    close(chain.link[1]);
    int fd = connect_to(chain.listener);
    measure(&chain, fd);
    fflush(stdout);
    close(fd);
    join_child(router_pid);
    join_child(worker_pid);
    return EXIT_SUCCESS;
}
