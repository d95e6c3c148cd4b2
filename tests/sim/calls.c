/*
 * calls - the calls of the C library that the server and SQLite make, led to the simulated disk and network.
 *
 * These stand in front of the C library, as any program's own functions do, so the same objects as the daemon's are
 * linked, and SQLite's own layer for files is at work too. What is not simulated goes to the kernel.
 *
 * SQLite remembers files that are open, and their locks, per device and inode for as long as its process lives: each
 * life of the worker sees another device.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/sim/fd.h"

enum { WRITE_US = 100, SYNC_US = 3000 };

static int fail(int why)
{
    errno = why;
    return -1;
}

static bool is_ours(const char *path)
{
    return world.is_begun && strncmp(path, "/sim", 4) == 0 && (path[4] == '/' || path[4] == '\0');
}

static bool hits(enum sim_fault which)
{
    return world.current != STORY && fault(which);
}

/* What a thread of its own waits for, the others do not. */
static void linger(int64_t us_max)
{
    if (task_may_wait() && random_below(2) == 0)
        task_wait(random_between(1, us_max));
}

/* Descriptors. */

static int open_path(const char *path, int flags, unsigned mode)
{
    if (world.is_begun && strcmp(path, "/dev/urandom") == 0)
        return fd_new(FD_RANDOM);
    if (!is_ours(path))
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (call("open", path, (unsigned)flags, 0) || hits(SIM_OPEN_FAILS))
        return fail(EMFILE);
    struct inode *inode = disk_open(path, flags);
    if (inode == NULL)
        return -1;
    int fd = fd_new(FD_FILE);
    fd_get(fd)->inode = inode;
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(args, unsigned) : 0;
    va_end(args);
    return open_path(path, flags, mode);
}

int close(int fd)
{
    if (fd_get(fd) == NULL)
        return (int)syscall(SYS_close, fd);
    bool fails = call("close", "", (unsigned)fd, 0);
    fd_close(fd);
    return fails ? fail(EIO) : 0;
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    if (fd_get(fd) == NULL)
        return (int)syscall(SYS_fcntl, fd, command, arg);
    if (command == F_GETLK)
        ((struct flock *)arg)->l_type = F_UNLCK; /* there is one worker, and what a dead one held is free */
    return call("fcntl", "", (unsigned)fd, (unsigned)command) ? fail(EIO) : 0;
}

/* Files. */

static ssize_t read_file(const char *name, struct inode *inode, void *to, size_t len, off_t at)
{
    if (call(name, "", len, (uint64_t)at) || disk_is_bad(inode) || (disk_may_fail(inode) && fault(SIM_READ_FAILS)))
        return fail(EIO);
    if (len > 1 && hits(SIM_SHORT_READ))
        len = 1 + random_below((uint32_t)len - 1);
    return disk_pread(inode, to, len, at);
}

static ssize_t write_file(const char *name, struct inode *inode, const void *from, size_t len, off_t at)
{
    linger(WRITE_US);
    if (call(name, "", len, (uint64_t)at) || disk_is_bad(inode) || (disk_may_fail(inode) && fault(SIM_WRITE_FAILS)))
        return fail(EIO);
    if (len > 1 && hits(SIM_SHORT_WRITE))
        len = 1 + random_below((uint32_t)len - 1);
    if (len > 1 && disk_may_fail(inode) && fault(SIM_TORN_WRITE)) {
        disk_pwrite(inode, from, 1 + random_below((uint32_t)len - 1), at);
        return fail(EIO);
    }
    return disk_pwrite(inode, from, len, at);
}

ssize_t pread(int fd, void *to, size_t len, off_t at)
{
    const struct fd *file = fd_get(fd);
    return file == NULL ? syscall(SYS_pread64, fd, to, len, at) : read_file("pread", file->inode, to, len, at);
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
    const struct fd *file = fd_get(fd);
    return file == NULL ? syscall(SYS_pwrite64, fd, from, len, at) : write_file("pwrite", file->inode, from, len, at);
}

