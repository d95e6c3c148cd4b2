#include "tests/bench/taskfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/task.h"

static void write_path(char path[512], const char *dir, const char *name)
{
    int len = snprintf(path, 512, "%s/%s.db", dir, name);
    if (len < 0 || len >= 500) {
        fail("%s: too long for a folder", dir);
    }
}

static void exec(const struct taskfile *file, const char *sql)
{
    if (sqlite3_exec(file->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail("%s: %s: %s", file->path, sql, sqlite3_errmsg(file->db));
    }
}

static void connect_to(struct taskfile *file, const char *dir, const char *name, const char *synchronous)
{
    char pragmas[80];
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    write_path(file->path, dir, name);
    if (sqlite3_open_v2(file->path, &file->db, flags, NULL) != SQLITE_OK) {
        fail("cannot open %s: %s", file->path, sqlite3_errmsg(file->db));
    }
    snprintf(pragmas, sizeof(pragmas), "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=%s", synchronous);
    exec(file, pragmas);
}

void taskfile_make(const char *dir, const char *name)
{
    struct taskfile file = {0};
    taskfile_remove(dir, name);
    connect_to(&file, dir, name, "OFF");
    exec(&file, "PRAGMA journal_mode=WAL"); /* the file remembers */
    exec(&file, TASK_SCHEMA);
    taskfile_close(&file);
}

void taskfile_open(struct taskfile *file, const char *dir, const char *name, const char *synchronous)
{
    *file = (struct taskfile){0};
    connect_to(file, dir, name, synchronous);
    file->insert = taskfile_prepare(file, "INSERT INTO tasks VALUES(?,?,?,?,?)");
}

void taskfile_close(struct taskfile *file)
{
    sqlite3_finalize(file->insert);
    if (sqlite3_close(file->db) != SQLITE_OK) {
        fail("%s: cannot be closed", file->path);
    }
}

void taskfile_remove(const char *dir, const char *name)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char path[512];
    write_path(path, dir, name);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char full[520];
        snprintf(full, sizeof(full), "%s%s", path, suffixes[i]);
        unlink(full);
    }
}

sqlite3_stmt *taskfile_prepare(const struct taskfile *file, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(file->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail("%s: %s: %s", file->path, sql, sqlite3_errmsg(file->db));
    }
    return statement;
}

void taskfile_run(const struct taskfile *file, sqlite3_stmt *statement)
{
    int code = SQLITE_ROW;
    while (code == SQLITE_ROW) {
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK) {
        fail("%s: %s: %s", file->path, sqlite3_sql(statement), sqlite3_errmsg(file->db));
    }
}

void taskfile_insert(const struct taskfile *file, int64_t number)
{
    char id[TASK_ID_MAX], title[80];
    int id_len = snprintf(id, sizeof(id), "run-0-%" PRId64, number);
    int title_len =
        snprintf(title, sizeof(title), "task number %" PRId64 " with a title that pads the row out", number);
    sqlite3_bind_text(file->insert, 1, id, id_len, SQLITE_STATIC);
    sqlite3_bind_text(file->insert, 2, title, title_len, SQLITE_STATIC);
    sqlite3_bind_text(file->insert, 3, number % 3 == 0 ? "done" : "open", 4, SQLITE_STATIC);
    sqlite3_bind_int64(file->insert, 4, number % 100);
    sqlite3_bind_int64(file->insert, 5, 1700000000000 + number);
    taskfile_run(file, file->insert);
}
