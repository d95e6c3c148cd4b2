/*
 * slices - rows of a snapshot, read and encoded once for all who ask for them within the same moment.
 *
 * What one session reads for its snapshot is kept as a slice while another one wants it: it snapshots the same
 * collection, or is about to, and has not come as far. A slice serves every snapshot that began no later than it was
 * read, because what is newer than a snapshot's beginning is corrected by the catch-up that follows. It holds nothing
 * of a session, and is begun and left at any row, so that those whose credit ends at different rows meet in it again.
 *
 * One session alone keeps nothing. All slices of a shard share one bound, SLICES_BYTES_MAX, at which the least recently
 * used goes: who comes for it later reads by itself. None outlives the file that it was read from.
 *
 * Ownership: `slices` is the shard's, a `herd` its actor's. Thread: their shard.
 */
#ifndef SHARDS_FEED_SLICES_H
#define SHARDS_FEED_SLICES_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/list.h"

struct collection;
struct sub;

enum {
    SLICE_BYTES = 32 << 10,     /* of rows, after which a slice is full; its last row may go over */
    SLICES_BYTES_MAX = 2 << 20, /* kept by a shard */
    SLICE_COST_MIN = 4 << 10,   /* what the smallest counts, so that there are never too many to look through */
};

/* All that a shard keeps. */
struct slices {
    struct list recent; /* the least recently used first */
    size_t bytes;
};

/* The subscriptions of a scope that want a snapshot, and what is kept for them. */
struct herd {
    struct slices *slices;
    struct list subs;
    struct list kept;
};

/* The rows of a collection behind one key, up to another. */
struct row_slice {
    struct list link, recent_link;
    const struct collection *collection;
    uint64_t head;    /* when it was read */
    struct buf after; /* the key behind which it begins; empty: at the first row */
    struct buf rows;  /* of each: a header, its key, its encoded row */
    size_t last;      /* where the last one stands in `rows` */
    bool is_end;      /* no row follows */
};

void slices_init(struct slices *slices);

/* `slices` is borrowed. */
void herd_init(struct herd *herd, struct slices *slices);

/* The scope's file is closed: forgets what was read from it. */
void herd_clear(struct herd *herd);

/* The turn is over: keeps nothing if nobody is left who takes a snapshot. */
void herd_end_turn(struct herd *herd);

/* A subscription that will want rows, or may. It leaves with its link. */
void herd_join(struct herd *herd, struct sub *sub);

/* Whether anything is kept, so that it is worth asking now and then. */
bool herd_is_sharing(const struct herd *herd);

/* The slice that holds what comes behind the last key that `sub` was given. NULL: it has to be read. */
struct row_slice *herd_find(struct herd *herd, const struct sub *sub);

/* Where the rows behind `key` begin in it; and the next row from there on, borrowed, or false at the end. */
size_t row_slice_seek(const struct row_slice *slice, struct slice key);
bool row_slice_next(const struct row_slice *slice, size_t *at, struct slice *ret_key, struct slice *ret_row);

/* `sub` has been given all of it: it goes if nobody else wants it. */
void herd_pass(struct herd *herd, const struct sub *sub, struct row_slice *slice);

/* Begins a slice behind the last key of `sub`, read at `head`. NULL if nobody else takes a snapshot of the collection.
 * Then add its rows, and keep it: it goes at once if it is empty, if all others are beyond it, or if there is no room.
 */
struct row_slice *herd_begin(struct herd *herd, const struct sub *sub, uint64_t head);
void row_slice_add(struct row_slice *slice, struct slice key, struct slice row);
void herd_keep(struct herd *herd, const struct sub *sub, struct row_slice *slice, bool is_end);

#endif
