/*
 * client - one session, as the router sees it: a WebSocket on one side, a channel on the other.
 *
 * Messages pass unread; what is answered here is `ping`, and what is kept here are the limits: the size of a message,
 * the frames per second, the bytes under way to the shard (its credit), and those on their way to the socket (ours).
 * What is under way to the shard is kept until it is done with: a session that was too slow sends it again.
 *
 * Ownership: its connection's. Thread: the router's.
 */
#ifndef ROUTER_CLIENT_H
#define ROUTER_CLIENT_H

#include "base/table.h"
#include "proto/envelope.h"
#include "proto/websocket.h"
#include "src/router/connection.h"
#include "src/router/link.h"
#include "src/router/request.h"

struct client {
    struct table_node node; /* in the channel, by id */
    struct list throttle_link;
    struct connection *connection;
    struct link_channel *channel;
    uint32_t id;
    bool is_attached; /* the shard has let it in, and the socket was upgraded */
    int pings;        /* sent since it was last heard */
    struct upgrade upgrade;
    struct ws_decoder decoder;
    int64_t expires_s;  /* its claims end then; 0: never */
    struct place place; /* among the channel's sessions */
    struct buf asked;   /* what was sent to the shard and is not done with, as envelopes */
    size_t done;        /* bytes at the front of `asked` that are */
    uint32_t undrained; /* bytes from the shard that are not given back as credit yet */
    double tokens;      /* frames that may still come at once */
    int64_t refilled_us;
    double frames_per_second;
};

/* Begins to attach the connection to the scope's channel. The claims are JSON text. NULL if no shard can be reached. */
struct client *client_new(struct connection *connection, const struct scope_name *name, const struct app_kind *kind,
                          struct slice claims, int64_t expires_s, const struct upgrade *upgrade);
void client_free(struct client *client);

/* From the channel. */
void client_on_envelope(struct client *client, const struct envelope *envelope);
void client_on_channel_lost(struct client *client);

/* From the connection: takes messages from the front of the bytes while they may come. */
void client_receive(struct client *client, char **data, size_t *len);
bool client_may_receive(const struct client *client);

/* The socket has taken some output: gives credit back, and goes on. */
void client_drained(struct client *client);

/* It has fallen out of the channel's recent frames, and its socket has drained: the shard has to go on from its last
 * boundary. */
void client_lag(struct client *client);

/* By how many positions it is behind its scope, as far as is known here. */
uint64_t client_distance(const struct client *client);

/* Ends it with a close frame. An extended session is told before when to come back, where that is no matter of the
 * application. */
void client_close(struct client *client, enum ws_code code, const char *reason);

/* Once a second: pings, silence, expiry. */
void client_sweep(struct client *client, int64_t now_ms, int64_t now_s);

/* It may send again: goes on with what it had sent. False if it has to wait longer. */
bool client_try_unthrottle(struct client *client);

#endif
