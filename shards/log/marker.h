/*
 * marker - a text for people beside a scope's file, which stays closed until one of them has looked.
 *
 * It is HASH.db.damaged, and begins with `SCOPE: why`. Only a person, or a restore, takes it away.
 */
#ifndef SHARDS_LOG_MARKER_H
#define SHARDS_LOG_MARKER_H

#include "base/err.h"
#include "proto/route.h"

/* Whether the file at `path` is marked: ERR_OK, ERR_NOT_FOUND, or ERR_IO if that cannot be told, and errno says more.
 */
enum err marker_find(const char *path);

/* Marks the file at `path`, durably. On failure errno says more. */
enum err marker_write(const char *path, const struct scope_name *name, const char *why);

/* Calls `cb` for each marker in the folders of the slots from `first` to before `end`; its texts last as long as the
 * call. */
void marker_each(const char *data_dir, unsigned first, unsigned end,
                 void (*cb)(void *arg, const char *marker, const char *scope, const char *why), void *arg);

#endif
