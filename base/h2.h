/*
 * h2 - HTTP/2 on the loop: one connection, streams of bytes in both directions.
 *
 * Each stream is opened by the client side with a path and answered with 200 by the server side. What is written to a
 * stream's `out` leaves at the next h2_flush, so a turn's bytes travel together. The windows are as large as HTTP/2
 * allows and what arrives is consumed at once: bounds are the business of what the streams carry.
 *
 * Ownership: an h2 owns its descriptor and its streams. A stream pointer is valid until on_end has been called for it.
 * Thread: the loop's. h2_free must not be called from a handler; free in the turn.
 */
#ifndef BASE_H2_H
#define BASE_H2_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/loop.h"

struct h2;
struct h2_stream;

struct h2_handlers {
    /* Server side: the peer opened a stream. What is returned becomes its argument. */
    void *(*on_open)(void *arg, struct h2_stream *stream, struct slice path);
    void (*on_data)(void *stream_arg, struct slice data);
    /* The stream is over, for whatever reason, and is freed after this. */
    void (*on_end)(void *stream_arg);
    /* The connection is gone; its streams have ended before. */
    void (*on_lost)(void *arg);
    /* The peer has answered h2_ping, so its loop turns. NULL if none is sent. */
    void (*on_pong)(void *arg);
};

/* Takes the descriptor, which must be non-blocking. `handlers` is borrowed for good. */
struct h2 *h2_new(struct loop *loop, int fd, bool is_server, const struct h2_handlers *handlers, void *arg);

/* Ends the streams that are left (on_end, but not on_lost) and closes the descriptor. */
void h2_free(struct h2 *h2);

/* Client side. `path` must be a valid :path. NULL if the connection cannot carry a new stream. */
struct h2_stream *h2_open(struct h2 *h2, const char *path, void *stream_arg);

/* The bytes that wait to be sent: append to it, then call h2_stream_wake. */
struct buf *h2_stream_out(struct h2_stream *stream);
void h2_stream_wake(struct h2_stream *stream);

/* Writes the bytes and empties `bytes`, without a copy where nothing waits. */
void h2_stream_write(struct h2_stream *stream, struct buf *bytes);

/* No more will be written: the stream ends for the peer once `out` has left. */
void h2_stream_finish(struct h2_stream *stream);

/* Ends the stream at once, with on_end. */
void h2_stream_abort(struct h2_stream *stream);

/* Asks whether the peer is there: on_pong. h2_flush sends it. */
void h2_ping(struct h2 *h2);

/* Bytes of its streams that wait to be sent. */
size_t h2_waiting(const struct h2 *h2);

/* Sends what waits, as far as the socket takes it. Call it at the end of the turn. */
void h2_flush(struct h2 *h2);

#endif
