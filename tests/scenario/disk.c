#include "tests/scenario/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 4096 };

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Whoever is not root is root in a namespace of users. */
static bool become_root(void)
{
    char uids[32], gids[32];
    snprintf(uids, sizeof uids, "0 %u 1", (unsigned)getuid());
    snprintf(gids, sizeof gids, "0 %u 1", (unsigned)getgid());
    return unshare(CLONE_NEWUSER) == 0 && write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", uids) && write_text("/proc/self/gid_map", gids);
}

static bool enter_namespace(void)
{
    static bool is_inside;
    if (!is_inside)
        is_inside = (geteuid() == 0 || become_root()) && unshare(CLONE_NEWNS) == 0 &&
                    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return is_inside;
}

bool disk_mount(const char *folder)
{
    return enter_namespace() && mkdir(folder, 0700) == 0 &&
           mount("tmpfs", folder, "tmpfs", 0, "size=128m,mode=0700") == 0;
}

void disk_unmount(const char *folder)
{
    umount2(folder, MNT_DETACH);
}

static void filler(const char *folder, char path[256])
{
    snprintf(path, 256, "%s/filler", folder);
}

bool disk_fill(const char *folder)
{
    static const char chunk[CHUNK];
    char path[256];
    filler(folder, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    while (write(fd, chunk, sizeof chunk) > 0)
        ;
    bool is_full = errno == ENOSPC;
    close(fd);
    return is_full;
}

bool disk_free(const char *folder)
{
    char path[256];
    filler(folder, path);
    return unlink(path) == 0;
}
