#include "shards/console/replacement.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "shards/log/kept.h"
#include "shards/log/marker.h"
#include "shards/log/mend.h"
#include "shards/scope/bookkeeping.h"
#include "shards/scope/timeline.h"

void replacement_init(struct replacement *replacement, const char *data_dir, const struct scope_name *name,
                      const struct kind *kind, char **fresh)
{
    *replacement = (struct replacement){
        .data_dir = data_dir, .name = name, .kind = kind, .fresh = *fresh, .path = scope_file_path(data_dir, name)};
    *fresh = NULL;
}

void replacement_release(struct replacement *replacement)
{
    free(replacement->fresh);
    free(replacement->path);
    buf_release(&replacement->from);
    buf_release(&replacement->kept);
    buf_release(&replacement->why);
}

enum { NAMES_MAX = 1000 };

static bool fail(struct replacement *replacement, const char *what, const char *why)
{
    if (replacement->why.len > 0)
        return false;
    buf_printf(&replacement->why, "%s: ", what);
    buf_append_lines(&replacement->why, why);
    return false;
}

/* Checking. */

/* The statement's only value, as text. */
static bool ask(struct replacement *replacement, sqlite3 *db, const char *sql, struct buf *ret)
{
    sqlite3_stmt *read = NULL;
    bool ok = sqlite3_prepare_v2(db, sql, -1, &read, NULL) == SQLITE_OK && sqlite3_step(read) == SQLITE_ROW &&
              sqlite3_column_type(read, 0) != SQLITE_NULL;
    if (ok)
        buf_printf(ret, "%s", (const char *)sqlite3_column_text(read, 0));
    else
        fail(replacement, "this is not the file of a scope", sqlite3_errmsg(db));
    sqlite3_finalize(read);
    return ok;
}

static bool is_whole(struct replacement *replacement, sqlite3 *db)
{
    struct buf verdict = {0};
    bool ok = ask(replacement, db, "PRAGMA integrity_check(1)", &verdict) &&
              (slice_eq(buf_slice(&verdict), SLICE("ok")) || fail(replacement, "the file is damaged", verdict.data));
    buf_release(&verdict);
    return ok;
}

static bool is_of_this_format(struct replacement *replacement, sqlite3 *db)
{
    struct buf format = {0}, tx = {0};
    bool ok = ask(replacement, db, "SELECT value FROM _sync_meta WHERE name = 'format'", &format) &&
              ask(replacement, db, "SELECT value FROM _sync_meta WHERE name = 'tx'", &tx);
    if (ok && strtol(format.data, NULL, 10) != BOOKKEEPING_FORMAT)
        ok = fail(replacement, "this version does not read files of format", format.data);
    buf_release(&format);
    buf_release(&tx);
    return ok;
}

static bool is_of_this_kind(struct replacement *replacement, sqlite3 *db)
{
    struct scope_name from;
    const struct scope_name *to = replacement->name;
    return ask(replacement, db, "SELECT value FROM _sync_meta WHERE name = 'scope'", &replacement->from) &&
           ((scope_name_parse(buf_slice(&replacement->from), &from) && slice_eq(from.app, to->app) &&
             slice_eq(from.kind, to->kind)) ||
            fail(replacement, "the file is of another kind, it holds", replacement->from.data));
}

static bool rename_scope(struct replacement *replacement, sqlite3 *db)
{
    const struct scope_name *name = replacement->name;
    char *sql = sqlite3_mprintf("UPDATE _sync_meta SET value = %.*Q WHERE name = 'scope'", (int)name->len, name->text);
    bool ok = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ||
              fail(replacement, "the file cannot be prepared", sqlite3_errmsg(db));
    sqlite3_free(sql);
    return ok;
}

bool replacement_check(struct replacement *replacement)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(replacement->fresh, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF", NULL, NULL, NULL) != SQLITE_OK)
        fail(replacement, "the file cannot be opened", sqlite3_errmsg(db));
    else if (is_whole(replacement, db) && is_of_this_format(replacement, db) && is_of_this_kind(replacement, db))
        rename_scope(replacement, db);
    sqlite3_close(db);
    return replacement->why.len == 0;
}

/* Putting it into its place. */

/* A new timeline, and whatever migrations the app has had since: the file can be served as it is afterwards. */
static bool prepare(struct replacement *replacement)
{
    struct scope_file *file = NULL;
    const struct kind *kind = replacement->kind;
    const struct scope_name *name = replacement->name;
    int64_t now_ms = clock_wall_ms();
    uint64_t start;
    enum err err = timeline_begin(replacement->fresh, replacement->known_head, now_ms, &start, &replacement->why);
    if (err == ERR_OK)
        err = scope_file_open(replacement->fresh, name, kind, false, now_ms, &file, &replacement->why);
    if (err == ERR_OK)
        err = database_checkpoint(&file->database, &replacement->why);
    if (err != ERR_OK)
        return fail(replacement, "the file cannot be prepared", err_text(err));
    replacement->record = (struct scoperecord){.type = SCOPERECORD_RESTORE,
                                               .scope = slice_of(name->text, name->len),
                                               .incarnation = file->incarnation,
                                               .tx = file->tx,
                                               .first_seq = file->log.head,
                                               .last_seq = file->log.head};
    scope_file_close(file);
    return true;
}

