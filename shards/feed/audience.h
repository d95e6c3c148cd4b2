/*
 * audience - the sessions of a channel that see the same bytes, which are encoded and sent once for all of them.
 *
 * A session that is at the head joins, with all its subscriptions; then each turn's changes reach it without anything
 * being done for it here. It leaves when something has to be sent to it alone that is more than an answer: a
 * subscription begins or ends, or it could not be delivered what came. Subscriptions of one collection are one
 * audience.
 */
#ifndef SHARDS_FEED_AUDIENCE_H
#define SHARDS_FEED_AUDIENCE_H

#include "shards/feed/session.h"

/* The session is at the head of a file, and nothing of it is pending. */
void audience_join(struct session *session, uint64_t head);

/* The router is not told: see session_leave. */
void audience_leave(struct session *session);

/* Gives all of a channel's joined sessions the turn's changes, and their boundary. */
void audience_deliver(struct channel *channel, const struct feed *feed);

#endif
