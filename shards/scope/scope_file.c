#include "shards/scope/scope_file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "shards/scope/bookkeeping.h"
#include "shards/scope/failure.h"
#include "shards/scope/row.h"

static const char *const TRANSACTION_TEXTS[TRANSACTION_SQL_N] = {
    [TRANSACTION_BEGIN] = "BEGIN IMMEDIATE",
    [TRANSACTION_COUNT] = "UPDATE _sync_meta SET value = value + 1 WHERE name = 'tx'",
    [TRANSACTION_COMMIT] = "COMMIT",
    [TRANSACTION_ROLLBACK] = "ROLLBACK",
    [SAVEPOINT_BEGIN] = "SAVEPOINT mutation",
    [SAVEPOINT_RELEASE] = "RELEASE mutation",
    [SAVEPOINT_ROLLBACK] = "ROLLBACK TO mutation",
};

char *scope_file_path(const char *data_dir, const struct scope_name *name)
{
    struct scope_hash hash = scope_hash(name);
    char text[33], *path = NULL;
    scope_hash_text(&hash, text);
    if (asprintf(&path, "%s/%u/%s.db", data_dir, scope_slot(&hash), text) < 0)
        abort();
    return path;
}

/* SQLite would take the WAL that it finds beside a file for that file's, whose ever it was. */
static bool remove_wal(const char *path)
{
    char *wal = NULL;
    if (asprintf(&wal, "%s-wal", path) < 0)
        abort();
    bool ok = file_remove(wal) == ERR_OK;
    free(wal);
    return ok;
}

/* What is left of an attempt that failed, or that a crash ended. */
static void remove_leftovers(const char *path)
{
    unlink(path);
    remove_wal(path);
}

/* Everything that a file holds before its migrations, and all of it in the file itself: closing a database writes its
 * WAL back too, but does not say when that failed. Nothing is synced: nobody knows this name. */
static enum err fill_file(struct database *database, const struct scope_name *name, struct buf *ret_why)
{
    enum err err = bookkeeping_create(database, ret_why);
    char *sql = sqlite3_mprintf("INSERT INTO _sync_meta VALUES('scope', %.*Q), ('incarnation', random()), ('tx', 0)",
                                (int)name->len, name->text);
    if (err == ERR_OK)
        err = database_run(database, SQL_OURS, sql, ret_why);
    sqlite3_free(sql);
    return err == ERR_OK ? database_checkpoint(database, ret_why) : err;
}

/* Gives the file its name, with everything in it durable before. The WAL of an earlier one must not become its own. */
static enum err publish(const char *fresh, const char *path, struct buf *ret_why)
{
    enum err err = file_sync(fresh);
    if (err == ERR_OK && (!remove_wal(path) || rename(fresh, path) < 0))
        err = ERR_IO;
    if (err != ERR_OK)
        buf_printf(ret_why, "%s: %s", path, strerror(errno));
    return err;
}

/* A new file is made under another name and renamed, so that there is never half of one. */
static enum err create_file(const char *path, const struct scope_name *name, struct buf *ret_why)
{
    struct database database;
    char *fresh = NULL, *dir = dir_of(path);
    if (asprintf(&fresh, "%s.new", path) < 0)
        abort();
    enum err err = dir_make(dir);
    if (err != ERR_OK)
        buf_printf(ret_why, "%s: %s", path, strerror(errno));
    remove_leftovers(fresh);
    if (err == ERR_OK)
        err = database_open(&database, fresh, true, ret_why);
    if (err == ERR_OK) {
        err = fill_file(&database, name, ret_why);
        database_close(&database);
    }
    if (err == ERR_OK)
        err = publish(fresh, path, ret_why);
    if (err != ERR_OK)
        remove_leftovers(fresh);
    if (err == ERR_OK)
        err = dir_sync(dir);
    free(fresh);
    free(dir);
    return err;
}

