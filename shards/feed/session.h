/*
 * session - one client attached to one scope, as its shard sees it: subscriptions, and what it is still owed.
 *
 * What a session is owed is done strictly in order: a queue of subscriptions to start and answers to give. Before each
 * of them the session is brought to the head, so nothing that moves its cursor overtakes a change. A subscription is a
 * number, the last seq that it was given; a catch-up is a subscription that starts low. A session whose credit is used
 * up simply stays where it is, and goes on from the log when there is credit again. One that is at the head with all
 * its subscriptions joins its audiences (audience.h), and nothing is done for it any more but to answer it.
 *
 * The boundary of a resume (proto/wire.md): from the first `since` of a burst of `sub`s until the burst is over and
 * none of its subscriptions is pending, every boundary carries the lowest `since`.
 *
 * Ownership: its channel's table; its claims are its own. Thread: its shard.
 */
#ifndef SHARDS_FEED_SESSION_H
#define SHARDS_FEED_SESSION_H

#include <stdbool.h>

#include "base/list.h"
#include "base/table.h"
#include "proto/frame.h"
#include "proto/websocket.h"
#include "shards/channel.h"
#include "shards/feed/feed.h"
#include "shards/scope/claims.h"

enum {
    SESSION_SUBS_MAX = 256,
    SESSION_BURST_MS = 2000, /* a burst ends so long after its last `sub` */
};

enum sub_state {
    SUB_WAITING,  /* in the queue */
    SUB_SNAPSHOT, /* its rows are being sent; nothing else is */
    SUB_LIVE,     /* given everything up to `from`, or, when its session has joined, all that its audience got */
};

struct sub {
    struct list link;
    struct list herd_link; /* on its scope's, while it may want rows */
    struct slice id;
    const struct collection *collection;
    enum sub_state state;
    uint64_t from;       /* SUB_LIVE: the last seq that it was given; SUB_SNAPSHOT: the seq at which it began */
    struct buf key;      /* SUB_SNAPSHOT: the last key that was sent; no key is empty */
    bool is_catching_up; /* SUB_LIVE: an `uptodate` of its own is due */
    bool is_in_burst;
    bool has_since;
    uint64_t since; /* 0 with has_since: it was no seq */
    char id_bytes[];
};

struct session {
    struct table_node node; /* in the channel, by id */
    struct list link;       /* on the actor's sessions */
    struct list busy_link;  /* on those of them for which a turn may have something to do */
    struct list burst_link; /* on the shard's list of bursts that hold a boundary */
    struct channel *channel;
    uint32_t id;
    enum dialect dialect;
    struct claims claims;
    struct list subs;
    size_t n_subs;
    struct list todo;   /* items */
    struct buf put_off; /* the id of a transaction that was refused, until it comes again: none overtakes it */
    int64_t credit;     /* bytes that may still be sent */
    bool is_joined;
    bool owes_boundary; /* changes were given, and no boundary since */
    bool is_burst_over;
    bool is_holding; /* boundaries carry hold_seq */
    uint64_t hold_seq;
    int64_t last_sub_us;
};

/* Takes the claims. An extended session is owed a `hello` from then on. */
struct session *session_new(struct channel *channel, uint32_t id, enum dialect dialect, struct claims *claims);
void session_free(struct session *session);

/* A message of the client has arrived: a sub, an unsub, a fetch, or nothing that can be decoded. */
void session_on_sub(struct session *session, const struct frame *frame, const struct feed *feed, int64_t now_us);
void session_on_unsub(struct session *session, struct slice id, const struct feed *feed);
void session_on_fetch(struct session *session, struct slice id);
void session_on_nonsense(struct session *session);

/* What was sent behind `seq` was not delivered, nor will it be: goes on from there. What the client had sent and was
 * not told to be done with, comes again. */
void session_on_lag(struct session *session, uint64_t seq, const struct feed *feed);
void session_on_credit(struct session *session, uint32_t bytes);

/* Anything but a sub has arrived, or the time is up: the burst is over. */
void session_end_burst(struct session *session);

/* Owes the client this answer to a mut or call. */
void session_answer(struct session *session, struct slice tx, const struct outcome *outcome);

/* Owes the client the news that its mut or call was not decided: the disk is full, or the like. It may try again after
 * `retry_ms`, which is not 0. Until then those behind it must be refused too (`put_off`). A base session cannot be
 * told: it is closed with 1013, and gone when this returns. */
void session_refuse(struct session *session, struct slice tx, const char *code, const char *message, uint32_t retry_ms);

/* Closes the client's socket, and says why. The session is gone when this returns. */
void session_close(struct session *session, enum ws_code code, const char *reason);

/* Whether it may be owed more than answers. */
bool session_is_behind(const struct session *session);

/* Gives the client what it is owed, as far as the credit goes. At the end of each turn that concerned it. */
void session_turn(struct session *session, const struct feed *feed);

#endif
