/*
 * replay - brings the scope files of a data folder up to what its journals hold, after any kind of end.
 *
 * Runs before any shard serves, with all slots locked. A transaction is applied to the file that it was made in
 * (incarnation) if it is the next one there (number), row by row, with triggers and foreign keys off; one that the file
 * has is passed over. Each file that was touched is checkpointed with fsync; then the segments go.
 *
 * A torn tail is the end of a journal: nobody was told of what stood there. Anything else that does not fit is damage:
 * the scope's file gets a marker beside it, FILE.damaged, and is not opened until a person has looked.
 */
#ifndef SHARDS_LOG_REPLAY_H
#define SHARDS_LOG_REPLAY_H

#include <stdbool.h>

#include "base/problems.h"

/* Replays DATA/journal/N of all N. False, with problems added, if a journal cannot be read or a file not be made
 * durable: nothing may be served then, and nothing is lost. */
bool replay_all(const char *data_dir, struct problems *problems);

#endif
