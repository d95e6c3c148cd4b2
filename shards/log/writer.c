#include "shards/log/writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "shards/log/segment.h"

enum {
    SPARES = 2,
    SPARES_MAX = 8,
    RESERVE = 5, /* segments' worth of the disk that a journal does not grow into */
    ZEROS = 1 << 20,
};

struct segment {
    struct list link;
    char *path;
    int fd;
    uint64_t end;      /* position behind its last record that counts; known once it is full or abandoned */
    bool is_abandoned; /* a write or a sync failed */
};

static bool fail(struct writer *writer, const char *doing)
{
    writer->doing = doing;
    writer->error = errno;
    return false;
}

/* Files. */

static bool write_all(int fd, const char *data, size_t len, size_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return false;
        data += n;
        at += (size_t)n;
        len -= (size_t)n;
    }
    return true;
}

static bool fill_with_zeros(int fd, size_t len)
{
    char *zeros = mem_zero(1, ZEROS);
    bool ok = true;
    for (size_t at = 0; ok && at < len; at += ZEROS)
        ok = write_all(fd, zeros, len - at < ZEROS ? len - at : ZEROS, at);
    free(zeros);
    return ok && fsync(fd) == 0;
}

static void segment_free(struct segment *segment)
{
    if (segment->fd >= 0)
        close(segment->fd);
    free(segment->path);
    free(segment);
}

