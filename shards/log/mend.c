#include "shards/log/mend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "shards/log/kept.h"
#include "shards/log/marker.h"
#include "shards/log/reader.h"
#include "shards/log/target.h"
#include "shards/scope/scope_file.h"
#include "shards/scope/wal.h"

struct mend {
    const char *data_dir;
    const struct scope_name *name;
    char *path, *wal, *part, *fresh, *dir;
    struct buf *why;
};

static char *with(const char *path, const char *tail)
{
    char *text = NULL;
    if (asprintf(&text, "%s%s", path, tail) < 0)
        abort();
    return text;
}

static void mend_init(struct mend *mend, const char *data_dir, const struct scope_name *name, struct buf *why)
{
    char *path = scope_file_path(data_dir, name);
    *mend = (struct mend){.data_dir = data_dir,
                          .name = name,
                          .path = path,
                          .wal = with(path, "-wal"),
                          .part = with(path, ".part"),
                          .fresh = with(path, ".fresh"),
                          .dir = dir_of(path),
                          .why = why};
}

static void mend_release(struct mend *mend)
{
    char *texts[] = {mend->path, mend->wal, mend->part, mend->fresh, mend->dir};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
}

static enum err fail(struct mend *mend, enum err err, const char *what, const char *why)
{
    buf_printf(mend->why, "%s: ", what);
    buf_append_lines(mend->why, why);
    return err;
}

static enum err fail_sqlite(struct mend *mend, const char *what, int code)
{
    enum err err = database_err(code);
    return fail(mend, err == ERR_INVALID ? ERR_DAMAGED : err, what, sqlite3_errstr(code));
}

static bool remove_with_wal(const char *path)
{
    char *wal = with(path, "-wal");
    bool ok = file_remove(path) == ERR_OK && file_remove(wal) == ERR_OK;
    free(wal);
    return ok;
}

/* Copying. The old file is only read: closing it must not write its WAL back. */

