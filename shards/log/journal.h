/*
 * journal - what makes a shard's turns durable: one append and one fdatasync for all scopes of a turn, off the loop.
 *
 * The loop writes records into the batch of the turn and flushes it; a thread of the journal's own appends it and
 * syncs, while the loop goes on with the next turn, whose batch waits for the one under way. A position is a number of
 * bytes ever appended; everything up to the durable position survives a power cut.
 *
 * Segments are files of one size, written once with zeros and then overwritten in place, which syncs faster than a file
 * that grows. A segment whose records are all in checkpointed files is used again under its next number.
 *
 * A disk that cannot be written ends the process: nothing was released that it should hold, and the next start replays.
 *
 * Thread: its shard's, but for the syncer inside.
 */
#ifndef SHARDS_LOG_JOURNAL_H
#define SHARDS_LOG_JOURNAL_H

#include "base/bytes.h"
#include "base/loop.h"
#include "base/problems.h"

enum {
    JOURNAL_SEGMENT_BYTES = 16 << 20,
    JOURNAL_RECORD_MAX = 8 << 20,   /* bytes of payload; what is larger must be a barrier */
    JOURNAL_WAITING_MAX = 32 << 20, /* bytes that wait to be synced, beyond which no turn decides */
};

struct journal;

/* `on_durable` is called on the loop's thread when the durable position has moved. The folder `dir` is made if need be
 * and must hold no segments: they were replayed. NULL, with a problem added. */
struct journal *journal_open(const char *dir, struct loop *loop, void (*on_durable)(void *arg), void *arg,
                             struct problems *problems);

/* Syncs what was flushed, and stops. The segments stay for the next start. */
void journal_close(struct journal *journal);

/* A record of the turn, written in place: begin, append the payload, end. */
struct buf *journal_begin(struct journal *journal);
void journal_end(struct journal *journal);

/* Hands the turn's records to the syncer. */
void journal_flush(struct journal *journal);

/* Behind the last record that was ended: what a turn's outputs depend on. */
uint64_t journal_position(const struct journal *journal);

/* Everything before it is on disk. */
uint64_t journal_durable(const struct journal *journal);

/* Too much waits to be synced: decide nothing new until on_durable. */
bool journal_is_full(const struct journal *journal);

/* Everything before `position` is in files that are durable themselves: segments that end there are free. */
void journal_release(struct journal *journal, uint64_t position);

#endif