/* What could not be made whole is removed: on a full disk it would be in the way. */
static struct segment *segment_create(struct writer *writer)
{
    struct segment *segment = mem_zero(1, sizeof *segment);
    if (asprintf(&segment->path, "%s/%06u.journal", writer->dir, ++writer->last_file) < 0)
        abort();
    segment->fd = open(segment->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (segment->fd >= 0 && fill_with_zeros(segment->fd, writer->segment_bytes) && dir_sync(writer->dir) == ERR_OK) {
        writer->n_segments++;
        return segment;
    }
    fail(writer, "create");
    if (segment->fd >= 0)
        unlink(segment->path);
    segment_free(segment);
    return NULL;
}

/* What is left after a crash must be without a gap, so the removal is durable before the next one. */
static bool segment_remove(struct writer *writer, struct segment *segment)
{
    if (file_remove(segment->path) != ERR_OK || dir_sync(writer->dir) != ERR_OK)
        return fail(writer, "remove");
    list_remove(&segment->link);
    writer->n_segments--;
    segment_free(segment);
    return true;
}

/* Segments used again. Spares are older than what is full: they go first, or there would be a gap. */

static bool remove_spares(struct writer *writer, size_t left)
{
    while (writer->n_spare > left) {
        if (!segment_remove(writer, LIST_ITEM(writer->spare.next, struct segment, link)))
            return false;
        writer->n_spare--;
    }
    return true;
}

static void add_spare(struct writer *writer, struct segment *segment)
{
    list_append(&writer->spare, &segment->link);
    writer->n_spare++;
}

/* What a journal has grown to while a file could not be saved does not stay for ever. */
void writer_free_up_to(struct writer *writer, uint64_t position)
{
    while (!list_is_empty(&writer->full)) {
        struct segment *oldest = LIST_ITEM(writer->full.next, struct segment, link);
        if (oldest->end > position)
            break;
        if (!oldest->is_abandoned) {
            list_remove(&oldest->link);
            add_spare(writer, oldest);
        } else if (!remove_spares(writer, 0) || !segment_remove(writer, oldest)) {
            return;
        }
    }
    remove_spares(writer, SPARES_MAX);
}

/* Files must be able to grow by what their logs hold, or no checkpoint would ever free a segment again. */
static bool leaves_room(struct writer *writer)
{
    struct statvfs disk;
    if (statvfs(writer->dir, &disk) < 0 || disk.f_bavail * disk.f_frsize >= RESERVE * writer->segment_bytes)
        return true;
    errno = ENOSPC;
    return fail(writer, "create");
}

bool writer_make_spare(struct writer *writer)
{
    if (writer->n_spare > 0)
        return true;
    if (!leaves_room(writer))
        return false;
    struct segment *segment = segment_create(writer);
    if (segment != NULL)
        add_spare(writer, segment);
    return segment != NULL;
}

uint64_t writer_room(const struct writer *writer)
{
    uint64_t left = writer->current == NULL ? 0 : writer->segment_bytes - writer->offset;
    return left + writer->n_spare * (writer->segment_bytes - SEGMENT_HEADER);
}

bool writer_remove_all(struct writer *writer)
{
    if (writer->current != NULL)
        list_append(&writer->full, &writer->current->link);
    writer->current = NULL;
    bool ok = remove_spares(writer, 0);
    while (ok && !list_is_empty(&writer->full))
        ok = segment_remove(writer, LIST_ITEM(writer->full.next, struct segment, link));
    return ok;
}

/* Appending. */

static struct segment *next_segment(struct writer *writer)
{
    struct list *link = list_pop(&writer->spare);
    if (link == NULL)
        return segment_create(writer);
    writer->n_spare--;
    return LIST_ITEM(link, struct segment, link);
}

/* The header is durable before any record: with an old header over new records, a segment that was used again would
 * look like a damaged one after a power cut. One whose header could not be written holds nothing, or what is older than
 * all others. */
bool writer_begin(struct writer *writer)
{
    struct segment *segment = next_segment(writer);
    char header[SEGMENT_HEADER];
    assert(writer->current == NULL && writer->position == writer->synced);
    if (segment == NULL)
        return false;
    segment_header_write(header, &(struct segment_header){++writer->generation, writer->position});
    if (!write_all(segment->fd, header, sizeof header, 0) || fdatasync(segment->fd) < 0) {
        fail(writer, "begin");
        segment->is_abandoned = true;
        list_append(writer->full.next, &segment->link); /* in front */
        return false;
    }
    writer->current = segment;
    writer->offset = SEGMENT_HEADER;
    return true;
}

static bool abandon(struct writer *writer, const char *doing)
{
    struct segment *segment = writer->current;
    fail(writer, doing);
    segment->is_abandoned = true;
    segment->end = writer->position = writer->synced;
    list_append(&writer->full, &segment->link);
    writer->current = NULL;
    return false;
}

static bool sync_current(struct writer *writer)
{
    if (fdatasync(writer->current->fd) < 0)
        return abandon(writer, "sync");
    writer->synced = writer->position;
    return true;
}

static bool change_segment(struct writer *writer)
{
    struct segment *segment = writer->current;
    if (!sync_current(writer))
        return false;
    segment->end = writer->position;
    list_append(&writer->full, &segment->link);
    writer->current = NULL;
    return writer_begin(writer);
}

static size_t len_of(const char *record)
{
    uint32_t payload_len;
    memcpy(&payload_len, record, sizeof payload_len);
    return payload_len;
}

/* Seals the records that fit into what is left of the segment; returns their length. */
static size_t seal_run(struct writer *writer, char *records, size_t len, uint64_t durable)
{
    size_t run = 0;
    while (run < len) {
        size_t payload_len = len_of(records + run), next = record_len(payload_len);
        if (writer->offset + run + next > writer->segment_bytes)
            break;
        record_seal(records + run, payload_len, writer->generation, writer->position + run, durable);
        run += next;
    }
    return run;
}

bool writer_append(struct writer *writer, char *records, size_t len)
{
    uint64_t durable = writer->synced;
    while (len > 0) {
        size_t run = seal_run(writer, records, len, durable);
        if (!write_all(writer->current->fd, records, run, writer->offset))
            return abandon(writer, "write");
        writer->offset += run;
        writer->position += run;
        records += run;
        len -= run;
        if (len > 0 && !change_segment(writer))
            return false;
    }
    return sync_current(writer);
}

/* The beginning and the end. */

/* Generations begin anywhere: who writes rows cannot know what a record would have to look like. */
static bool prepare(struct writer *writer)
{
    if (dir_make(writer->dir) != ERR_OK || getrandom(&writer->generation, sizeof writer->generation, 0) < 0)
        return fail(writer, "create");
    writer->generation >>= 1; /* and never end */
    for (int i = 0; i < SPARES; i++) {
        struct segment *segment = segment_create(writer);
        if (segment == NULL)
            return false;
        add_spare(writer, segment);
    }
    return writer_begin(writer);
}

bool writer_init(struct writer *writer, const char *dir, size_t segment_bytes)
{
    *writer = (struct writer){.dir = mem_dup(slice_str(dir)), .segment_bytes = segment_bytes};
    list_init(&writer->full);
    list_init(&writer->spare);
    return prepare(writer);
}

void writer_release(struct writer *writer)
{
    struct list *lists[] = {&writer->full, &writer->spare};
    for (int i = 0; i < 2; i++)
        LIST_FOREACH_SAFE(link, lists[i])
            segment_free(LIST_ITEM(link, struct segment, link));
    if (writer->current != NULL)
        segment_free(writer->current);
    free(writer->dir);
}
