/*
 * database - one SQLite connection, as Skerry uses it: whose SQL may do what, and the functions that rules call.
 *
 * SQL of an app is prepared as what it is (a migration, a rule, a command's statement, or one that the server
 * generated for the app's tables), and an authorizer refuses what that may not do. Triggers and views are compiled with
 * the statement that reaches them, so none of them gets further than it. Only SQL_OURS sees the `_sync_` tables.
 *
 * Thread: one at a time; opened without SQLite's mutexes.
 */
#ifndef SHARDS_SCOPE_DATABASE_H
#define SHARDS_SCOPE_DATABASE_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "shards/scope/claims.h"

enum sql_kind {
    SQL_OURS,      /* the server's own bookkeeping */
    SQL_MIGRATION, /* may change the schema */
    SQL_STATEMENT, /* reads and writes rows */
    SQL_RULE,      /* reads */
};

/* What claim(), scope_id() and now_ms() answer while a statement runs. */
struct sql_context {
    const struct claims *claims; /* NULL: every claim is NULL */
    struct slice scope_id;
    int64_t now_ms;
};

struct database {
    sqlite3 *db;
    enum sql_kind preparing;
    const char *denied; /* why the authorizer last said no */
    struct sql_context context;
    int64_t until_us;                /* a statement that runs then is interrupted; 0: none is */
    const atomic_bool *is_cancelled; /* whatever runs is interrupted once this is true; or NULL */
    int page_bytes;
    int64_t wal_bytes; /* that wait for a checkpoint; of a WAL that was found it is not known how many */
    bool is_open;      /* else SQLite has at most a message to give */
    bool is_wal_kept;  /* see database_keep_wal; until then nothing writes the file */
};

/* Opens `path` (":memory:" too), creating it if asked to. On failure `ret_why` holds a message. Commits are whole, but
 * durable only when a checkpoint was asked for; and of a file that was created, never: it is for who made it to sync.
 */
enum err database_open(struct database *database, const char *path, bool create, struct buf *ret_why);

/* Whether a file was left without a proper end: its WAL holds something. */
bool database_has_wal(const char *path);

/* Makes the entry of the WAL durable, before anything writes the file at `path`: beside a newer file, a power cut would
 * bring back an older WAL. SQLite does so too, but goes on if that fails. Returns SQLite's code; after an error the
 * file can only be closed. */
int database_keep_wal(sqlite3 *db, const char *path);

/* Everything that was committed is durable in the file itself afterwards. On failure `ret_why` (unless NULL) says why.
 */
enum err database_checkpoint(struct database *database, struct buf *ret_why);

/* Writes what is in the WAL back into the file; does not say if that fails. */
void database_close(struct database *database);

/* Prepares one statement; anything behind it is an error. On failure NULL, and `ret_why` (unless NULL) says why. */
sqlite3_stmt *database_prepare(struct database *database, enum sql_kind kind, const char *sql, struct buf *ret_why);

/* Runs statements that give no rows, as `kind`. On failure `ret_why` (unless NULL) says why. */
enum err database_run(struct database *database, enum sql_kind kind, const char *sql, struct buf *ret_why);

/* Steps a statement to its end and resets it: SQLITE_OK or the extended error code. */
int statement_run(sqlite3_stmt *statement);

/* ERR_FULL, ERR_DAMAGED, ERR_IO, or ERR_TIMEOUT of a statement that was interrupted. */
enum err database_err(int code);

#endif
