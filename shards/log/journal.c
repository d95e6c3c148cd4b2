#include "shards/log/journal.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/background.h"
#include "base/log.h"
#include "base/metrics.h"
#include "shards/log/segment.h"
#include "shards/log/writer.h"

enum { RETRY_FIRST_MS = 100, RETRY_LAST_MS = 5000 };

enum health {
    JOURNAL_WORKS,
    JOURNAL_LOST, /* an append failed, and the loop does not know yet: nothing is appended until it does */
    JOURNAL_BROKEN,
};

/* What the syncer tells the loop. */
struct news {
    enum health health;
    uint64_t synced;
    uint64_t room_end; /* the position up to which no further file is needed */
    size_t n_segments;
    bool cannot_grow;
    const char *doing; /* of the failure that it is not well by: what */
    int error;         /* and its errno */
};

struct journal {
    struct journal_options options;
    const struct journal_handlers *handlers;
    void *arg;
    struct background *syncer;

    /* The loop's. */
    struct buf batch; /* records of the turn, with room for their headers */
    size_t begun;
    uint64_t position;
    uint64_t n_breaks;
    struct news seen;
    struct timer retry; /* while it is broken or cannot grow */
    int64_t retry_ms;

    /* Shared, under the lock. */
    pthread_mutex_t lock;
    struct buf waiting; /* flushed, not yet taken */
    uint64_t released;
    bool is_retry_due;
    struct news news;

    /* The syncer's. */
    struct writer writer;
    struct buf taken; /* empty between its rounds */
};

/* The syncer. */

static void tell(struct journal *journal, enum health health, bool cannot_grow)
{
    const struct writer *writer = &journal->writer;
    bool is_well = health == JOURNAL_WORKS && !cannot_grow;
    pthread_mutex_lock(&journal->lock);
    journal->news = (struct news){
        .health = health,
        .synced = writer->synced,
        .room_end = writer->position + writer_room(writer),
        .n_segments = writer->n_segments,
        .cannot_grow = cannot_grow,
        .doing = is_well ? NULL : writer->doing,
        .error = is_well ? 0 : writer->error,
    };
    pthread_mutex_unlock(&journal->lock);
}

/* What a round of the syncer begins with. */
struct round {
    struct news before;
    uint64_t released;
    bool is_retry;
};

static struct round begin_round(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct round round = {journal->news, journal->released, journal->is_retry_due};
    journal->is_retry_due = false;
    pthread_mutex_unlock(&journal->lock);
    return round;
}

static void take_batch(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct buf empty = journal->taken;
    journal->taken = journal->waiting;
    journal->waiting = empty; /* two buffers, which swap places */
    pthread_mutex_unlock(&journal->lock);
}

/* A broken journal goes on in a new segment, when it is time to try. */
static bool go_on(struct journal *journal, const struct round *round)
{
    if (round->before.health == JOURNAL_WORKS)
        return true;
    if (round->before.health == JOURNAL_LOST || !round->is_retry)
        return false;
    if (writer_begin(&journal->writer))
        return true;
    tell(journal, JOURNAL_BROKEN, round->before.cannot_grow);
    return false;
}

/* Ahead of need. On a full disk not each time. */
static void make_spare(struct journal *journal, const struct round *round)
{
    if (round->before.cannot_grow && !round->is_retry && journal->writer.n_spare == 0)
        return;
    bool cannot_grow = !writer_make_spare(&journal->writer);
    tell(journal, JOURNAL_WORKS, cannot_grow);
}

static void run_round(void *arg)
{
    struct journal *journal = arg;
    struct round round = begin_round(journal);
    if (!go_on(journal, &round))
        return;
    take_batch(journal);
    writer_free_up_to(&journal->writer, round.released);
    bool ok = journal->taken.len == 0 || writer_append(&journal->writer, journal->taken.data, journal->taken.len);
    journal->taken.len = 0;
    tell(journal, ok ? JOURNAL_WORKS : JOURNAL_LOST, round.before.cannot_grow);
    if (ok)
        make_spare(journal, &round);
}