/* Of several in one second, the next have a number. */
static void name_kept(struct replacement *replacement, int n)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    char text[32];
    strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    replacement->kept.len = 0;
    buf_printf(&replacement->kept, "%s.before-restore-%s", replacement->path, text);
    if (n > 1)
        buf_printf(&replacement->kept, "-%d", n);
}

/* What stands beside the old file goes where that goes. What is not there is no trouble. */
static bool move_tail(struct replacement *replacement, const char *tail)
{
    struct buf from = {0}, to = {0};
    buf_printf(&from, "%s%s", replacement->path, tail);
    buf_printf(&to, "%s%s", replacement->kept.len == 0 ? "" : replacement->kept.data, tail);
    int failed = replacement->kept.len == 0 ? unlink(from.data) : rename(from.data, to.data);
    bool ok = failed == 0 || errno == ENOENT || fail(replacement, from.data, strerror(errno));
    buf_release(&from);
    buf_release(&to);
    return ok;
}

static bool remove_marker(struct replacement *replacement)
{
    struct buf marker = {0};
    buf_printf(&marker, "%s" SCOPE_FILE_DAMAGED, replacement->path);
    bool ok = file_remove(marker.data) == ERR_OK || fail(replacement, marker.data, strerror(errno));
    buf_release(&marker);
    return ok;
}

/* A second name, so that the scope is never without a file. */
static bool keep_old(struct replacement *replacement)
{
    enum err err = file_find(replacement->path);
    if (replacement->discards || err == ERR_NOT_FOUND)
        return true;
    if (err != ERR_OK)
        return fail(replacement, replacement->path, strerror(errno));
    int n = 0, failed;
    do {
        name_kept(replacement, ++n);
        failed = link(replacement->path, replacement->kept.data);
    } while (failed != 0 && errno == EEXIST && n < NAMES_MAX);
    return failed == 0 || fail(replacement, replacement->kept.data, strerror(errno));
}

/* Whether nothing stands beside the old file that it may be worth nothing without. */
static bool is_alone(const struct replacement *replacement, const char *wal)
{
    struct stat stat_buf;
    bool has_wal = stat(wal, &stat_buf) == 0 ? stat_buf.st_size > 0 : errno != ENOENT;
    return !has_wal && mend_find(replacement->path) == ERR_NOT_FOUND;
}

/* A WAL of the old file must not become the new one's. Only a file that could not be closed properly has one, and may
 * be worth nothing without it: a marker keeps the scope closed should a crash come between the two. */
static bool part_with_wal(struct replacement *replacement)
{
    struct buf wal = {0};
    buf_printf(&wal, "%s-wal", replacement->path);
    bool ok = is_alone(replacement, wal.data) ||
              marker_write(replacement->path, replacement->name,
                           "a restore did not come to its end; restore it again") == ERR_OK ||
              fail(replacement, replacement->path, strerror(errno));
    buf_release(&wal);
    ok = ok && (mend_forget(replacement->path) || fail(replacement, replacement->path, strerror(errno)));
    return ok && move_tail(replacement, "-wal");
}

/* Records that wait for the old file: they stay with it. */
static bool move_kept(struct replacement *replacement)
{
    struct buf to = {0};
    enum err err = kept_find(replacement->data_dir, replacement->name);
    if (err == ERR_NOT_FOUND)
        return true;
    if (err != ERR_OK)
        return fail(replacement, "the records that were kept", strerror(errno));
    buf_printf(&to, "%s" SCOPE_FILE_KEPT, replacement->kept.len == 0 ? "" : replacement->kept.data);
    bool ok =
        kept_end(replacement->data_dir, replacement->name, replacement->kept.len == 0 ? NULL : to.data) == ERR_OK ||
        fail(replacement, to.data, strerror(errno));
    buf_release(&to);
    return ok;
}

static bool replace(struct replacement *replacement)
{
    char *dir = dir_of(replacement->path);
    bool ok = dir_make(dir) == ERR_OK || fail(replacement, dir, strerror(errno));
    ok = ok && keep_old(replacement) && part_with_wal(replacement);
    if (ok && rename(replacement->fresh, replacement->path) < 0)
        ok = fail(replacement, replacement->path, strerror(errno));
    replacement->is_in_place = ok;
    ok = ok && move_tail(replacement, SCOPE_FILE_KEPT) && move_kept(replacement) && remove_marker(replacement);
    if (ok && dir_sync(dir) != ERR_OK)
        ok = fail(replacement, dir, strerror(errno));
    free(dir);
    return ok;
}

bool replacement_place(struct replacement *replacement)
{
    return prepare(replacement) && replace(replacement);
}
