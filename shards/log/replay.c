#include "shards/log/replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "base/table.h"
#include "proto/route.h"
#include "shards/log/rowchange.h"
#include "shards/log/scoperecord.h"
#include "shards/log/segment.h"
#include "shards/scope/scope_file.h"

enum { ALIGNMENT = 8 };

/* A segment's file, mapped. */
struct mapped {
    char *path;
    struct slice bytes;
    struct segment_header header;
};

/* One scope's records, in order. */
struct history {
    struct table_node node;
    struct scope_name name;
    struct scoperecord *records;
    size_t n;
};

struct replay {
    const char *data_dir;
    char *dir; /* of the journal under way */
    struct mapped *segments;
    size_t n_segments;
    struct table histories;
    struct problems *problems;
    uint64_t end; /* behind the last valid record */
    size_t n_records, n_applied;
};

/* Reading the segments. */

static bool map_file(struct mapped *mapped, const char *path)
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
    *mapped = (struct mapped){.path = mem_dup(slice_str(path))};
    if (bytes != MAP_FAILED)
        mapped->bytes = slice_of(bytes, (size_t)stat_buf.st_size);
    return ok;
}

static void unmap_file(struct mapped *mapped)
{
    if (mapped->bytes.len > 0)
        munmap((void *)(uintptr_t)mapped->bytes.data, mapped->bytes.len);
    free(mapped->path);
}

static int is_segment(const struct dirent *entry)
{
    const char *ending = strrchr(entry->d_name, '.');
    return ending != NULL && strcmp(ending, ".journal") == 0;
}

static int by_generation(const void *a, const void *b)
{
    uint64_t x = ((const struct mapped *)a)->header.generation, y = ((const struct mapped *)b)->header.generation;
    return (x > y) - (x < y);
}

/* Maps every file; one without a header was never used, or was about to be used again. */
static bool map_segments(struct replay *replay)
{
    struct dirent **entries = NULL;
    int n = scandir(replay->dir, &entries, is_segment, alphasort);
    bool ok = n >= 0;
    replay->segments = mem_zero((size_t)(n < 0 ? 0 : n) + 1, sizeof *replay->segments);
    for (int i = 0; i < n; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", replay->dir, entries[i]->d_name) < 0)
            abort();
        struct mapped *mapped = &replay->segments[replay->n_segments++];
        if (!map_file(mapped, path))
            ok = false;
        if (!segment_header_read(mapped->bytes, &mapped->header))
            mapped->header = (struct segment_header){0};
        free(path);
        free(entries[i]);
    }
    free(entries);
    if (!ok)
        problems_add(replay->problems, "%s: cannot be read: %s", replay->dir, strerror(errno));
    qsort(replay->segments, replay->n_segments, sizeof *replay->segments, by_generation);
    return ok;
}

/* Collecting what they hold. */

static uint64_t hash_name(struct slice name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.data[i]) * 0x100000001b3u;
    return hash;
}

static struct history *history_of(struct replay *replay, struct slice scope)
{
    uint64_t hash = hash_name(scope);
    for (struct table_node *node = table_find(&replay->histories, hash); node != NULL; node = table_next(node)) {
        struct history *history = TABLE_ITEM(node, struct history, node);
        if (slice_eq(slice_of(history->name.text, history->name.len), scope))
            return history;
    }
    struct history *history = mem_zero(1, sizeof *history);
    if (!scope_name_parse(scope, &history->name)) {
        free(history);
        return NULL;
    }
    table_insert(&replay->histories, &history->node, hash);
    return history;
}

static bool collect(struct replay *replay, const struct record *record)
{
    struct scoperecord scope;
    struct history *history = scoperecord_read(record->payload, &scope) ? history_of(replay, scope.scope) : NULL;
    if (history == NULL) {
        problems_add(replay->problems, "%s: the record at %" PRIu64 " is of a kind that this version does not know",
                     replay->dir, record->position);
        return false;
    }
    if ((history->n & (history->n + 1)) == 0) /* room doubles at 0, 1, 3, 7, ... */
        history->records = mem_resize(history->records, (2 * history->n + 1) * sizeof *history->records);
    history->records[history->n++] = scope;
    replay->n_records++;
    return true;
}

static bool collect_segment(struct replay *replay, const struct mapped *mapped)
{
    struct record record;
    size_t at = SEGMENT_HEADER;
    while (record_read(slice_of(mapped->bytes.data + at, mapped->bytes.len - at), &record) &&
           record.generation == mapped->header.generation && record.position == replay->end) {
        if (!collect(replay, &record))
            return false;
        at += record.len;
        replay->end += record.len;
    }
    return true;
}

