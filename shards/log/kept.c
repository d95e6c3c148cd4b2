#include "shards/log/kept.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "shards/log/reader.h"

#define PREFIX "kept-"

static const char SCOPE[] = "scope", SEGMENT[] = "000001.journal", PART[] = "part";

void kept_encode(struct buf *out, const struct scoperecords *records)
{
    struct segment_header header = {.generation = 1};
    segment_header_write(buf_reserve(out, SEGMENT_HEADER), &header);
    out->len += SEGMENT_HEADER;
    for (size_t i = 0; i < records->n; i++) {
        size_t at = out->len;
        buf_reserve(out, RECORD_HEADER);
        out->len += RECORD_HEADER;
        scoperecord_write(out, &records->of[i]);
        size_t payload_len = out->len - at - RECORD_HEADER, len = record_len(payload_len);
        buf_reserve(out, at + len - out->len);
        out->len = at + len;
        record_seal(out->data + at, payload_len, header.generation, at - SEGMENT_HEADER, 0);
    }
}

static char *join(const char *dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        abort();
    return path;
}

char *kept_dir(const char *data_dir, const struct scope_name *name)
{
    struct scope_hash hash = scope_hash(name);
    char text[33], *path = NULL;
    scope_hash_text(&hash, text);
    if (asprintf(&path, "%s/journal/" PREFIX "%s", data_dir, text) < 0)
        abort();
    return path;
}

enum err kept_find(const char *data_dir, const struct scope_name *name)
{
    char *dir = kept_dir(data_dir, name), *segment = join(dir, SEGMENT);
    enum err err = file_find(segment);
    free(segment);
    free(dir);
    return err;
}

/* Whole and durable, or not there: a file of that name that is there may never have reached the disk, and must not be
 * torn if it has. */
static enum err put(const char *dir, const char *name, struct slice bytes)
{
    char *part = join(dir, PART), *path = join(dir, name);
    enum err err = file_write(part, bytes);
    if (err == ERR_OK)
        err = rename(part, path) == 0 ? dir_sync(dir) : ERR_IO;
    free(part);
    free(path);
    return err;
}

/* The segment comes last: it counts once it is there. */
enum err kept_write(const char *data_dir, const struct scope_name *name, const struct scoperecords *records)
{
    struct buf bytes = {0};
    char *dir = kept_dir(data_dir, name);
    kept_encode(&bytes, records);
    enum err err = dir_make(dir);
    if (err == ERR_OK)
        err = put(dir, SCOPE, slice_of(name->text, name->len));
    if (err == ERR_OK)
        err = put(dir, SEGMENT, buf_slice(&bytes));
    free(dir);
    buf_release(&bytes);
    return err;
}

/* Out of a journal that is in use. */

struct collection {
    const struct scope_name *name;
    uint64_t to;
    struct scoperecords records;
};

static bool collect(void *arg, const struct reader_segment *segment, const struct record *record)
{
    struct collection *collected = arg;
    struct scoperecord scope;
    (void)segment;
    if (record->position >= collected->to)
        return false;
    if (!scoperecord_read(record->payload, &scope) ||
        !slice_eq(scope.scope, slice_of(collected->name->text, collected->name->len)))
        return true;
    scoperecords_add(&collected->records, &scope);
    return true;
}

static bool write_collected(const char *data_dir, const struct collection *collected, struct problems *problems)
{
    bool ok = kept_write(data_dir, collected->name, &collected->records) == ERR_OK;
    if (!ok)
        problems_add(problems, "%s: its records cannot be kept: %s", collected->name->text, strerror(errno));
    return ok;
}

bool kept_collect(const char *data_dir, unsigned shard, const struct scope_name *name, uint64_t from, uint64_t to,
                  size_t *ret_n, struct problems *problems)
{
    struct collection collected = {.name = name, .to = to};
    struct reader reader;
    struct buf dir = {0};
    buf_printf(&dir, "%s/journal/%u", data_dir, shard);
    bool ok = reader_open(&reader, dir.data, problems);
    if (ok) {
        reader_skip_to(&reader, from);
        reader_walk(&reader, collect, &collected); /* which the end of what is wanted ends, too */
        ok = reader.end >= to;
        if (!ok)
            problems_add(problems, "%s: cannot be read up to position %llu", dir.data, (unsigned long long)to);
    }
    ok = ok && write_collected(data_dir, &collected, problems);
    *ret_n = collected.records.n;
    scoperecords_release(&collected.records);
    reader_close(&reader);
    buf_release(&dir);
    return ok;
}

