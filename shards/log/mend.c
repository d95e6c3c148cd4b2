#include "shards/log/mend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "shards/log/kept.h"
#include "shards/log/reader.h"
#include "shards/log/target.h"
#include "shards/scope/scope_file.h"

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
                          .dir = mem_dup(slice_of(path, (size_t)(strrchr(path, '/') - path))),
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
    buf_printf(mend->why, "%s: %s", what, why);
    return err;
}

static enum err fail_sqlite(struct mend *mend, const char *what, int code)
{
    enum err err = database_err(code);
    return fail(mend, err == ERR_INVALID ? ERR_DAMAGED : err, what, sqlite3_errstr(code));
}

static void remove_with_wal(const char *path)
{
    char *wal = with(path, "-wal");
    unlink(path);
    unlink(wal);
    free(wal);
}

/* Copying. The old file is only read: closing it must not write its WAL back. */

static int open_old(struct mend *mend, sqlite3 **ret_db)
{
    int code = sqlite3_open_v2(mend->path, ret_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
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
    int code = sqlite3_open_v2(mend->part, ret_db, FLAGS, NULL);
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
    remove_with_wal(mend->part);
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

/* The WAL first: SQLite would take it for the new file's. Should a crash come then, a start knows by what is kept, were
 * it no record at all, that the copy has to take the place. */
static enum err put_in_place(struct mend *mend)
{
    bool ok =
        (kept_is_there(mend->data_dir, mend->name) || kept_write(mend->data_dir, mend->name, NULL, 0) == ERR_OK) &&
        (unlink(mend->wal) == 0 || errno == ENOENT) && dir_sync(mend->dir) == ERR_OK &&
        rename(mend->fresh, mend->path) == 0 && dir_sync(mend->dir) == ERR_OK &&
        kept_end(mend->data_dir, mend->name, NULL) == ERR_OK;
    return ok ? ERR_OK : fail(mend, ERR_IO, mend->path, strerror(errno));
}

static enum err make_fresh(struct mend *mend)
{
    enum err err = access(mend->path, F_OK) == 0 || errno != ENOENT
                       ? copy(mend)
                       : fail(mend, ERR_DAMAGED, "the file", "it is missing");
    if (err == ERR_OK && kept_is_there(mend->data_dir, mend->name))
        err = apply_kept(mend);
    return err == ERR_OK ? make_ready(mend) : err;
}

/* For good, until a person has looked. */

enum err mend_mark(const char *path, const struct scope_name *name, const char *why)
{
    struct buf text = {0};
    char *marker = with(path, SCOPE_FILE_DAMAGED), *dir = mem_dup(slice_of(path, (size_t)(strrchr(path, '/') - path)));
    buf_printf(
        &text,
        "%s: %s\nIts records of the journal, if there are any, are in %s" SCOPE_FILE_KEPT
        "\nPut a backup in its place with `skerry restore`. Or, when the file is good again, move them into a new"
        " folder of the journal's, named by a number; then remove this; then start.\n",
        name->text, why, path);
    enum err err = dir_make(dir);
    if (err == ERR_OK)
        err = file_write(marker, buf_slice(&text));
    if (err == ERR_OK)
        err = dir_sync(dir);
    buf_release(&text);
    free(marker);
    free(dir);
    return err;
}

static void set_aside(struct mend *mend)
{
    char *records = with(mend->path, SCOPE_FILE_KEPT);
    if (mend_mark(mend->path, mend->name, mend->why->data) == ERR_OK)
        kept_end(mend->data_dir, mend->name, records); /* else the next try does it */
    free(records);
}

static bool is_marked(struct mend *mend)
{
    char *marker = with(mend->path, SCOPE_FILE_DAMAGED);
    bool found = access(marker, F_OK) == 0;
    if (found)
        buf_printf(mend->why, "it was found damaged; see %s", marker);
    free(marker);
    return found;
}

/* It failed while the file was being made: there is no scope as yet. */
static bool is_nothing(const struct mend *mend)
{
    return access(mend->path, F_OK) != 0 && errno == ENOENT && !mend_is_ready(mend->path) &&
           !kept_is_there(mend->data_dir, mend->name);
}

static enum err replace_file(struct mend *mend, bool gives_up)
{
    enum err err = mend_is_ready(mend->path) ? ERR_OK : make_fresh(mend);
    if (err == ERR_OK)
        err = put_in_place(mend);
    if (err == ERR_DAMAGED && gives_up)
        set_aside(mend);
    return err;
}

enum err mend_file(const char *data_dir, const struct scope_name *name, bool gives_up, struct buf *ret_why)
{
    struct mend mend;
    enum err err = ERR_DAMAGED;
    mend_init(&mend, data_dir, name, ret_why);
    if (!is_marked(&mend))
        err = is_nothing(&mend) ? ERR_OK : replace_file(&mend, gives_up);
    remove_with_wal(mend.part);
    mend_release(&mend);
    return err;
}

bool mend_is_ready(const char *path)
{
    char *fresh = with(path, ".fresh");
    bool found = access(fresh, F_OK) == 0;
    free(fresh);
    return found;
}

void mend_forget(const char *path)
{
    char *fresh = with(path, ".fresh");
    unlink(fresh);
    free(fresh);
}
