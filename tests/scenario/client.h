/*
 * client - one WebSocket client of a story: bytes in, messages out, nothing understood.
 */
#ifndef SCENARIO_CLIENT_H
#define SCENARIO_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "tests/scenario/wire.h"

struct client {
    char *name;
    char *target;      /* of its last upgrade request: a reconnect asks for it again */
    char *offers;      /* the subprotocols that it asks for, or NULL */
    bool is_extended;  /* the server has chosen skerry.v1 */
    bool narrow;       /* its wire buffers little */
    struct wire *wire; /* NULL while it is not connected */
    struct buf in;
    size_t used; /* bytes of `in` that were returned */
    unsigned n_fetches;
};

struct client *client_new(const char *name);
void client_free(struct client *client);

/* Sends a GET for `target`, as an upgrade or a plain one, and returns the answer's status, 0 if none came. With 101 the
 * client is connected; else it is not, and `ret_body` (may be NULL) gets the body. */
int client_get(struct client *client, uint16_t port, const char *target, bool upgrade, struct buf *ret_body,
               int64_t deadline_us);
void client_drop(struct client *client);

enum client_opcode { CLIENT_TEXT = 1, CLIENT_BINARY = 2, CLIENT_CLOSE = 8, CLIENT_PING = 9, CLIENT_PONG = 10 };

bool client_send(struct client *client, enum client_opcode opcode, struct slice payload, int64_t deadline_us);

struct message {
    enum client_opcode opcode; /* CLIENT_TEXT, CLIENT_BINARY or CLIENT_CLOSE */
    struct slice payload;      /* borrowed until the next call */
    unsigned code;             /* of CLIENT_CLOSE; 1006 without a close frame */
};

/* Waits for the next message; answers pings on the way. False when none came in time. */
bool client_next(struct client *client, int64_t deadline_us, struct message *ret_message);

#endif
