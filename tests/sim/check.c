#include "tests/sim/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define APP_SCHEMA    TESTS_SIM "/app/room/0001_items.sql"
#define APP_MIGRATION TESTS_SIM "/app-later/room/0002_tags.sql"

enum { START_STEP = 1 << 23, START_ACKS = 2 };

#define FAIL(history, format, ...) sim_fail("%s: " format, (history)->name.text, __VA_ARGS__)
#define SEQ(seq)                   ((unsigned long long)(seq))

static sqlite3_stmt *prepare(const struct history *history, sqlite3 *file, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(file, sql, -1, &statement, NULL) != SQLITE_OK)
        FAIL(history, "the file: %s: %s", sql, sqlite3_errmsg(file));
    return statement;
}

static bool next(const struct history *history, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        FAIL(history, "the file: %s: %s", sqlite3_sql(statement), sqlite3_errstr(code));
    return code == SQLITE_ROW;
}

static struct slice text_of(sqlite3_stmt *row, int column)
{
    const void *text = sqlite3_column_blob(row, column);
    return slice_of(text, (size_t)sqlite3_column_bytes(row, column));
}

/* Receipts. */

static const char RECEIPTS[] =
    "SELECT sub, tx, seq, code, message IS NOT NULL, result FROM _sync_receipts ORDER BY seq";

static size_t read_tx(const struct history *history, sqlite3_stmt *row)
{
    struct slice id = text_of(row, 1), user = text_of(row, 0);
    char name[16];
    size_t tx;
    if (!history_find(history, id, &tx))
        FAIL(history, "a receipt is of '%.*s', which nobody sent", (int)id.len, id.data);
    snprintf(name, sizeof name, "u%u", history->txs[tx].work.user);
    if (!slice_eq(user, slice_str(name)))
        FAIL(history, "the receipt of t%zu is %.*s's, not %s's", tx, (int)user.len, user.data, name);
    return tx;
}

static struct ending read_ending(const struct history *history, sqlite3_stmt *row)
{
    enum { SEQ_COLUMN = 2, CODE, IS_REJECTED, RESULT };
    struct slice result = text_of(row, RESULT), code = text_of(row, CODE);
    struct ending ending = {.is_rejected = sqlite3_column_int(row, IS_REJECTED) != 0,
                            .seq = (uint64_t)sqlite3_column_int64(row, SEQ_COLUMN),
                            .result = result.len == 0 ? 0 : row_hash(result)};
    if (code.len >= CODE_MAX)
        FAIL(history, "a receipt has the code '%.*s'", (int)code.len, code.data);
    if (code.len > 0)
        memcpy(ending.code, code.data, code.len);
    return ending;
}

static const char *ended(bool is_rejected)
{
    return is_rejected ? "rejected" : "committed";
}

/* What the rules come to, unless time ran out: that may happen to any transaction. */
static void check_outcome(const struct history *history, size_t tx, const struct ending *ending,
                          const struct outcome_of_model *outcome)
{
    const char *name = work_name(&history->txs[tx].work), *code = outcome->code == NULL ? "" : outcome->code;
    if (ending->is_rejected && strcmp(ending->code, "EXECUTE_FAILED") == 0)
        return;
    if (ending->is_rejected != (outcome->code != NULL) || strcmp(ending->code, code) != 0)
        FAIL(history, "t%zu (%s) at %llu was %s '%s', and should be %s '%s'", tx, name, SEQ(ending->seq),
             ended(ending->is_rejected), ending->code, ended(outcome->code != NULL), code);
    if (!ending->is_rejected && ending->result != outcome->result)
        FAIL(history, "t%zu (%s) at %llu has another result", tx, name, SEQ(ending->seq));
}

static void migrate(struct truth *truth)
{
    model_migrate(truth->model, APP_MIGRATION);
    model_ack(truth->model);
    truth->floor = model_head(truth->model);
    truth->has_migrated = true;
}

