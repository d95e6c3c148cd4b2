/*
 * websocket - the client's end of RFC 6455: the upgrade request, its answer, messages in and out.
 *
 * The nonce and the mask are constants, so nothing here needs SHA-1 or random numbers, and the answer to the
 * nonce is still checked. A fragmented message is refused: the contract's servers have no reason to send one.
 */
#ifndef BENCH_WEBSOCKET_H
#define BENCH_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/buffer.h"

#define WEBSOCKET_NONCE  "dGhlIHNhbXBsZSBub25jZQ=="
#define WEBSOCKET_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* A server's answer to the request below. */
#define WEBSOCKET_UPGRADED                                                                                             \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                                \
    "Sec-WebSocket-Accept: " WEBSOCKET_ACCEPT "\r\n\r\n"

#define WEBSOCKET_MESSAGE_MAX ((uint64_t)16 << 20)
#define WEBSOCKET_HEAD_MAX    16384

enum websocket_opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

struct websocket_message {
    enum websocket_opcode opcode;
    uint8_t *payload; /* in the bytes that were parsed; unmasked in place if a client sent it */
    size_t len;
};

enum websocket_peer { WS_FROM_SERVER, WS_FROM_CLIENT };

/* The upgrade request for `path` at `host`. */
void websocket_request(struct buffer *out, const char *host, const char *path);

/*
 * The answer to it: its length, 0 when more bytes are needed, -1 when it is no answer.
 * `ret_why` is NULL when the socket is a WebSocket now, else what the server said.
 */
long websocket_response(const uint8_t *bytes, size_t len, const char **ret_why);

/* The next message: its length in the bytes, 0 when more are needed, -1 and `ret_why` when it breaks the rules. */
long websocket_next(uint8_t *bytes, size_t len, enum websocket_peer peer, struct websocket_message *ret_message,
                    const char **ret_why);

/* Append one message, masked, as clients send it. */
void websocket_send(struct buffer *out, enum websocket_opcode opcode, const void *payload, size_t len);

/* The header of a message as servers send it: at most 10 bytes; returns how many. */
size_t websocket_server_header(uint8_t *out, enum websocket_opcode opcode, size_t len);

#endif
