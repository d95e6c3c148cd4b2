#include "shards/log/changelog.h"

#include <stdlib.h>
#include <string.h>

#include "shards/scope/row.h"

enum { OP_NONE = 3, COLLECTION_NOTHING = 0 };

static const int64_t EPOCH_S = 1767225600; /* 2026-01-01T00:00:00Z */

uint64_t changelog_start(int64_t now_ms)
{
    int64_t seconds = now_ms / 1000 - EPOCH_S;
    return (uint64_t)(seconds < 1 ? 1 : seconds) << 23;
}

static enum err read_head(struct changelog *log, struct database *database, int64_t now_ms, struct buf *ret_why)
{
    sqlite3_stmt *read =
        database_prepare(database, SQL_OURS, "SELECT seq, at FROM _sync_log ORDER BY seq DESC LIMIT 1", ret_why);
    if (read == NULL)
        return ERR_DAMAGED;
    int code = sqlite3_step(read);
    if (code == SQLITE_ROW) {
        log->head = (uint64_t)sqlite3_column_int64(read, 0);
        log->at = sqlite3_column_int64(read, 1);
    }
    sqlite3_finalize(read);
    if (code == SQLITE_ROW)
        return ERR_OK;
    if (code != SQLITE_DONE)
        return database_err(code);
    log->head = changelog_start(now_ms) - 1; /* a new scope: the ack takes the start */
    return changelog_ack(log, now_ms);
}

/* Reads what is stored of a collection. ERR_NOT_FOUND if there is nothing, or it stands for something else now. */
static enum err read_collection(struct changelog *log, const struct collection *collection, struct database *database)
{
    sqlite3_stmt *read = database_prepare(database, SQL_OURS,
                                          "SELECT id, floor, fingerprint FROM _sync_collections WHERE name = ?", NULL);
    if (read == NULL)
        return ERR_DAMAGED;
    sqlite3_bind_text(read, 1, collection->def->name, -1, SQLITE_STATIC);
    bool same = false;
    int code = sqlite3_step(read);
    if (code == SQLITE_ROW) {
        log->ids[collection->number] = sqlite3_column_int64(read, 0);
        log->floors[collection->number] = (uint64_t)sqlite3_column_int64(read, 1);
        same = strcmp((const char *)sqlite3_column_text(read, 2), collection->fingerprint) == 0;
    }
    sqlite3_finalize(read);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return database_err(code);
    return same ? ERR_OK : ERR_NOT_FOUND;
}

static enum err raise_floor(struct changelog *log, const struct collection *collection, struct database *database)
{
    sqlite3_stmt *write = database_prepare(database, SQL_OURS,
                                           "INSERT INTO _sync_collections(name, floor, fingerprint) VALUES(?1, ?2, ?3)"
                                           " ON CONFLICT(name) DO UPDATE SET floor = ?2, fingerprint = ?3 RETURNING id",
                                           NULL);
    if (write == NULL)
        return ERR_DAMAGED;
    sqlite3_bind_text(write, 1, collection->def->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(write, 2, (sqlite3_int64)log->head);
    sqlite3_bind_text(write, 3, collection->fingerprint, -1, SQLITE_STATIC);
    int code = sqlite3_step(write);
    if (code == SQLITE_ROW) {
        log->ids[collection->number] = sqlite3_column_int64(write, 0);
        code = statement_run(write); /* to its end; after a failure that would begin anew, outside the transaction */
    }
    sqlite3_finalize(write);
    log->floors[collection->number] = log->head;
    return code == SQLITE_OK ? ERR_OK : database_err(code);
}

/* What is no collection now changes without an entry: should it become one again, its floor must rise. */
static enum err forget_others(const struct changelog *log, struct database *database)
{
    struct buf names = {0};
    for (size_t i = 0; i < log->kind->n_collections; i++)
        buf_printf(&names, "%s\"%s\"", i == 0 ? "[" : ",", log->kind->collections[i].def->name);
    buf_printf(&names, "%s]", names.len == 0 ? "[" : "");
    sqlite3_stmt *write = database_prepare(database, SQL_OURS,
                                           "UPDATE _sync_collections SET fingerprint = '' WHERE fingerprint <> ''"
                                           " AND name NOT IN (SELECT value FROM json_each(?))",
                                           NULL);
    sqlite3_bind_text64(write, 1, names.data, names.len, SQLITE_STATIC, SQLITE_UTF8);
    int code = statement_run(write);
    sqlite3_finalize(write);
    buf_release(&names);
    return code == SQLITE_OK ? ERR_OK : database_err(code);
}

/* A rise takes a position of its own, so that a cursor at the old head is below the new floor. */
static enum err read_collections(struct changelog *log, struct database *database, bool is_changed, int64_t now_ms)
{
    bool has_position = false;
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < log->kind->n_collections; i++) {
        const struct collection *collection = &log->kind->collections[i];
        err = read_collection(log, collection, database);
        if (err != ERR_NOT_FOUND && (err != ERR_OK || !is_changed))
            continue;
        err = has_position ? ERR_OK : changelog_ack(log, now_ms);
        has_position = true;
        if (err == ERR_OK)
            err = raise_floor(log, collection, database);
    }
    return err == ERR_OK ? forget_others(log, database) : err;
}

