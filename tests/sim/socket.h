/*
 * socket - a client's end of a WebSocket, on the loop: connects, upgrades, hands out messages.
 *
 * Memory stays until the schedule's process ends.
 */
#ifndef TESTS_SIM_SOCKET_H
#define TESTS_SIM_SOCKET_H

#include "base/bytes.h"
#include "base/loop.h"

struct socket_handlers {
    void (*on_open)(void *arg);
    void (*on_message)(void *arg, struct slice message); /* a binary one */
    /* It is closed by now; `code` is the server's, or 0. May be opened again at once. */
    void (*on_closed)(void *arg, unsigned code);
};

struct socket {
    struct loop *loop;
    const struct socket_handlers *handlers;
    void *arg;
    int fd; /* -1: closed */
    struct watch watch;
    struct buf in, out;
    size_t sent;     /* of `out` */
    bool is_open;    /* upgraded */
    bool is_reading; /* else its reader is slow */
};

void socket_init(struct socket *socket, struct loop *loop, const struct socket_handlers *handlers, void *arg);

/* Begins to connect and asks for `path`, `protocol` may be NULL. on_open or on_closed follows. */
void socket_open(struct socket *socket, const char *path, const char *protocol);

/* At once, without a word; on_closed is not called. */
void socket_drop(struct socket *socket);

void socket_send(struct socket *socket, struct slice message);
void socket_pause(struct socket *socket, bool is_paused);

#endif
