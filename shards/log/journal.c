#include "shards/log/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/background.h"
#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "shards/log/segment.h"

enum { SPARES = 2, ZEROS = 1 << 20 };

struct segment {
    struct list link;
    int fd;
    uint64_t generation;
    uint64_t end; /* position behind its last record; known once it is full */
};

struct journal {
    char *dir;
    void (*on_durable)(void *arg);
    void *arg;
    struct background *syncer;

    /* The loop's. */
    struct buf batch; /* records of the turn, with room for their headers */
    size_t begun;
    uint64_t position;
    uint64_t durable; /* as last seen */

    /* Shared, under the lock. */
    pthread_mutex_t lock;
    struct buf waiting; /* flushed, not yet taken */
    uint64_t synced;
    uint64_t released;

    /* The syncer's. */
    struct buf taken; /* empty between its rounds */
    struct segment *current;
    size_t offset;           /* in the current segment, where the next record goes */
    uint64_t written;        /* position behind the last record that was written */
    uint64_t generation;     /* the last one used */
    unsigned last_file;      /* the number in the last file's name */
    struct list full, spare; /* segments */
};

/* Files. Whatever fails here ends the process: see the header. */

static _Noreturn void die(const struct journal *journal, const char *what)
{
    log_line(LOG_ERROR, "journal_failed dir=%s doing=%s why=\"%s\"", journal->dir, what, strerror(errno));
    _exit(1);
}

static bool write_all(int fd, const char *data, size_t len, off_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool fill_with_zeros(int fd)
{
    char *zeros = mem_zero(1, ZEROS);
    bool ok = true;
    for (off_t at = 0; ok && at < JOURNAL_SEGMENT_BYTES; at += ZEROS)
        ok = write_all(fd, zeros, ZEROS, at);
    free(zeros);
    return ok && fsync(fd) == 0;
}

/* NULL if the disk refuses. */
static struct segment *segment_create(struct journal *journal)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%06u.journal", journal->dir, ++journal->last_file) < 0)
        abort();
    struct segment *segment = mem_zero(1, sizeof *segment);
    segment->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = segment->fd >= 0 && fill_with_zeros(segment->fd) && dir_sync(journal->dir) == ERR_OK;
    free(path);
    if (ok)
        return segment;
    if (segment->fd >= 0)
        close(segment->fd);
    free(segment);
    return NULL;
}

static void segment_free(struct segment *segment)
{
    if (segment == NULL)
        return;
    close(segment->fd);
    free(segment);
}

/* The syncer. */

/* Full segments whose records all stand in durable files can be used again. */
static void reuse_released(struct journal *journal, uint64_t released)
{
    while (!list_is_empty(&journal->full)) {
        struct segment *oldest = LIST_ITEM(journal->full.next, struct segment, link);
        if (oldest->end > released)
            return;
        list_remove(&oldest->link);
        list_append(&journal->spare, &oldest->link);
    }
}

static struct segment *next_segment(struct journal *journal)
{
    struct list *link = list_pop(&journal->spare);
    if (link != NULL)
        return LIST_ITEM(link, struct segment, link);
    struct segment *fresh = segment_create(journal);
    if (fresh != NULL)
        return fresh;
    die(journal, "create");
}

/* The header is durable before any record: with an old header over new records, a segment that was used again would
 * look like a damaged one after a power cut. */
static void begin_segment(struct journal *journal)
{
    struct segment *segment = next_segment(journal);
    char header[SEGMENT_HEADER];
    segment->generation = ++journal->generation;
    segment_header_write(header, &(struct segment_header){segment->generation, journal->written});
    if (!write_all(segment->fd, header, sizeof header, 0) || fdatasync(segment->fd) < 0)
        die(journal, "write");
    journal->current = segment;
    journal->offset = SEGMENT_HEADER;
}

static void end_segment(struct journal *journal)
{
    struct segment *segment = journal->current;
    if (fdatasync(segment->fd) < 0)
        die(journal, "sync");
    segment->end = journal->written;
    list_append(&journal->full, &segment->link);
    begin_segment(journal);
}

static size_t len_of(const char *record)
{
    uint32_t payload_len;
    memcpy(&payload_len, record, sizeof payload_len); /* journal_end left it there */
    return payload_len;
}

/* Seals the records that fit into what is left of the segment; returns their length. */
static size_t seal_run(struct journal *journal, char *records, size_t len, uint64_t durable)
{
    size_t run = 0;
    while (run < len) {
        size_t payload_len = len_of(records + run), next = record_len(payload_len);
        if (journal->offset + run + next > JOURNAL_SEGMENT_BYTES)
            break;
        record_seal(records + run, payload_len, journal->current->generation, journal->written + run, durable);
        run += next;
    }
    return run;
}

