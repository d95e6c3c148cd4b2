/*
 * reader - a journal's segments as they stand on the disk: which records count, and how the journal ends.
 *
 * A torn tail is the end of a journal: nobody was told of what stood there. What stands in a segment behind the
 * position at which a later one begins does not count either: it was abandoned. Anything else that cannot be read is
 * damage.
 *
 * Nobody may write to them meanwhile, unless the walk begins behind what is used again (reader_skip_to) and ends in
 * front of what is appended.
 */
#ifndef SHARDS_LOG_READER_H
#define SHARDS_LOG_READER_H

#include "base/problems.h"
#include "shards/log/segment.h"

/* A segment's file, mapped. */
struct reader_segment {
    char *path;
    struct slice bytes;
    struct segment_header header; /* generation 0: there is none */
    uint64_t limit;               /* records at or behind it do not count */
    size_t read;                  /* bytes up to the end of the last record that counts */
};

struct reader {
    char *dir;
    struct reader_segment *segments; /* the oldest first */
    size_t n_segments;
    uint64_t end; /* behind the last record that counts; known once they were walked */
};

enum reader_state { READER_WHOLE, READER_TORN, READER_DAMAGED };

/* False, with a problem added, if the folder or a file cannot be read. To be closed in any case. */
bool reader_open(struct reader *reader, const char *dir, struct problems *problems);
void reader_close(struct reader *reader);

/* Segments that end in front of `position` do not take part any more. */
void reader_skip_to(struct reader *reader, uint64_t position);

/* False ends the walk. */
typedef bool reader_record_cb(void *arg, const struct reader_segment *segment, const struct record *record);

/* Calls `cb` for each record that counts, in order. False if that was ended. */
bool reader_walk(struct reader *reader, reader_record_cb *cb, void *arg);

/* After a walk: calls `cb` for each record behind the end, or abandoned, that can still be read. */
bool reader_walk_rest(const struct reader *reader, reader_record_cb *cb, void *arg);

/* How it ends, after a walk. */
enum reader_state reader_state(const struct reader *reader);

/* The folders of a data folder's journals, DATA/journal/N. */
struct reader_dirs {
    char **paths;
    size_t n;
};

/* False, with a problem added, if they cannot be read. To be released in any case. */
bool reader_dirs_find(struct reader_dirs *dirs, const char *data_dir, struct problems *problems);
void reader_dirs_release(struct reader_dirs *dirs);

#endif
