/*
 * timeline - starts a scope's file over in the eyes of everyone who knew it: what was told of it may not hold any more.
 *
 * For a file that lost changes that were told of, or that was put in the place of another: a restore, a repaired
 * journal. It gets a new incarnation, so that no record of the journal is applied to it any more, and an ack at a
 * position where no cursor of before is, with every floor there: each client gets a reset. Its rows and receipts stay.
 */
#ifndef SHARDS_SCOPE_TIMELINE_H
#define SHARDS_SCOPE_TIMELINE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* In the file at `path`, which nobody has open; durable when this returns, but for the file's name in its folder. The
 * timeline starts above `known_head`, the highest seq that anyone is known to have been told of (0: the file's own),
 * the file's head, and what the clock says. On failure the file is as it was, and `ret_why` says why. */
enum err timeline_begin(const char *path, uint64_t known_head, int64_t now_ms, uint64_t *ret_start,
                        struct buf *ret_why);

#endif
