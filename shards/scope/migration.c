#include "shards/scope/migration.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"

enum { MIGRATION_BYTES_MAX = 4 << 20 };

static int is_sql(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".sql") == 0;
}

/* 0 if the name does not begin with four digits and a line. */
static size_t number_of(const char *name)
{
    return strspn(name, "0123456789") == 4 && name[4] == '_' ? strtoul(name, NULL, 10) : 0;
}

/* Adds what is wrong with a file, whose number should be `number`. */
static void check_file(const char *path, bool is_next, size_t number, enum err err, struct slice sql,
                       struct problems *problems)
{
    if (!is_next)
        problems_add(problems, "%s: migrations are numbered without gaps; this one must start with %04zu_", path,
                     number);
    if (err != ERR_OK)
        problems_add(problems, "%s: cannot be read: %s (at most %d bytes)", path,
                     err == ERR_INVALID ? "not a file" : err_text(err), MIGRATION_BYTES_MAX);
    else if (sql.len > 0 && memchr(sql.data, '\0', sql.len) != NULL)
        problems_add(problems, "%s: holds a NUL byte, and what is behind it would not run; save it as UTF-8", path);
}

/* `number` is the one that is expected. Returns the next. */
static size_t load_one(struct migrations *migrations, const char *dir, const char *name, size_t number,
                       struct problems *problems)
{
    struct migration *migration = &migrations->items[migrations->n];
    size_t found = number_of(name), before = problems->n;
    struct buf sql = {0};
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        abort();
    enum err err = file_read(path, MIGRATION_BYTES_MAX, &sql);
    check_file(path, found == number, number, err, buf_slice(&sql), problems);
    if (problems->n == before) {
        sha256_text(buf_slice(&sql), migration->checksum);
        migration->name = mem_dup(slice_str(name));
        migration->sql = mem_dup(buf_slice(&sql));
        migrations->n++;
    }
    buf_release(&sql);
    free(path);
    return found == 0 ? number : found + 1; /* a gap is one mistake, not one of each file behind it */
}

bool migrations_load(struct migrations *migrations, const char *app_dir, const char *folder, struct problems *problems)
{
    char *dir = NULL;
    struct dirent **entries = NULL;
    if (asprintf(&dir, "%s/%s", app_dir, folder) < 0)
        abort();
    *migrations = (struct migrations){0};
    int n = scandir(dir, &entries, is_sql, alphasort);
    size_t before = problems->n, number = 1;
    if (n < 0)
        problems_add(problems, "%s: cannot be read: %s", dir, strerror(errno));
    else if (n == 0)
        problems_add(problems, "%s: no migrations; the first is a file 0001_NAME.sql that creates the tables", dir);
    else
        migrations->items = mem_zero((size_t)n, sizeof *migrations->items);
    for (int i = 0; i < n; i++) {
        number = load_one(migrations, dir, entries[i]->d_name, number, problems);
        free(entries[i]);
    }
    free(entries);
    free(dir);
    return problems->n == before;
}

void migrations_release(struct migrations *migrations)
{
    for (size_t i = 0; i < migrations->n; i++) {
        free(migrations->items[i].name);
        free(migrations->items[i].sql);
    }
    free(migrations->items);
    *migrations = (struct migrations){0};
}

/* How many have run, after comparing them with what is there now. */
static enum err count_applied(const struct migrations *migrations, struct database *database, size_t *ret_n,
                              struct buf *ret_why)
{
    sqlite3_stmt *read =
        database_prepare(database, SQL_OURS, "SELECT checksum, name FROM _sync_migrations ORDER BY number", ret_why);
    if (read == NULL)
        return ERR_DAMAGED;
    enum err err = ERR_OK;
    size_t n = 0;
    int code = SQLITE_DONE;
    while (err == ERR_OK && (code = sqlite3_step(read)) == SQLITE_ROW) {
        const char *ran = (const char *)sqlite3_column_text(read, 0);
        if (n >= migrations->n) {
            buf_printf(ret_why, "migration %zu (%s) ran here, but the app has it no more; put the file back", n + 1,
                       sqlite3_column_text(read, 1));
            err = ERR_INVALID;
        } else if (strcmp(ran, migrations->items[n].checksum) != 0) {
            buf_printf(ret_why, "%s was changed after it ran; undo that, and write a new migration instead",
                       migrations->items[n].name);
            err = ERR_INVALID;
        }
        n++;
    }
    if (err == ERR_OK && code != SQLITE_DONE) {
        buf_printf(ret_why, "the migrations that ran cannot be read: %s", sqlite3_errmsg(database->db));
        err = database_err(code);
    }
    sqlite3_finalize(read);
    *ret_n = n;
    return err;
}

bool migrations_are_pending(const struct migrations *migrations, struct database *database)
{
    sqlite3_stmt *read = database_prepare(database, SQL_OURS, "SELECT count(*) FROM _sync_migrations", NULL);
    bool pending = read == NULL || sqlite3_step(read) != SQLITE_ROW ||
                   sqlite3_column_int64(read, 0) < (sqlite3_int64)migrations->n;
    sqlite3_finalize(read);
    return pending;
}

static enum err remember(struct database *database, const struct migration *migration, size_t number)
{
    sqlite3_stmt *write = database_prepare(
        database, SQL_OURS, "INSERT INTO _sync_migrations(number, name, checksum) VALUES(?, ?, ?)", NULL);
    if (write == NULL)
        return ERR_DAMAGED;
    sqlite3_bind_int64(write, 1, (sqlite3_int64)number);
    sqlite3_bind_text(write, 2, migration->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(write, 3, migration->checksum, -1, SQLITE_STATIC);
    int code = statement_run(write);
    sqlite3_finalize(write);
    return code == SQLITE_OK ? ERR_OK : database_err(code);
}

static enum err apply_one(const struct migration *migration, size_t number, struct database *database, int64_t limit_ms,
                          struct buf *ret_why)
{
    enum err err = database_run(database, SQL_OURS, "BEGIN IMMEDIATE", ret_why);
    if (err != ERR_OK)
        return err;
    database->until_us = limit_ms == 0 ? 0 : clock_mono_us() + limit_ms * 1000;
    err = database_run(database, SQL_MIGRATION, migration->sql, ret_why);
    database->until_us = 0;
    if (err == ERR_OK)
        err = remember(database, migration, number);
    if (err == ERR_OK)
        err = database_run(database, SQL_OURS, "COMMIT", ret_why);
    if (err != ERR_OK && !sqlite3_get_autocommit(database->db))
        database_run(database, SQL_OURS, "ROLLBACK", NULL);
    return err;
}

enum err migrations_apply(const struct migrations *migrations, struct database *database, int64_t limit_ms,
                          struct buf *ret_why)
{
    size_t applied = 0;
    enum err err = count_applied(migrations, database, &applied, ret_why);
    for (size_t i = applied; err == ERR_OK && i < migrations->n; i++) {
        struct buf why = {0};
        err = apply_one(&migrations->items[i], i + 1, database, limit_ms, &why);
        if (err != ERR_OK)
            buf_printf(ret_why, "%s: %.*s", migrations->items[i].name, (int)why.len, why.data == NULL ? "" : why.data);
        buf_release(&why);
    }
    return err;
}
