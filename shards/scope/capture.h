/*
 * capture - every row change of a connection, in order, as SQLite's preupdate hook reports it.
 *
 * A change carries the row as it is after it, encoded once: that one record feeds the change log and the fan-out.
 * What a savepoint takes back is cut off here too, by the mark that was taken before it. Changes of tables that are no
 * collection are not recorded.
 *
 * Thread: the connection's. Set up before any statement is prepared: some of SQLite's shortcuts skip the hook
 * otherwise.
 */
#ifndef SHARDS_SCOPE_CAPTURE_H
#define SHARDS_SCOPE_CAPTURE_H

#include <stdbool.h>

#include "shards/scope/kind.h"

struct change {
    const struct collection *collection;
    enum op_type op;
    size_t key_at, key_len; /* within `bytes` */
    size_t row_at, row_len; /* none for OP_DELETE */
    uint64_t seq;           /* given by whoever writes the log */
};

struct capture {
    const struct kind *kind;
    struct change *changes;
    size_t n, capacity;
    struct buf bytes;
    bool has_bad_key; /* a row whose key is no text, or empty, was written: it cannot stand */
};

struct capture_mark {
    size_t n, bytes_len;
};

void capture_init(struct capture *capture, const struct kind *kind, sqlite3 *db);
void capture_release(struct capture *capture);

struct capture_mark capture_mark(const struct capture *capture);
void capture_cut(struct capture *capture, struct capture_mark mark);

/* Forgets everything: at the end of a turn. */
void capture_clear(struct capture *capture);

struct slice change_key(const struct capture *capture, const struct change *change);
struct slice change_row(const struct capture *capture, const struct change *change);

#endif
