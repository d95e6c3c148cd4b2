/*
 * writer - a journal's segments on the disk: appends to them, syncs them, uses them again.
 *
 * Segments are files of one size, written once with zeros and then overwritten in place, which syncs faster than a file
 * that grows. One whose records all stand in durable files is used again under its next number.
 *
 * After a write or a sync that failed nobody knows what the file holds, and a second sync would not tell. So nothing
 * behind the last good sync counts, and the segment is abandoned: it is not written or synced again, and goes as soon
 * as no file needs what it holds. The next segment's header, by the position that it begins at, says where the
 * abandoned one ends.
 *
 * Thread: whoever appends; the journal's syncer.
 */
#ifndef SHARDS_LOG_WRITER_H
#define SHARDS_LOG_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct segment;

struct writer {
    char *dir;
    size_t segment_bytes;
    struct segment *current; /* NULL: the last append failed, or the first one is still to come */
    size_t offset;           /* in the current segment, where the next record goes */
    uint64_t position;       /* behind the last record that was written */
    uint64_t synced;         /* everything before it is on disk */
    uint64_t generation;     /* the last one used */
    unsigned last_file;      /* the number in the last file's name */
    struct list full, spare; /* segments, oldest first */
    size_t n_spare, n_segments;
    const char *doing; /* of the last failure: what */
    int error;         /* and its errno */
};

/* In the folder `dir`, made if need be, which must hold no segments. False: `doing` and `error` say more. */
bool writer_init(struct writer *writer, const char *dir, size_t segment_bytes);

/* The files stay. */
void writer_release(struct writer *writer);

/* Begins a segment at `synced`, when there is no current one. False if the disk refuses; then there still is none. */
bool writer_begin(struct writer *writer);

/* Seals the records, each with the length of its payload in its first four bytes, appends and syncs them. False if that
 * failed: what is behind `synced` does not count, and writer_begin comes next. */
bool writer_append(struct writer *writer, char *records, size_t len);

/* Everything before `position` is in files that are durable themselves: segments that end there are free. */
void writer_free_up_to(struct writer *writer, uint64_t position);

/* Has a spare segment ready. False if it cannot be made. */
bool writer_make_spare(struct writer *writer);

/* What can be appended before another file must be made. */
uint64_t writer_room(const struct writer *writer);

/* Nothing of it is needed any more: removes the files, the oldest first. False if that failed. */
bool writer_remove_all(struct writer *writer);

#endif
