/*
 * lossy - the disk's side of a power cut: a log of all that a worker does to its data folder, and of its syncs.
 *
 * Preloaded into `skerry serve`, it acts in the worker alone. Each call that changes a file or a folder below
 * LOSSY_ROOT is done and then appended to LOSSY_LOG, which lies elsewhere and outlives a kill -9. From that, disk.mjs
 * knows what was synced and what a power cut could have taken. One lock around a call and its entry keeps their orders
 * the same; what was done, but killed before it was logged, never happened: disk.mjs writes the folder again before the
 * next start.
 *
 * A sync is logged, not made: it takes LOSSY_SYNC_US, during which other threads go on, and covers what was written
 * before it began. With LOSSY_DIE_AT=N the worker kills its supervisor and itself behind entry N.
 *
 * LOSSY_EIO names a file: as long as that holds a text, every call fails with EIO whose file's path has the text in it.
 *
 * It stands in front of the C library and calls the kernel itself, so it needs nothing of what it hides. Calls that
 * neither Skerry nor SQLite makes on files (mmap for writing, dup, stdio) are not seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* An entry of the log; `len` bytes of data or path follow, but for zeros, of which there are `len`. */
struct entry {
    uint32_t what;
    int32_t fd;
    uint64_t at; /* an offset or a length */
    uint64_t len;
};

enum what { START, OPEN, CLOSE, WRITE, ZEROS, TRUNCATE, RENAME, UNLINK, MKDIR, SYNC, SYNCED };

enum { FDS_MAX = 1 << 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_logged[FDS_MAX]; /* by descriptor: a file or folder below the root */
static const char *root;
static size_t root_len;
static int log_fd = -1;
static unsigned long n_entries, die_at;
static struct timespec sync_time;
static const char *eio;      /* where the text stands that makes calls fail, or NULL */
static char *paths[FDS_MAX]; /* by descriptor, if there may be such a text */

static unsigned long number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text == NULL ? 0 : strtoul(text, NULL, 10);
}

/* Under the lock. */
static void add(enum what what, int fd, uint64_t at, const void *data, size_t len)
{
    struct entry entry = {what, fd, at, len};
    size_t data_len = what == ZEROS ? 0 : len;
    struct iovec parts[] = {{&entry, sizeof entry}, {(void *)(uintptr_t)data, data_len}};
    if (syscall(SYS_writev, log_fd, parts, 2) != (long)(sizeof entry + data_len))
        abort(); /* the test has no room: nothing that follows would mean anything */
    if (++n_entries != die_at)
        return;
    kill(getppid(), SIGKILL);
    kill(getpid(), SIGKILL);
}

static void add_alone(enum what what, int fd)
{
    pthread_mutex_lock(&lock);
    add(what, fd, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
}

static bool is_worker(void)
{
    static const char WORKER[] = "worker";
    char line[64] = "";
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
    long len = syscall(SYS_read, fd, line, sizeof line - 1);
    syscall(SYS_close, fd);
    return len > 0 && strcmp(line + strlen(line) + 1, WORKER) == 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *log = getenv("LOSSY_LOG");
    root = getenv("LOSSY_ROOT");
    if (root == NULL || log == NULL || !is_worker())
        return;
    root_len = strlen(root);
    die_at = number_of("LOSSY_DIE_AT");
    unsigned long sync_us = number_of("LOSSY_SYNC_US");
    eio = getenv("LOSSY_EIO");
    sync_time = (struct timespec){(time_t)(sync_us / 1000000), (long)(sync_us % 1000000 * 1000)};
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        abort();
    add(START, -1, 0, NULL, 0);
}

static bool is_below_root(const char *path)
{
    return log_fd >= 0 && strncmp(path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == '\0');
}

static bool is_ours(int fd)
{
    return fd >= 0 && fd < FDS_MAX && is_logged[fd];
}

/* Files. */

/* Whether the disk fails here just now; errno says so then. */
static bool fails_at(const char *path)
{
    char text[256] = "";
    if (eio == NULL || path == NULL)
        return false;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, eio, O_RDONLY | O_CLOEXEC);
    long len = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (len <= 0 || strstr(path, text) == NULL)
        return false;
    errno = EIO;
    return true;
}

static bool fails(int fd)
{
    return is_ours(fd) && fails_at(paths[fd]);
}

static int open_file(const char *path, int flags, unsigned mode)
{
    if (!is_below_root(path))
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fails_at(path))
        return -1;
    pthread_mutex_lock(&lock);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= FDS_MAX)
        abort();
    if (fd >= 0) {
        add(OPEN, fd, (flags & O_TRUNC) != 0, path, strlen(path));
        is_logged[fd] = true;
        if (eio != NULL)
            paths[fd] = strdup(path);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(args, unsigned) : 0;
    va_end(args);
    return open_file(path, flags, mode);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(args, unsigned) : 0;
    va_end(args);
    if (path[0] == '/' || dir_fd == AT_FDCWD)
        return open_file(path, flags, mode);
    return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
}

