/*
 * replay - brings the scope files of a data folder up to what its journals hold, after any kind of end.
 *
 * Runs before any shard serves, with all slots locked. A transaction is applied to the file that it was made in
 * (incarnation) if it is the next one there (number), row by row, with triggers and foreign keys off; one that the file
 * has is passed over. Each file that was touched is checkpointed with fsync; then the segments go.
 *
 * Before all that, scopes whose records were kept while a worker ran are mended (mend.h); one that cannot be is passed
 * over, and goes on waiting. So does one at whose file the disk fails now.
 *
 * If a journal is damaged (reader.h), nothing is served. A scope that its records do not fit, or whose file is damaged
 * or missing, stays closed until a person has looked, and the others are served: beside its file stand a marker,
 * FILE.damaged, and a segment with its records, FILE.journal. To have them replayed once the file is good again, that
 * goes into a folder DATA/journal/NUMBER of its own, and the marker goes.
 */
#ifndef SHARDS_LOG_REPLAY_H
#define SHARDS_LOG_REPLAY_H

#include <stdbool.h>

#include "base/problems.h"

/* Replays DATA/journal/N of all N. False, with problems added, if a journal cannot be read, or something that may pass
 * (a full disk, a file that another process has open) keeps a file from being brought up to it: nothing may be served
 * then, and nothing is lost. */
bool replay_all(const char *data_dir, struct problems *problems);

/* The same, but what can be read of a damaged journal is replayed, too; its segments stay. For a repair. */
bool replay_salvage(const char *data_dir, struct problems *problems);

#endif
