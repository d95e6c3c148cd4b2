#include "shards/scope/receipts.h"

#include "shards/scope/row.h"

enum err receipts_open(struct receipts *receipts, struct database *database, struct buf *ret_why)
{
    receipts->find = database_prepare(
        database, SQL_OURS,
        "SELECT seq, code, message, result FROM _sync_receipts WHERE iss = ? AND sub = ? AND tx = ?", ret_why);
    receipts->put = database_prepare(
        database, SQL_OURS,
        "INSERT INTO _sync_receipts(iss, sub, tx, seq, code, message, result, at) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        ret_why);
    return receipts->find == NULL || receipts->put == NULL ? ERR_DAMAGED : ERR_OK;
}

void receipts_release(struct receipts *receipts)
{
    sqlite3_finalize(receipts->find);
    sqlite3_finalize(receipts->put);
    *receipts = (struct receipts){0};
}

static void bind_identity(sqlite3_stmt *statement, const struct claims *claims, struct slice tx)
{
    sqlite3_bind_text(statement, 1, claims->issuer, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, claims->subject, -1, SQLITE_STATIC);
    sqlite3_bind_text64(statement, 3, tx.data, tx.len, SQLITE_STATIC, SQLITE_UTF8);
}

enum err receipts_find(struct receipts *receipts, const struct claims *claims, struct slice tx,
                       struct outcome *ret_outcome)
{
    enum { SEQ, CODE, MESSAGE, RESULT };
    sqlite3_stmt *find = receipts->find;
    bind_identity(find, claims, tx);
    int code = sqlite3_step(find);
    if (code == SQLITE_ROW) {
        ret_outcome->is_replay = true;
        ret_outcome->seq = (uint64_t)sqlite3_column_int64(find, SEQ);
        ret_outcome->code = outcome_known_code((const char *)sqlite3_column_text(find, CODE));
        ret_outcome->is_rejected = sqlite3_column_type(find, MESSAGE) != SQLITE_NULL;
        ret_outcome->message.len = ret_outcome->result.len = 0;
        buf_append_slice(&ret_outcome->message, column_slice(find, MESSAGE));
        buf_append_slice(&ret_outcome->result, column_slice(find, RESULT));
    }
    sqlite3_reset(find);
    if (code == SQLITE_ROW)
        return ERR_OK;
    return code == SQLITE_DONE ? ERR_NOT_FOUND : database_err(code);
}

enum err receipts_put(struct receipts *receipts, const struct claims *claims, struct slice tx,
                      const struct outcome *outcome, int64_t now_ms)
{
    sqlite3_stmt *put = receipts->put;
    bind_identity(put, claims, tx);
    sqlite3_bind_int64(put, 4, (sqlite3_int64)outcome->seq);
    sqlite3_bind_text(put, 5, outcome->code, -1, SQLITE_STATIC);
    if (outcome->is_rejected)
        sqlite3_bind_text64(put, 6, outcome->message.len == 0 ? "" : outcome->message.data, outcome->message.len,
                            SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(put, 6);
    if (outcome->result.len > 0)
        sqlite3_bind_blob64(put, 7, outcome->result.data, outcome->result.len, SQLITE_STATIC);
    else
        sqlite3_bind_null(put, 7);
    sqlite3_bind_int64(put, 8, now_ms);
    int code = statement_run(put);
    return code == SQLITE_OK ? ERR_OK : database_err(code);
}
