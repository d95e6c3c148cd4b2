/*
 * deliver - writes frames to a session's channel and keeps its credit: changes, snapshots, boundaries, answers.
 */
#ifndef SHARDS_FEED_DELIVER_H
#define SHARDS_FEED_DELIVER_H

#include "shards/feed/session.h"

/* Brings every live subscription to the head, with its boundaries. False if the credit ran out before, or if the file
 * failed: nothing that it does not hold is ever told. The same goes for a snapshot. */
bool deliver_changes(struct session *session, const struct feed *feed);

/* Goes on with a subscription's snapshot. True when its `snap-end` was sent: it is live from where it began. */
bool deliver_snapshot(struct session *session, struct sub *sub, const struct feed *feed);

/* `uptodate`, of a subscription or (NULL) of the session, at `seq` or at what a resume holds. */
void deliver_boundary(struct session *session, uint64_t seq, const struct sub *sub);

void deliver_hello(struct session *session, const struct feed *feed);
void deliver_reset(struct session *session, struct slice sub_id);
void deliver_empty_page(struct session *session, struct slice fetch_id, uint64_t seq);
/* The answer to a transaction that was committed, as its receipt remembers it. */
void deliver_receipt(struct session *session, struct slice tx, const struct feed *feed);
void deliver_bytes(struct session *session, struct slice frame);

#endif
