/*
 * batch - the ceiling of row b: SQLite alone, WAL and synchronous=FULL, n rows of the bench app's table a transaction,
 * a savepoint each.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/taskfile.h"
#include "tests/bench/timing.h"

enum statement { BEGIN, SAVEPOINT, RELEASE, COMMIT, STATEMENTS };

static const char *const texts[STATEMENTS] = {"BEGIN IMMEDIATE", "SAVEPOINT one", "RELEASE one", "COMMIT"};

struct batch {
    const char *dir;
    long rows, seconds;
    struct taskfile file;
    sqlite3_stmt *statements[STATEMENTS];
    uint64_t n_rows;
};

static void run(const struct batch *batch, enum statement statement)
{
    taskfile_run(&batch->file, batch->statements[statement]);
}

static void insert(struct batch *batch)
{
    run(batch, SAVEPOINT);
    taskfile_insert(&batch->file, (int64_t)batch->n_rows++);
    run(batch, RELEASE);
}

static void open_file(struct batch *batch)
{
    taskfile_make(batch->dir, "batch");
    taskfile_open(&batch->file, batch->dir, "batch", "FULL");
    for (enum statement i = 0; i < STATEMENTS; i++) {
        batch->statements[i] = taskfile_prepare(&batch->file, texts[i]);
    }
}

static void close_file(struct batch *batch)
{
    for (enum statement i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(batch->statements[i]);
    }
    taskfile_close(&batch->file);
    taskfile_remove(batch->dir, "batch");
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
