/*
 * taskfile - one SQLite file with the bench app's table, as the ceilings write it: WAL, one connection.
 *
 * What fails ends the program. The caller owns the struct from taskfile_open() to taskfile_close().
 */
#ifndef BENCH_TASKFILE_H
#define BENCH_TASKFILE_H

#include <sqlite3.h>
#include <stdint.h>

struct taskfile {
    char path[512];
    sqlite3 *db;
    sqlite3_stmt *insert;
};

/* DIR/NAME.db without a row, over whatever was there, and closed again. Not synced: a ceiling only needs it to be. */
void taskfile_make(const char *dir, const char *name);

/* `synchronous` as SQLite's pragma takes it. */
void taskfile_open(struct taskfile *file, const char *dir, const char *name, const char *synchronous);

void taskfile_close(struct taskfile *file);

void taskfile_remove(const char *dir, const char *name);

sqlite3_stmt *taskfile_prepare(const struct taskfile *file, const char *sql);

/* To its end, whatever rows it has. */
void taskfile_run(const struct taskfile *file, sqlite3_stmt *statement);

/* Row `number` of run 0, as task_encode() would make it; a transaction of its own outside of one. */
void taskfile_insert(const struct taskfile *file, int64_t number);

#endif
