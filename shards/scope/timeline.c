#include "shards/scope/timeline.h"

#include "shards/log/changelog.h"
#include "shards/scope/database.h"

/* ?1 is where the timeline may start at the earliest, ?2 the time. The first statement gives where it does start. */
static const char ACK[] =
    "INSERT OR REPLACE INTO _sync_log(seq, collection, key, op, at)"
    " SELECT max(?1, coalesce(max(seq), 0) + 1), 0, '', 3, max(?2, coalesce(max(at), 0)) FROM _sync_log RETURNING seq";
static const char FLOORS[] = "UPDATE _sync_collections SET floor = (SELECT max(seq) FROM _sync_log)";
static const char INCARNATION[] = "UPDATE _sync_meta SET value = random() WHERE name = 'incarnation'";

static enum err append_ack(struct database *database, uint64_t earliest, int64_t now_ms, uint64_t *ret_start,
                           struct buf *ret_why)
{
    sqlite3_stmt *write = database_prepare(database, SQL_OURS, ACK, ret_why);
    if (write == NULL)
        return ERR_DAMAGED;
    sqlite3_bind_int64(write, 1, (sqlite3_int64)earliest);
    sqlite3_bind_int64(write, 2, now_ms);
    int code = sqlite3_step(write);
    if (code == SQLITE_ROW) {
        *ret_start = (uint64_t)sqlite3_column_int64(write, 0);
        code = statement_run(write); /* to its end; after a failure that would begin anew, outside the transaction */
    }
    if (code != SQLITE_OK)
        buf_printf(ret_why, "%s", sqlite3_errmsg(database->db));
    sqlite3_finalize(write);
    return code == SQLITE_OK ? ERR_OK : database_err(code);
}

static enum err start_over(struct database *database, uint64_t earliest, int64_t now_ms, uint64_t *ret_start,
                           struct buf *ret_why)
{
    enum err err = database_run(database, SQL_OURS, "BEGIN IMMEDIATE", ret_why);
    if (err == ERR_OK)
        err = append_ack(database, earliest, now_ms, ret_start, ret_why);
    if (err == ERR_OK)
        err = database_run(database, SQL_OURS, FLOORS, ret_why);
    if (err == ERR_OK)
        err = database_run(database, SQL_OURS, INCARNATION, ret_why);
    if (err == ERR_OK)
        err = database_run(database, SQL_OURS, "COMMIT", ret_why);
    return err; /* closing rolls back what is open */
}

enum err timeline_begin(const char *path, uint64_t known_head, int64_t now_ms, uint64_t *ret_start, struct buf *ret_why)
{
    struct database database;
    uint64_t start = changelog_start(now_ms), earliest = known_head + 1 > start ? known_head + 1 : start;
    enum err err = database_open(&database, path, false, ret_why);
    if (err != ERR_OK)
        return err;
    err = database_checkpoint(&database, ret_why); /* what it holds may not be durable yet */
    if (err == ERR_OK)
        err = start_over(&database, earliest, now_ms, ret_start, ret_why);
    if (err == ERR_OK)
        err = database_checkpoint(&database, ret_why);
    database_close(&database);
    return err;
}
