/*
 * restore - puts a file in the place of a scope's: the answer to /restore/APP/KIND/ID.
 *
 * The file is taken in, checked and prepared beside: it gets the scope's name and a new timeline. Then the scope is
 * closed, the file takes its place in one rename, and the journal gets a record of that; only what is durable is
 * answered. Until the rename the scope is what it was, whatever ends the process; from it on it is the restored one.
 *
 *   the one who asks  {"bytes": N, "discard": BOOL}, N bytes, and "go" if the checksum was right, else "stop"
 *   the shard         {"ready": true}, {"taken": BYTES}..., {"seq": N, "from": SCOPE, "kept": PATH}
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "shards/console/errand.h"
#include "shards/console/replacement.h"
#include "shards/console/spool.h"
#include "shards/rescue.h"
#include "shards/scope/actor.h"

enum { IN_MAX = 4 << 20, LINE_BYTES_MAX = 1024 };

enum restore_state {
    RESTORE_NONE,
    RESTORE_ASKED,   /* the first line has not come */
    RESTORE_TAKING,  /* the bytes come */
    RESTORE_TAKEN,   /* all have; "go" has not */
    RESTORE_CHECKED, /* by the helper: what the file is */
    RESTORE_PLACED,  /* by the helper: the file has the scope's place */
    RESTORE_JOURNALED,
    RESTORE_OVER,
};

struct restore {
    struct errand errand;
    enum restore_state state;
    struct actor *actor;
    struct replacement file;
    int fd; /* of the file that comes, while it comes */
    off_t bytes, taken;
    struct buf in, chunk; /* what has come, and what the helper writes */
    uint64_t position;    /* of the journal, behind the record */
};

static struct restore *restore_of(struct errand *errand)
{
    return (struct restore *)(void *)errand;
}

static struct restore *restore_of_job(struct job *job)
{
    return restore_of(errand_of(job));
}

/* On the helper. */

static void write_chunk(struct job *job)
{
    struct restore *restore = restore_of_job(job);
    size_t done = 0;
    while (done < restore->chunk.len) {
        ssize_t n = write(restore->fd, restore->chunk.data + done, restore->chunk.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            buf_printf(&restore->file.why, "the file cannot be taken in: %s", strerror(errno));
            return;
        }
        done += (size_t)n;
    }
}

static void check(struct job *job)
{
    struct restore *restore = restore_of_job(job);
    close(restore->fd);
    restore->fd = -1;
    replacement_check(&restore->file);
}

static void place(struct job *job)
{
    replacement_place(&restore_of_job(job)->file);
}

/* The turns. */

/* A file that has the scope's place, but may not last there, is not served: writes to it could be lost with it. */
static void let_go(struct restore *restore)
{
    if (restore->actor == NULL)
        return;
    if (restore->file.why.len == 0 || !restore->file.is_in_place)
        actor_resume(restore->actor);
    actor_let_go(restore->actor);
    restore->actor = NULL;
    restore->errand.must_end = false;
}

static bool give_up(struct restore *restore)
{
    struct errand *errand = &restore->errand;
    const char *why = restore->file.why.data;
    log_line(LOG_WARN, "restore_failed scope=%s why=\"%s\"", errand->name.text, why);
    errand_fail(errand, "%s", why);
    let_go(restore);
    restore->state = RESTORE_OVER;
    return false;
}

static bool misunderstand(struct restore *restore)
{
    buf_printf(&restore->file.why, "the request cannot be read: is skerry of the server's version?");
    return give_up(restore);
}

/* Takes the line at the front of what has come. False if it is not all there yet. */
static bool take_line(struct restore *restore, struct buf *ret)
{
    char *end = restore->in.len == 0 ? NULL : memchr(restore->in.data, '\n', restore->in.len);
    if (end == NULL)
        return false;
    size_t len = (size_t)(end - restore->in.data);
    buf_append(ret, restore->in.data, len);
    buf_consume(&restore->in, len + 1);
    return true;
}

static bool begin_taking(struct restore *restore)
{
    struct buf line = {0};
    struct json_error error;
    if (!take_line(restore, &line))
        return restore->in.len > LINE_BYTES_MAX && misunderstand(restore);
    cJSON *json = json_parse(buf_slice(&line), &error);
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(json, "bytes");
    restore->bytes = cJSON_IsNumber(bytes) && bytes->valuedouble < 1e15 ? (off_t)bytes->valuedouble : 0;
    restore->file.discards = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "discard"));
    cJSON_Delete(json);
    buf_release(&line);
    if (restore->bytes <= 0)
        return misunderstand(restore);
    restore->state = RESTORE_TAKING;
    return true;
}

static bool take_bytes(struct restore *restore)
{
    restore->taken += (off_t)restore->chunk.len;
    restore->chunk.len = 0;
    if (restore->file.why.len > 0)
        return give_up(restore);
    errand_say(&restore->errand, "\"taken\":%lld", (long long)restore->taken);
    off_t left = restore->bytes - restore->taken;
    size_t len = (off_t)restore->in.len < left ? restore->in.len : (size_t)left;
    if (left == 0)
        restore->state = RESTORE_TAKEN;
    if (len == 0)
        return left == 0;
    buf_append(&restore->chunk, restore->in.data, len);
    buf_consume(&restore->in, len);
    errand_work(&restore->errand, write_chunk);
    return false;
}

