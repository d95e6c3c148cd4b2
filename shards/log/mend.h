/*
 * mend - makes a good file of one that failed: a copy of what can be read of it, with the kept records on top.
 *
 * After a write or a sync that failed, nobody knows what of the file is on disk, and another sync that succeeds does
 * not say so either. So the file is not used again: its pages are read, with its WAL, into a new one, which is checked,
 * brought up to the records that the journal had of it, synced, and put into its place.
 *
 *   FILE.part   the copy, while it is made
 *   FILE.fresh  the same, whole and durable: from here on FILE and its WAL are not needed any more
 *
 * All of this can be interrupted anywhere and done again: it begins with the folder of what is kept (kept.h), were it
 * no record at all, so that a start goes on with it before anybody uses the file.
 *
 * Thread: one at a time, while nobody else has the file.
 */
#ifndef SHARDS_LOG_MEND_H
#define SHARDS_LOG_MEND_H

#include "base/bytes.h"
#include "base/err.h"
#include "proto/route.h"

/* ERR_OK: the file is good, and nothing is kept any more. ERR_DAMAGED: it is not, or so it looks, for SQLite calls a
 * page that could not be read damaged, too. If the caller `gives_up`, a marker and the records stand beside the file
 * then, which stays closed until a person has looked. Otherwise it is worth another try, later. Unless it is ERR_OK,
 * `ret_why` says why. */
enum err mend_file(const char *data_dir, const struct scope_name *name, bool gives_up, struct buf *ret_why);

/* Whether a copy is ready that must take the file's place: ERR_OK, ERR_NOT_FOUND, or ERR_IO if that cannot be told. The
 * other removes it. On failure errno says more. */
enum err mend_find(const char *path);
bool mend_forget(const char *path);

#endif