int close(int fd)
{
    if (!is_ours(fd))
        return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    is_logged[fd] = false;
    free(paths[fd]);
    paths[fd] = NULL;
    add(CLOSE, fd, 0, NULL, 0);
    int failed = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return failed;
}

static bool is_zero(const char *data, size_t len)
{
    return len > 0 && data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    if (!is_ours(fd))
        return syscall(SYS_pwrite64, fd, data, len, at);
    if (fails(fd))
        return -1;
    pthread_mutex_lock(&lock);
    ssize_t n = syscall(SYS_pwrite64, fd, data, len, at);
    if (n > 0)
        add(is_zero(data, (size_t)n) ? ZEROS : WRITE, fd, (uint64_t)at, data, (size_t)n);
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t write(int fd, const void *data, size_t len)
{
    if (!is_ours(fd))
        return syscall(SYS_write, fd, data, len);
    if (fails(fd))
        return -1;
    pthread_mutex_lock(&lock);
    ssize_t n = syscall(SYS_write, fd, data, len);
    if (n > 0)
        add(WRITE, fd, (uint64_t)(lseek(fd, 0, SEEK_CUR) - n), data, (size_t)n);
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t pread(int fd, void *data, size_t len, off_t at)
{
    return fails(fd) ? -1 : syscall(SYS_pread64, fd, data, len, at);
}

ssize_t read(int fd, void *data, size_t len)
{
    return fails(fd) ? -1 : syscall(SYS_read, fd, data, len);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n_parts, off_t at)
{
    ssize_t done = 0;
    for (int i = 0; i < n_parts; i++) {
        ssize_t n = pwrite(fd, parts[i].iov_base, parts[i].iov_len, at + done);
        if (n < 0)
            return done > 0 ? done : n;
        done += n;
        if ((size_t)n < parts[i].iov_len)
            break;
    }
    return done;
}

int ftruncate(int fd, off_t len)
{
    if (!is_ours(fd))
        return (int)syscall(SYS_ftruncate, fd, len);
    if (fails(fd))
        return -1;
    pthread_mutex_lock(&lock);
    int failed = (int)syscall(SYS_ftruncate, fd, len);
    if (failed == 0)
        add(TRUNCATE, fd, (uint64_t)len, NULL, 0);
    pthread_mutex_unlock(&lock);
    return failed;
}

/* Space alone is no change. What makes a file longer is. */
int fallocate(int fd, int mode, off_t at, off_t len)
{
    struct stat stat_buf;
    if (!is_ours(fd))
        return (int)syscall(SYS_fallocate, fd, mode, at, len);
    if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if ((mode & FALLOC_FL_KEEP_SIZE) != 0 || fstat(fd, &stat_buf) < 0 || stat_buf.st_size >= at + len)
        return 0;
    return ftruncate(fd, at + len);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    return fallocate(fd, 0, at, len) == 0 ? 0 : errno;
}

static int sync_fd(int fd, long number)
{
    if (!is_ours(fd))
        return (int)syscall(number, fd);
    if (fails(fd))
        return -1;
    add_alone(SYNC, fd);
    nanosleep(&sync_time, NULL);
    add_alone(SYNCED, fd);
    return 0;
}

int fsync(int fd)
{
    return sync_fd(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_fd(fd, SYS_fdatasync);
}

/* Folders. */

int rename(const char *from, const char *to)
{
    char both[8192];
    int len = snprintf(both, sizeof both, "%s%c%s", from, '\0', to);
    if (!is_below_root(from))
        return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&lock);
    int failed = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (failed == 0)
        add(RENAME, -1, 0, both, (size_t)len);
    pthread_mutex_unlock(&lock);
    return failed;
}

int unlink(const char *path)
{
    if (!is_below_root(path))
        return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&lock);
    int failed = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (failed == 0)
        add(UNLINK, -1, 0, path, strlen(path));
    pthread_mutex_unlock(&lock);
    return failed;
}

int mkdir(const char *path, mode_t mode)
{
    if (!is_below_root(path))
        return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    pthread_mutex_lock(&lock);
    int failed = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (failed == 0)
        add(MKDIR, -1, 0, path, strlen(path));
    pthread_mutex_unlock(&lock);
    return failed;
}

/* The same by their other names: here, files are long either way. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir_fd, const char *path, int flags, ...) __attribute__((alias("openat")));
ssize_t pread64(int fd, void *data, size_t len, off64_t at) __attribute__((alias("pread")));
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t at) __attribute__((alias("pwritev")));
int ftruncate64(int fd, off64_t len) __attribute__((alias("ftruncate")));
int fallocate64(int fd, int mode, off64_t at, off64_t len) __attribute__((alias("fallocate")));
int posix_fallocate64(int fd, off64_t at, off64_t len) __attribute__((alias("posix_fallocate")));
