/*
 * spool - the file that a shard's backup or restore has in between: DATA/console/SHARD.db.
 *
 * There is one a shard. What a crash left is removed when the shard starts.
 */
#ifndef SHARDS_CONSOLE_SPOOL_H
#define SHARDS_CONSOLE_SPOOL_H

#include "base/err.h"

/* The path, in a folder that is there, with nothing at it. The caller frees it. NULL, and errno says why. */
char *spool_begin(const char *data_dir, unsigned shard);

/* Removes the file and frees the path. NULL is fine. */
void spool_end(char *path);

/* Removes what a crash left. */
void spool_clean(const char *data_dir, unsigned shard);

#endif
