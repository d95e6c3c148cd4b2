#include "tests/lib/disk.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include <cmocka.h>

#include "shards/log/segment.h"

enum { ACTS_MAX = 4000, PATIENCE_S = 20 };

enum act_type { ACT_HEADER, ACT_RECORDS, ACT_SYNC, ACT_TOLD, ACT_LOST };

struct act {
    enum act_type type;
    int fd;
    uint64_t position; /* behind the last record that was written; that was told to be durable */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct act acts[ACTS_MAX];
    size_t n_acts;
    bool holds_syncs; /* they wait until this is false */
    size_t n_held;
    size_t write_max; /* bytes that a write takes at most, or 0 */
    int write_errno, sync_errno, growth_errno;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The linker's names (--wrap). NOLINTBEGIN(bugprone-reserved-identifier) */
ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
/* NOLINTEND(bugprone-reserved-identifier) */

static void note(enum act_type type, int fd, uint64_t position)
{
    assert(disk.n_acts < ACTS_MAX); /* in the syncer's thread, where cmocka's would jump to nowhere */
    disk.acts[disk.n_acts++] = (struct act){type, fd, position};
}

static void note_write(int fd, struct slice bytes, off_t at)
{
    struct segment_header header;
    struct record record;
    if (at == 0 && segment_header_read(bytes, &header))
        note(ACT_HEADER, fd, header.position);
    for (; record_peek(bytes, &record); bytes = slice_of(bytes.data + record.len, bytes.len - record.len))
        note(ACT_RECORDS, fd, record.position + record.len);
}

static bool is_of_zeros(struct slice bytes)
{
    static const char ZEROS[8];
    return bytes.len >= sizeof ZEROS && memcmp(bytes.data, ZEROS, sizeof ZEROS) == 0;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
    pthread_mutex_lock(&disk.lock);
    int error = is_of_zeros(slice_of(data, len)) && disk.growth_errno != 0 ? disk.growth_errno : disk.write_errno;
    size_t most = disk.write_max == 0 || len < disk.write_max ? len : disk.write_max;
    if (error == 0)
        note_write(fd, slice_of(data, len), at);
    pthread_mutex_unlock(&disk.lock);
    errno = error;
    return error == 0 ? __real_pwrite(fd, data, most, at) : -1;
}

int __wrap_fdatasync(int fd)
{
    pthread_mutex_lock(&disk.lock);
    disk.n_held++;
    pthread_cond_broadcast(&disk.changed);
    while (disk.holds_syncs)
        pthread_cond_wait(&disk.changed, &disk.lock);
    disk.n_held--;
    int error = disk.sync_errno;
    pthread_mutex_unlock(&disk.lock);
    errno = error;
    if (error != 0 || __real_fdatasync(fd) < 0)
        return -1;
    pthread_mutex_lock(&disk.lock);
    note(ACT_SYNC, fd, 0);
    pthread_mutex_unlock(&disk.lock);
    return 0;
}

void disk_hold_syncs(bool hold)
{
    pthread_mutex_lock(&disk.lock);
    disk.holds_syncs = hold;
    pthread_cond_broadcast(&disk.changed);
    pthread_mutex_unlock(&disk.lock);
}

void disk_wait_for_sync(void)
{
    struct timespec until;
    int code = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&disk.lock);
    while (code == 0 && disk.n_held == 0)
        code = pthread_cond_timedwait(&disk.changed, &disk.lock, &until);
    pthread_mutex_unlock(&disk.lock);
    assert_int_equal(code, 0);
}

static bool is_synced(size_t i, size_t end)
{
    for (size_t j = i + 1; j < end; j++)
        if (disk.acts[j].type == ACT_SYNC && disk.acts[j].fd == disk.acts[i].fd)
            return true;
    return false;
}

/* Whether all that had to be synced before act `end` was. */
static bool came_in_time(size_t end)
{
    const struct act *act = &disk.acts[end];
    for (size_t i = 0; i < end; i++) {
        const struct act *before = &disk.acts[i];
        bool needed = act->type == ACT_RECORDS ? before->type == ACT_HEADER && before->fd == act->fd
                                               : before->type == ACT_RECORDS && before->position <= act->position;
        if (needed && !is_synced(i, end))
            return false;
    }
    return true;
}

void disk_check(void)
{
    size_t n = disk.n_acts;
    for (size_t i = 0; i < n; i++)
        if (disk.acts[i].type == ACT_RECORDS || disk.acts[i].type == ACT_TOLD)
            assert_true(came_in_time(i));
    while (n > 0 && disk.acts[n - 1].type >= ACT_TOLD)
        n--;
    assert_true(n == 0 || disk.acts[n - 1].type == ACT_SYNC);
}

void disk_begin(void)
{
    pthread_mutex_lock(&disk.lock);
    disk.n_acts = disk.write_max = 0;
    disk.write_errno = disk.sync_errno = disk.growth_errno = 0;
    disk.holds_syncs = false;
    pthread_mutex_unlock(&disk.lock);
}

void disk_shorten_writes(uint64_t most)
{
    pthread_mutex_lock(&disk.lock);
    disk.write_max = most;
    pthread_mutex_unlock(&disk.lock);
}

void disk_fail(int write_errno, int sync_errno)
{
    pthread_mutex_lock(&disk.lock);
    disk.write_errno = write_errno;
    disk.sync_errno = sync_errno;
    pthread_mutex_unlock(&disk.lock);
}

void disk_fail_growth(int error)
{
    pthread_mutex_lock(&disk.lock);
    disk.growth_errno = error;
    pthread_mutex_unlock(&disk.lock);
}

void disk_note_lost(uint64_t position)
{
    pthread_mutex_lock(&disk.lock);
    for (size_t i = 0; i < disk.n_acts; i++)
        if (disk.acts[i].type == ACT_RECORDS && disk.acts[i].position > position)
            disk.acts[i].type = ACT_LOST;
    pthread_mutex_unlock(&disk.lock);
}

void disk_note_told(uint64_t position)
{
    pthread_mutex_lock(&disk.lock);
    note(ACT_TOLD, 0, position);
    pthread_mutex_unlock(&disk.lock);
}