/* The loop's side. */

/* Takes what the syncer tells. Once a loss is known, what was flushed since goes too: it depends on what was lost. And
 * positions behind the durable one are used again, so nothing is released there. */
static void take_news(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->seen = journal->news;
    if (journal->news.health == JOURNAL_LOST) {
        journal->news.health = JOURNAL_BROKEN;
        journal->waiting.len = 0;
        if (journal->released > journal->news.synced)
            journal->released = journal->news.synced;
    }
    pthread_mutex_unlock(&journal->lock);
}

static void log_change(const struct journal *journal, enum log_level level, const char *event)
{
    const struct news *news = &journal->seen;
    if (news->doing == NULL)
        log_line(level, "%s dir=%s position=%" PRIu64, event, journal->writer.dir, news->synced);
    else
        log_line(level, "%s dir=%s position=%" PRIu64 " doing=%s why=\"%s\"", event, journal->writer.dir, news->synced,
                 news->doing, strerror(news->error));
}

/* One line for each change, and the gauges. */
static void report(const struct journal *journal, const struct news *before)
{
    const struct news *now = &journal->seen;
    bool was_broken = before->health != JOURNAL_WORKS, is_broken = now->health != JOURNAL_WORKS;
    if (now->health == JOURNAL_LOST)
        log_change(journal, LOG_ERROR, "journal_broken");
    if (was_broken && !is_broken)
        log_change(journal, LOG_INFO, "journal_mended");
    if (now->cannot_grow != before->cannot_grow)
        log_change(journal, now->cannot_grow ? LOG_WARN : LOG_INFO,
                   now->cannot_grow ? "journal_cannot_grow" : "journal_can_grow");
    metric_add(METRIC_SHARD_JOURNAL_BREAKS, now->health == JOURNAL_LOST);
    metric_add(METRIC_SHARD_JOURNALS_BROKEN, is_broken - was_broken);
    metric_add(METRIC_SHARD_JOURNALS_SHORT, now->cannot_grow - before->cannot_grow);
    metric_add(METRIC_SHARD_JOURNAL_SEGMENTS, (int64_t)now->n_segments - (int64_t)before->n_segments);
}

static void try_again(void *arg)
{
    struct journal *journal = arg;
    pthread_mutex_lock(&journal->lock);
    journal->is_retry_due = true;
    pthread_mutex_unlock(&journal->lock);
    background_ask(journal->syncer);
}

/* The pauses grow until something was appended and nothing is missing. */
static void plan_retry(struct journal *journal, const struct news *before)
{
    const struct news *now = &journal->seen;
    bool is_well = now->health == JOURNAL_WORKS && !now->cannot_grow;
    if (is_well && now->synced > before->synced)
        journal->retry_ms = RETRY_FIRST_MS;
    if (is_well || timer_is_running(&journal->retry))
        return;
    timer_start(&journal->retry, journal->retry_ms);
    journal->retry_ms = journal->retry_ms > RETRY_LAST_MS / 2 ? RETRY_LAST_MS : 2 * journal->retry_ms;
}

static void on_round(void *arg)
{
    struct journal *journal = arg;
    struct news before = journal->seen;
    take_news(journal);
    report(journal, &before);
    plan_retry(journal, &before);
    journal->handlers->on_durable(journal->arg);
    if (journal->seen.health != JOURNAL_LOST)
        return;
    assert(journal->batch.len == 0); /* records are written and flushed within a turn */
    journal->position = journal->seen.synced;
    journal->n_breaks++;
    journal->handlers->on_broken(journal->arg);
}

static void fill_options(struct journal_options *options, const struct journal_options *wanted)
{
    *options = (struct journal_options){0};
    if (wanted != NULL)
        *options = *wanted;
    if (options->segment_bytes == 0)
        options->segment_bytes = JOURNAL_SEGMENT_BYTES;
    if (options->record_bytes_max == 0)
        options->record_bytes_max = options->segment_bytes / 2;
    if (options->waiting_bytes_max == 0)
        options->waiting_bytes_max = 2 * options->segment_bytes;
    assert(SEGMENT_HEADER + record_len(options->record_bytes_max) <= options->segment_bytes);
}

