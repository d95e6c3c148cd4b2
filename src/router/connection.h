/*
 * connection - one client socket: bytes in, bytes out, and what they are for at the moment (HTTP or a WebSocket).
 *
 * Output is collected and leaves at the end of the turn; a file goes from the disk to the socket as the socket takes
 * it. A socket that does not take its output is not read either, so a peer can make nothing grow. An idle connection
 * keeps this struct and no buffer.
 *
 * Ownership: the router's list. connection_kill only marks; the memory goes at the end of the turn.
 */
#ifndef ROUTER_CONNECTION_H
#define ROUTER_CONNECTION_H

#include <sys/types.h>

#include "proto/http.h"
#include "src/router/router.h"

enum connection_state {
    CONNECTION_HTTP,      /* waits for a request */
    CONNECTION_WAITING,   /* for an answer of a shard: nothing is read meanwhile */
    CONNECTION_WEBSOCKET, /* carries a session */
    CONNECTION_CLOSING,   /* what is collected leaves, then the socket closes */
    CONNECTION_DEAD,
};

struct connection {
    struct list link;
    struct list dirty_link;
    struct router *router;
    struct watch watch;
    int fd;
    enum connection_state state;
    struct buf in, out;
    size_t sent;               /* bytes at the front of `out` */
    int file;                  /* what follows `out`: a file, or -1 */
    size_t file_left;          /* bytes of it */
    int64_t heard_ms;          /* when bytes last came that were wanted, or the connection began to wait for them */
    int64_t progressed_ms;     /* when bytes last left, or began to wait */
    struct client *client;     /* CONNECTION_WEBSOCKET, and CONNECTION_WAITING for an upgrade */
    struct question *question; /* CONNECTION_WAITING for metrics */
    bool is_local;             /* the peer is on loopback */
    bool is_head, is_last;     /* the request under way is HEAD; no other will follow it */
};

/* Takes the descriptor. */
void connection_new(struct router *router, int fd, bool is_local);

/* Where output goes. The connection takes part in this turn's sends. */
struct buf *connection_out(struct connection *connection);

/* Sends `len` bytes of a file behind the output. Takes the descriptor. Nothing else may be put out until they have
 * left; no request is handled meanwhile. */
void connection_send_file(struct connection *connection, int file, size_t len);

/* For who has bytes that are not collected: sends some at once, where nothing waits, and returns how many the socket
 * took; -1 if it was broken, and killed. What it has begun and not taken, connection_keep has it take first. */
ssize_t connection_send(struct connection *connection, struct slice bytes);
void connection_keep(struct connection *connection, struct slice bytes);

/* Moves to another state; asserts that it may. */
void connection_become(struct connection *connection, enum connection_state state);

/* Handles what has arrived, and reads on, once what held it up is gone. */
void connection_resume(struct connection *connection);

/* Ends it at once, with its session. */
void connection_kill(struct connection *connection);

/* The turn: sends what was collected. */
void connection_flush(struct connection *connection);

/* Frees a dead one. */
void connection_free(struct connection *connection);

/* When bytes last went either way. */
static inline int64_t connection_alive_ms(const struct connection *connection)
{
    return connection->heard_ms > connection->progressed_ms ? connection->heard_ms : connection->progressed_ms;
}

static inline size_t connection_waiting(const struct connection *connection)
{
    return connection->out.len - connection->sent + connection->file_left;
}

/* It has been tried: the socket takes no more now. */
static inline bool connection_is_blocked(const struct connection *connection)
{
    return connection_waiting(connection) > 0 && list_is_empty(&connection->dirty_link);
}

static inline bool connection_is_read(const struct connection *connection)
{
    return (connection->watch.wanted & WATCH_READ) != 0;
}

#endif
