/*
 * wake - the ceiling of row h: what waking one of many SQLite files costs by itself.
 *
 * Each file is opened twice, after all the others: once for two queries, once for one transaction with
 * synchronous=FULL. Closing it is not measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/taskfile.h"
#include "tests/bench/timing.h"

struct waking {
    const char *dir;
    long n_files, rows;
};

typedef void work_cb(const struct taskfile *file, const struct waking *waking);

static const char *name_of(long i)
{
    static char name[32];
    snprintf(name, sizeof(name), "wake-%ld", i);
    return name;
}

static void make_file(const struct waking *waking, long i)
{
    struct taskfile file;
    taskfile_make(waking->dir, name_of(i));
    taskfile_open(&file, waking->dir, name_of(i), "OFF");
    for (long row = 0; row < waking->rows; row++) {
        taskfile_insert(&file, row);
    }
    taskfile_close(&file);
}

static void query(const struct taskfile *file, const struct waking *waking)
{
    static const char *const queries[] = {"SELECT max(updated_at) FROM tasks", "SELECT * FROM tasks ORDER BY id"};
    (void)waking;
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        sqlite3_stmt *statement = taskfile_prepare(file, queries[i]);
        taskfile_run(file, statement);
        sqlite3_finalize(statement);
    }
}

static void write_row(const struct taskfile *file, const struct waking *waking)
{
    taskfile_insert(file, waking->rows);
}

static void wake_each(const struct waking *waking, work_cb *work, struct histogram *took)
{
    for (long i = 0; i < waking->n_files; i++) {
        struct taskfile file;
        uint64_t before = now_ns();
        taskfile_open(&file, waking->dir, name_of(i), "FULL");
        work(&file, waking);
        histogram_add(took, now_ns() - before);
        taskfile_close(&file);
    }
}

int main(int argc, char **argv)
{
    static struct histogram read_ms, write_ms;
    struct waking waking = {.n_files = 200, .rows = 20};
    const struct option_text paths[] = {{"dir", &waking.dir, "a folder on a real disk"}, {0}};
    const struct option_number numbers[] = {{"files", &waking.n_files, 1, 2000, "files that are woken"},
                                            {"rows", &waking.rows, 1, 10000, "rows of a file"},
                                            {0}};
    fail_as("wake");
    options_parse(&(struct options){"wake --dir DIR [--OPTION VALUE]...", numbers, paths}, argc, argv);
    for (long i = 0; i < waking.n_files; i++) {
        make_file(&waking, i);
    }
    sync(); /* or the first commits would pay for all of that */
    wake_each(&waking, query, &read_ms);
    wake_each(&waking, write_row, &write_ms);
    for (long i = 0; i < waking.n_files; i++) {
        taskfile_remove(waking.dir, name_of(i));
    }
    printf("{\"work\":\"wake\",\"files\":%ld,", waking.n_files);
    histogram_print(&read_ms, "read_ms");
    printf(",");
    histogram_print(&write_ms, "write_ms");
    printf("}\n");
    return EXIT_SUCCESS;
}
