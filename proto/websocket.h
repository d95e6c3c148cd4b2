/*
 * websocket - RFC 6455 framing for a server: bytes to messages and back.
 *
 * A decoder keeps memory only while a message is incomplete. A message that arrived whole in one frame is unmasked in
 * place in the input and borrowed from there. One that is longer than its reader has a use for is passed over as it
 * comes. No extensions, so a reserved bit is an error.
 */
#ifndef PROTO_WEBSOCKET_H
#define PROTO_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum ws_opcode { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

enum ws_code {
    WS_CODE_NORMAL = 1000,
    WS_CODE_GOING_AWAY = 1001,
    WS_CODE_PROTOCOL = 1002,
    WS_CODE_INVALID = 1007, /* text that is not UTF-8 */
    WS_CODE_TOO_LARGE = 1009,
    WS_CODE_RESTART = 1012,
    WS_CODE_TRY_LATER = 1013,
    WS_CODE_EXPIRED = 4401,
    WS_CODE_FORBIDDEN = 4403,
};

struct ws_decoder {
    size_t keep_max;      /* longer messages are passed over */
    size_t message_max;   /* those that are longer still are WS_CODE_TOO_LARGE */
    enum ws_opcode first; /* of the message that is incomplete; else WS_CONTINUATION */
    size_t so_far;        /* its length, */
    struct buf partial;   /* and itself, when it comes in pieces */
    bool is_oversized;    /* it is passed over, */
    bool is_last_frame;   /* this frame is its last, */
    size_t skip;          /* and so many bytes of the frame are still to come */
};

struct ws_event {
    enum ws_opcode opcode; /* WS_TEXT, WS_BINARY, WS_CLOSE, WS_PING, WS_PONG */
    struct slice payload;  /* borrowed until the next call; of WS_CLOSE: the reason, in words */
    uint16_t code;         /* WS_CLOSE: the peer's code, 1005 if it gave none */
    bool is_oversized;     /* the message was longer than keep_max; the payload is empty */
};

enum ws_status { WS_EVENT, WS_MORE, WS_BROKEN };

/* `keep_max` is at most `message_max`. */
void ws_decoder_init(struct ws_decoder *decoder, size_t keep_max, size_t message_max);
void ws_decoder_release(struct ws_decoder *decoder);

/* Takes one frame from the front of `data` (which it unmasks in place) and moves `data`, `len` behind it.
 * WS_EVENT: something for the caller. WS_MORE: a whole frame is not there yet (or only a fragment, or what is
 * passed over, was consumed and no more is there). WS_BROKEN: the connection must be closed with `*ret_code`. */
enum ws_status ws_decode(struct ws_decoder *decoder, char **data, size_t *len, struct ws_event *ret_event,
                         enum ws_code *ret_code);

enum { WS_HEADER_MAX = 10 };

/* Writes a server's frame header (final, unmasked) and returns its length. */
size_t ws_header(char out[WS_HEADER_MAX], enum ws_opcode opcode, size_t payload_len);

/* Appends a whole frame. */
void ws_frame(struct buf *buf, enum ws_opcode opcode, struct slice payload);

/* Appends a close frame. `reason` is cut at 123 bytes. */
void ws_close_frame(struct buf *buf, enum ws_code code, const char *reason);

enum { WS_ACCEPT_LEN = 28 };

/* The Sec-WebSocket-Accept value for the client's key. False if the key is not 16 bytes in base64. */
bool ws_accept(struct slice key, char ret_accept[WS_ACCEPT_LEN + 1]);

#endif