/* The file that is there may be one whose name was never durable, or one that a power cut brought back: it is written
 * anew in any case. */
bool kept_add(const char *data_dir, const struct scope_name *name, const struct scoperecords *records,
              struct problems *problems)
{
    struct collection kept = {.name = name, .to = UINT64_MAX};
    struct reader reader;
    char *dir = kept_dir(data_dir, name);
    bool ok = reader_open(&reader, dir, problems) && reader_walk(&reader, collect, &kept);
    struct scoperecord last = {0};
    if (kept.records.n > 0)
        last = kept.records.of[kept.records.n - 1];
    if (ok && reader_state(&reader) != READER_WHOLE) {
        problems_add(problems, "%s: the records of %s that are kept cannot be read", dir, name->text);
        ok = false;
    }
    for (size_t i = 0; ok && i < records->n; i++)
        if (records->of[i].incarnation != last.incarnation || records->of[i].tx > last.tx)
            scoperecords_add(&kept.records, &records->of[i]);
    ok = ok && write_collected(data_dir, &kept, problems);
    scoperecords_release(&kept.records);
    reader_close(&reader);
    free(dir);
    return ok;
}

/* The end. */

/* Between folders, so that a rename would not do: a power cut may leave a file in neither. */
static bool copy(const char *from, const char *to)
{
    struct buf bytes = {0};
    enum err err = file_read(from, (size_t)1 << 40, &bytes);
    if (err == ERR_OK)
        err = file_write(to, buf_slice(&bytes));
    if (err == ERR_OK)
        err = dir_sync_of(to);
    buf_release(&bytes);
    return err == ERR_OK || err == ERR_NOT_FOUND;
}

enum err kept_end(const char *data_dir, const struct scope_name *name, const char *to)
{
    char *dir = kept_dir(data_dir, name), *root = join(data_dir, "journal");
    char *scope = join(dir, SCOPE), *part = join(dir, PART), *segment = join(dir, SEGMENT);
    bool ok = (to == NULL || copy(segment, to)) && file_remove(segment) == ERR_OK &&
              (dir_sync(dir) == ERR_OK || errno == ENOENT); /* it must not come back, whatever becomes of the folder */
    ok = ok && file_remove(part) == ERR_OK && file_remove(scope) == ERR_OK && (rmdir(dir) == 0 || errno == ENOENT);
    enum err err = ok ? dir_sync(root) : ERR_IO;
    free(scope);
    free(part);
    free(segment);
    free(root);
    free(dir);
    return err;
}

static int is_kept(const struct dirent *entry)
{
    return strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) == 0;
}

/* ERR_NOT_FOUND: one without a whole segment was never relied on. */
static enum err read_name(const char *dir, struct scope_name *ret_name)
{
    struct buf text = {0};
    char *scope = join(dir, SCOPE), *segment = join(dir, SEGMENT);
    enum err err = file_find(segment);
    if (err == ERR_OK &&
        (file_read(scope, ROUTE_SCOPE_MAX, &text) != ERR_OK || !scope_name_parse(buf_slice(&text), ret_name)))
        err = ERR_IO;
    buf_release(&text);
    free(scope);
    free(segment);
    return err;
}

static bool visit(const char *dir, void (*cb)(void *arg, const struct scope_name *name), void *arg,
                  struct problems *problems)
{
    struct scope_name name;
    enum err err = read_name(dir, &name);
    if (err == ERR_OK)
        cb(arg, &name);
    else if (err != ERR_NOT_FOUND)
        problems_add(problems, "%s: whose records these are cannot be read", dir);
    return err == ERR_OK || err == ERR_NOT_FOUND;
}

bool kept_each(const char *data_dir, void (*cb)(void *arg, const struct scope_name *name), void *arg,
               struct problems *problems)
{
    struct dirent **entries = NULL;
    char *root = join(data_dir, "journal");
    int n = scandir(root, &entries, is_kept, alphasort);
    bool ok = n >= 0;
    if (!ok)
        problems_add(problems, "%s: %s", root, strerror(errno));
    for (int i = 0; i < n; i++) {
        char *dir = join(root, entries[i]->d_name);
        ok = ok && visit(dir, cb, arg, problems);
        free(dir);
        free(entries[i]);
    }
    free(entries);
    free(root);
    return ok;
}
