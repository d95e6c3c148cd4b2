#include "shards/log/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALIGNMENT = 8 };

/* The files. */

static bool map_file(struct reader_segment *segment, const char *path)
{
    struct stat stat_buf;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &stat_buf) == 0;
    void *bytes = MAP_FAILED;
    if (ok && stat_buf.st_size > 0)
        bytes = mmap(NULL, (size_t)stat_buf.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (ok && stat_buf.st_size > 0)
        ok = bytes != MAP_FAILED;
    if (fd >= 0)
        close(fd);
    *segment = (struct reader_segment){.path = mem_dup(slice_str(path))};
    if (bytes != MAP_FAILED)
        segment->bytes = slice_of(bytes, (size_t)stat_buf.st_size);
    return ok;
}

static void unmap_file(struct reader_segment *segment)
{
    if (segment->bytes.len > 0)
        munmap((void *)(uintptr_t)segment->bytes.data, segment->bytes.len);
    free(segment->path);
}

static int is_segment(const struct dirent *entry)
{
    const char *ending = strrchr(entry->d_name, '.');
    return ending != NULL && strcmp(ending, ".journal") == 0;
}

static int by_generation(const void *a, const void *b)
{
    uint64_t x = ((const struct reader_segment *)a)->header.generation;
    uint64_t y = ((const struct reader_segment *)b)->header.generation;
    return (x > y) - (x < y);
}

/* One without a header was never used, or was about to be used again. */
static bool add_file(struct reader *reader, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", reader->dir, name) < 0)
        abort();
    struct reader_segment *segment = &reader->segments[reader->n_segments++];
    bool ok = map_file(segment, path);
    if (!segment_header_read(segment->bytes, &segment->header))
        segment->header = (struct segment_header){0};
    segment->read = SEGMENT_HEADER;
    free(path);
    return ok;
}

/* A segment ends where the first of those behind it begins. */
static void set_limits(struct reader *reader)
{
    uint64_t limit = UINT64_MAX;
    for (size_t i = reader->n_segments; i-- > 0;) {
        struct reader_segment *segment = &reader->segments[i];
        segment->limit = limit;
        if (segment->header.generation != 0 && segment->header.position < limit)
            limit = segment->header.position;
    }
}

/* Which of them would come first? */
static bool has_twins(const struct reader *reader, struct problems *problems)
{
    for (size_t i = 1; i < reader->n_segments; i++) {
        const struct reader_segment *a = &reader->segments[i - 1], *b = &reader->segments[i];
        if (a->header.generation == 0 || a->header.generation != b->header.generation)
            continue;
        problems_add(problems, "%s and %s are not of one journal: each needs a folder of its own", a->path, b->path);
        return true;
    }
    return false;
}

bool reader_open(struct reader *reader, const char *dir, struct problems *problems)
{
    struct dirent **entries = NULL;
    *reader = (struct reader){.dir = mem_dup(slice_str(dir))};
    int n = scandir(dir, &entries, is_segment, alphasort);
    bool ok = n >= 0;
    reader->segments = mem_zero((size_t)(n < 0 ? 0 : n) + 1, sizeof *reader->segments);
    for (int i = 0; i < n; i++) {
        ok = add_file(reader, entries[i]->d_name) && ok;
        free(entries[i]);
    }
    free(entries);
    if (!ok)
        problems_add(problems, "%s: cannot be read: %s", dir, strerror(errno));
    qsort(reader->segments, reader->n_segments, sizeof *reader->segments, by_generation);
    set_limits(reader);
    return ok && !has_twins(reader, problems);
}

void reader_close(struct reader *reader)
{
    for (size_t i = 0; i < reader->n_segments; i++)
        unmap_file(&reader->segments[i]);
    free(reader->segments);
    free(reader->dir);
}

static int is_number(const struct dirent *entry)
{
    return entry->d_name[strspn(entry->d_name, "0123456789")] == '\0';
}

bool reader_dirs_find(struct reader_dirs *dirs, const char *data_dir, struct problems *problems)
{
    char *root = NULL;
    struct dirent **entries = NULL;
    if (asprintf(&root, "%s/journal", data_dir) < 0)
        abort();
    int n = scandir(root, &entries, is_number, alphasort);
    if (n < 0)
        problems_add(problems, "%s: %s", root, strerror(errno));
    *dirs = (struct reader_dirs){.paths = mem_zero((size_t)(n < 0 ? 0 : n) + 1, sizeof *dirs->paths)};
    for (int i = 0; i < n; i++) {
        if (asprintf(&dirs->paths[dirs->n++], "%s/%s", root, entries[i]->d_name) < 0)
            abort();
        free(entries[i]);
    }
    free(entries);
    free(root);
    return n >= 0;
}

