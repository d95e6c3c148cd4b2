#include "shards/log/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "base/table.h"
#include "proto/route.h"
#include "shards/log/reader.h"
#include "shards/log/rowchange.h"
#include "shards/log/scoperecord.h"
#include "shards/scope/scope_file.h"

/* One scope's records, in order. */
struct history {
    struct table_node node;
    struct scope_name name;
    struct scoperecord *records;
    size_t n;
};

struct replay {
    const char *data_dir;
    struct reader reader; /* of the journal under way */
    struct table histories;
    struct problems *problems;
    size_t n_records, n_applied;
};

/* Collecting what they hold. */

static struct history *history_of(struct replay *replay, struct slice scope)
{
    uint64_t hash = table_hash_bytes(TABLE_HASH_START, scope.data, scope.len);
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

static bool collect(void *arg, const struct reader_segment *segment, const struct record *record)
{
    struct replay *replay = arg;
    struct scoperecord scope;
    (void)segment;
    struct history *history = scoperecord_read(record->payload, &scope) ? history_of(replay, scope.scope) : NULL;
    if (history == NULL) {
        problems_add(replay->problems, "%s: the record at %" PRIu64 " is of a kind that this version does not know",
                     replay->reader.dir, record->position);
        return false;
    }
    if ((history->n & (history->n + 1)) == 0) /* room doubles at 0, 1, 3, 7, ... */
        history->records = mem_resize(history->records, (2 * history->n + 1) * sizeof *history->records);
    history->records[history->n++] = scope;
    replay->n_records++;
    return true;
}

/* Applying it. */

struct target {
    sqlite3 *db;
    int64_t incarnation, tx;
    int64_t head; /* the last seq */
    struct target_table {
        struct row_table table;
        sqlite3_stmt *statements[ROWCHANGE_DELETE + 1];
    } * tables;
    size_t n_tables;
    const char *why; /* it failed */
    int code;        /* SQLite's, if it was a call of SQLite that failed */
};

static bool fail(struct target *target, const char *why, int code)
{
    target->why = why;
    target->code = code & 0xff;
    return false;
}

static bool fail_sqlite(struct target *target, const char *why)
{
    return fail(target, why, target->db == NULL ? SQLITE_NOMEM : sqlite3_errcode(target->db));
}

static bool read_number(struct target *target, const char *sql, int64_t *ret)
{
    sqlite3_stmt *read = NULL;
    int code = sqlite3_prepare_v2(target->db, sql, -1, &read, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(read);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(read, 0);
    sqlite3_finalize(read);
    return code == SQLITE_ROW || fail(target, "the file does not say which transactions it holds", code);
}

static const char INCARNATION[] = "SELECT value FROM _sync_meta WHERE name = 'incarnation'";
static const char TX[] = "SELECT value FROM _sync_meta WHERE name = 'tx'";
static const char HEAD[] = "SELECT coalesce(max(seq), 0) FROM _sync_log";

/* What is applied is made durable at the end, by target_save. */
static const char SETTINGS[] = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = NORMAL; PRAGMA ignore_check_constraints = ON;";

static bool target_open(struct target *target, const char *path)
{
    *target = (struct target){0};
    if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return fail(target, "the file is missing", SQLITE_OK);
    if (sqlite3_open_v2(path, &target->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return fail_sqlite(target, "the file cannot be opened");
    sqlite3_db_config(target->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(target->db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    if (sqlite3_exec(target->db, SETTINGS, NULL, NULL, NULL) != SQLITE_OK)
        return fail_sqlite(target, "the file cannot be opened");
    return read_number(target, INCARNATION, &target->incarnation) && read_number(target, TX, &target->tx) &&
           read_number(target, HEAD, &target->head);
}

/* Everything in the file is durable afterwards. */
static bool target_save(struct target *target)
{
    return sqlite3_wal_checkpoint_v2(target->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK ||
           fail_sqlite(target, "the file cannot be made durable");
}

static void target_close(struct target *target)
{
    for (size_t i = 0; i < target->n_tables; i++) {
        for (int op = 0; op <= ROWCHANGE_DELETE; op++)
            sqlite3_finalize(target->tables[i].statements[op]);
        row_table_release(&target->tables[i].table);
    }
    free(target->tables);
    sqlite3_close(target->db);
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

static const char MISFIT[] = "a transaction of the journal does not fit the file";

/* Exactly one row must change. */
static bool apply_change(struct target *target, struct slice *changes)
{
    enum rowchange_op op;
    struct slice name;
    if (!rowchange_head(*changes, &op, &name))
        return fail(target, MISFIT, SQLITE_OK);
    struct target_table *table = table_of(target, name);
    sqlite3_stmt **statement = table == NULL ? NULL : &table->statements[op];
    if (statement != NULL && *statement == NULL)
        *statement = rowchange_prepare(&table->table, target->db, op);
    if (statement == NULL || *statement == NULL)
        return fail_sqlite(target, MISFIT);
    if (!rowchange_bind(changes, &table->table, op, *statement))
        return fail(target, MISFIT, SQLITE_OK);
    sqlite3_step(*statement);
    if (sqlite3_reset(*statement) != SQLITE_OK)
        return fail_sqlite(target, MISFIT);
    return sqlite3_changes(target->db) == 1 || fail(target, MISFIT, SQLITE_OK);
}

static bool run(struct target *target, const char *sql)
{
    return sqlite3_exec(target->db, sql, NULL, NULL, NULL) == SQLITE_OK || fail_sqlite(target, MISFIT);
}

static bool apply_record(struct target *target, const struct scoperecord *record)
{
    struct slice changes = record->changes;
    bool ok = run(target, "BEGIN IMMEDIATE");
    while (ok && changes.len > 0)
        ok = apply_change(target, &changes);
    ok = ok && run(target, "COMMIT");
    if (!ok && !sqlite3_get_autocommit(target->db))
        sqlite3_exec(target->db, "ROLLBACK", NULL, NULL, NULL);
    if (!ok)
        return false;
    target->tx = record->tx;
    target->head = (int64_t)record->last_seq;
    return true;
}

static bool has_head(struct target *target)
{
    int64_t head = 0;
    return read_number(target, HEAD, &head) && (head == target->head || fail(target, MISFIT, SQLITE_OK));
}

/* A record of another incarnation is of an earlier life of the scope, and lies below the file's head; or the file is of
 * an earlier life than the record. */
static bool is_of_its_life(struct target *target, const struct scoperecord *record)
{
    return record->incarnation == target->incarnation || (int64_t)record->last_seq <= target->head ||
           fail(target, "the file is older than one that took its place", SQLITE_OK);
}

static bool apply_history(struct replay *replay, struct target *target, const struct history *history)
{
    for (size_t i = 0; i < history->n; i++) {
        const struct scoperecord *record = &history->records[i];
        if (!is_of_its_life(target, record))
            return false;
        if (record->incarnation != target->incarnation || record->tx <= target->tx)
            continue;
        if (record->type != SCOPERECORD_CHANGES)
            return fail(target, "the file is older than a point at which it was made durable", SQLITE_OK);
        if (record->tx != target->tx + 1)
            return fail(target, "a transaction is missing between the file and the journal", SQLITE_OK);
        if (!apply_record(target, record))
            return false;
        replay->n_applied++;
    }
    return has_head(target);
}

/* The scope's records, as a segment. */
static void write_kept(struct buf *kept, const struct history *history)
{
    struct segment_header header = {.generation = 1};
    segment_header_write(buf_reserve(kept, SEGMENT_HEADER), &header);
    kept->len += SEGMENT_HEADER;
    for (size_t i = 0; i < history->n; i++) {
        size_t at = kept->len;
        buf_reserve(kept, RECORD_HEADER);
        kept->len += RECORD_HEADER;
        scoperecord_write(kept, &history->records[i]);
        size_t payload_len = kept->len - at - RECORD_HEADER, len = record_len(payload_len);
        buf_reserve(kept, at + len - kept->len);
        kept->len = at + len;
        record_seal(kept->data + at, payload_len, header.generation, at - SEGMENT_HEADER, 0);
    }
}

/* The records must outlive the journal's segments, and the marker must be there before they go. */
static bool write_aside(const char *path, const struct history *history, const char *why)
{
    struct buf kept = {0}, marker = {0};
    char *kept_path = NULL, *marker_path = NULL, *dir = mem_dup(slice_of(path, (size_t)(strrchr(path, '/') - path)));
    if (asprintf(&kept_path, "%s" SCOPE_FILE_KEPT, path) < 0 ||
        asprintf(&marker_path, "%s" SCOPE_FILE_DAMAGED, path) < 0)
        abort();
    write_kept(&kept, history);
    buf_printf(&marker,
               "%s: %s\nIts records of the journal are in %s\nWhen the file is good again, move them into a new folder"
               " of the journal's, named by a number; then remove this; then start.\n",
               history->name.text, why, kept_path);
    bool ok = dir_make(dir) == ERR_OK && file_write(kept_path, buf_slice(&kept)) == ERR_OK &&
              file_write(marker_path, buf_slice(&marker)) == ERR_OK && dir_sync(dir) == ERR_OK;
    buf_release(&kept);
    buf_release(&marker);
    free(kept_path);
    free(marker_path);
    free(dir);
    return ok;
}

/* The scope stays closed until a person has looked; the others are served. */
static bool set_aside(struct replay *replay, const char *path, const struct history *history, const char *why)
{
    bool ok = write_aside(path, history, why);
    if (!ok)
        problems_add(replay->problems, "%s: %s, and its records cannot be kept beside it: %s", path, why,
                     strerror(errno));
    log_line(LOG_ERROR, "scope_damaged scope=%s why=\"%s\"", history->name.text, why);
    return ok;
}

/* Whether the trouble is not the file's own: it may be over at the next start. */
static bool may_pass(int code)
{
    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_CANTOPEN:
    case SQLITE_FULL:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return true;
    default:
        return false;
    }
}

static bool replay_scope(struct replay *replay, const struct history *history)
{
    struct target target;
    char *path = scope_file_path(replay->data_dir, &history->name);
    bool ok = target_open(&target, path) && apply_history(replay, &target, history) && target_save(&target);
    target_close(&target);
    if (!ok && may_pass(target.code))
        problems_add(replay->problems, "%s: %s: %s; nothing is lost, start again when that is over", path, target.why,
                     sqlite3_errstr(target.code));
    else if (!ok)
        ok = set_aside(replay, path, history, target.why);
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

/* One by one, the oldest first: what is left after a crash must still be without a gap. */
static bool remove_segments(struct replay *replay)
{
    bool ok = true;
    for (size_t i = 0; ok && i < replay->reader.n_segments; i++)
        ok = unlink(replay->reader.segments[i].path) == 0 && dir_sync(replay->reader.dir) == ERR_OK;
    if (!ok)
        problems_add(replay->problems, "%s: cannot be emptied: %s", replay->reader.dir, strerror(errno));
    return ok;
}

/* With `salvage`, the segments of a journal that is damaged stay, and what can be read of it is replayed. */
static bool replay_dir(const char *data_dir, const char *dir, bool salvage, struct problems *problems)
{
    struct replay replay = {.data_dir = data_dir, .problems = problems};
    bool ok = reader_open(&replay.reader, dir, problems) && reader_walk(&replay.reader, collect, &replay);
    bool is_damaged = ok && reader_state(&replay.reader) == READER_DAMAGED;
    if (is_damaged && !salvage)
        problems_add(problems,
                     "%s: damaged at position %" PRIu64 ": what follows was durable, but cannot be read; restore the "
                     "folder, or run `skerry journal repair` to lose what it holds",
                     dir, replay.reader.end);
    ok = ok && (!is_damaged || salvage) && replay_scopes(&replay);
    if (ok && replay.n_records > 0)
        log_line(LOG_INFO, "replayed dir=%s records=%zu scopes=%zu applied=%zu", dir, replay.n_records,
                 replay.histories.n, replay.n_applied);
    ok = ok && (is_damaged || remove_segments(&replay));
    free_histories(&replay);
    reader_close(&replay.reader);
    return ok;
}

static bool replay_dirs(const char *data_dir, bool salvage, struct problems *problems)
{
    struct reader_dirs dirs;
    bool ok = reader_dirs_find(&dirs, data_dir, problems);
    for (size_t i = 0; ok && i < dirs.n; i++)
        ok = replay_dir(data_dir, dirs.paths[i], salvage, problems);
    reader_dirs_release(&dirs);
    return ok;
}

static bool make_root(const char *data_dir, struct problems *problems)
{
    char *root = NULL;
    if (asprintf(&root, "%s/journal", data_dir) < 0)
        abort();
    bool ok = dir_make(root) == ERR_OK;
    if (!ok)
        problems_add(problems, "%s: %s", root, strerror(errno));
    free(root);
    return ok;
}

bool replay_all(const char *data_dir, struct problems *problems)
{
    return make_root(data_dir, problems) && replay_dirs(data_dir, false, problems);
}

bool replay_salvage(const char *data_dir, struct problems *problems)
{
    return replay_dirs(data_dir, true, problems);
}