/* The file starts where the clock was, with its acks. */
static void begin(const struct history *history, struct model *model, uint64_t first)
{
    uint64_t start = first - START_ACKS;
    if (start % START_STEP != 0)
        FAIL(history, "the first transaction begins at %llu, which is not behind a start", SEQ(first));
    model_begin(model, start);
    for (int i = 1; i < START_ACKS; i++)
        model_ack(model);
}

static uint64_t head_before(const struct ending *ending, const struct outcome_of_model *outcome)
{
    return ending->seq - (ending->is_rejected || outcome->n_changes == 0 ? 1 : outcome->n_changes);
}

/* Where a transaction leaves out one position, a migration took it. */
static struct outcome_of_model decide(struct truth *truth, const struct work *work, const struct ending *ending)
{
    struct model *model = truth->model;
    struct outcome_of_model outcome = model_decide(model, work);
    uint64_t before = head_before(ending, &outcome);
    if (truth->floor == 0) {
        begin(truth->history, model, before + 1);
        truth->floor = before;
    } else if (!truth->has_migrated && before == model_head(model) + 1) {
        model_drop(model);
        migrate(truth);
        outcome = model_decide(model, work);
    }
    return outcome;
}

static void apply(struct truth *truth, size_t tx, const struct ending *ending)
{
    struct model *model = truth->model;
    const struct work *work = &truth->history->txs[tx].work;
    struct outcome_of_model outcome = decide(truth, work, ending);
    check_outcome(truth->history, tx, ending, &outcome);
    if (ending->is_rejected) {
        model_drop(model);
        model_ack(model);
    } else {
        model_take(model);
    }
    if (model_head(model) != ending->seq)
        FAIL(truth->history, "t%zu (%s, %zu changes) stands at %llu, and should at %llu", tx, work_name(work),
             outcome.n_changes, SEQ(ending->seq), SEQ(model_head(model)));
    truth->endings[tx] = *ending;
    if (sim_is_traced())
        sim_note("%llu: t%zu, a %s of u%u's, %s %s", SEQ(ending->seq), tx, work_name(work), work->user,
                 ended(ending->is_rejected), ending->code);
    sim_tally(SIM_CHECKS, 1);
}

/* The file's own. */

static void check_rows(const struct history *history, const struct model *model, sqlite3 *file, enum collection which)
{
    char sql[64], key[KEY_TEXT_MAX];
    struct rows rows = {0};
    snprintf(sql, sizeof sql, "SELECT * FROM %s", COLLECTION_NAMES[which]);
    sqlite3_stmt *all = prepare(history, file, sql);
    while (next(history, all)) {
        unsigned slot = key_slot(which, text_of(all, 0));
        if (slot == SLOT_NONE)
            FAIL(history, "the file holds a row of %s that nobody wrote", COLLECTION_NAMES[which]);
        rows_set(&rows, slot, model_hash_row(all));
    }
    sqlite3_finalize(all);
    for (unsigned slot = 0; slot < KEYS; slot++) {
        const struct version *version = model_latest(model, which, slot);
        if (rows.of[slot] != model_rows(model, which)->of[slot])
            FAIL(history, "the row %s of %s in the file is not what was confirmed at %llu", key_text(which, slot, key),
                 COLLECTION_NAMES[which], version == NULL ? 0 : SEQ(version->seq));
    }
    sim_tally(SIM_CHECKS, KEYS);
}

static const struct version *latest_logged(const struct model *model, enum collection collection, unsigned slot)
{
    const struct version *version = model_latest(model, collection, slot);
    while (version != NULL && version->is_silent)
        version = version->before;
    return version;
}