ssize_t read(int fd, void *to, size_t len)
{
    struct fd *file = fd_get(fd);
    if (file == NULL)
        return syscall(SYS_read, fd, to, len);
    if (file->type == FD_SOCKET)
        return recv(fd, to, len, 0);
    if (file->type == FD_RANDOM) {
        random_fill(to, len);
        return (ssize_t)len;
    }
    ssize_t n = read_file("read", file->inode, to, len, file->at);
    file->at += n > 0 ? n : 0;
    return n;
}

ssize_t write(int fd, const void *from, size_t len)
{
    struct fd *file = fd_get(fd);
    if (file == NULL)
        return syscall(SYS_write, fd, from, len);
    if (file->type == FD_SOCKET)
        return send(fd, from, len, 0);
    ssize_t n = write_file("write", file->inode, from, len, file->at);
    file->at += n > 0 ? n : 0;
    return n;
}

off_t lseek(int fd, off_t at, int whence)
{
    struct fd *file = fd_get(fd);
    if (file == NULL)
        return syscall(SYS_lseek, fd, at, whence);
    return file->at = at + (whence == SEEK_CUR ? file->at : whence == SEEK_END ? disk_size(file->inode) : 0);
}

int ftruncate(int fd, off_t len)
{
    const struct fd *file = fd_get(fd);
    if (file == NULL)
        return (int)syscall(SYS_ftruncate, fd, len);
    if (call("ftruncate", "", (unsigned)fd, (uint64_t)len) || disk_is_bad(file->inode) ||
        (disk_may_fail(file->inode) && fault(SIM_TRUNCATE_FAILS)))
        return fail(EIO);
    return disk_truncate(file->inode, len);
}

static int sync_file(int fd, long number)
{
    const struct fd *file = fd_get(fd);
    if (file == NULL)
        return (int)syscall(number, fd);
    linger(SYNC_US);
    if (call("sync", "", (unsigned)fd, 0) || disk_is_bad(file->inode))
        return fail(EIO);
    return disk_sync(file->inode);
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync);
}

int fstat(int fd, struct stat *ret)
{
    const struct fd *file = fd_get(fd);
    if (file == NULL)
        return (int)syscall(SYS_fstat, fd, ret);
    if (call("fstat", "", (unsigned)fd, 0) || (file->type == FD_FILE && hits(SIM_LOOK_FAILS)))
        return fail(EIO);
    *ret = (struct stat){.st_mode = S_IFCHR};
    if (file->type == FD_FILE)
        disk_fstat(file->inode, ret);
    return 0;
}

int fchmod(int fd, mode_t mode)
{
    return fd_get(fd) == NULL ? (int)syscall(SYS_fchmod, fd, mode) : 0;
}

int fchown(int fd, uid_t user, gid_t group)
{
    return fd_get(fd) == NULL ? (int)syscall(SYS_fchown, fd, user, group) : 0;
}

/* A journal that is replayed: as it is now. */
struct mapping {
    struct list link;
    void *bytes;
};

static struct list mappings = {&mappings, &mappings};

void *mmap(void *where, size_t len, int protection, int flags, int fd, off_t at)
{
    const struct fd *file = fd_get(fd);
    if (file == NULL)
        return (void *)syscall(SYS_mmap, where, len, protection, flags, fd, at); /* NOLINT(performance-no-int-to-ptr) */
    if (call("mmap", "", len, 0) || hits(SIM_READ_FAILS)) {
        errno = EIO;
        return MAP_FAILED;
    }
    struct mapping *mapping = mem_zero(1, sizeof *mapping);
    mapping->bytes = mem_zero(1, len);
    disk_pread(file->inode, mapping->bytes, len, at);
    list_append(&mappings, &mapping->link);
    return mapping->bytes;
}

int munmap(void *bytes, size_t len)
{
    LIST_FOREACH(link, &mappings) {
        struct mapping *mapping = LIST_ITEM(link, struct mapping, link);
        if (mapping->bytes != bytes)
            continue;
        list_remove(link);
        free(mapping->bytes);
        free(mapping);
        return 0;
    }
    return (int)syscall(SYS_munmap, bytes, len);
}

/* Paths. */

