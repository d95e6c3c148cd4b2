#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum err file_find(const char *path)
{
    if (access(path, F_OK) == 0)
        return ERR_OK;
    return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
}

/* Reads until the end, one byte past `max` at most: the size that stat told may be old by now. */
static enum err read_all(int fd, size_t max, struct buf *ret)
{
    enum { STEP = 16 * 1024 };
    size_t start = ret->len;
    for (;;) {
        size_t left = max + 1 - (ret->len - start);
        ssize_t n = read(fd, buf_reserve(ret, STEP), left < STEP ? left : STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            return ERR_OK;
        ret->len += (size_t)n;
        if (ret->len - start > max)
            return ERR_TOO_LARGE;
    }
}

enum err file_read(const char *path, size_t max, struct buf *ret)
{
    /* Without O_NONBLOCK, a named pipe would hold up the open. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
    size_t start = ret->len;
    struct stat st;
    enum err err = ERR_OK;
    if (fstat(fd, &st) < 0)
        err = ERR_IO;
    else if (!S_ISREG(st.st_mode))
        err = ERR_INVALID;
    else
        err = read_all(fd, max, ret);
    int saved_errno = errno;
    close(fd);
    errno = saved_errno;
    if (err != ERR_OK)
        ret->len = start;
    return err;
}

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return true;
}

enum err file_write(const char *path, struct slice bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write_all(fd, bytes) && fsync(fd) == 0;
    int saved_errno = errno;
    if (fd >= 0)
        close(fd);
    errno = saved_errno;
    return ok ? ERR_OK : errno == ENOSPC ? ERR_FULL : ERR_IO;
}

static enum err sync_opened(int fd)
{
    int failed = fd < 0 ? -1 : fsync(fd), saved_errno = errno;
    if (fd >= 0)
        close(fd);
    errno = saved_errno;
    return failed == 0 ? ERR_OK : errno == ENOSPC ? ERR_FULL : ERR_IO;
}

enum err file_sync(const char *path)
{
    return sync_opened(open(path, O_RDONLY | O_CLOEXEC));
}

enum err dir_sync(const char *path)
{
    return sync_opened(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

char *dir_of(const char *path)
{
    char *copy = mem_dup(slice_str(path)), *dir = mem_dup(slice_str(dirname(copy)));
    free(copy);
    return dir;
}

enum err dir_sync_of(const char *path)
{
    char *dir = dir_of(path);
    enum err err = dir_sync(dir);
    int saved_errno = errno;
    free(dir);
    errno = saved_errno;
    return err;
}

enum err file_remove(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? ERR_OK : ERR_IO;
}

/* Syncs the entry of one that is there too: its maker may have died before that, or failed. But it may lie in a folder
 * that is not ours to read, or that cannot be synced. */
enum err dir_make(const char *path)
{
    bool is_new = mkdir(path, 0700) == 0;
    if (!is_new && errno != EEXIST)
        return errno == ENOSPC ? ERR_FULL : ERR_IO;
    enum err err = dir_sync_of(path);
    bool is_others = err != ERR_OK && !is_new && (errno == EACCES || errno == EINVAL);
    return is_others ? ERR_OK : err;
}
