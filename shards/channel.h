/*
 * channel - the shard's end of one stream from a router: one scope, all of that router's sessions on it.
 *
 * What arrives becomes requests in the actor's inbox; what leaves is collected until the turn ends, and
 * travels when the gate lets it: when what it reveals is durable.
 *
 * Ownership: the link's stream; it lives on, closed, until the last of its requests has been handled.
 * Thread: its shard.
 */
#ifndef SHARDS_CHANNEL_H
#define SHARDS_CHANNEL_H

#include <stdbool.h>

#include "base/h2.h"
#include "base/list.h"
#include "base/table.h"
#include "proto/envelope.h"
#include "shards/carrier.h"

struct actor;
struct session;

struct channel {
    struct carrier carrier;
    struct h2_stream *stream; /* NULL once the router has gone */
    struct actor *actor;
    struct list link; /* on the actor's channels */
    struct table sessions;
    struct buf in;               /* the beginning of an envelope */
    size_t n_requests;           /* of this channel, waiting in the inbox */
    struct buf collected;        /* what this turn gives it */
    size_t begun;                /* of the message under way, within `collected` */
    struct list collecting_link; /* on the shard's list of channels that have collected something */
    struct list outputs;         /* that the gate holds */
    unsigned *audiences;         /* by collection: how many subscriptions get its changes in one copy; NULL: none yet */
    unsigned n_joined;           /* sessions that do */
    uint64_t boundary;           /* the last one that was for all of them */
    struct list reminder_link;   /* on the shard's list of channels whose sessions lag behind the head, */
    bool is_reminder_due;        /* and it is time to tell them, although nothing concerned them */
};

/* `actor` NULL: a stream that is no scope's. */
struct channel *channel_new(struct actor *actor, struct h2_stream *stream);

/* Its sessions must have gone. */
void channel_free(struct channel *channel);

/* Takes what the router sent. False if it was not made of envelopes: abort the stream. */
bool channel_receive(struct channel *channel, struct slice data);

/* The stream has ended: all its sessions will be detached. */
void channel_end(struct channel *channel);

/* Ends the stream, unless it has ended: the router tells its sessions to come back. */
void channel_abort(struct channel *channel);

/* From the gate: these bytes may leave. Empties `bytes`. */
void channel_release(struct channel *channel, struct buf *bytes);

struct session *channel_find(const struct channel *channel, uint32_t id);

/* One message for a session, written in place: begin, append, end (which returns what it takes of the credit).
 * Not for a channel whose router has gone. */
struct buf *channel_begin_message(struct channel *channel, uint32_t session);
size_t channel_end_message(struct channel *channel);

/* Anything else. A channel whose router has gone swallows it. */
struct buf *channel_collect(struct channel *channel);                                  /* where to append envelopes */
void channel_send(struct channel *channel, enum envelope_type type, uint32_t session); /* one without a payload */
void channel_send_close(struct channel *channel, uint32_t session, uint16_t code, const char *reason);

#endif