static bool is_whose(struct scope_file *file, sqlite3_stmt *meta, struct buf *ret_why)
{
    struct slice scope = column_slice(meta, 1);
    if (sqlite3_column_int(meta, 0) != BOOKKEEPING_FORMAT) {
        buf_printf(ret_why, "the file has format %d, this version reads %d", sqlite3_column_int(meta, 0),
                   BOOKKEEPING_FORMAT);
        return false;
    }
    if (!slice_eq(scope, slice_of(file->name->text, file->name->len))) {
        buf_printf(ret_why, "the file belongs to another scope, %.*s", (int)scope.len, scope.data);
        return false;
    }
    if (sqlite3_column_type(meta, 2) != SQLITE_INTEGER || sqlite3_column_type(meta, 3) != SQLITE_INTEGER) {
        buf_printf(ret_why, "the file does not count its transactions, so that no journal could be replayed");
        return false;
    }
    return true;
}

/* Two names that hash alike, or a file that was copied to another place, must not be mixed up. */
static enum err read_meta(struct scope_file *file, struct buf *ret_why)
{
    static const char SQL[] = "SELECT (SELECT value FROM _sync_meta WHERE name = 'format'), value,"
                              " (SELECT value FROM _sync_meta WHERE name = 'incarnation'),"
                              " (SELECT value FROM _sync_meta WHERE name = 'tx')"
                              " FROM _sync_meta WHERE name = 'scope'";
    sqlite3_stmt *read = database_prepare(&file->database, SQL_OURS, SQL, ret_why);
    if (read == NULL)
        return ERR_DAMAGED;
    int code = sqlite3_step(read);
    enum err err = code == SQLITE_ROW ? ERR_OK : code == SQLITE_DONE ? ERR_DAMAGED : database_err(code);
    if (err != ERR_OK)
        buf_printf(ret_why, "the file does not say whose it is");
    else if (!is_whose(file, read, ret_why))
        err = ERR_INVALID;
    file->incarnation = sqlite3_column_int64(read, 2);
    file->tx = sqlite3_column_int64(read, 3);
    sqlite3_finalize(read);
    return err;
}

/* What the statement's first row says; 0 without one. */
static enum err read_number(struct database *database, const char *sql, int64_t *ret, struct buf *ret_why)
{
    sqlite3_stmt *read = database_prepare(database, SQL_OURS, sql, ret_why);
    if (read == NULL)
        return ERR_DAMAGED;
    int code = sqlite3_step(read);
    *ret = code == SQLITE_ROW ? sqlite3_column_int64(read, 0) : 0;
    sqlite3_finalize(read);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return ERR_OK;
    buf_printf(ret_why, "%s", sqlite3_errmsg(database->db));
    return database_err(code);
}

/* The rows that the migrations of a new scope brought along: sessions that have known it empty hear of them. */
static enum err log_rows_of(struct scope_file *file, const struct collection *collection, int64_t now_ms)
{
    enum err err = ERR_OK;
    int code = SQLITE_DONE;
    sqlite3_stmt *rows = collection_prepare(collection, COLLECTION_SLICE, &file->database, NULL);
    sqlite3_bind_text(rows, 1, "", 0, SQLITE_STATIC);
    while (err == ERR_OK && (code = sqlite3_step(rows)) == SQLITE_ROW)
        err = changelog_append(&file->log, collection, column_slice(rows, (int)collection->key), OP_INSERT, now_ms);
    sqlite3_finalize(rows);
    return err == ERR_OK && code != SQLITE_DONE ? database_err(code) : err;
}

static enum err log_first_rows(struct scope_file *file, int64_t now_ms)
{
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < file->kind->n_collections; i++)
        err = log_rows_of(file, &file->kind->collections[i], now_ms);
    return err;
}

/* The floors account for the migrations that `schema` counts: one that has run since, were it before a crash, raises
 * them in the transaction that counts it. */
static enum err account(struct scope_file *file, int64_t now_ms, struct buf *ret_why)
{
    struct database *database = &file->database;
    int64_t known = 0, ran = 0;
    enum err err = read_number(database, "SELECT value FROM _sync_meta WHERE name = 'schema'", &known, ret_why);
    if (err == ERR_OK)
        err = read_number(database, "SELECT count(*) FROM _sync_migrations", &ran, ret_why);
    if (err == ERR_OK)
        err = changelog_open(&file->log, file->kind, database, known != ran, now_ms, ret_why);
    if (err == ERR_OK && known == 0)
        err = log_first_rows(file, now_ms);
    if (err == ERR_OK && known != ran)
        err =
            database_run(database, SQL_OURS,
                         "INSERT OR REPLACE INTO _sync_meta SELECT 'schema', count(*) FROM _sync_migrations", ret_why);
    return err;
}