static void append(struct journal *journal, struct buf *batch)
{
    uint64_t durable = journal->written; /* one batch is under way at a time */
    size_t done = 0;
    while (done < batch->len) {
        size_t run = seal_run(journal, batch->data + done, batch->len - done, durable);
        if (run > 0 && !write_all(journal->current->fd, batch->data + done, run, (off_t)journal->offset))
            die(journal, "write");
        journal->offset += run;
        journal->written += run;
        done += run;
        if (done < batch->len)
            end_segment(journal);
    }
    if (fdatasync(journal->current->fd) < 0)
        die(journal, "sync");
}

static void take_batch(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct buf empty = journal->taken;
    journal->taken = journal->waiting;
    journal->waiting = empty; /* two buffers, which swap places */
    uint64_t released = journal->released;
    pthread_mutex_unlock(&journal->lock);
    reuse_released(journal, released);
}

static void tell_synced(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->synced = journal->written;
    pthread_mutex_unlock(&journal->lock);
}

static void sync_batch(void *arg)
{
    struct journal *journal = arg;
    take_batch(journal);
    if (journal->taken.len == 0) /* the round before took it */
        return;
    append(journal, &journal->taken);
    journal->taken.len = 0;
    tell_synced(journal);
}

/* The loop's side. */

static void on_synced(void *arg)
{
    struct journal *journal = arg;
    pthread_mutex_lock(&journal->lock);
    journal->durable = journal->synced;
    pthread_mutex_unlock(&journal->lock);
    journal->on_durable(journal->arg);
}

/* Generations begin anywhere: who writes rows cannot know what a record would have to look like. */
static bool prepare(struct journal *journal)
{
    if (dir_make(journal->dir) != ERR_OK || getrandom(&journal->generation, sizeof journal->generation, 0) < 0)
        return false;
    journal->generation >>= 1; /* and never end */
    for (int i = 0; i < SPARES; i++) {
        struct segment *segment = segment_create(journal);
        if (segment == NULL)
            return false;
        list_append(&journal->spare, &segment->link);
    }
    return true;
}

static void release_memory(struct journal *journal)
{
    struct list *lists[] = {&journal->full, &journal->spare};
    for (int i = 0; i < 2; i++)
        LIST_FOREACH_SAFE(link, lists[i])
            segment_free(LIST_ITEM(link, struct segment, link));
    segment_free(journal->current);
    pthread_mutex_destroy(&journal->lock);
    buf_release(&journal->batch);
    buf_release(&journal->waiting);
    buf_release(&journal->taken);
    free(journal->dir);
    free(journal);
}

struct journal *journal_open(const char *dir, struct loop *loop, void (*on_durable)(void *arg), void *arg,
                             struct problems *problems)
{
    struct journal *journal = mem_zero(1, sizeof *journal);
    *journal = (struct journal){.dir = mem_dup(slice_str(dir)), .on_durable = on_durable, .arg = arg};
    list_init(&journal->full);
    list_init(&journal->spare);
    pthread_mutex_init(&journal->lock, NULL);
    if (!prepare(journal)) {
        problems_add(problems, "%s: the journal's files cannot be made: %s", dir, strerror(errno));
        release_memory(journal);
        return NULL;
    }
    begin_segment(journal);
    journal->syncer = background_new(loop, sync_batch, on_synced, journal);
    return journal;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    journal_flush(journal);
    background_free(journal->syncer);
    release_memory(journal);
}

struct buf *journal_begin(struct journal *journal)
{
    journal->begun = journal->batch.len;
    buf_reserve(&journal->batch, RECORD_HEADER);
    journal->batch.len += RECORD_HEADER;
    return &journal->batch;
}

void journal_end(struct journal *journal)
{
    struct buf *batch = &journal->batch;
    uint32_t payload_len = (uint32_t)(batch->len - journal->begun - RECORD_HEADER);
    size_t len = record_len(payload_len), padding = journal->begun + len - batch->len;
    assert(payload_len <= JOURNAL_RECORD_MAX);
    buf_reserve(batch, padding);
    batch->len += padding;
    memcpy(batch->data + journal->begun, &payload_len, sizeof payload_len);
    journal->position += len;
}

void journal_flush(struct journal *journal)
{
    if (journal->batch.len == 0)
        return;
    pthread_mutex_lock(&journal->lock);
    if (journal->waiting.len == 0) {
        struct buf empty = journal->waiting;
        journal->waiting = journal->batch;
        journal->batch = empty;
    } else {
        buf_append_slice(&journal->waiting, buf_slice(&journal->batch));
    }
    journal->batch.len = 0;
    pthread_mutex_unlock(&journal->lock);
    background_ask(journal->syncer);
}

uint64_t journal_position(const struct journal *journal)
{
    return journal->position;
}

uint64_t journal_durable(const struct journal *journal)
{
    return journal->durable;
}

bool journal_is_full(const struct journal *journal)
{
    return journal->position - journal->durable > JOURNAL_WAITING_MAX;
}

void journal_release(struct journal *journal, uint64_t position)
{
    pthread_mutex_lock(&journal->lock);
    journal->released = position;
    pthread_mutex_unlock(&journal->lock);
}