static int open_old(struct mend *mend, sqlite3 **ret_db)
{
    int code = sqlite3_open_v2(mend->path, ret_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, wal_vfs());
    if (code == SQLITE_OK)
        code = sqlite3_db_config(*ret_db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(*ret_db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    return code;
}

static int open_part(struct mend *mend, sqlite3 **ret_db)
{
    enum { FLAGS = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX };
    static const char SETTINGS[] =
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF";
    int code = sqlite3_open_v2(mend->part, ret_db, FLAGS, wal_vfs());
    return code == SQLITE_OK ? sqlite3_exec(*ret_db, SETTINGS, NULL, NULL, NULL) : code;
}

static int copy_pages(sqlite3 *old, sqlite3 *part)
{
    sqlite3_backup *backup = sqlite3_backup_init(part, "main", old, "main");
    if (backup == NULL)
        return sqlite3_errcode(part);
    sqlite3_backup_step(backup, -1);
    return sqlite3_backup_finish(backup);
}

/* A read that failed while the copy was checked says nothing about it. These are SQLite's words for that. */
static bool is_unread(const char *verdict)
{
    return strstr(verdict, "get the page") != NULL || strstr(verdict, "get page") != NULL ||
           strstr(verdict, "read ptrmap") != NULL;
}

static enum err check(struct mend *mend, sqlite3 *db)
{
    sqlite3_stmt *read = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &read, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(read);
    enum err err = code == SQLITE_ROW ? ERR_OK : fail_sqlite(mend, "the file cannot be read", code);
    const char *verdict = err == ERR_OK ? (const char *)sqlite3_column_text(read, 0) : "ok";
    if (strcmp(verdict, "ok") != 0)
        err = is_unread(verdict) ? fail(mend, ERR_IO, "the copy cannot be read", verdict)
                                 : fail(mend, ERR_DAMAGED, "the file is damaged", verdict);
    sqlite3_finalize(read);
    return err;
}

static enum err copy(struct mend *mend)
{
    sqlite3 *old = NULL, *part = NULL;
    enum err err = ERR_OK;
    if (!remove_with_wal(mend->part))
        return fail(mend, ERR_IO, mend->part, strerror(errno));
    int code = open_old(mend, &old);
    if (code == SQLITE_OK)
        code = open_part(mend, &part);
    if (code == SQLITE_OK)
        code = copy_pages(old, part);
    sqlite3_close(old);
    if (code == SQLITE_OK)
        err = check(mend, part);
    else
        err = fail_sqlite(mend, "the file cannot be copied", code);
    sqlite3_close(part);
    return err;
}

/* Applying. */

static bool apply(void *arg, const struct reader_segment *segment, const struct record *record)
{
    struct scoperecord scope;
    (void)segment;
    return scoperecord_read(record->payload, &scope) && target_apply(arg, &scope);
}

static enum err apply_kept(struct mend *mend)
{
    struct problems problems = {0};
    struct target target;
    struct reader reader;
    char *dir = kept_dir(mend->data_dir, mend->name);
    bool is_read = reader_open(&reader, dir, &problems);
    bool ok = target_open(&target, mend->part) && is_read && reader_walk(&reader, apply, &target) &&
              target_has_head(&target) && target_save(&target);
    enum err err = ok ? ERR_OK : ERR_IO;
    if (!ok && target.why != NULL)
        err = target.code == SQLITE_OK ? fail(mend, ERR_DAMAGED, "its records", target.why)
                                       : fail_sqlite(mend, target.why, target.code);
    else if (!ok)
        buf_printf(mend->why, "%s: its records cannot be read", dir);
    target_close(&target);
    reader_close(&reader);
    problems_release(&problems);
    free(dir);
    return err;
}

/* The copy was made without a sync. */
static enum err make_ready(struct mend *mend)
{
    int fd = open(mend->part, O_RDWR | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0 && rename(mend->part, mend->fresh) == 0 && dir_sync(mend->dir) == ERR_OK;
    enum err err = ok ? ERR_OK : fail(mend, errno == ENOSPC ? ERR_FULL : ERR_IO, mend->fresh, strerror(errno));
    if (fd >= 0)
        close(fd);
    return err;
}

/* The WAL first: SQLite would take it for the new file's. */
static enum err put_in_place(struct mend *mend)
{
    bool ok = file_remove(mend->wal) == ERR_OK && dir_sync(mend->dir) == ERR_OK &&
              rename(mend->fresh, mend->path) == 0 && dir_sync(mend->dir) == ERR_OK &&
              kept_end(mend->data_dir, mend->name, NULL) == ERR_OK;
    return ok ? ERR_OK : fail(mend, ERR_IO, mend->path, strerror(errno));
}

/* As long as something is kept, were it no record at all, the file is not used as it is, whatever ends the process: so
 * a copy is as new as the file. One that is found while nothing is kept is not. */
static enum err begin(struct mend *mend)
{
    enum err err = kept_find(mend->data_dir, mend->name);
    if (err == ERR_NOT_FOUND)
        err = file_remove(mend->fresh) == ERR_OK && dir_sync(mend->dir) == ERR_OK
                  ? kept_write(mend->data_dir, mend->name, &(struct scoperecords){0})
                  : ERR_IO;
    return err == ERR_OK ? ERR_OK : fail(mend, err, "its records", strerror(errno));
}

static enum err make_fresh(struct mend *mend)
{
    enum err err =
        file_find(mend->path) == ERR_NOT_FOUND ? fail(mend, ERR_DAMAGED, "the file", "it is missing") : copy(mend);
    if (err == ERR_OK)
        err = apply_kept(mend);
    return err == ERR_OK ? make_ready(mend) : err;
}

/* For good, until a person has looked. */

static void set_aside(struct mend *mend)
{
    char *records = with(mend->path, SCOPE_FILE_KEPT);
    if (marker_write(mend->path, mend->name, mend->why->data) == ERR_OK)
        kept_end(mend->data_dir, mend->name, records); /* if that fails, they stay where they are */
    free(records);
}

static enum err look_for_marker(struct mend *mend)
{
    enum err err = marker_find(mend->path);
    if (err == ERR_OK)
        buf_printf(mend->why, "it was found damaged; see %s" SCOPE_FILE_DAMAGED, mend->path);
    else if (err != ERR_NOT_FOUND)
        fail(mend, err, mend->path, strerror(errno));
    return err == ERR_OK ? ERR_DAMAGED : err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ERR_NOT_FOUND: it failed while the file was being made, and there is no scope as yet. What cannot be told is no such
 * answer, or an empty scope would be called one that has lost its file. */
static enum err look_for_anything(struct mend *mend)
{
    enum err err = file_find(mend->path);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return fail(mend, err, "the file", strerror(errno));
    if (err == ERR_NOT_FOUND)
        err = mend_find(mend->path);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return fail(mend, err, "its copy", strerror(errno));
    if (err == ERR_NOT_FOUND)
        err = kept_find(mend->data_dir, mend->name);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return fail(mend, err, "its records", strerror(errno));
    return err;
}

static enum err find_fresh(struct mend *mend)
{
    enum err err = mend_find(mend->path);
    if (err == ERR_NOT_FOUND)
        return make_fresh(mend);
    return err == ERR_OK ? ERR_OK : fail(mend, err, mend->fresh, strerror(errno));
}

static enum err replace_file(struct mend *mend, bool gives_up)
{
    enum err err = begin(mend);
    if (err == ERR_OK)
        err = find_fresh(mend);
    if (err == ERR_OK)
        err = put_in_place(mend);
    if (err == ERR_DAMAGED && gives_up)
        set_aside(mend);
    return err;
}

enum err mend_file(const char *data_dir, const struct scope_name *name, bool gives_up, struct buf *ret_why)
{
    struct mend mend;
    mend_init(&mend, data_dir, name, ret_why);
    enum err err = look_for_marker(&mend);
    if (err == ERR_OK)
        err = look_for_anything(&mend);
    if (err == ERR_OK)
        err = replace_file(&mend, gives_up);
    else if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    remove_with_wal(mend.part);
    mend_release(&mend);
    return err;
}

enum err mend_find(const char *path)
{
    char *fresh = with(path, ".fresh");
    enum err err = file_find(fresh);
    free(fresh);
    return err;
}

bool mend_forget(const char *path)
{
    char *fresh = with(path, ".fresh");
    bool ok = file_remove(fresh) == ERR_OK;
    free(fresh);
    return ok;
}
