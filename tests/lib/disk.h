/*
 * disk - a journal's writes and syncs on their way: noted, held up, cut short and failed.
 *
 * A program that is linked with `-Wl,--wrap=pwrite -Wl,--wrap=fdatasync` has them pass here.
 */
#ifndef TESTS_LIB_DISK_H
#define TESTS_LIB_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* Forgets what was noted; everything goes through. */
void disk_begin(void);

/* Holds syncs up from now on, or lets them go on; waits until one is held up. */
void disk_hold_syncs(bool hold);
void disk_wait_for_sync(void);

/* Each write takes so many bytes at most, or, with 0, all; writes and syncs fail with these errors, unless 0. */
void disk_shorten_writes(uint64_t most);
void disk_fail(int write_errno, int sync_errno);

/* No further file can be filled: writes of zeros fail with this error, unless 0. */
void disk_fail_growth(int error);

/* Somebody was told that everything before `position` is durable. */
void disk_note_told(uint64_t position);

/* Somebody was told that everything behind `position` is lost. */
void disk_note_lost(uint64_t position);

/* A segment's header is durable before any of its records is written, and whatever was told to be durable is. The last
 * thing that was done is a sync. */
void disk_check(void);

#endif