static enum err open_log(struct scope_file *file, int64_t now_ms, struct buf *ret_why)
{
    enum err err = database_run(&file->database, SQL_OURS, "BEGIN IMMEDIATE", ret_why);
    if (err == ERR_OK)
        err = account(file, now_ms, ret_why);
    if (err == ERR_OK)
        err = database_run(&file->database, SQL_OURS, "COMMIT", ret_why);
    capture_clear(&file->capture);
    return err;
}

static enum err prepare_all(struct scope_file *file, struct buf *ret_why)
{
    for (int i = 0; i < TRANSACTION_SQL_N; i++) {
        file->transaction[i] = database_prepare(&file->database, SQL_OURS, TRANSACTION_TEXTS[i], ret_why);
        if (file->transaction[i] == NULL)
            return ERR_DAMAGED;
    }
    return receipts_open(&file->receipts, &file->database, ret_why);
}

/* What the journal does not carry: what a crash has left in the WAL, and migrations. */
static enum err save_wal(struct scope_file *file, struct buf *ret_why)
{
    struct buf why = {0};
    enum err err = file->database.wal_bytes == 0 ? ERR_OK : database_checkpoint(&file->database, &why);
    if (err != ERR_OK)
        buf_printf(ret_why, "what it holds cannot be made durable: %.*s", (int)why.len, why.len == 0 ? "" : why.data);
    buf_release(&why);
    return err;
}

static enum err set_up(struct scope_file *file, bool is_quick, int64_t now_ms, struct buf *ret_why)
{
    enum err err = save_wal(file, ret_why);
    if (err == ERR_OK)
        err = read_meta(file, ret_why);
    if (err == ERR_OK && is_quick && migrations_are_pending(&file->kind->migrations, &file->database))
        err = ERR_TIMEOUT;
    if (err != ERR_OK)
        return err;
    err = migrations_apply(&file->kind->migrations, &file->database, 0, ret_why);
    capture_init(&file->capture, file->kind, file->database.db); /* the tables are those of the kind only now */
    if (err == ERR_OK)
        err = open_log(file, now_ms, ret_why);
    if (err == ERR_OK)
        err = prepare_all(file, ret_why);
    if (err == ERR_OK)
        err = save_wal(file, ret_why);
    capture_clear(&file->capture); /* the file holds it already */
    file->last_seq = file->log.head;
    return err;
}

