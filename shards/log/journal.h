/*
 * journal - what makes a shard's turns durable: one append and one fdatasync for all scopes of a turn, off the loop.
 *
 * The loop writes records into the batch of the turn and flushes it; a thread of the journal's own appends it and
 * syncs, while the loop goes on with the next turn, whose batch waits for the one under way. A position is a number of
 * bytes ever appended; everything up to the durable position survives a power cut.
 *
 * When a write or a sync fails the journal is broken: what was appended behind the durable position is lost, the next
 * position is the durable one again, and on_broken says so, once. The journal goes on in a new segment as soon as the
 * disk takes one, which is tried again and again, with growing pauses; what is appended meanwhile waits for it.
 *
 * Thread: its shard's, but for the syncer inside.
 */
#ifndef SHARDS_LOG_JOURNAL_H
#define SHARDS_LOG_JOURNAL_H

#include "base/bytes.h"
#include "base/loop.h"
#include "base/problems.h"

enum { JOURNAL_SEGMENT_BYTES = 16 << 20 };

struct journal;

/* In bytes; 0 is the default, which follows from the segments' size. */
struct journal_options {
    size_t segment_bytes;     /* JOURNAL_SEGMENT_BYTES */
    size_t record_bytes_max;  /* of payload, half a segment; what is larger must be a barrier */
    size_t waiting_bytes_max; /* that wait to be synced, beyond which no turn decides; two segments */
};

/* On the loop's thread. */
struct journal_handlers {
    void (*on_durable)(void *arg); /* the durable position may have moved */
    void (*on_broken)(void *arg);  /* what was behind it is lost */
};

/* The folder `dir` is made if need be and must hold no segments: they were replayed. NULL, with a problem added.
 * `options` NULL: the defaults. `handlers` is borrowed for good. */
struct journal *journal_open(const char *dir, const struct journal_options *options, struct loop *loop,
                             const struct journal_handlers *handlers, void *arg, struct problems *problems);

/* Syncs what was flushed, and stops. The segments stay for the next start, unless `is_saved`: all that they hold is in
 * files that are durable themselves. */
void journal_close(struct journal *journal, bool is_saved);

/* A record of the turn, written in place: begin, append the payload, end. */
struct buf *journal_begin(struct journal *journal);
void journal_end(struct journal *journal);

/* Hands the turn's records to the syncer. */
void journal_flush(struct journal *journal);

/* Behind the last record that was ended: what a turn's outputs depend on. */
uint64_t journal_position(const struct journal *journal);

/* Everything before it is on disk. */
uint64_t journal_durable(const struct journal *journal);

/* How often it has broken: what was at a position before is not what is there since. */
uint64_t journal_breaks(const struct journal *journal);

/* Too much waits to be synced: decide nothing new until on_durable. */
bool journal_is_full(const struct journal *journal);

/* Whether what a turn writes can be expected to become durable. False while the journal is broken, and while the disk
 * has no room for another segment and what is left might not take a turn: refuse to write then. */
bool journal_has_room(const struct journal *journal);

/* Everything before `position` is in files that are durable themselves: segments that end there are free. */
void journal_release(struct journal *journal, uint64_t position);

/* The limits that it was opened with, no zeros among them. */
const struct journal_options *journal_options(const struct journal *journal);

/* How it is. */
struct journal_status {
    uint64_t position, durable;
    size_t n_segments; /* files */
    bool is_broken, has_room;
    const char *doing; /* the failure that it is broken by, or that it cannot grow by: what; NULL: none */
    int error;         /* and its errno */
};

void journal_look(const struct journal *journal, struct journal_status *ret_status);

#endif
