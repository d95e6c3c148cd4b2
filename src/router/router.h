/*
 * router - a process that owns client sockets and carries their sessions to shards.
 *
 * One event loop. A turn: callbacks have collected what is for many sessions, and bytes for each socket; the turn sends
 * them, one send a socket, frees what was closed, and flushes the links to the shards.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "base/list.h"
#include "base/loop.h"
#include "base/problems.h"
#include "proto/app.h"
#include "src/router/pump.h"
#include "src/router/token.h"

enum {
    ROUTER_MESSAGE_MAX = 16 << 20, /* bytes; longer ones close the socket with 1009 */
    ROUTER_WINDOW = 64 << 10,      /* bytes under way between a session and its shard, in each direction */
    ROUTER_RING_MAX = 256 << 10,   /* bytes of a channel's frames that are kept for sessions that are slow */
    ROUTER_OUT_MAX = 64 << 10,     /* bytes waiting for a socket, beyond which it is not read */
    ROUTER_HEAD_MS = 10000,        /* for a request's head to arrive */
    ROUTER_IDLE_MS = 60000,        /* of an HTTP connection between requests */
    ROUTER_WAIT_MS = 30000,        /* for a shard's answer to a request */
    ROUTER_PING_MS = 25000,        /* of a session's silence, then a ping */
    ROUTER_SILENT_MS = 60000,      /* of a session's silence, then 1001 */
    ROUTER_THROTTLE_MS = 20,       /* between looks at sessions that send too fast */
    ROUTER_STALLED_MS = 60000,     /* without progress while data waits, then 1013 */
    ROUTER_BACK_SOON_MS = 250,     /* what a session is told when it is closed: a worker is back so soon; */
    ROUTER_BACK_LATER_MS = 2000,   /* what is overloaded or out of order, or a server that stops, is not */
};

struct router_options {
    const char *app_dir;
    const char *run_dir; /* where the shards' sockets are */
    unsigned n_shards;
    int listen_fd; /* taken */
    bool is_dev;   /* `?user=NAME` is an identity, from loopback */
    int ready_fd;  /* told when every shard is connected, unless -1 */
    /* 0: ROUTER_WINDOW, ROUTER_RING_MAX */
    uint32_t window;
    size_t ring_max;
};

struct link;
struct client;

struct router {
    struct router_options options;
    struct app *app;
    struct keyset *keys; /* NULL: no tokens */
    struct loop *loop;
    struct watch listen, signals;
    struct timer sweep_timer, throttle_timer, accept_timer, stop_timer;
    int64_t stop_us; /* when a stopping router waits no longer */
    struct list connections;
    struct list dirty;     /* connections with something to send */
    struct list dead;      /* connections to be freed at the end of the turn */
    struct list throttled; /* sessions that wait until they may send again */
    struct link **links;   /* by shard */
    struct written written;
    uint32_t last_session;
    bool is_ready, is_stopping;
};

/* Begins on a loop of its own. NULL, with problems added, if it cannot. */
struct router *router_new(const struct router_options *options, struct problems *problems);
void router_free(struct router *router);

/* Closes its sessions with 1001, and stops its loop once they have gone or the time for that is up. */
void router_stop(struct router *router);

/* Runs one until SIGTERM or SIGINT, then stops it. False, with problems added, if it cannot start. */
bool router_run(const struct router_options *options, struct problems *problems);

/* Binds ADDR:PORT ("127.0.0.1:8080", "[::1]:0"). -1, with a problem added. `ret_address` is where it listens now. */
int router_listen(const char *address, struct buf *ret_address, struct problems *problems);

#endif
