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
#include "shards/log/kept.h"
#include "shards/log/marker.h"
#include "shards/log/mend.h"
#include "shards/log/reader.h"
#include "shards/log/target.h"
#include "shards/scope/scope_file.h"

/* One scope's records, in order. */
struct history {
    struct table_node node;
    struct scope_name name;
    struct scoperecords records;
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
    scoperecords_add(&history->records, &scope);
    replay->n_records++;
    return true;
}

/* Applying it. */

static bool apply_history(struct target *target, const struct history *history)
{
    for (size_t i = 0; i < history->records.n; i++)
        if (!target_apply(target, &history->records.of[i]))
            return false;
    return target_has_head(target);
}

/* The records must outlive the journal's segments, and the marker must be there before they go. */
static bool write_aside(const char *path, const struct history *history, const char *why)
{
    struct buf kept = {0};
    char *kept_path = NULL, *dir = dir_of(path);
    if (asprintf(&kept_path, "%s" SCOPE_FILE_KEPT, path) < 0)
        abort();
    kept_encode(&kept, &history->records);
    bool ok = dir_make(dir) == ERR_OK && file_write(kept_path, buf_slice(&kept)) == ERR_OK &&
              marker_write(path, &history->name, why) == ERR_OK;
    buf_release(&kept);
    free(kept_path);
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

/* The disk fails at this file: the worker tries again and again to mend it. */
static bool keep(struct replay *replay, const char *path, const struct history *history, const char *why)
{
    bool ok = kept_write(replay->data_dir, &history->name, &history->records) == ERR_OK;
    if (!ok)
        problems_add(replay->problems, "%s: %s, and its records cannot be kept: %s", path, why, strerror(errno));
    return ok;
}

static bool replay_scope(struct replay *replay, const struct history *history)
{
    struct target target;
    enum err kept = kept_find(replay->data_dir, &history->name);
    if (kept == ERR_OK) /* and the file is not to be touched */
        return kept_add(replay->data_dir, &history->name, &history->records, replay->problems);
    if (kept != ERR_NOT_FOUND) {
        problems_add(replay->problems, "%s: whether records of it were kept cannot be told: %s", history->name.text,
                     strerror(errno));
        return false;
    }
    char *path = scope_file_path(replay->data_dir, &history->name);
    bool ok = target_open(&target, path) && apply_history(&target, history) && target_save(&target);
    target_close(&target);
    replay->n_applied += target.n_applied;
    if (!ok && may_pass(target.code))
        problems_add(replay->problems, "%s: %s: %s; nothing is lost, start again when that is over", path, target.why,
                     sqlite3_errstr(target.code));
    else if (!ok && (target.code == SQLITE_IOERR || target.code == SQLITE_CORRUPT)) /* a failed read may be called so */
        ok = keep(replay, path, history, target.why);
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
        scoperecords_release(&history->records);
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

static void tell_damage(const struct replay *replay)
{
    problems_add(replay->problems,
                 "%s: damaged at position %" PRIu64
                 ": what follows was durable, but cannot be read; put back a copy of "
                 "the data folder, or run `skerry journal repair --data %s`: it replays what can be read, and keeps "
                 "the rest aside",
                 replay->reader.dir, replay->reader.end, replay->data_dir);
}

/* With `salvage`, the segments of a journal that is damaged stay, and what can be read of it is replayed. */
static bool replay_dir(const char *data_dir, const char *dir, bool salvage, struct problems *problems)
{
    struct replay replay = {.data_dir = data_dir, .problems = problems};
    bool ok = reader_open(&replay.reader, dir, problems) && reader_walk(&replay.reader, collect, &replay);
    bool is_damaged = ok && reader_state(&replay.reader) == READER_DAMAGED;
    if (is_damaged && !salvage)
        tell_damage(&replay);
    ok = ok && (!is_damaged || salvage) && replay_scopes(&replay);
    if (ok && replay.n_records > 0)
        log_line(LOG_INFO, "replayed dir=%s records=%zu scopes=%zu applied=%zu", dir, replay.n_records,
                 replay.histories.n, replay.n_applied);
    ok = ok && (is_damaged || remove_segments(&replay));
    free_histories(&replay);
    reader_close(&replay.reader);
    return ok;
}

static bool pass_over(void *arg, const struct reader_segment *segment, const struct record *record)
{
    (void)arg;
    (void)segment;
    (void)record;
    return true;
}

/* Of one that is not replayed, because another could not be: a person wants to know all of it. */
static void look_for_damage(const char *data_dir, const char *dir, struct problems *problems)
{
    struct replay replay = {.data_dir = data_dir, .problems = problems};
    if (reader_open(&replay.reader, dir, problems) && reader_walk(&replay.reader, pass_over, NULL) &&
        reader_state(&replay.reader) == READER_DAMAGED)
        tell_damage(&replay);
    reader_close(&replay.reader);
}

static bool replay_dirs(const char *data_dir, bool salvage, struct problems *problems)
{
    struct reader_dirs dirs;
    bool ok = reader_dirs_find(&dirs, data_dir, problems);
    for (size_t i = 0; i < dirs.n; i++)
        if (ok)
            ok = replay_dir(data_dir, dirs.paths[i], salvage, problems);
        else
            look_for_damage(data_dir, dirs.paths[i], problems);
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

/* What was kept while a worker ran comes first: the journals may have lost the beginning of it by now. */
static void mend_kept(void *arg, const struct scope_name *name)
{
    const char *data_dir = arg;
    struct buf why = {0};
    enum err err = mend_file(data_dir, name, false, &why);
    if (err == ERR_OK)
        log_line(LOG_INFO, "scope_mended scope=%s", name->text);
    else
        log_line(LOG_ERROR, "scope_not_mended scope=%s why=\"%s\"", name->text, why.data);
    buf_release(&why);
}

static bool replay_what_is_there(const char *data_dir, bool salvage, struct problems *problems)
{
    return make_root(data_dir, problems) && kept_each(data_dir, mend_kept, (void *)(uintptr_t)data_dir, problems) &&
           replay_dirs(data_dir, salvage, problems);
}

bool replay_all(const char *data_dir, struct problems *problems)
{
    return replay_what_is_there(data_dir, false, problems);
}

bool replay_salvage(const char *data_dir, struct problems *problems)
{
    return replay_what_is_there(data_dir, true, problems);
}
