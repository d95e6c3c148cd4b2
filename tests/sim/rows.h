/*
 * rows - the rows of one collection, as hashes by slot, and one hash of them all that is kept up to date.
 *
 * Client and model hash the same bytes: the row as it stands on the wire.
 */
#ifndef TESTS_SIM_ROWS_H
#define TESTS_SIM_ROWS_H

#include "base/table.h"
#include "tests/sim/work.h"

struct rows {
    uint64_t of[KEYS]; /* 0: there is no such row */
    uint64_t all;
};

static inline uint64_t row_hash(struct slice row)
{
    return table_hash_bytes(TABLE_HASH_START, row.data, row.len) | 1;
}

static inline uint64_t rows_spread(unsigned slot, uint64_t row)
{
    return row == 0 ? 0 : table_hash_number(row + slot * 0x9e3779b97f4a7c15u);
}

static inline void rows_set(struct rows *rows, unsigned slot, uint64_t row)
{
    rows->all ^= rows_spread(slot, rows->of[slot]) ^ rows_spread(slot, row);
    rows->of[slot] = row;
}

#endif
