/*
 * failing - a disk that fails a journal: preloaded into `skerry serve`, by tests/crash/breaks.mjs.
 *
 * While the file FAILING_SWITCH exists, what it names fails, for files that end in .journal, with the errno behind it:
 *
 *   write 5     nothing is written
 *   tear 28     half of it is written
 *   sync 5      nothing is synced
 *   create 28   no file is made
 *
 * It stands in front of the C library and calls the kernel itself, as lossy.c does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_journal(const char *path)
{
    size_t len = strlen(path), ending = sizeof ".journal" - 1;
    return len > ending && strcmp(path + len - ending, ".journal") == 0;
}

static bool is_journals(int fd)
{
    char link[64], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len < 0 ? 0 : len] = '\0';
    return is_journal(path);
}

/* What is to fail now, and how; false if nothing is. */
static bool read_switch(char what[16], int *ret_errno)
{
    const char *path = getenv("FAILING_SWITCH");
    char text[64] = "";
    int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    long len = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    return len > 0 && sscanf(text, "%15s %d", what, ret_errno) == 2;
}

/* Whether an operation of that name fails; errno says why then. */
static bool fails(const char *operation)
{
    char what[16];
    int error;
    if (!read_switch(what, &error) || strcmp(what, operation) != 0)
        return false;
    errno = error;
    return true;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    bool is_ours = is_journals(fd);
    if (is_ours && fails("write"))
        return -1;
    if (is_ours && fails("tear")) {
        int error = errno;
        syscall(SYS_pwrite64, fd, data, len / 2, at);
        errno = error;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, len, at);
}

int fdatasync(int fd)
{
    if (is_journals(fd) && fails("sync"))
        return -1;
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    if (is_journals(fd) && fails("sync"))
        return -1;
    return (int)syscall(SYS_fsync, fd);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(args, unsigned) : 0;
    va_end(args);
    if ((flags & O_CREAT) != 0 && is_journal(path) && fails("create"))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* The same with 64-bit offsets, which all are here. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) __attribute__((alias("pwrite")));
