/*
 * journal - the ceiling of rows c and c': many SQLite files that are made durable together.
 *
 * A turn writes one row (or more, in one transaction) into each of k files in WAL mode with synchronous=NORMAL, then
 * appends what it wrote to one file, which was filled with zeros before, and calls fdatasync on that once. SQLite
 * checkpoints as it likes. One thread, no network, no product.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/taskfile.h"
#include "tests/bench/timing.h"

#define JOURNAL_BYTES ((size_t)32 << 20)
#define TURN_ROWS_MAX 100000 /* whose records fit into it */
#define RECORD_FRONT  64     /* what a record says besides its row */

struct turns {
    const char *dir;
    long n_files, rows, seconds;
    struct taskfile *files;
    sqlite3_stmt **begin, **commit; /* by file */
    int journal;
    size_t at; /* in the journal */
    struct buffer records;
    uint64_t n_rows;
};

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    if (!memory) {
        fail("out of memory");
    }
    return memory;
}

/* ---- the journal ---- */

static void write_at(const struct turns *turns, const void *bytes, size_t len, size_t at)
{
    if (pwrite(turns->journal, bytes, len, (off_t)at) != (ssize_t)len) {
        fail_errno("cannot write the journal");
    }
}

static void open_journal(struct turns *turns)
{
    static const char zeros[1 << 20];
    char path[512];
    snprintf(path, sizeof(path), "%.480s/ceiling.journal", turns->dir);
    turns->journal = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (turns->journal < 0) {
        fail_errno("cannot create %s", path);
    }
    unlink(path);
    for (size_t at = 0; at < JOURNAL_BYTES; at += sizeof(zeros)) {
        write_at(turns, zeros, sizeof(zeros), at);
    }
    if (fsync(turns->journal)) {
        fail_errno("fsync");
    }
}

static void add_record(struct turns *turns)
{
    static const char front[RECORD_FRONT];
    char id[TASK_ID_MAX];
    int len = snprintf(id, sizeof(id), "run-0-%llu", (unsigned long long)turns->n_rows);
    buffer_append(&turns->records, front, sizeof(front));
    task_encode(&turns->records, (struct text){id, (uint32_t)len}, turns->n_rows);
}

static void sync_records(struct turns *turns)
{
    size_t len = buffer_len(&turns->records);
    if (turns->at + len > JOURNAL_BYTES) {
        turns->at = 0;
    }
    write_at(turns, buffer_head(&turns->records), len, turns->at);
    if (fdatasync(turns->journal)) {
        fail_errno("fdatasync");
    }
    turns->at += len;
    buffer_take(&turns->records, len);
}

/* ---- the files ---- */

static const char *name_of(long i)
{
    static char name[32];
    snprintf(name, sizeof(name), "file-%ld", i);
    return name;
}

static void open_files(struct turns *turns)
{
    turns->files = allocate((size_t)turns->n_files, sizeof(*turns->files));
    turns->begin = allocate((size_t)turns->n_files, sizeof(sqlite3_stmt *));
    turns->commit = allocate((size_t)turns->n_files, sizeof(sqlite3_stmt *));
    for (long i = 0; i < turns->n_files; i++) {
        taskfile_make(turns->dir, name_of(i));
        taskfile_open(&turns->files[i], turns->dir, name_of(i), "NORMAL");
        turns->begin[i] = taskfile_prepare(&turns->files[i], "BEGIN IMMEDIATE");
        turns->commit[i] = taskfile_prepare(&turns->files[i], "COMMIT");
    }
}

/* The unlinking first: what is left is not worth a sync. */
static void close_files(struct turns *turns)
{
    for (long i = 0; i < turns->n_files; i++) {
        taskfile_remove(turns->dir, name_of(i));
        sqlite3_finalize(turns->begin[i]);
        sqlite3_finalize(turns->commit[i]);
        taskfile_close(&turns->files[i]);
    }
    free(turns->begin);
    free(turns->commit);
    free(turns->files);
}

/* ---- the turns ---- */

static void write_file(struct turns *turns, long i)
{
    const struct taskfile *file = &turns->files[i];
    taskfile_run(file, turns->begin[i]);
    for (long row = 0; row < turns->rows; row++) {
        taskfile_insert(file, (int64_t)turns->n_rows);
        add_record(turns);
        turns->n_rows++;
    }
    taskfile_run(file, turns->commit[i]);
}

static void turn(struct turns *turns)
{
    for (long i = 0; i < turns->n_files; i++) {
        write_file(turns, i);
    }
    sync_records(turns);
}

static void measure(struct turns *turns)
{
    static struct histogram took;
    turn(turns); /* the first one makes the write-ahead logs */
    uint64_t n_before = turns->n_rows;
    uint64_t start = now_ns(), end = start + (uint64_t)turns->seconds * NS_PER_SEC, now = start;
    while (now < end) {
        uint64_t before = now;
        turn(turns);
        now = now_ns();
        histogram_add(&took, now - before);
    }
    printf("{\"work\":\"journal\",\"files\":%ld,\"rows\":%ld,\"rows_per_s\":%.1f,", turns->n_files, turns->rows,
           (double)(turns->n_rows - n_before) * (double)NS_PER_SEC / (double)(now - start));
    histogram_print(&took, "turn_ms");
    printf("}\n");
}

int main(int argc, char **argv)
{
    struct turns turns = {.n_files = 100, .rows = 1, .seconds = 3};
    const struct option_text paths[] = {{"dir", &turns.dir, "a folder on a real disk"}, {0}};
    const struct option_number numbers[] = {{"files", &turns.n_files, 1, 2000, "files that a turn writes"},
                                            {"rows", &turns.rows, 1, 100, "rows of a file a turn"},
                                            {"seconds", &turns.seconds, 1, 60, "time of the measurement"},
                                            {0}};
    fail_as("journal");
    options_parse(&(struct options){"journal --dir DIR [--OPTION VALUE]...", numbers, paths}, argc, argv);
    if (turns.n_files * turns.rows > TURN_ROWS_MAX) {
        fail("%ld files with %ld rows each are more than %d rows a turn", turns.n_files, turns.rows, TURN_ROWS_MAX);
    }
    open_journal(&turns);
    open_files(&turns);
    measure(&turns);
    close_files(&turns);
    close(turns.journal);
    buffer_release(&turns.records);
    return EXIT_SUCCESS;
}