int stat(const char *path, struct stat *ret)
{
    if (!is_ours(path))
        return (int)syscall(SYS_newfstatat, AT_FDCWD, path, ret, 0);
    return call("stat", path, 0, 0) || hits(SIM_LOOK_FAILS) ? fail(EIO) : disk_stat(path, ret);
}

int lstat(const char *path, struct stat *ret)
{
    if (!is_ours(path))
        return (int)syscall(SYS_newfstatat, AT_FDCWD, path, ret, AT_SYMLINK_NOFOLLOW);
    return call("lstat", path, 0, 0) || hits(SIM_LOOK_FAILS) ? fail(EIO) : disk_stat(path, ret);
}

int access(const char *path, int mode)
{
    struct stat ignored;
    if (!is_ours(path))
        return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
    return call("access", path, (unsigned)mode, 0) || hits(SIM_LOOK_FAILS) ? fail(EIO) : disk_stat(path, &ignored);
}

int unlink(const char *path)
{
    if (!is_ours(path))
        return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (call("unlink", path, 0, 0) || hits(SIM_UNLINK_FAILS))
        return fail(EIO);
    return net_unlink(path) ? 0 : disk_unlink(path);
}

int rename(const char *from, const char *to)
{
    if (!is_ours(from))
        return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    return call("rename", from, 0, 0) || hits(SIM_RENAME_FAILS) ? fail(EIO) : disk_rename(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    if (!is_ours(path))
        return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    return call("mkdir", path, mode, 0) || hits(SIM_MKDIR_FAILS) ? fail(EIO) : disk_mkdir(path);
}

int chmod(const char *path, mode_t mode)
{
    return is_ours(path) ? 0 : (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
}

static ssize_t list_real(const char *path, char ***ret_names)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    ssize_t n = 0;
    *ret_names = NULL;
    if (dir == NULL)
        return -1;
    while ((entry = readdir(dir)) != NULL) {
        *ret_names = mem_resize(*ret_names, ((size_t)n + 1) * sizeof **ret_names);
        (*ret_names)[n++] = mem_dup(slice_str(entry->d_name));
    }
    closedir(dir);
    return n;
}

int scandir(const char *path, struct dirent ***ret, int (*filter)(const struct dirent *),
            int (*compare)(const struct dirent **, const struct dirent **))
{
    char **names;
    int n_kept = 0;
    if (is_ours(path) && (call("scandir", path, 0, 0) || hits(SIM_LOOK_FAILS)))
        return fail(EIO);
    ssize_t n = is_ours(path) ? disk_list(path, &names) : list_real(path, &names);
    if (n < 0)
        return -1;
    struct dirent **entries = mem_zero((size_t)n + 1, sizeof *entries);
    for (ssize_t i = 0; i < n; i++) {
        struct dirent *entry = mem_zero(1, sizeof *entry);
        snprintf(entry->d_name, sizeof entry->d_name, "%s", names[i]);
        free(names[i]);
        if (filter == NULL || filter(entry) != 0)
            entries[n_kept++] = entry;
        else
            free(entry);
    }
    free(names);
    if (compare != NULL)
        qsort(entries, (size_t)n_kept, sizeof *entries, (int (*)(const void *, const void *))compare);
    *ret = entries;
    return n_kept;
}

/* Sockets. */

int socket(int domain, int type, int protocol)
{
    if (!world.is_begun)
        return (int)syscall(SYS_socket, domain, type, protocol);
    if (call("socket", "", 0, 0))
        return fail(EMFILE);
    int fd = fd_new(FD_SOCKET);
    fd_get(fd)->end = end_new();
    return fd;
}

int bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t len)
{
    const struct fd *found = fd_get(fd);
    if (found == NULL)
        return (int)syscall(SYS_bind, fd, address.__sockaddr__, len);
    return call("bind", "", (unsigned)fd, 0) ? fail(EIO) : end_bind(found->end, address.__sockaddr__);
}

int listen(int fd, int backlog)
{
    return fd_get(fd) == NULL ? (int)syscall(SYS_listen, fd, backlog) : 0;
}