void reader_dirs_release(struct reader_dirs *dirs)
{
    for (size_t i = 0; i < dirs->n; i++)
        free(dirs->paths[i]);
    free(dirs->paths);
}

/* The records. */

static struct slice from(const struct reader_segment *segment, size_t at)
{
    return slice_of(segment->bytes.data + at, segment->bytes.len - at);
}

static bool walk_segment(struct reader *reader, struct reader_segment *segment, reader_record_cb *cb, void *arg)
{
    struct record record;
    while (reader->end < segment->limit && record_read(from(segment, segment->read), &record) &&
           record.generation == segment->header.generation && record.position == reader->end) {
        if (!cb(arg, segment, &record))
            return false;
        segment->read += record.len;
        reader->end += record.len;
    }
    return true;
}

void reader_skip_to(struct reader *reader, uint64_t position)
{
    for (size_t i = 0; i < reader->n_segments; i++)
        if (reader->segments[i].limit <= position)
            reader->segments[i].header.generation = 0;
}

bool reader_walk(struct reader *reader, reader_record_cb *cb, void *arg)
{
    bool has_begun = false, ok = true;
    for (size_t i = 0; ok && i < reader->n_segments; i++) {
        struct reader_segment *segment = &reader->segments[i];
        if (segment->header.generation == 0)
            continue;
        if (!has_begun)
            reader->end = segment->header.position;
        has_begun = true;
        if (segment->header.position == reader->end)
            ok = walk_segment(reader, segment, cb, arg);
    }
    return ok;
}

/* The rest: only looks at what was not taken, for what a client made the payload of a record may look like a record. */

/* Finds the next record behind `*at` that is whole, as far as it says itself, and moves behind its beginning. */
static bool find_record(const struct reader_segment *segment, size_t *at, struct record *ret_record, size_t *ret_at)
{
    for (; *at + RECORD_HEADER <= segment->bytes.len; *at += ALIGNMENT)
        if (record_peek(from(segment, *at), ret_record)) {
            *ret_at = *at;
            *at += ALIGNMENT;
            return true;
        }
    return false;
}

static bool is_in_place(const struct reader_segment *segment, size_t at, const struct record *record)
{
    return segment->header.generation != 0 && record->generation == segment->header.generation &&
           record->position == segment->header.position + (at - SEGMENT_HEADER);
}

/* Whether what looks like a record at `at`, if it is one, shows that more was durable than could be read. In a segment
 * whose header cannot be read nothing may stand that belongs behind the end: a header is durable before any record. */
static bool would_show_damage(const struct reader *reader, const struct reader_segment *segment, size_t at,
                              const struct record *record)
{
    if (segment->header.generation == 0)
        return record->position >= reader->end;
    return is_in_place(segment, at, record) && record->durable > reader->end;
}

static bool shows_damage(const struct reader *reader, const struct reader_segment *segment)
{
    struct record record;
    size_t at = segment->read, found;
    if (segment->header.position <= segment->limit && segment->header.position > reader->end)
        return true; /* all in front of it was durable */
    while (find_record(segment, &at, &record, &found))
        if (would_show_damage(reader, segment, found, &record) && record_read(from(segment, found), &record))
            return true;
    return false;
}

/* The beginning of a record behind the end, whole or not. */
static bool has_torn_tail(const struct reader *reader, const struct reader_segment *segment)
{
    struct record record;
    size_t at = segment->read, found;
    while (find_record(segment, &at, &record, &found))
        if (is_in_place(segment, found, &record) && record.position >= reader->end && record.position < segment->limit)
            return true;
    return false;
}

enum reader_state reader_state(const struct reader *reader)
{
    enum reader_state state = READER_WHOLE;
    for (size_t i = 0; i < reader->n_segments; i++) {
        if (shows_damage(reader, &reader->segments[i]))
            return READER_DAMAGED;
        if (has_torn_tail(reader, &reader->segments[i]))
            state = READER_TORN;
    }
    return state;
}

bool reader_walk_rest(const struct reader *reader, reader_record_cb *cb, void *arg)
{
    for (size_t i = 0; i < reader->n_segments; i++) {
        const struct reader_segment *segment = &reader->segments[i];
        struct record record;
        size_t at = segment->read, found;
        while (find_record(segment, &at, &record, &found))
            if (is_in_place(segment, found, &record) && record_read(from(segment, found), &record) &&
                !cb(arg, segment, &record))
                return false;
    }
    return true;
}