enum err changelog_open(struct changelog *log, const struct kind *kind, struct database *database, bool is_changed,
                        int64_t now_ms, struct buf *ret_why)
{
    *log = (struct changelog){.kind = kind};
    log->floors = mem_zero(kind->n_collections + 1, sizeof *log->floors);
    log->ids = mem_zero(kind->n_collections + 1, sizeof *log->ids);
    log->append = database_prepare(
        database, SQL_OURS, "INSERT OR REPLACE INTO _sync_log(seq, collection, key, op, at) VALUES(?, ?, ?, ?, ?)",
        ret_why);
    log->read = database_prepare(database, SQL_OURS,
                                 "SELECT seq, collection, key, op FROM _sync_log WHERE seq > ? ORDER BY seq", ret_why);
    if (log->append == NULL || log->read == NULL)
        return ERR_DAMAGED;
    enum err err = read_head(log, database, now_ms, ret_why);
    if (err == ERR_OK)
        err = read_collections(log, database, is_changed, now_ms);
    return err;
}

void changelog_release(struct changelog *log)
{
    sqlite3_finalize(log->append);
    sqlite3_finalize(log->read);
    free(log->floors);
    free(log->ids);
    *log = (struct changelog){0};
}

static enum err append(struct changelog *log, int64_t id, struct slice key, int op, int64_t now_ms)
{
    if (log->at < now_ms)
        log->at = now_ms;
    sqlite3_bind_int64(log->append, 1, (sqlite3_int64)(log->head + 1));
    sqlite3_bind_int64(log->append, 2, id);
    sqlite3_bind_text64(log->append, 3, key.len == 0 ? "" : key.data, key.len, SQLITE_STATIC, SQLITE_UTF8);
    sqlite3_bind_int(log->append, 4, op);
    sqlite3_bind_int64(log->append, 5, log->at);
    int code = statement_run(log->append);
    if (code != SQLITE_OK)
        return database_err(code);
    log->head++;
    return ERR_OK;
}

enum err changelog_append(struct changelog *log, const struct collection *collection, struct slice key, enum op_type op,
                          int64_t now_ms)
{
    return append(log, log->ids[collection->number], key, (int)op, now_ms);
}

enum err changelog_ack(struct changelog *log, int64_t now_ms)
{
    return append(log, COLLECTION_NOTHING, SLICE(""), OP_NONE, now_ms);
}

struct changelog_mark changelog_mark(const struct changelog *log)
{
    return (struct changelog_mark){log->head, log->at};
}

void changelog_cut(struct changelog *log, struct changelog_mark mark)
{
    log->head = mark.head;
    log->at = mark.at;
}

void changelog_seek(struct changelog *log, uint64_t after)
{
    sqlite3_bind_int64(log->read, 1, (sqlite3_int64)after);
}

static const struct collection *by_id(const struct changelog *log, int64_t id)
{
    for (size_t i = 0; i < log->kind->n_collections; i++)
        if (log->ids[i] == id)
            return &log->kind->collections[i];
    return NULL;
}

bool changelog_next(struct changelog *log, struct changelog_entry *ret_entry)
{
    if (sqlite3_step(log->read) != SQLITE_ROW)
        return false;
    int op = sqlite3_column_int(log->read, 3);
    *ret_entry = (struct changelog_entry){
        .seq = (uint64_t)sqlite3_column_int64(log->read, 0),
        .collection = op == OP_NONE ? NULL : by_id(log, sqlite3_column_int64(log->read, 1)),
        .key = column_slice(log->read, 2),
        .op = (enum op_type)op,
    };
    return true;
}
