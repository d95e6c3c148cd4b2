#include "shards/scope/transaction.h"

#include <assert.h>

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
    else if (file->capture.is_too_large) /* the statement was done before it could be interrupted */
        mutation_judge(file, SQLITE_INTERRUPT, outcome);
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

/* Only the app's SQL has a time limit: what the server writes for it is short, and must not be cut. */
static enum err run_in_time(struct scope_file *file, const struct claims *claims, const struct frame *frame,
                            int64_t now_ms, int64_t until_us, struct outcome *outcome)
{
    file->database.context.claims = claims;
    file->database.context.now_ms = now_ms;
    file->database.until_us = until_us;
    enum err err = run_statements(file, frame, outcome);
    file->database.until_us = 0;
    file->database.context.claims = NULL;
    return err;
}

static enum err take_back(struct scope_file *file, struct capture_mark mark)
{
    capture_cut(&file->capture, mark);
    return scope_file_run(file, SAVEPOINT_ROLLBACK);
}

/* The time was up. If that was in a write, SQLite has taken back the whole turn, else there is only this one. */
static enum err give_up(struct scope_file *file, struct capture_mark mark)
{
    if (!scope_file_is_in_transaction(file))
        return ERR_TIMEOUT;
    enum err err = take_back(file, mark);
    if (err == ERR_OK)
        err = scope_file_run(file, SAVEPOINT_RELEASE);
    return err == ERR_OK ? ERR_TIMEOUT : err;
}

static enum err decide_new(struct scope_file *file, const struct claims *claims, const struct frame *frame,
                           int64_t now_ms, int64_t until_us, struct outcome *outcome)
{
    struct capture_mark mark = capture_mark(&file->capture);
    bool is_settled = outcome->is_rejected;
    enum err err = scope_file_run(file, SAVEPOINT_BEGIN);
    if (err == ERR_OK && !is_settled)
        err = run_in_time(file, claims, frame, now_ms, until_us, outcome);
    if (err == ERR_TIMEOUT)
        return give_up(file, mark);
    if (err == ERR_OK && outcome->is_rejected && !is_settled)
        err = take_back(file, mark);
    if (err == ERR_OK)
        err = take_positions(file, mark.n, now_ms, outcome);
    if (err == ERR_OK)
        err = receipts_put(&file->receipts, claims, frame->id, outcome, now_ms);
    if (err == ERR_OK)
        err = scope_file_run(file, SAVEPOINT_RELEASE);
    return err;
}

enum err transaction_decide(struct scope_file *file, const struct claims *claims, const struct frame *frame,
                            int64_t now_ms, int64_t until_us, struct outcome *outcome)
{
    assert(frame->type == FRAME_MUT || frame->type == FRAME_CALL);
    assert(claims->subject != NULL); /* others were refused before a file was opened for them */
    enum err err = receipts_find(&file->receipts, claims, frame->id, outcome);
    return err == ERR_NOT_FOUND ? decide_new(file, claims, frame, now_ms, until_us, outcome) : err;
}
