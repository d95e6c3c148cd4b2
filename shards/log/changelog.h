/*
 * changelog - a scope's one order: which key changed at which seq, and from where that can still be told.
 *
 * Each row change takes one seq; a transaction that changed nothing takes one too (an ack). The log is compacted as it
 * is written: a key's new entry replaces its old one, so a catch-up is one scan behind the cursor. Seqs are assigned
 * without gaps; what is kept has holes.
 *
 * A new scope starts at the seconds since 2026-01-01 times 2^23, with an ack and every floor there: a cursor of an
 * earlier life of the same name is below it and gets a reset.
 *
 * Thread: the scope's shard.
 */
#ifndef SHARDS_LOG_CHANGELOG_H
#define SHARDS_LOG_CHANGELOG_H

#include <stdbool.h>
#include <stdint.h>

#include "shards/scope/kind.h"

struct changelog {
    const struct kind *kind;
    uint64_t head;    /* the last seq assigned */
    uint64_t *floors; /* by collection number: the oldest cursor that can be caught up */
    int64_t *ids;     /* by collection number: _sync_collections.id */
    int64_t at;       /* of the newest entry */
    sqlite3_stmt *append, *read;
};

/* Where a log stands. */
struct changelog_mark {
    uint64_t head;
    int64_t at;
};

struct changelog_entry {
    uint64_t seq;
    const struct collection *collection; /* NULL: an ack, or a collection that is no more */
    struct slice key;                    /* borrowed until the next entry */
    enum op_type op;
};

/* Reads head and floors within a write transaction that is open. `is_changed`: rows may have changed without an entry
 * (a migration ran), so the floors of all collections rise to the head. A collection whose fingerprint is another
 * gets the same. */
enum err changelog_open(struct changelog *log, const struct kind *kind, struct database *database, bool is_changed,
                        int64_t now_ms, struct buf *ret_why);
void changelog_release(struct changelog *log);

/* Assigns the next seq to a change of `key`. A negative err is a failed write. */
enum err changelog_append(struct changelog *log, const struct collection *collection, struct slice key, enum op_type op,
                          int64_t now_ms);
enum err changelog_ack(struct changelog *log, int64_t now_ms);

/* What was written since the mark was taken back with its transaction: those seqs were never assigned. */
struct changelog_mark changelog_mark(const struct changelog *log);
void changelog_cut(struct changelog *log, struct changelog_mark mark);

/* Walks the entries behind `after`, in order. Every seek is ended in the same turn, by resetting log->read: its code
 * tells an end of the log from a failure. */
void changelog_seek(struct changelog *log, uint64_t after);
bool changelog_next(struct changelog *log, struct changelog_entry *ret_entry);

/* Where a scope that is created now starts. */
uint64_t changelog_start(int64_t now_ms);

#endif
