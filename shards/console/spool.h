/*
 * spool - the file that a backup or a restore has in between: DATA/console/SHARD.db, or FILE.restore.
 *
 * What a crash left of a backup is removed when the shard starts; of a restore, when the scope is restored again.
 */
#ifndef SHARDS_CONSOLE_SPOOL_H
#define SHARDS_CONSOLE_SPOOL_H

#include "base/err.h"

/* The path, in a folder that is there, with nothing at it. The caller frees it. NULL, and errno says why. */
char *spool_begin(const char *data_dir, unsigned shard);

/* The same for a file that is to take the place of the one at `path`: it lies in the same folder, so that it can. */
char *spool_begin_beside(const char *path);

/* Removes the file and frees the path. NULL is fine. */
void spool_end(char *path);

/* Removes what a crash left. */
void spool_clean(const char *data_dir, unsigned shard);

#endif
