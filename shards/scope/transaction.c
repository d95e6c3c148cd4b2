#include "shards/scope/transaction.h"

#include <assert.h>

#include "base/metrics.h"
#include "shards/scope/command.h"
#include "shards/scope/mutation.h"

/* A deferred foreign key would pass the savepoint and fail the whole turn's commit. */
static void check_deferred(struct scope_file *file, struct outcome *outcome)
{
    int unresolved = 0, ignored;
    sqlite3_db_status(file->database.db, SQLITE_DBSTATUS_DEFERRED_FKS, &unresolved, &ignored, 0);
    if (unresolved != 0)
        outcome_reject(outcome, REJECT_CONSTRAINT, "FOREIGN KEY constraint failed");
    else if (file->capture.has_bad_key)
        outcome_reject(outcome, REJECT_CONSTRAINT, "a row's key must not be NULL; in a collection, a text, not empty");
    else if (file->capture.has_bad_text)
        outcome_reject(outcome, REJECT_CONSTRAINT, "text must be UTF-8");
}

static enum err run_statements(struct scope_file *file, const struct frame *frame, struct outcome *outcome)
{
    if (frame->type == FRAME_MUT && frame->mut.ops.n > MUTATION_OPS_MAX) {
        outcome_reject(outcome, REJECT_LIMIT_EXCEEDED, "more than %d ops", MUTATION_OPS_MAX);
        return ERR_OK;
    }
    enum err err = frame->type == FRAME_MUT ? mutation_run(file, frame, outcome) : command_run(file, frame, outcome);
    if (err == ERR_OK && !outcome->is_rejected)
        check_deferred(file, outcome);
    return err == ERR_OK ? file->failed : err;
}

/* Each row change takes a position; a transaction without one takes one all the same. */
static enum err take_positions(struct scope_file *file, size_t first, int64_t now_ms, struct outcome *outcome)
{
    enum err err = ERR_OK;
    for (size_t i = first; err == ERR_OK && i < file->capture.n; i++) {
        struct change *change = &file->capture.changes[i];
        err = changelog_append(&file->log, change->collection, change_key(&file->capture, change), change->op, now_ms);
        change->seq = file->log.head;
    }
    if (err == ERR_OK && first == file->capture.n)
        err = changelog_ack(&file->log, now_ms);
    outcome->seq = file->log.head;
    return err;
}

static enum err decide_new(struct scope_file *file, const struct claims *claims, const struct frame *frame,
                           int64_t now_ms, struct outcome *outcome)
{
    struct capture_mark mark = capture_mark(&file->capture);
    enum err err = scope_file_run(file, SAVEPOINT_BEGIN);
    if (err == ERR_OK)
        err = run_statements(file, frame, outcome);
    if (err == ERR_OK && outcome->is_rejected) {
        err = scope_file_run(file, SAVEPOINT_ROLLBACK);
        capture_cut(&file->capture, mark);
    }
    if (err == ERR_OK)
        err = take_positions(file, mark.n, now_ms, outcome);
    if (err == ERR_OK)
        err = receipts_put(&file->receipts, claims, frame->id, outcome, now_ms);
    if (err == ERR_OK)
        err = scope_file_run(file, SAVEPOINT_RELEASE);
    if (err == ERR_OK)
        metric_add(outcome->is_rejected ? METRIC_SHARD_REJECTED : METRIC_SHARD_COMMITTED, 1);
    return err;
}

enum err transaction_decide(struct scope_file *file, const struct claims *claims, const struct frame *frame,
                            int64_t now_ms, struct outcome *ret_outcome)
{
    assert(frame->type == FRAME_MUT || frame->type == FRAME_CALL);
    assert(claims->subject != NULL); /* others were refused before a file was opened for them */
    enum err err = receipts_find(&file->receipts, claims, frame->id, ret_outcome);
    if (err == ERR_OK)
        metric_add(METRIC_SHARD_REPLAYED, 1);
    if (err != ERR_NOT_FOUND)
        return err;
    file->database.context.claims = claims;
    file->database.context.now_ms = now_ms;
    err = decide_new(file, claims, frame, now_ms, ret_outcome);
    file->database.context.claims = NULL;
    return err;
}
