#include "shards/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { PATIENCE_MS = 3000, PAUSE_MS = 20 };

static int try_lock(int fd, unsigned first, unsigned end)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = end - first};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

static int lock_in_time(int fd, unsigned first, unsigned end)
{
    int64_t until = clock_mono_us() + PATIENCE_MS * 1000;
    while (try_lock(fd, first, end) < 0) {
        if ((errno != EAGAIN && errno != EACCES) || clock_mono_us() > until)
            return -1;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
    }
    return 0;
}

int slots_lock(const char *data_dir, unsigned first, unsigned end, struct problems *problems)
{
    char *path = NULL;
    if (asprintf(&path, "%s/slots.lock", data_dir) < 0)
        abort();
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        problems_add(problems, "%s: %s", path, strerror(errno));
    } else if (lock_in_time(fd, first, end) < 0) {
        problems_add(problems, "%s: slots %u to %u: %s", path, first, end - 1,
                     errno == EAGAIN || errno == EACCES
                         ? "another Skerry has this data folder; stop it, or choose another with --data"
                         : strerror(errno));
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}
