#include "tests/sim/fd.h"

#include <assert.h>
#include <stddef.h>

enum { FIRST = 1 << 20, FDS_MAX = 4096 };

static struct fd fds[FDS_MAX];
static int n_used; /* all behind are free */

struct fd *fd_get(int fd)
{
    int i = fd - FIRST;
    return i >= 0 && i < n_used && fds[i].type != FD_FREE ? &fds[i] : NULL;
}

int fd_new(enum fd_type type)
{
    int i = 0;
    while (i < n_used && fds[i].type != FD_FREE)
        i++;
    assert(i < FDS_MAX);
    n_used = i == n_used ? n_used + 1 : n_used;
    fds[i] = (struct fd){.type = type, .owner = world.current};
    return FIRST + i;
}

void fd_close(int fd)
{
    struct fd *closed = fd_get(fd);
    if (closed->type == FD_FILE)
        disk_unref(closed->inode);
    if (closed->type == FD_SOCKET)
        end_close(closed->end);
    closed->type = FD_FREE;
}

void fds_close_all(unsigned owner)
{
    for (int i = 0; i < n_used; i++)
        if (fds[i].type != FD_FREE && fds[i].owner == owner)
            fd_close(FIRST + i);
}

void net_reset_story(void)
{
    for (int i = 0; i < n_used; i++)
        if (fds[i].type == FD_SOCKET && fds[i].owner == STORY)
            end_reset(fds[i].end);
}