/* Whether something behind the end says that the end was durable further on. */
static bool is_damaged(const struct replay *replay)
{
    struct record record;
    for (size_t i = 0; i < replay->n_segments; i++) {
        const struct mapped *mapped = &replay->segments[i];
        if (mapped->header.generation == 0)
            continue;
        for (size_t at = SEGMENT_HEADER; at + RECORD_HEADER <= mapped->bytes.len; at += ALIGNMENT)
            if (record_read(slice_of(mapped->bytes.data + at, mapped->bytes.len - at), &record) &&
                record.generation == mapped->header.generation && record.durable > replay->end)
                return true;
    }
    return false;
}

static bool collect_all(struct replay *replay)
{
    bool has_begun = false, ok = true;
    for (size_t i = 0; ok && i < replay->n_segments; i++) {
        const struct mapped *mapped = &replay->segments[i];
        if (mapped->header.generation == 0)
            continue;
        if (!has_begun)
            replay->end = mapped->header.position;
        has_begun = true;
        if (mapped->header.position == replay->end)
            ok = collect_segment(replay, mapped);
    }
    if (ok && is_damaged(replay)) {
        problems_add(replay->problems,
                     "%s: damaged at position %" PRIu64 ": what follows was durable, but cannot be read; restore the "
                     "folder, or move it away to lose what it holds",
                     replay->dir, replay->end);
        return false;
    }
    return ok;
}

/* Applying it. */

struct target {
    sqlite3 *db;
    int64_t incarnation, tx;
    struct target_table {
        struct row_table table;
        sqlite3_stmt *statements[ROWCHANGE_DELETE + 1];
    } * tables;
    size_t n_tables;
};

static bool read_number(sqlite3 *db, const char *name, int64_t *ret)
{
    sqlite3_stmt *read = NULL;
    sqlite3_prepare_v2(db, "SELECT value FROM _sync_meta WHERE name = ?", -1, &read, NULL);
    sqlite3_bind_text(read, 1, name, -1, SQLITE_STATIC);
    bool found = sqlite3_step(read) == SQLITE_ROW;
    if (found)
        *ret = sqlite3_column_int64(read, 0);
    sqlite3_finalize(read);
    return found;
}