int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t len)
{
    const struct fd *found = fd_get(fd);
    if (found == NULL)
        return (int)syscall(SYS_connect, fd, address.__sockaddr__, len);
    return call("connect", "", (unsigned)fd, 0) ? fail(ECONNREFUSED) : end_connect(found->end, address.__sockaddr__);
}

static const struct sockaddr_in PEER = {.sin_family = AF_INET, .sin_port = 1, .sin_addr = {0x0100007f}};

int accept4(int fd, __SOCKADDR_ARG address, socklen_t *len, int flags)
{
    const struct fd *found = fd_get(fd);
    if (found == NULL)
        return (int)syscall(SYS_accept4, fd, address.__sockaddr__, len, flags);
    if (call("accept", "", (unsigned)fd, 0))
        return fail(EMFILE);
    struct end *end = end_accept(found->end);
    if (end == NULL)
        return -1;
    if (address.__sockaddr__ != NULL) {
        memcpy(address.__sockaddr__, &PEER, sizeof PEER);
        *len = sizeof PEER;
    }
    int accepted = fd_new(FD_SOCKET);
    fd_get(accepted)->end = end;
    return accepted;
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    const struct fd *found = fd_get(fd);
    if (found == NULL)
        return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
    return call("send", "", (unsigned)fd, len) ? fail(ECONNRESET) : end_send(found->end, data, len);
}

ssize_t recv(int fd, void *to, size_t len, int flags)
{
    const struct fd *found = fd_get(fd);
    if (found == NULL)
        return syscall(SYS_recvfrom, fd, to, len, flags, NULL, NULL);
    return call("recv", "", (unsigned)fd, 0) ? fail(ECONNRESET) : end_recv(found->end, to, len);
}

int shutdown(int fd, int how)
{
    const struct fd *found = fd_get(fd);
    if (found == NULL)
        return (int)syscall(SYS_shutdown, fd, how);
    if (!call("shutdown", "", (unsigned)fd, 0))
        end_shut(found->end);
    return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    return fd_get(fd) == NULL ? (int)syscall(SYS_setsockopt, fd, level, name, value, len) : 0;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    if (fd_get(fd) == NULL)
        return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
    memset(value, 0, *len); /* SO_ERROR: none */
    return 0;
}

/* Time, chance, and the end. */

ssize_t getrandom(void *to, size_t len, unsigned flags)
{
    if (!world.is_begun)
        return syscall(SYS_getrandom, to, len, flags);
    random_fill(to, len);
    return (ssize_t)len;
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
    if (world.current == STORY)
        return (int)syscall(SYS_nanosleep, time, left);
    int64_t us = (int64_t)time->tv_sec * 1000000 + time->tv_nsec / 1000;
    if (task_may_wait())
        task_wait(us);
    else
        world.now_us += us;
    return 0;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    if (!world.is_begun)
        return (int)syscall(SYS_gettimeofday, ret, zone);
    int64_t us = world.wall_offset_us + world.now_us;
    *ret = (struct timeval){us / 1000000, us % 1000000};
    return 0;
}

time_t time(time_t *ret)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}

void _exit(int status)
{
    if (world.current != STORY && world.is_begun)
        process_exit(status);
    syscall(SYS_exit_group, status);
    __builtin_unreachable();
}

/* The same by their other names: here, files are long either way. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));
ssize_t pread64(int fd, void *to, size_t len, off64_t at) __attribute__((alias("pread")));
ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at) __attribute__((alias("pwrite")));
int ftruncate64(int fd, off64_t len) __attribute__((alias("ftruncate")));
void *mmap64(void *where, size_t len, int protection, int flags, int fd, off64_t at) __attribute__((alias("mmap")));
int fstat64(int fd, struct stat64 *ret);
int stat64(const char *path, struct stat64 *ret);
int lstat64(const char *path, struct stat64 *ret);

int fstat64(int fd, struct stat64 *ret)
{
    return fstat(fd, (struct stat *)ret);
}

int stat64(const char *path, struct stat64 *ret)
{
    return stat(path, (struct stat *)ret);
}

int lstat64(const char *path, struct stat64 *ret)
{
    return lstat(path, (struct stat *)ret);
}
