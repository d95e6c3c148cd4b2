/*
 * capture - every row change of a connection, in order, as SQLite's preupdate hook reports it.
 *
 * A collection's change carries the row as it is after it, encoded once for all clients: that feeds the change log and
 * the fan-out. Every table's change, the server's own included, is also written as the journal carries it. What a
 * savepoint takes back is cut off here too, by the mark that was taken before it.
 *
 * Thread: the connection's. Set up when the tables are the kind's, after its migrations, and before any statement is
 * prepared that is kept: some of SQLite's shortcuts skip the hook otherwise.
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

/* Of what one turn's changes take in memory. A single transaction can come to it, as long as it is given. */
enum { CAPTURE_BYTES_MAX = 256 << 20 };

struct capture {
    const struct kind *kind;
    size_t bytes_max;
    struct change *changes;
    size_t n, capacity;
    struct buf bytes;
    struct buf journal;            /* rowchanges of all tables */
    const struct kind_table *last; /* the table of the last change: the next is often of the same */
    const char *last_name;
    bool has_bad_key;  /* a row was written whose key is NULL, or in a collection no text or empty: it cannot stand */
    bool has_bad_text; /* or one with text that is not UTF-8, so that no client could read it */
    bool is_too_large; /* more was changed than `bytes_max` holds: the statement is interrupted */
    int failed;        /* SQLite's code, if it could not say what changed: this turn cannot be committed */
};

struct capture_mark {
    size_t n, bytes_len, journal_len;
};

void capture_init(struct capture *capture, const struct kind *kind, sqlite3 *db);
void capture_release(struct capture *capture);

size_t capture_bytes(const struct capture *capture);

struct capture_mark capture_mark(const struct capture *capture);
void capture_cut(struct capture *capture, struct capture_mark mark);

/* Forgets everything: at the end of a turn. */
void capture_clear(struct capture *capture);

struct slice change_key(const struct capture *capture, const struct change *change);
struct slice change_row(const struct capture *capture, const struct change *change);

#endif
