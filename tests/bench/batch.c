/*
 * batch - the ceiling of row b: SQLite alone, WAL and synchronous=FULL, n rows of the bench app's table a transaction,
 * a savepoint each.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/timing.h"

enum statement { BEGIN, SAVEPOINT, INSERT, RELEASE, COMMIT, STATEMENTS };

static const char *const texts[STATEMENTS] = {"BEGIN IMMEDIATE", "SAVEPOINT one", "INSERT INTO tasks VALUES(?,?,?,?,?)",
                                              "RELEASE one", "COMMIT"};

struct batch {
    const char *dir;
    long rows, seconds;
    char path[512];
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    uint64_t n_rows;
};

static void run(struct batch *batch, enum statement statement)
{
    sqlite3_stmt *prepared = batch->statements[statement];
    if (sqlite3_step(prepared) != SQLITE_DONE || sqlite3_reset(prepared) != SQLITE_OK) {
        fail("%s: %s", texts[statement], sqlite3_errmsg(batch->db));
    }
}

static void insert(struct batch *batch)
{
    sqlite3_stmt *insert = batch->statements[INSERT];
    char id[TASK_ID_MAX], title[80];
    int64_t n = (int64_t)batch->n_rows++;
    int id_len = snprintf(id, sizeof(id), "run-0-%" PRId64, n);
    int title_len = snprintf(title, sizeof(title), "task number %" PRId64 " with a title that pads the row out", n);
    sqlite3_bind_text(insert, 1, id, id_len, SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, title, title_len, SQLITE_STATIC);
    sqlite3_bind_text(insert, 3, n % 3 == 0 ? "done" : "open", 4, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 4, n % 100);
    sqlite3_bind_int64(insert, 5, 1700000000000 + n);
    run(batch, SAVEPOINT);
    run(batch, INSERT);
    run(batch, RELEASE);
}

static void exec(struct batch *batch, const char *sql)
{
    if (sqlite3_exec(batch->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail("%s: %s", sql, sqlite3_errmsg(batch->db));
    }
}

static void remove_files(const struct batch *batch)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[528];
        snprintf(path, sizeof(path), "%s%s", batch->path, suffixes[i]);
        unlink(path);
    }
}

static void open_file(struct batch *batch)
{
    snprintf(batch->path, sizeof(batch->path), "%.480s/batch.db", batch->dir);
    remove_files(batch);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(batch->path, &batch->db, flags, NULL) != SQLITE_OK) {
        fail("cannot open %s: %s", batch->path, sqlite3_errmsg(batch->db));
    }
    exec(batch, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" TASK_SCHEMA);
    for (enum statement i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v2(batch->db, texts[i], -1, &batch->statements[i], NULL) != SQLITE_OK) {
            fail("%s: %s", texts[i], sqlite3_errmsg(batch->db));
        }
    }
}

static void close_file(struct batch *batch)
{
    for (enum statement i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(batch->statements[i]);
    }
    sqlite3_close(batch->db);
    remove_files(batch);
}

static void measure(struct batch *batch)
{
    static struct histogram commits;
    uint64_t start = now_ns(), end = start + (uint64_t)batch->seconds * NS_PER_SEC, now = start;
    while (now < end) {
        uint64_t before = now;
        run(batch, BEGIN);
        for (long i = 0; i < batch->rows; i++) {
            insert(batch);
        }
        run(batch, COMMIT);
        now = now_ns();
        histogram_add(&commits, now - before);
    }
    printf("{\"work\":\"batch\",\"rows\":%ld,\"rows_per_s\":%.1f,", batch->rows,
           (double)batch->n_rows * (double)NS_PER_SEC / (double)(now - start));
    histogram_print(&commits, "commit_ms");
    printf("}\n");
}

int main(int argc, char **argv)
{
    struct batch batch = {.rows = 32, .seconds = 3};
    const struct option_text paths[] = {{"dir", &batch.dir, "a folder on a real disk"}, {0}};
    const struct option_number numbers[] = {{"rows", &batch.rows, 1, 10000, "rows a transaction"},
                                            {"seconds", &batch.seconds, 1, 60, "time of the measurement"},
                                            {0}};
    fail_as("batch");
    options_parse(&(struct options){"batch --dir DIR [--OPTION VALUE]...", numbers, paths}, argc, argv);
    open_file(&batch);
    measure(&batch);
    close_file(&batch);
    return EXIT_SUCCESS;
}
