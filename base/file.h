/*
 * file - small files, read and written whole, and folders that last.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/bytes.h"
#include "base/err.h"

/* Whether there is anything of that name: ERR_OK, ERR_NOT_FOUND, or ERR_IO if that cannot be told, and errno says more.
 */
enum err file_find(const char *path);

/* Appends what the regular file `path` holds. More than `max` bytes is ERR_TOO_LARGE, a folder, a socket and the like
 * are ERR_INVALID; on ERR_NOT_FOUND and ERR_IO, errno says more. On failure `ret` is as it was. */
enum err file_read(const char *path, size_t max, struct buf *ret);

/* Makes the file, or overwrites it; it holds the bytes durably, but for its entry in its folder. On failure errno says
 * more. */
enum err file_write(const char *path, struct slice bytes);

/* Removes the file; one that is not there is no trouble. On failure errno says more. */
enum err file_remove(const char *path);

/* The folder that `path` is in. The caller frees it. */
char *dir_of(const char *path);

/* Makes the folder `path`, in one that is there, unless it is there itself. Its entry is durable. On failure errno says
 * more. */
enum err dir_make(const char *path);

/* Makes durable what the file holds. On failure errno says more. */
enum err file_sync(const char *path);

/* Makes durable which entries a folder has. On failure errno says more. */
enum err dir_sync(const char *path);

/* The same for the folder that `path` is in: the entry of `path` is durable. */
enum err dir_sync_of(const char *path);

#endif
