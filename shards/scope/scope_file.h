/*
 * scope_file - one scope's SQLite file, open: the database and everything that is prepared on it.
 *
 * Statements are prepared when first needed and kept until the file is closed. No statement stays open across turns.
 *
 * Ownership: its actor's. Thread: its shard.
 */
#ifndef SHARDS_SCOPE_SCOPE_FILE_H
#define SHARDS_SCOPE_SCOPE_FILE_H

#include "proto/route.h"
#include "shards/log/changelog.h"
#include "shards/scope/capture.h"
#include "shards/scope/receipts.h"

enum { UPDATES_KEPT = 8 };

/* What is behind a file's name when it was found damaged, and is to stay closed until a person has looked. */
#define SCOPE_FILE_DAMAGED ".damaged"

/* And what is behind the name of the journal segment that keeps its records meanwhile. */
#define SCOPE_FILE_KEPT ".journal"

/* An UPDATE of certain columns. */
struct update_statement {
    bool *columns; /* which, by number */
    sqlite3_stmt *statement;
};

struct collection_statements {
    sqlite3_stmt *of[COLLECTION_SQL_N];
    struct update_statement updates[UPDATES_KEPT];
    size_t next_update; /* which of them is replaced next */
};

struct command_statements {
    sqlite3_stmt *authorize, *result, **execute;
};

enum transaction_sql {
    TRANSACTION_BEGIN,
    TRANSACTION_COUNT, /* the file's transaction number, one up */
    TRANSACTION_COMMIT,
    TRANSACTION_ROLLBACK,
    SAVEPOINT_BEGIN,
    SAVEPOINT_RELEASE,
    SAVEPOINT_ROLLBACK, /* and release */
    TRANSACTION_SQL_N,
};

struct scope_file {
    const struct scope_name *name;
    const struct kind *kind;
    int64_t incarnation; /* of this file: a scope that is created again has another */
    int64_t tx;          /* the number of its last journaled transaction */
    uint64_t first_seq;  /* of the last commit: the seqs that it took, or first_seq = last_seq + 1 */
    uint64_t last_seq;
    struct database database;
    struct changelog log;
    struct capture capture;
    struct receipts receipts;
    struct collection_statements *collections;
    struct command_statements *commands;
    sqlite3_stmt *open;
    sqlite3_stmt *transaction[TRANSACTION_SQL_N];
    struct changelog_mark begun; /* where the log stood when the transaction that is open began */
    sqlite3_backup *copying;     /* or NULL */
    enum err failed; /* something could not be prepared or read: what came of it, at the end of it, is no answer */
};

/* The file of a scope: DIR/SLOT/HASH.db. The caller frees the text. */
char *scope_file_path(const char *data_dir, const struct scope_name *name);

/* Opens the file at `path`, and creates it first if `create`; brings it up to the kind's migrations. ERR_NOT_FOUND if
 * there is none and none is to be created. On another failure `ret_why` says why. `name` is borrowed.
 *
 * A file may be ahead of the journal: what it holds is made durable before anything is read from it. A creation and a
 * migration, which the journal cannot carry, are durable in the file when this returns. */
enum err scope_file_open(const char *path, const struct scope_name *name, const struct kind *kind, bool create,
                         int64_t now_ms, struct scope_file **ret_file, struct buf *ret_why);
void scope_file_close(struct scope_file *file);

/* Closes it as a crash would: what waits for a checkpoint waits for the next one who opens it. */
void scope_file_abandon(struct scope_file *file);

/* Opens the file if that takes no time worth mentioning. ERR_TIMEOUT if there is more to do than to read it: a
 * migration, or a checkpoint of what a crash has left. */
enum err scope_file_open_quickly(const char *path, const struct scope_name *name, const struct kind *kind,
                                 int64_t now_ms, struct scope_file **ret_file, struct buf *ret_why);

/* Whether `open` lets these claims in. ERR_TIMEOUT if it has not said so by `until_us` (unless that is 0). */
enum err scope_file_allows(struct scope_file *file, const struct claims *claims, int64_t now_ms, int64_t until_us,
                           bool *ret_allowed);

/* A statement of a collection, prepared by now; NULL if there is nothing to do or ask, or if the file has failed. */
sqlite3_stmt *scope_file_statement(struct scope_file *file, const struct collection *collection,
                                   enum collection_sql which);

/* An UPDATE that sets the columns for which `columns` is true: parameters ?1.. by column number + 1, the key last. */
sqlite3_stmt *scope_file_update(struct scope_file *file, const struct collection *collection, const bool *columns);

/* Begins the turn's transaction; takes it back, also when SQLite has done so already. */
enum err scope_file_begin(struct scope_file *file);
enum err scope_file_rollback(struct scope_file *file);
bool scope_file_is_in_transaction(const struct scope_file *file);

/* Runs a transaction statement. */
enum err scope_file_run(struct scope_file *file, enum transaction_sql which);

/* Counts the transaction that is open and commits it. It is not durable yet: the journal, or a checkpoint, makes it so.
 */
enum err scope_file_commit(struct scope_file *file);

/* Copies the file, while it is written to, into a database that must outlive the copying. False if that cannot begin:
 * `to` says why. */
bool scope_file_begin_copy(struct scope_file *file, sqlite3 *to);

/* Copies at most so many pages more: SQLITE_OK, SQLITE_DONE when the copy is whole, or an error; SQLITE_ABORT if the
 * file in which it was begun has been closed. `file` may be NULL. */
int scope_file_copy(struct scope_file *file, int pages, int *ret_left, int *ret_total);
void scope_file_end_copy(struct scope_file *file);

/* Answers `open` for a scope that has no file: on the blank database of its kind. */
bool database_allows(struct database *database, const struct kind *kind, const struct scope_name *name,
                     const struct claims *claims, int64_t now_ms, sqlite3_stmt **cached);

/* Ends a read, and notes it if it failed rather than came to its end. False if it failed. */
bool scope_file_end_read(struct scope_file *file, sqlite3_stmt *statement);

/* Appends the row of that key as the client sees it. False if there is none, or if the file has failed. */
bool scope_file_read_row(struct scope_file *file, const struct collection *collection, struct slice key,
                         struct buf *row);

#endif