/* The log has the latest change of each key, and no other. */
static void check_log(const struct history *history, const struct model *model, sqlite3 *file, enum collection which)
{
    sqlite3_stmt *log = prepare(history, file,
                                "SELECT seq, key, op FROM _sync_log"
                                " WHERE collection = (SELECT id FROM _sync_collections WHERE name = ?)");
    size_t n = 0, n_expected = 0;
    char key[KEY_TEXT_MAX];
    sqlite3_bind_text(log, 1, COLLECTION_NAMES[which], -1, SQLITE_STATIC);
    for (; next(history, log); n++) {
        unsigned slot = key_slot(which, text_of(log, 1));
        const struct version *version = slot == SLOT_NONE ? NULL : latest_logged(model, which, slot);
        if (version == NULL || version->seq != (uint64_t)sqlite3_column_int64(log, 0) ||
            (int)version->op != sqlite3_column_int(log, 2))
            FAIL(history, "the log has %s of %s at %lld, and should at %llu", key_text(which, slot, key),
                 COLLECTION_NAMES[which], sqlite3_column_int64(log, 0), version == NULL ? 0 : SEQ(version->seq));
    }
    sqlite3_finalize(log);
    for (unsigned slot = 0; slot < KEYS; slot++)
        n_expected += latest_logged(model, which, slot) != NULL;
    if (n != n_expected)
        FAIL(history, "the log has %zu keys of %s, and should have %zu", n, COLLECTION_NAMES[which], n_expected);
    sim_tally(SIM_CHECKS, n + 1);
}

static uint64_t read_number(const struct history *history, sqlite3 *file, const char *sql)
{
    sqlite3_stmt *read = prepare(history, file, sql);
    uint64_t number = next(history, read) ? (uint64_t)sqlite3_column_int64(read, 0) : 0;
    sqlite3_finalize(read);
    return number;
}

static void check_positions(struct truth *truth, sqlite3 *file)
{
    const struct history *history = truth->history;
    uint64_t head = read_number(history, file, "SELECT max(seq) FROM _sync_log");
    uint64_t lowest = read_number(history, file, "SELECT min(floor) FROM _sync_collections");
    uint64_t highest = read_number(history, file, "SELECT max(floor) FROM _sync_collections");
    uint64_t n_counted = read_number(history, file, "SELECT value FROM _sync_meta WHERE name = 'schema'");
    uint64_t n_run = read_number(history, file, "SELECT count(*) FROM _sync_migrations");
    if (!truth->has_migrated && n_counted > 1)
        migrate(truth);
    else if (!truth->has_migrated && n_run > 1) /* it ended between the two: nobody has read this file */
        model_migrate(truth->model, APP_MIGRATION);
    if (head != model_head(truth->model))
        FAIL(history, "the head is %llu, and should be %llu", SEQ(head), SEQ(model_head(truth->model)));
    if (lowest != truth->floor || highest != truth->floor)
        FAIL(history, "the floors are %llu to %llu, and should be %llu", SEQ(lowest), SEQ(highest), SEQ(truth->floor));
}

struct truth check_file(const struct history *history, sqlite3 *file)
{
    struct truth truth = {.history = history, .model = model_new(APP_SCHEMA)};
    truth.endings = mem_zero(history->n_txs + 1, sizeof *truth.endings);
    if (file == NULL)
        return truth;
    sqlite3_stmt *receipts = prepare(history, file, RECEIPTS);
    while (next(history, receipts)) {
        struct ending ending = read_ending(history, receipts);
        apply(&truth, read_tx(history, receipts), &ending);
    }
    sqlite3_finalize(receipts);
    if (truth.floor == 0) /* the file was made, and then nothing was decided */
        return truth;
    check_positions(&truth, file);
    for (enum collection i = LISTS; i < COLLECTION_N; i++) {
        check_rows(history, truth.model, file, i);
        check_log(history, truth.model, file, i);
    }
    return truth;
}

/* What clients were told. */

static void check_answer(const struct truth *truth, size_t tx)
{
    const struct history *history = truth->history;
    const struct ending *told = &history->txs[tx].ending, *kept = &truth->endings[tx];
    const char *name = work_name(&history->txs[tx].work);
    if (kept->seq == 0)
        FAIL(history, "t%zu (%s) was %s at %llu, and the file has no receipt of it", tx, name, ended(told->is_rejected),
             SEQ(told->seq));
    if (told->is_rejected != kept->is_rejected || strcmp(told->code, kept->code) != 0 || told->result != kept->result ||
        (told->seq != 0 && told->seq != kept->seq))
        FAIL(history, "t%zu (%s) was %s '%s' at %llu, but its receipt says %s '%s' at %llu", tx, name,
             ended(told->is_rejected), told->code, SEQ(told->seq), ended(kept->is_rejected), kept->code,
             SEQ(kept->seq));
}