static void release_memory(struct journal *journal)
{
    metric_add(METRIC_SHARD_JOURNAL_SEGMENTS, -(int64_t)journal->seen.n_segments);
    metric_add(METRIC_SHARD_JOURNALS_BROKEN, -(int64_t)(journal->seen.health != JOURNAL_WORKS));
    metric_add(METRIC_SHARD_JOURNALS_SHORT, -(int64_t)journal->seen.cannot_grow);
    writer_release(&journal->writer);
    pthread_mutex_destroy(&journal->lock);
    buf_release(&journal->batch);
    buf_release(&journal->waiting);
    buf_release(&journal->taken);
    free(journal);
}

struct journal *journal_open(const char *dir, const struct journal_options *options, struct loop *loop,
                             const struct journal_handlers *handlers, void *arg, struct problems *problems)
{
    struct journal *journal = mem_zero(1, sizeof *journal);
    *journal = (struct journal){.handlers = handlers, .arg = arg, .retry_ms = RETRY_FIRST_MS};
    fill_options(&journal->options, options);
    pthread_mutex_init(&journal->lock, NULL);
    if (!writer_init(&journal->writer, dir, journal->options.segment_bytes)) {
        problems_add(problems, "%s: the journal's files cannot be made: %s", dir, strerror(journal->writer.error));
        release_memory(journal);
        return NULL;
    }
    tell(journal, JOURNAL_WORKS, false);
    take_news(journal);
    metric_add(METRIC_SHARD_JOURNAL_SEGMENTS, (int64_t)journal->seen.n_segments);
    timer_init(&journal->retry, loop, try_again, journal);
    journal->syncer = background_new(loop, run_round, on_round, journal);
    return journal;
}

void journal_close(struct journal *journal, bool is_saved)
{
    if (journal == NULL)
        return;
    journal_flush(journal);
    background_free(journal->syncer);
    timer_stop(&journal->retry);
    if (is_saved && !writer_remove_all(&journal->writer))
        log_line(LOG_WARN, "journal_not_removed dir=%s why=\"%s\"", journal->writer.dir,
                 strerror(journal->writer.error)); /* it is replayed, and changes nothing */
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
    assert(payload_len <= journal->options.record_bytes_max);
    buf_reserve(batch, padding);
    batch->len += padding;
    memcpy(batch->data + journal->begun, &payload_len, sizeof payload_len); /* for writer_append */
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
    return journal->seen.synced;
}

uint64_t journal_breaks(const struct journal *journal)
{
    return journal->n_breaks;
}

bool journal_is_full(const struct journal *journal)
{
    return journal->position - journal->seen.synced > journal->options.waiting_bytes_max;
}

/* A turn may need a record of the largest size, in front of which the end of a segment stays empty. */
bool journal_has_room(const struct journal *journal)
{
    const struct news *seen = &journal->seen;
    uint64_t turn = 2 * (uint64_t)record_len(journal->options.record_bytes_max);
    return seen->health == JOURNAL_WORKS && (!seen->cannot_grow || journal->position + turn <= seen->room_end);
}

void journal_release(struct journal *journal, uint64_t position)
{
    pthread_mutex_lock(&journal->lock);
    journal->released = position;
    pthread_mutex_unlock(&journal->lock);
}

const struct journal_options *journal_options(const struct journal *journal)
{
    return &journal->options;
}

void journal_look(const struct journal *journal, struct journal_status *ret_status)
{
    *ret_status = (struct journal_status){
        .position = journal->position,
        .durable = journal->seen.synced,
        .n_segments = journal->seen.n_segments,
        .is_broken = journal->seen.health != JOURNAL_WORKS,
        .has_room = journal_has_room(journal),
        .doing = journal->seen.doing,
        .error = journal->seen.error,
    };
}
