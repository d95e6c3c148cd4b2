/*
 * feed - what the sessions of a scope read from: its file, and the changes of the turn that has just been decided.
 *
 * Most sessions are at the head when a turn ends and take its changes from memory; the others read the log.
 *
 * Owned by the actor. Thread: its shard.
 */
#ifndef SHARDS_FEED_FEED_H
#define SHARDS_FEED_FEED_H

#include "shards/feed/slices.h"
#include "shards/scope/scope_file.h"

struct feed {
    const struct kind *kind;
    struct scope_file *file; /* NULL: the scope has no file yet, so it is empty and its head is 0 */
    struct herd *herd;       /* what its snapshots share */
    uint64_t before;         /* the head when the turn began */
    bool *is_latest;         /* by change of the turn: no later one of the same key follows */
    size_t is_latest_n;
};

uint64_t feed_head(const struct feed *feed);

/* Call when the turn's changes are complete: marks each key's latest. */
void feed_mark_latest(struct feed *feed);

/* The turn is over: the head moves, its changes are forgotten. */
void feed_end_turn(struct feed *feed);
void feed_release(struct feed *feed);

#endif
