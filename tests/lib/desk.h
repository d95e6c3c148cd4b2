/*
 * desk - a journal at work: on a loop of its own, in a temporary folder, with a disk that a test can hold up and fail.
 *
 * A record's payload says its number first. At the end of each test it is judged whether the journal's writes and syncs
 * came in an order that a power cut at any moment could not harm.
 */
#ifndef TESTS_LIB_DESK_H
#define TESTS_LIB_DESK_H

#include "shards/log/journal.h"
#include "tests/lib/folder.h"

struct desk {
    struct folder folder;
    struct folder_path dir;
    struct loop *loop;
    struct timer patience;
    struct journal *journal;
    uint64_t awaited;
    unsigned n_breaks;
};

/* For cmocka: `*state` is a desk; with segments of the usual size, or of 64 KiB. */
int desk_set_up(void **state);
int desk_set_up_small(void **state);
int desk_tear_down(void **state);

void desk_write(struct desk *desk, uint32_t number, size_t payload_len);

/* Waits until everything before `position` is durable; until the journal has broken `n` times in all; until it has
 * room, or none. */
void desk_wait_for(struct desk *desk, uint64_t position);
void desk_wait_for_break(struct desk *desk, unsigned n);
void desk_wait_for_room(struct desk *desk, bool has_room);

void desk_flush_and_wait(struct desk *desk);

/* Ends the journal, whose files stay. */
void desk_close(struct desk *desk);

/* The records that the folder holds are those of these numbers, without a gap in their positions; what stands behind
 * the beginning of a later segment does not count. */
void desk_check_records(const struct desk *desk, uint32_t first, uint32_t end);

size_t desk_count_files(const struct desk *desk);

/* A segment that was begun by now, the oldest first. False if there are not so many. The caller releases `ret_bytes`.
 */
bool desk_read_segment(const struct desk *desk, size_t number, struct buf *ret_bytes);

#endif
