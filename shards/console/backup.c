/*
 * backup - a copy of one scope's file, made while the scope is written to: the answer to /backup/APP/KIND/ID.
 *
 * The actor's connection is the only one that can read the file, so it copies, a few pages a turn; what is written
 * meanwhile SQLite brings into the copy. When the copy is whole, it is made a plain file, checked, and sent: only after
 * the journal has on disk what is in it, for it reveals the scope's state as any other output does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "shards/console/errand.h"
#include "shards/console/spool.h"
#include "shards/scope/actor.h"

enum { PAGES_A_TURN = 256, OUT_MAX = 256 << 10 };

struct backup {
    struct errand errand;
    enum {
        BACKUP_NONE,
        BACKUP_OPENING,
        BACKUP_COPYING,
        BACKUP_SEALING,
        BACKUP_WAITING,
        BACKUP_SENDING,
        BACKUP_OVER
    } state;
    struct actor *actor;
    char *path; /* of the copy */
    sqlite3 *copy;
    int percent;       /* as last said */
    uint64_t position; /* of the journal, that the copy depends on */
    uint64_t breaks;   /* of the journal, before it */
    int64_t seq;
    int fd; /* of the copy, while it is sent */
    off_t size, sent;
    struct buf why; /* it failed on the helper */
};

static struct backup *backup_of(struct errand *errand)
{
    return (struct backup *)(void *)errand;
}

/* Sealing, on the helper: the copy becomes a file that needs nothing beside it. */

static bool run(struct backup *backup, const char *sql)
{
    if (sqlite3_exec(backup->copy, sql, NULL, NULL, NULL) == SQLITE_OK)
        return true;
    buf_printf(&backup->why, "the copy: %s", sqlite3_errmsg(backup->copy));
    return false;
}

/* The first row's only column, a text; empty if there is none. */
static void ask(struct backup *backup, const char *sql, struct buf *ret)
{
    sqlite3_stmt *read = NULL;
    int code = sqlite3_prepare_v2(backup->copy, sql, -1, &read, NULL);
    if (code == SQLITE_OK && sqlite3_step(read) == SQLITE_ROW)
        buf_printf(ret, "%s", (const char *)sqlite3_column_text(read, 0));
    else
        buf_printf(&backup->why, "the copy: %s", sqlite3_errmsg(backup->copy));
    sqlite3_finalize(read);
}

static void fail_check(struct backup *backup, const char *verdict)
{
    buf_printf(&backup->why, "the scope's file is damaged: ");
    buf_append_lines(&backup->why, verdict);
}

static void check(struct backup *backup)
{
    struct buf verdict = {0}, seq = {0};
    ask(backup, "PRAGMA quick_check(1)", &verdict);
    ask(backup, "SELECT max(seq) FROM _sync_log", &seq);
    if (backup->why.len == 0 && !slice_eq(buf_slice(&verdict), SLICE("ok")))
        fail_check(backup, verdict.data);
    if (backup->why.len == 0 && seq.len > 0)
        backup->seq = strtoll(seq.data, NULL, 10);
    buf_release(&verdict);
    buf_release(&seq);
}

static void open_copy(struct backup *backup)
{
    struct stat stat_buf = {0};
    backup->fd = open(backup->path, O_RDONLY | O_CLOEXEC);
    if (backup->fd < 0 || fstat(backup->fd, &stat_buf) < 0)
        buf_printf(&backup->why, "%s: %s", backup->path, strerror(errno));
    backup->size = stat_buf.st_size;
}