static bool wait_for_go(struct restore *restore)
{
    struct buf line = {0};
    if (!take_line(restore, &line))
        return restore->in.len > LINE_BYTES_MAX && misunderstand(restore);
    if (slice_eq(buf_slice(&line), SLICE("go"))) {
        restore->state = RESTORE_CHECKED;
        errand_work(&restore->errand, check);
    } else {
        errand_say(&restore->errand, "\"stopped\":true");
        errand_finish(&restore->errand);
    }
    buf_release(&line);
    return false;
}

/* From here on the scope is closed, and what has begun is brought to its end. */
static bool close_scope(struct restore *restore)
{
    if (actor_is_busy(restore->actor))
        return false; /* it brings a turn when it is back */
    if (restore->file.why.len > 0)
        return give_up(restore);
    if (actor_is_busy(restore->actor))
        return false; /* it brings a turn when it is back */
    restore->errand.must_end = true;
    restore->file.known_head = actor_suspend(restore->actor);
    restore->state = RESTORE_PLACED;
    errand_work(&restore->errand, place);
    return false;
}

static bool write_record(struct restore *restore)
{
    struct journal *journal = restore->errand.host->actor_host->journal;
    if (restore->file.why.len > 0)
        return give_up(restore);
    list_remove(&restore->actor->unsaved_link); /* its file is durable */
    rescue_release(restore->actor);
    scoperecord_write(journal_begin(journal), &restore->file.record);
    journal_end(journal);
    journal_flush(journal);
    restore->position = journal_position(journal);
    restore->state = RESTORE_JOURNALED;
    return true;
}

static void tell(struct restore *restore)
{
    const struct replacement *file = &restore->file;
    const char *kept = file->kept.len == 0 ? "" : file->kept.data;
    log_line(LOG_INFO, "restored scope=%s from=%s seq=%llu kept=%s", file->name->text, file->from.data,
             (unsigned long long)file->record.last_seq, kept);
    metric_add(METRIC_SHARD_RESTORES, 1);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddNumberToObject(answer, "seq", (double)file->record.last_seq);
    cJSON_AddStringToObject(answer, "from", file->from.data);
    cJSON_AddStringToObject(answer, "kept", kept);
    errand_answer(&restore->errand, &answer);
}

static bool answer(struct restore *restore)
{
    if (journal_durable(restore->errand.host->actor_host->journal) < restore->position)
        return false; /* on_durable brings a turn */
    tell(restore);
    let_go(restore);
    restore->state = RESTORE_OVER;
    return true;
}

static bool turn(struct errand *errand)
{
    struct restore *restore = restore_of(errand);
    switch (restore->state) {
    case RESTORE_ASKED:
        return begin_taking(restore);
    case RESTORE_TAKING:
        return take_bytes(restore);
    case RESTORE_TAKEN:
        return wait_for_go(restore);
    case RESTORE_CHECKED:
        return close_scope(restore);
    case RESTORE_PLACED:
        return write_record(restore);
    case RESTORE_JOURNALED:
        return answer(restore);
    case RESTORE_NONE:
    case RESTORE_OVER:
        break;
    }
    return false;
}

static void take(struct errand *errand, struct slice data)
{
    struct restore *restore = restore_of(errand);
    if (restore->in.len + data.len > IN_MAX && errand->stream != NULL)
        h2_stream_abort(errand->stream); /* it does not wait for `taken` */
    else if (restore->state != RESTORE_OVER)
        buf_append_slice(&restore->in, data);
}

static void begin(struct errand *errand)
{
    struct restore *restore = restore_of(errand);
    const struct console_host *host = errand->host;
    const char *data_dir = host->actor_host->data_dir;
    struct actor *actor = host->get_actor(host->actor_host->shard, &errand->name);
    if (actor == NULL) {
        errand_fail(errand, "this server's app has no scopes of this kind");
        return;
    }
    restore->actor = actor;
    actor_hold(actor);
    char *path = scope_file_path(data_dir, &errand->name), *fresh = spool_begin_beside(path);
    free(path);
    restore->fd = fresh == NULL ? -1 : open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    replacement_init(&restore->file, data_dir, &errand->name, actor->feed.kind, &fresh);
    if (restore->fd < 0) {
        buf_printf(&restore->file.why, "the file cannot be taken in: %s", strerror(errno));
        give_up(restore);
        return;
    }
    restore->state = RESTORE_ASKED;
    errand_say(errand, "\"ready\":true");
}

static void end(struct errand *errand)
{
    struct restore *restore = restore_of(errand);
    let_go(restore);
    if (restore->fd > 0)
        close(restore->fd);
    spool_end(restore->file.fresh);
    restore->file.fresh = NULL;
    replacement_release(&restore->file);
    buf_release(&restore->in);
    buf_release(&restore->chunk);
}

const struct errand_type RESTORE_ERRAND = {.name = "restore",
                                           .size = sizeof(struct restore),
                                           .has_scope = true,
                                           .begin = begin,
                                           .take = take,
                                           .turn = turn,
                                           .end = end};