/* The row of a snapshot is one that the key had when it began, or later. */
static bool was_there(const struct truth *truth, const struct sight *sight)
{
    const struct version *version = model_latest(truth->model, sight->collection, sight->slot);
    for (; version != NULL; version = version->before) {
        if (version->row == sight->row)
            return true;
        if (version->seq <= sight->seq)
            return false;
    }
    return false;
}

static bool is_change(const struct truth *truth, const struct sight *sight)
{
    const struct position *position = model_at(truth->model, sight->seq);
    const struct version *version = position == NULL ? NULL : position->version;
    return version != NULL && version->collection == sight->collection && version->slot == sight->slot &&
           version->op == (enum op_type)sight->op && version->row == sight->row;
}

static void check_sight(const struct truth *truth, const struct sight *sight)
{
    char key[KEY_TEXT_MAX];
    bool is_snapshot = sight->op == SNAPSHOT_ROW;
    if (is_snapshot ? was_there(truth, sight) : is_change(truth, sight))
        return;
    FAIL(truth->history, "client %u was given the row %s of %s %s %llu, which it never was there", sight->client,
         key_text(sight->collection, sight->slot, key), COLLECTION_NAMES[sight->collection],
         is_snapshot ? "in a snapshot of" : "as the change at", SEQ(sight->seq));
}

static void check_view(const struct truth *truth, const struct view *view)
{
    const struct position *position = model_at(truth->model, view->seq);
    if (position == NULL)
        FAIL(truth->history, "client %u was at %llu, which there never was", view->client, SEQ(view->seq));
    if (view->collection < COLLECTION_N && position->rows[view->collection] != view->rows)
        FAIL(truth->history, "client %u held other rows of %s at %llu than there were", view->client,
             COLLECTION_NAMES[view->collection], SEQ(view->seq));
}

void check_history(const struct truth *truth)
{
    const struct history *history = truth->history;
    for (size_t i = 0; i < history->n_txs; i++)
        if (history->txs[i].is_answered)
            check_answer(truth, i);
    for (size_t i = 0; i < history->n_sights; i++)
        check_sight(truth, &history->sights[i]);
    for (size_t i = 0; i < history->n_views; i++)
        check_view(truth, &history->views[i]);
    for (size_t i = 0; i < history->n_resets; i++)
        if (history->resets[i].since >= truth->floor)
            FAIL(history, "client %u was reset at %llu, but the floor is %llu", history->resets[i].client,
                 SEQ(history->resets[i].since), SEQ(truth->floor));
    sim_tally(SIM_CHECKS, history->n_answered + history->n_sights + history->n_views + history->n_resets);
}

void check_guest(const struct guest *guest, const struct truth *truth)
{
    char key[KEY_TEXT_MAX];
    for (size_t i = 0; i < GUEST_SUBS; i++) {
        enum collection collection = guest_collection(i);
        for (unsigned slot = 0; slot < KEYS; slot++)
            if (guest_rows(guest, i)->of[slot] != model_rows(truth->model, collection)->of[slot])
                FAIL(truth->history, "client %u, at %llu, holds another row %s of %s than the server",
                     guest_number(guest), SEQ(guest_cursor(guest)), key_text(collection, slot, key),
                     COLLECTION_NAMES[collection]);
    }
    if (truth->floor != 0 && guest_cursor(guest) > model_head(truth->model))
        FAIL(truth->history, "client %u is at %llu, above the head", guest_number(guest), SEQ(guest_cursor(guest)));
    sim_tally(SIM_CHECKS, KEYS);
}
