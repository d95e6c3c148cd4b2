/*
 * file - small files, read whole.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/bytes.h"
#include "base/err.h"

/* Appends what the regular file `path` holds. More than `max` bytes is ERR_TOO_LARGE, a folder, a socket and the like
 * are ERR_INVALID; on ERR_NOT_FOUND and ERR_IO, errno says more. On failure `ret` is as it was. */
enum err file_read(const char *path, size_t max, struct buf *ret);

#endif