static bool target_open(struct target *target, const char *path)
{
    *target = (struct target){0};
    if (sqlite3_open_v2(path, &target->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return false;
    sqlite3_db_config(target->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(target->db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    return sqlite3_exec(target->db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;", NULL, NULL, NULL) ==
               SQLITE_OK &&
           read_number(target->db, "incarnation", &target->incarnation) && read_number(target->db, "tx", &target->tx);
}

/* True if everything in the file is durable now. */
static bool target_close(struct target *target)
{
    for (size_t i = 0; i < target->n_tables; i++) {
        for (int op = 0; op <= ROWCHANGE_DELETE; op++)
            sqlite3_finalize(target->tables[i].statements[op]);
        row_table_release(&target->tables[i].table);
    }
    free(target->tables);
    bool ok = target->db != NULL &&
              sqlite3_wal_checkpoint_v2(target->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK;
    sqlite3_close(target->db);
    return ok;
}

static struct target_table *table_of(struct target *target, struct slice name)
{
    for (size_t i = 0; i < target->n_tables; i++)
        if (slice_eq(slice_str(target->tables[i].table.name), name))
            return &target->tables[i];
    target->tables = mem_resize(target->tables, (target->n_tables + 1) * sizeof *target->tables);
    struct target_table *table = &target->tables[target->n_tables];
    *table = (struct target_table){0};
    char *text = mem_dup(name);
    bool found = row_table_read(&table->table, target->db, text);
    free(text);
    if (!found)
        return NULL;
    target->n_tables++;
    return table;
}

/* Exactly one row must change. */
static bool apply_change(struct target *target, struct slice *changes)
{
    enum rowchange_op op;
    struct slice name;
    struct target_table *table = rowchange_head(*changes, &op, &name) ? table_of(target, name) : NULL;
    if (table == NULL)
        return false;
    sqlite3_stmt **statement = &table->statements[op];
    if (*statement == NULL)
        *statement = rowchange_prepare(&table->table, target->db, op);
    if (*statement == NULL || !rowchange_bind(changes, &table->table, op, *statement))
        return false;
    bool ok = sqlite3_step(*statement) == SQLITE_DONE;
    return sqlite3_reset(*statement) == SQLITE_OK && ok && sqlite3_changes(target->db) == 1;
}

static bool apply_record(struct target *target, const struct scoperecord *record)
{
    struct slice changes = record->changes;
    bool ok = sqlite3_exec(target->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    while (ok && changes.len > 0)
        ok = apply_change(target, &changes);
    ok = ok && sqlite3_exec(target->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    if (!ok && !sqlite3_get_autocommit(target->db))
        sqlite3_exec(target->db, "ROLLBACK", NULL, NULL, NULL);
    if (ok)
        target->tx = record->tx;
    return ok;
}

/* NULL, or what does not fit. */
static const char *apply_history(struct replay *replay, struct target *target, const struct history *history)
{
    for (size_t i = 0; i < history->n; i++) {
        const struct scoperecord *record = &history->records[i];
        if (record->incarnation != target->incarnation || record->tx <= target->tx)
            continue;
        if (record->type == SCOPERECORD_BARRIER)
            return "the file is older than a point at which it was made durable";
        if (record->tx != target->tx + 1)
            return "a transaction is missing between the file and the journal";
        if (!apply_record(target, record))
            return "a transaction of the journal does not fit the file";
        replay->n_applied++;
    }
    return NULL;
}

/* Keeps the scope closed until a person has looked. False if even that cannot be written. */
static bool mark_damaged(const char *path, const struct scope_name *name, const char *why)
{
    char *marker = NULL;
    if (asprintf(&marker, "%s" SCOPE_FILE_DAMAGED, path) < 0)
        abort();
    int fd = open(marker, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && dprintf(fd, "%s: %s\n", name->text, why) > 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    *strrchr(marker, '/') = '\0';
    ok = ok && dir_sync(marker) == ERR_OK;
    free(marker);
    log_line(LOG_ERROR, "scope_damaged scope=%s why=\"%s\"", name->text, why);
    return ok;
}

static bool replay_scope(struct replay *replay, const struct history *history)
{
    struct target target;
    char *path = scope_file_path(replay->data_dir, &history->name);
    const char *why = access(path, F_OK) != 0      ? "the file is missing"
                      : target_open(&target, path) ? apply_history(replay, &target, history)
                                                   : "the file cannot be opened";
    bool ok = access(path, F_OK) != 0 || target_close(&target);
    if (!ok)
        problems_add(replay->problems, "%s: %s: cannot be made durable", path, history->name.text);
    if (why != NULL)
        ok = mark_damaged(path, &history->name, why);
    if (!ok && why != NULL)
        problems_add(replay->problems, "%s: %s: %s, and a marker beside it cannot be written: %s", path,
                     history->name.text, why, strerror(errno));
    free(path);
    return ok;
}

static void free_histories(struct replay *replay)
{
    struct table_node *node;
    while ((node = table_any(&replay->histories)) != NULL) {
        struct history *history = TABLE_ITEM(node, struct history, node);
        table_remove(&replay->histories, node);
        free(history->records);
        free(history);
    }
    table_release(&replay->histories);
}

static bool replay_scopes(struct replay *replay)
{
    bool ok = true;
    for (size_t i = 0; ok && i < replay->histories.n_heads; i++)
        for (struct table_node *node = replay->histories.heads[i]; ok && node != NULL; node = node->next)
            ok = replay_scope(replay, TABLE_ITEM(node, struct history, node));
    return ok;
}

/* The oldest first: what is left after a crash must still be without a gap. */
static bool remove_segments(struct replay *replay)
{
    bool ok = true;
    for (size_t i = 0; ok && i < replay->n_segments; i++)
        ok = unlink(replay->segments[i].path) == 0;
    if (!ok)
        problems_add(replay->problems, "%s: cannot be emptied: %s", replay->dir, strerror(errno));
    return ok;
}

static bool replay_dir(const char *data_dir, const char *dir, struct problems *problems)
{
    struct replay replay = {.data_dir = data_dir, .dir = mem_dup(slice_str(dir)), .problems = problems};
    bool ok = map_segments(&replay) && collect_all(&replay) && replay_scopes(&replay);
    if (ok && replay.n_records > 0)
        log_line(LOG_INFO, "replayed dir=%s records=%zu scopes=%zu applied=%zu", dir, replay.n_records,
                 replay.histories.n, replay.n_applied);
    ok = ok && remove_segments(&replay);
    free_histories(&replay);
    for (size_t i = 0; i < replay.n_segments; i++)
        unmap_file(&replay.segments[i]);
    free(replay.segments);
    free(replay.dir);
    return ok;
}

static int is_number(const struct dirent *entry)
{
    return entry->d_name[strspn(entry->d_name, "0123456789")] == '\0';
}

bool replay_all(const char *data_dir, struct problems *problems)
{
    char *root = NULL;
    struct dirent **entries = NULL;
    if (asprintf(&root, "%s/journal", data_dir) < 0)
        abort();
    int n = dir_make(root) == ERR_OK ? scandir(root, &entries, is_number, alphasort) : -1;
    if (n < 0)
        problems_add(problems, "%s: %s", root, strerror(errno));
    bool ok = n >= 0;
    for (int i = 0; i < n; i++) {
        char *dir = NULL;
        if (asprintf(&dir, "%s/%s", root, entries[i]->d_name) < 0)
            abort();
        ok = ok && replay_dir(data_dir, dir, problems);
        free(dir);
        free(entries[i]);
    }
    free(entries);
    free(root);
    return ok;
}
