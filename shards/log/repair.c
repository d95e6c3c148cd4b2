#include "shards/log/repair.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "proto/route.h"
#include "shards/log/kept.h"
#include "shards/log/marker.h"
#include "shards/log/reader.h"
#include "shards/log/replay.h"
#include "shards/log/scoperecord.h"
#include "shards/scope/scope_file.h"
#include "shards/scope/timeline.h"

/* Seqs that a scope may have taken behind the last one that can be read. */
static const uint64_t UNREADABLE_SEQS = 1 << 23;

struct repair {
    const char *data_dir;
    int64_t now_ms;
    bool *is_damaged; /* by journal */
    uint64_t known;   /* the highest seq in any record that can be read */
    struct repair_result *result;
    struct problems *problems;
};

/* What is known of the journals. */

static bool note_seq(void *arg, const struct reader_segment *segment, const struct record *record)
{
    struct repair *repair = arg;
    struct scoperecord scope;
    (void)segment;
    if (scoperecord_read(record->payload, &scope) && scope.last_seq > repair->known)
        repair->known = scope.last_seq;
    return true;
}

static bool examine(struct repair *repair, const char *dir, bool *ret_is_damaged)
{
    struct reader reader;
    bool ok = reader_open(&reader, dir, repair->problems);
    if (ok) {
        reader_walk(&reader, note_seq, repair);
        reader_walk_rest(&reader, note_seq, repair);
        *ret_is_damaged = reader_state(&reader) == READER_DAMAGED;
    }
    reader_close(&reader);
    return ok;
}

static bool examine_all(struct repair *repair, const struct reader_dirs *dirs)
{
    bool ok = true;
    for (size_t i = 0; ok && i < dirs->n; i++) {
        ok = examine(repair, dirs->paths[i], &repair->is_damaged[i]);
        repair->result->n_journals += repair->is_damaged[i];
    }
    return ok;
}

/* The scopes. */

static bool start_over(struct repair *repair, const char *path)
{
    struct buf why = {0};
    uint64_t start;
    enum err err = marker_find(path);
    if (err == ERR_OK) {
        problems_add(&repair->result->notes,
                     "%s is marked as damaged and stays closed; restore it from a backup: that starts a new timeline",
                     path);
        return true;
    }
    if (err == ERR_NOT_FOUND)
        err = timeline_begin(path, repair->known + UNREADABLE_SEQS, repair->now_ms, &start, &why);
    else
        buf_printf(&why, "%s", strerror(errno));
    if (err != ERR_OK)
        problems_add(repair->problems, "%s: no new timeline: %.*s; mend it or move it away, then try again", path,
                     (int)why.len, why.len == 0 ? "" : why.data);
    repair->result->n_scopes += err == ERR_OK;
    buf_release(&why);
    return err == ERR_OK;
}

static int is_database(const struct dirent *entry)
{
    const char *ending = strrchr(entry->d_name, '.');
    return ending != NULL && strcmp(ending, ".db") == 0;
}

static bool start_slot_over(struct repair *repair, unsigned slot)
{
    struct dirent **entries = NULL;
    char *dir = NULL;
    if (asprintf(&dir, "%s/%u", repair->data_dir, slot) < 0)
        abort();
    int n = scandir(dir, &entries, is_database, alphasort);
    bool ok = n >= 0 || errno == ENOENT;
    if (!ok)
        problems_add(repair->problems, "%s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", dir, entries[i]->d_name) < 0)
            abort();
        ok = ok && start_over(repair, path);
        free(path);
        free(entries[i]);
    }
    free(entries);
    free(dir);
    return ok;
}

/* Once its file is of another incarnation, nothing of them could be applied any more. */
static void refuse_kept(void *arg, const struct scope_name *name)
{
    struct repair *repair = arg;
    problems_add(repair->problems,
                 "%s: its file cannot be mended yet, and its records wait for that; try again when its "
                 "disk is well",
                 name->text);
}

static bool start_all_over(struct repair *repair)
{
    size_t n_problems = repair->problems->n;
    bool ok = kept_each(repair->data_dir, refuse_kept, repair, repair->problems) && repair->problems->n == n_problems;
    for (unsigned slot = 0; ok && slot < ROUTE_SLOTS; slot++)
        ok = start_slot_over(repair, slot);
    return ok;
}

/* The journals go last: as long as one is there, damaged, the server does not start. */

static bool move_aside(struct repair *repair, const char *dir)
{
    char *aside = NULL, *root = NULL;
    if (asprintf(&aside, "%s.damaged-%" PRId64, dir, repair->now_ms / 1000) < 0 ||
        asprintf(&root, "%s/journal", repair->data_dir) < 0)
        abort();
    bool ok = rename(dir, aside) == 0 && dir_sync(root) == ERR_OK;
    if (ok)
        problems_add(&repair->result->notes, "%s is kept as %s", dir, aside);
    else
        problems_add(repair->problems, "%s: cannot be moved aside: %s", dir, strerror(errno));
    free(aside);
    free(root);
    return ok;
}

static bool move_all_aside(struct repair *repair, const struct reader_dirs *dirs)
{
    bool ok = true;
    for (size_t i = 0; ok && i < dirs->n; i++)
        ok = !repair->is_damaged[i] || move_aside(repair, dirs->paths[i]);
    return ok;
}

bool repair_journals(const char *data_dir, int64_t now_ms, struct repair_result *ret_result, struct problems *problems)
{
    struct reader_dirs dirs;
    struct repair repair = {.data_dir = data_dir, .now_ms = now_ms, .result = ret_result, .problems = problems};
    *ret_result = (struct repair_result){0};
    bool ok = reader_dirs_find(&dirs, data_dir, problems);
    repair.is_damaged = mem_zero(dirs.n + 1, sizeof *repair.is_damaged);
    ok = ok && examine_all(&repair, &dirs);
    if (ok && ret_result->n_journals > 0)
        ok = replay_salvage(data_dir, problems) && start_all_over(&repair) && move_all_aside(&repair, &dirs);
    free(repair.is_damaged);
    reader_dirs_release(&dirs);
    return ok;
}
