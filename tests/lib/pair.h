/*
 * pair - a database, and a copy that is brought after it by what the journal would carry.
 */
#ifndef TESTS_LIB_PAIR_H
#define TESTS_LIB_PAIR_H

#include "shards/log/rowchange.h"

enum { PAIR_TABLES_MAX = 32 };

struct pair {
    sqlite3 *original, *copy;
    struct row_table tables[PAIR_TABLES_MAX];
    size_t n_tables;
    struct buf changes; /* since the last replay */
    int expected;       /* what writing a change must say */
};

/* Both begin as `schema` makes them. Only the original runs triggers and foreign keys, as only the server does. */
void pair_open(struct pair *pair, const char *schema);
void pair_close(struct pair *pair);

/* Runs statements, which must succeed. */
void pair_run(sqlite3 *db, const char *sql);

/* Makes the changes in the copy too: each must change exactly one row. */
void pair_replay(struct pair *pair);

/* Both hold the same, row for row. */
void pair_check(const struct pair *pair);

#endif
