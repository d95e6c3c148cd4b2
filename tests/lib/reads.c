#include "tests/lib/reads.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *failing;
static int n_left;

static ssize_t pread_or_fail(int fd, void *data, size_t len, off_t at)
{
    char link[64], path[600];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    if (strstr(path, failing) == NULL || n_left-- != 0)
        return pread(fd, data, len, at);
    errno = EIO;
    return -1;
}

static void set_pread(sqlite3_syscall_ptr call)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    vfs->xSetSystemCall(vfs, "pread", call);
    vfs->xSetSystemCall(vfs, "pread64", call);
}

void reads_fail(const char *name, int n)
{
    failing = name;
    n_left = n;
    set_pread((sqlite3_syscall_ptr)pread_or_fail);
}

bool reads_mend(void)
{
    set_pread(NULL);
    return n_left < 0;
}
