/*
 * request - HTTP/1.1 at the front door: health, metrics, the app's static files, and the upgrade to a session.
 */
#ifndef ROUTER_REQUEST_H
#define ROUTER_REQUEST_H

#include "proto/dialect.h"
#include "proto/websocket.h"
#include "src/router/connection.h"

/* What a request for a session asked for. */
struct upgrade {
    char accept[WS_ACCEPT_LEN + 1];
    enum dialect dialect;
    bool may_accept_to_close; /* `deny=close`: a refusal is a close code, not a status */
};

/* From the connection: takes a request from the front of the bytes, once its head is whole. */
void request_receive(struct connection *connection, char **data, size_t *len);

/* Answers the connection's request with a body; HEAD gets none. `headers` is more header lines, each ended by CRLF, or
 * "". If the request was the last one, the connection closes. */
void request_answer(struct connection *connection, int status, const char *type, const char *headers,
                    struct slice body);

/* The same with `len` bytes of a file. Takes the descriptor. */
void request_answer_file(struct connection *connection, const char *type, const char *headers, int file, size_t len);

/* The same with a line of text. */
void request_answer_text(struct connection *connection, int status, const char *text);

/* Answers an upgrade: what follows is a WebSocket's. */
void request_answer_upgrade(struct connection *connection, const struct upgrade *upgrade);

#endif