static enum err look_for_marker(const char *path, struct buf *ret_why)
{
    char *marker = NULL;
    if (asprintf(&marker, "%s" SCOPE_FILE_DAMAGED, path) < 0)
        abort();
    enum err err = file_find(marker);
    if (err == ERR_OK)
        buf_printf(ret_why, "the file was found damaged; see %s, and remove that when it is repaired", marker);
    else if (err != ERR_NOT_FOUND)
        buf_printf(ret_why, "%s: %s", marker, strerror(errno));
    free(marker);
    return err == ERR_OK ? ERR_DAMAGED : err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Only of a file that is certainly not there may be said that the scope is empty; and only one that certainly was not
 * found damaged may be opened. */
static enum err find_file(const char *path, struct buf *ret_why)
{
    enum err err = look_for_marker(path, ret_why);
    if (err != ERR_OK)
        return err;
    err = file_find(path);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        buf_printf(ret_why, "%s: %s", path, strerror(errno));
    return err;
}

static enum err open_found(const char *path, const struct scope_name *name, const struct kind *kind, bool is_quick,
                           int64_t now_ms, struct scope_file **ret_file, struct buf *ret_why)
{
    if (is_quick && database_has_wal(path))
        return ERR_TIMEOUT;
    struct scope_file *file = mem_zero(1, sizeof *file);
    file->name = name;
    file->kind = kind;
    file->collections = mem_zero(kind->n_collections + 1, sizeof *file->collections);
    file->commands = mem_zero(kind->n_commands + 1, sizeof *file->commands);
    enum err err = database_open(&file->database, path, false, ret_why);
    if (err == ERR_OK)
        err = set_up(file, is_quick, now_ms, ret_why);
    file->database.context.scope_id = name->id;
    if (err == ERR_OK) {
        *ret_file = file;
        return ERR_OK;
    }
    if (file->database.db != NULL && ret_why->len == 0)
        buf_printf(ret_why, "%s", sqlite3_errmsg(file->database.db));
    scope_file_abandon(file);
    return err;
}

enum err scope_file_open(const char *path, const struct scope_name *name, const struct kind *kind, bool create,
                         int64_t now_ms, struct scope_file **ret_file, struct buf *ret_why)
{
    enum err err = find_file(path, ret_why);
    if (err == ERR_NOT_FOUND && create)
        err = create_file(path, name, ret_why);
    return err == ERR_OK ? open_found(path, name, kind, false, now_ms, ret_file, ret_why) : err;
}

enum err scope_file_open_quickly(const char *path, const struct scope_name *name, const struct kind *kind,
                                 int64_t now_ms, struct scope_file **ret_file, struct buf *ret_why)
{
    enum err err = find_file(path, ret_why);
    return err == ERR_OK ? open_found(path, name, kind, true, now_ms, ret_file, ret_why) : err;
}

static void finalize_collection(struct collection_statements *statements)
{
    for (int i = 0; i < COLLECTION_SQL_N; i++)
        sqlite3_finalize(statements->of[i]);
    for (int i = 0; i < UPDATES_KEPT; i++) {
        sqlite3_finalize(statements->updates[i].statement);
        free(statements->updates[i].columns);
    }
}

static void finalize_command(struct command_statements *statements, const struct app_command *def)
{
    sqlite3_finalize(statements->authorize);
    sqlite3_finalize(statements->result);
    for (size_t i = 0; statements->execute != NULL && i < def->n_execute; i++)
        sqlite3_finalize(statements->execute[i]);
    free(statements->execute);
}

void scope_file_close(struct scope_file *file)
{
    if (file == NULL)
        return;
    for (size_t i = 0; i < file->kind->n_collections; i++)
        finalize_collection(&file->collections[i]);
    for (size_t i = 0; i < file->kind->n_commands; i++)
        finalize_command(&file->commands[i], file->kind->commands[i].def);
    for (int i = 0; i < TRANSACTION_SQL_N; i++)
        sqlite3_finalize(file->transaction[i]);
    sqlite3_finalize(file->open);
    receipts_release(&file->receipts);
    changelog_release(&file->log);
    scope_file_end_copy(file);
    if (file->database.db != NULL)
        database_close(&file->database);
    capture_release(&file->capture);
    free(file->collections);
    free(file->commands);
    free(file);
}

void scope_file_abandon(struct scope_file *file)
{
    if (file->database.db != NULL)
        sqlite3_db_config(file->database.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    scope_file_close(file);
}

bool database_allows(struct database *database, const struct kind *kind, const struct scope_name *name,
                     const struct claims *claims, int64_t now_ms, sqlite3_stmt **cached)
{
    if (kind->open_sql == NULL)
        return false;
    if (*cached == NULL)
        *cached = database_prepare(database, SQL_RULE, kind->open_sql, NULL);
    if (*cached == NULL)
        return false;
    database->context = (struct sql_context){.claims = claims, .scope_id = name->id, .now_ms = now_ms};
    bool allowed = sqlite3_step(*cached) == SQLITE_ROW && sqlite3_column_int(*cached, 0) != 0;
    int code = sqlite3_reset(*cached);
    if (code != SQLITE_OK && database_err(code) == ERR_INVALID) /* a no that nobody meant */
        failure_log(name, now_ms, "rule=open", sqlite3_errmsg(database->db));
    database->context.claims = NULL;
    return allowed;
}

enum err scope_file_allows(struct scope_file *file, const struct claims *claims, int64_t now_ms, int64_t until_us,
                           bool *ret_allowed)
{
    struct database *database = &file->database;
    database->until_us = until_us;
    *ret_allowed = database_allows(database, file->kind, file->name, claims, now_ms, &file->open);
    database->until_us = 0;
    enum err err = *ret_allowed ? ERR_OK : database_err(sqlite3_errcode(database->db));
    return err == ERR_INVALID ? ERR_OK : err; /* that is a no, or a rule that cannot be computed */
}

sqlite3_stmt *scope_file_statement(struct scope_file *file, const struct collection *collection,
                                   enum collection_sql which)
{
    sqlite3_stmt **statement = &file->collections[collection->number].of[which];
    if (*statement != NULL || collection->sql[which] == NULL)
        return *statement;
    *statement = collection_prepare(collection, which, &file->database, NULL);
    if (*statement == NULL)
        file->failed = database_err(sqlite3_errcode(file->database.db));
    return *statement;
}

bool scope_file_end_read(struct scope_file *file, sqlite3_stmt *statement)
{
    int code = sqlite3_reset(statement); /* says what the last step said, unless that was a row or the end */
    if (code != SQLITE_OK)
        file->failed = database_err(code);
    return code == SQLITE_OK;
}

static sqlite3_stmt *prepare_update(struct scope_file *file, const struct collection *collection, const bool *columns)
{
    char *sql = collection_make_update(collection, columns);
    sqlite3_stmt *statement = database_prepare(&file->database, SQL_STATEMENT, sql, NULL);
    free(sql);
    return statement;
}

sqlite3_stmt *scope_file_update(struct scope_file *file, const struct collection *collection, const bool *columns)
{
    struct collection_statements *statements = &file->collections[collection->number];
    size_t len = collection->n_columns * sizeof *columns;
    for (int i = 0; i < UPDATES_KEPT; i++)
        if (statements->updates[i].statement != NULL && memcmp(statements->updates[i].columns, columns, len) == 0)
            return statements->updates[i].statement;
    struct update_statement *update = &statements->updates[statements->next_update];
    statements->next_update = (statements->next_update + 1) % UPDATES_KEPT;
    sqlite3_finalize(update->statement);
    if (update->columns == NULL)
        update->columns = mem_alloc(len);
    memcpy(update->columns, columns, len);
    update->statement = prepare_update(file, collection, columns);
    return update->statement;
}

bool scope_file_is_in_transaction(const struct scope_file *file)
{
    return !sqlite3_get_autocommit(file->database.db);
}

enum err scope_file_begin(struct scope_file *file)
{
    file->begun = changelog_mark(&file->log);
    return scope_file_run(file, TRANSACTION_BEGIN);
}

enum err scope_file_rollback(struct scope_file *file)
{
    capture_clear(&file->capture);
    changelog_cut(&file->log, file->begun);
    return scope_file_is_in_transaction(file) ? scope_file_run(file, TRANSACTION_ROLLBACK) : ERR_OK;
}

enum err scope_file_run(struct scope_file *file, enum transaction_sql which)
{
    int code = statement_run(file->transaction[which]);
    return code == SQLITE_OK ? ERR_OK : database_err(code);
}

enum err scope_file_commit(struct scope_file *file)
{
    enum err err = scope_file_run(file, TRANSACTION_COUNT);
    if (err == ERR_OK && file->capture.failed != SQLITE_OK)
        err = database_err(file->capture.failed); /* the journal would not carry all of it */
    if (err == ERR_OK)
        err = scope_file_run(file, TRANSACTION_COMMIT);
    if (err != ERR_OK)
        return err;
    file->tx++;
    file->first_seq = file->last_seq + 1;
    file->last_seq = file->log.head;
    return ERR_OK;
}

bool scope_file_begin_copy(struct scope_file *file, sqlite3 *to)
{
    assert(file->copying == NULL);
    file->copying = sqlite3_backup_init(to, "main", file->database.db, "main");
    return file->copying != NULL;
}

int scope_file_copy(struct scope_file *file, int pages, int *ret_left, int *ret_total)
{
    if (file == NULL || file->copying == NULL)
        return SQLITE_ABORT;
    int code = sqlite3_backup_step(file->copying, pages) & 0xff;
    *ret_left = sqlite3_backup_remaining(file->copying);
    *ret_total = sqlite3_backup_pagecount(file->copying);
    return code;
}

void scope_file_end_copy(struct scope_file *file)
{
    if (file == NULL || file->copying == NULL)
        return;
    sqlite3_backup_finish(file->copying);
    file->copying = NULL;
}

bool scope_file_read_row(struct scope_file *file, const struct collection *collection, struct slice key,
                         struct buf *row)
{
    sqlite3_stmt *read = scope_file_statement(file, collection, COLLECTION_ROW);
    if (read == NULL)
        return false;
    sqlite3_bind_text64(read, 1, key.len == 0 ? "" : key.data, key.len, SQLITE_STATIC, SQLITE_UTF8);
    bool found = sqlite3_step(read) == SQLITE_ROW;
    if (found)
        row_write(row, collection, read);
    return scope_file_end_read(file, read) && found;
}
