/*
 * task - the rows of the bench app's collection `tasks`, as its `seed` command and the driver's inserts make them.
 *
 * One number decides every column, so whoever receives a row can say whether it is right.
 */
#ifndef BENCH_TASK_H
#define BENCH_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/mp.h"

#define TASK_COLLECTION "tasks"
#define TASK_SCHEMA                                                                                                    \
    "CREATE TABLE tasks(id TEXT PRIMARY KEY, title TEXT NOT NULL, status TEXT NOT NULL, score INTEGER NOT NULL, "      \
    "updated_at INTEGER NOT NULL)"

/* Append the row as a map of its five columns. */
void task_encode(struct buffer *out, struct text id, uint64_t number);

/* Is `row` exactly the row that task_encode() makes, in whatever order the columns come? */
bool task_matches(struct mp_reader row, struct text id, uint64_t number);

/* The same, after the bench app's command `touch` once added 1 to its score. */
bool task_touched_matches(struct mp_reader row, struct text id, uint64_t number);

#define TASK_ID_MAX 48

/* The id that `seed` gives to its row `number`, written into `buffer`. */
struct text task_seed_id(char buffer[TASK_ID_MAX], uint64_t number);

/* The number of which `id` is that id; false if there is none. */
bool task_seed_number(struct text id, uint64_t *ret_number);

#endif