static void seal(struct job *job)
{
    struct backup *backup = backup_of(errand_of(job));
    sqlite3_close(backup->copy);
    backup->copy = NULL;
    if (sqlite3_open_v2(backup->path, &backup->copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        buf_printf(&backup->why, "the copy: %s", sqlite3_errmsg(backup->copy));
    else if (run(backup, "PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE"))
        check(backup);
    sqlite3_close(backup->copy);
    backup->copy = NULL;
    if (backup->why.len == 0)
        open_copy(backup);
}

/* The turns. */

static void let_go(struct backup *backup)
{
    if (backup->actor == NULL)
        return;
    actor_end_copy(backup->actor, &backup->copy);
    actor_let_go(backup->actor);
    backup->actor = NULL;
}

static bool give_up(struct backup *backup, const char *why)
{
    struct errand *errand = &backup->errand;
    errand_fail(errand, "%s", why);
    log_line(LOG_WARN, "backup_failed scope=%s why=\"%s\"", errand->name.text, why);
    let_go(backup);
    backup->state = BACKUP_OVER;
    return false;
}

static void say_percent(struct backup *backup, int left, int total)
{
    int percent = total == 0 ? 0 : (int)(100 - (int64_t)left * 100 / total);
    if (percent != backup->percent)
        errand_say(&backup->errand, "\"percent\":%d", percent);
    backup->percent = percent;
}

static bool copy(struct backup *backup)
{
    int left, total;
    if (actor_is_busy(backup->actor))
        return false; /* it brings a turn when it is back */
    int code = scope_file_copy(backup->actor->feed.file, PAGES_A_TURN, &left, &total);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return false; /* the file is at work: a later turn */
    if (code != SQLITE_OK && code != SQLITE_DONE)
        return give_up(backup,
                       code == SQLITE_ABORT ? "the scope was closed meanwhile; try again" : sqlite3_errstr(code));
    say_percent(backup, left, total);
    if (code == SQLITE_OK)
        return true;
    backup->position = journal_position(backup->errand.host->actor_host->journal);
    backup->breaks = journal_breaks(backup->errand.host->actor_host->journal);
    let_go(backup);
    backup->state = BACKUP_SEALING;
    errand_work(&backup->errand, seal);
    return false;
}

static bool on_sealed(struct backup *backup)
{
    if (backup->why.len > 0)
        return give_up(backup, backup->why.data);
    backup->state = BACKUP_WAITING;
    return true;
}

static bool wait(struct backup *backup)
{
    const struct journal *journal = backup->errand.host->actor_host->journal;
    if (journal_breaks(journal) != backup->breaks)
        return give_up(backup, "the journal broke meanwhile; try again");
    if (journal_durable(journal) < backup->position)
        return false; /* on_durable brings a turn */
    errand_say(&backup->errand, "\"bytes\":%lld,\"seq\":%lld", (long long)backup->size, (long long)backup->seq);
    backup->state = BACKUP_SENDING;
    return true;
}

/* As much as the socket takes: what waits for it is bounded. */
static bool send_some(struct backup *backup)
{
    struct buf *out = h2_stream_out(backup->errand.stream);
    bool has_sent = false;
    while (out->len < OUT_MAX && backup->sent < backup->size) {
        ssize_t len = pread(backup->fd, buf_reserve(out, OUT_MAX), OUT_MAX, backup->sent);
        if (len <= 0) {
            h2_stream_abort(backup->errand.stream); /* fewer bytes than were told: it sees that */
            return give_up(backup, "the copy cannot be read");
        }
        out->len += (size_t)len;
        backup->sent += len;
        has_sent = true;
    }
    h2_stream_wake(backup->errand.stream);
    if (backup->sent == backup->size) {
        log_line(LOG_INFO, "backup_sent scope=%s seq=%lld bytes=%lld", backup->errand.name.text, (long long)backup->seq,
                 (long long)backup->size);
        metric_add(METRIC_SHARD_BACKUPS, 1);
        errand_finish(&backup->errand);
        backup->state = BACKUP_OVER;
    }
    return has_sent;
}

/* A copy that a crash leaves is worth nothing, so nothing of it is synced. */
static bool begin_copy(struct backup *backup)
{
    const struct console_host *host = backup->errand.host;
    enum { FLAGS = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX };
    backup->path = spool_begin(host->actor_host->data_dir, host->number);
    if (backup->path == NULL)
        return give_up(backup, strerror(errno));
    if (sqlite3_open_v2(backup->path, &backup->copy, FLAGS, NULL) != SQLITE_OK ||
        sqlite3_exec(backup->copy, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL) !=
            SQLITE_OK ||
        !scope_file_begin_copy(backup->actor->feed.file, backup->copy))
        return give_up(backup, sqlite3_errmsg(backup->copy));
    backup->state = BACKUP_COPYING;
    return true;
}

static bool open_file(struct backup *backup)
{
    struct actor *actor = backup->actor;
    if (actor_is_busy(actor))
        return false; /* it brings a turn when it is back */
    if (!actor_open(actor))
        return give_up(backup, "the scope's file cannot be opened; see skerry status and the server's log");
    if (actor->feed.file == NULL)
        return give_up(backup, "there is no such scope: nothing was ever written to it");
    return begin_copy(backup);
}

static bool turn(struct errand *errand)
{
    struct backup *backup = backup_of(errand);
    switch (backup->state) {
    case BACKUP_OPENING:
        return open_file(backup);
    case BACKUP_COPYING:
        return copy(backup);
    case BACKUP_SEALING:
        return on_sealed(backup);
    case BACKUP_WAITING:
        return wait(backup);
    case BACKUP_SENDING:
        return send_some(backup);
    case BACKUP_NONE:
    case BACKUP_OVER:
        break;
    }
    return false;
}

static void begin(struct errand *errand)
{
    struct backup *backup = backup_of(errand);
    backup->fd = backup->percent = -1;
    struct actor *actor = errand->host->get_actor(errand->host->actor_host->shard, &errand->name);
    if (actor == NULL) {
        errand_fail(errand, "this server's app has no scopes of this kind");
        return;
    }
    backup->actor = actor;
    actor_hold(actor);
    backup->state = BACKUP_OPENING;
    open_file(backup);
}

static void end(struct errand *errand)
{
    struct backup *backup = backup_of(errand);
    let_go(backup);
    sqlite3_close(backup->copy);
    if (backup->fd > 0)
        close(backup->fd);
    spool_end(backup->path);
    buf_release(&backup->why);
}

const struct errand_type BACKUP_ERRAND = {
    .name = "backup", .size = sizeof(struct backup), .has_scope = true, .begin = begin, .turn = turn, .end = end};
