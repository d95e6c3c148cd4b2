/*
 * kept - the records of a scope whose file has failed, in a folder of their own: DATA/journal/kept-HASH.
 *
 * They are copied out of the shard's journal, so that its segments can be used again, and wait there for a file that is
 * good again (mend.h). While the folder is there, the scope's file is not to be used as it is; a start knows by it.
 *
 *   scope           the scope's name
 *   000001.journal  a segment with its records, those that its file may lack among them; there once it is whole
 */
#ifndef SHARDS_LOG_KEPT_H
#define SHARDS_LOG_KEPT_H

#include "base/err.h"
#include "base/problems.h"
#include "proto/route.h"
#include "shards/log/scoperecord.h"

/* Appends the records as one segment. */
void kept_encode(struct buf *out, const struct scoperecords *records);

/* DATA/journal/kept-HASH. The caller frees it. */
char *kept_dir(const char *data_dir, const struct scope_name *name);

/* Whether there are any of the scope's: ERR_OK, ERR_NOT_FOUND, or ERR_IO if that cannot be told, and errno says more.
 */
enum err kept_find(const char *data_dir, const struct scope_name *name);

/* Keeps these records, durably. On failure errno says more. */
enum err kept_write(const char *data_dir, const struct scope_name *name, const struct scoperecords *records);

/* Keeps these, too: the latest ones that a journal holds, of which some may be kept already. False, with a problem
 * added. */
bool kept_add(const char *data_dir, const struct scope_name *name, const struct scoperecords *records,
              struct problems *problems);

/* Keeps what the journal of a shard that runs holds of the scope in front of position `to`, all of which is durable;
 * its segments from `from` on must stay. False, with a problem added. */
bool kept_collect(const char *data_dir, unsigned shard, const struct scope_name *name, uint64_t from, uint64_t to,
                  size_t *ret_n, struct problems *problems);

/* They are not needed there any more: removes them, and first copies the segment to `to`, unless that is NULL. What is
 * not there is no trouble. On failure errno says more. */
enum err kept_end(const char *data_dir, const struct scope_name *name, const char *to);

/* Calls `cb` for each scope that has some. False, with a problem added, if not all of them can be found. */
bool kept_each(const char *data_dir, void (*cb)(void *arg, const struct scope_name *name), void *arg,
               struct problems *problems);

#endif
