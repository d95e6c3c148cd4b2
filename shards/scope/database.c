#include "shards/scope/database.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "shards/scope/wal.h"

enum { STEPS_A_LOOK = 1000 }; /* of SQLite's machine, between two looks at the clock: some 10 us */

static const char NO_PRAGMA[] = "no PRAGMA, ATTACH, ANALYZE or temporary tables and triggers";

static bool starts_with(const char *text, const char *prefix)
{
    return text != NULL && sqlite3_strnicmp(text, prefix, (int)strlen(prefix)) == 0;
}

static bool is_reserved(const char *table)
{
    return starts_with(table, "_sync_") || starts_with(table, "sqlite_");
}

static bool changes_schema(int action)
{
    switch (action) {
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_VIEW:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_DROP_VIEW:
    case SQLITE_ALTER_TABLE:
    case SQLITE_REINDEX:
        return true;
    default:
        return false;
    }
}

static int deny(struct database *database, const char *why)
{
    database->denied = why;
    return SQLITE_DENY;
}

static int judge_schema_change(struct database *database, const char *first, const char *second)
{
    if (database->preparing != SQL_MIGRATION)
        return deny(database, "only a migration may change the schema");
    if (starts_with(first, "_sync_") || starts_with(second, "_sync_")) /* an ALTER TABLE names its table second */
        return deny(database, "names that start with _sync_ are the server's");
    return SQLITE_OK;
}

static int judge_row_access(struct database *database, int action, const char *table, const char *column)
{
    bool migrates = database->preparing == SQL_MIGRATION; /* it writes sqlite_schema, through its CREATE and ALTER */
    if (action != SQLITE_READ && database->preparing == SQL_RULE)
        return deny(database, "a rule only reads");
    if (action != SQLITE_READ && !migrates && starts_with(table, "sqlite_"))
        return deny(database, "only a migration may change the schema");
    if (starts_with(table, "_sync_") || (!migrates && is_reserved(table)))
        return deny(database, "tables that start with _sync_ or sqlite_ are the server's");
    if (starts_with(table, "pragma_"))
        return deny(database, NO_PRAGMA);
    if (action == SQLITE_READ && !migrates && column != NULL && strcmp(column, "ROWID") == 0)
        return deny(database, "nothing may read rowid: it is not the same after a replay; use the primary key");
    return SQLITE_OK;
}

static int authorize(void *arg, int action, const char *first, const char *second, const char *schema,
                     const char *trigger)
{
    struct database *database = arg;
    (void)schema;
    (void)trigger;
    if (database->preparing == SQL_OURS)
        return SQLITE_OK;
    if (changes_schema(action))
        return judge_schema_change(database, first, second);
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
    case SQLITE_FUNCTION:
        return SQLITE_OK;
    case SQLITE_READ:
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return judge_row_access(database, action, first, second);
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return deny(database, "transactions are the server's: no BEGIN, COMMIT, ROLLBACK or SAVEPOINT");
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_VTABLE:
        return deny(database, "virtual tables are not supported: the server cannot see their changes");
    default:
        return deny(database, NO_PRAGMA);
    }
}

static void result_json(sqlite3_context *context, const cJSON *item)
{
    if (item == NULL || cJSON_IsNull(item)) {
        sqlite3_result_null(context);
    } else if (cJSON_IsString(item)) {
        sqlite3_result_text(context, item->valuestring, -1, SQLITE_TRANSIENT);
    } else if (cJSON_IsBool(item)) {
        sqlite3_result_int(context, cJSON_IsTrue(item));
    } else if (cJSON_IsNumber(item)) {
        double value = item->valuedouble;
        if (value == floor(value) && fabs(value) < 9007199254740992.0)
            sqlite3_result_int64(context, (sqlite3_int64)value);
        else
            sqlite3_result_double(context, value);
    } else { /* a list or an object: JSON text, for json_each() */
        sqlite3_result_text(context, cJSON_PrintUnformatted(item), -1, cJSON_free);
    }
}

static void sql_claim(sqlite3_context *context, int n, sqlite3_value **values)
{
    const struct database *database = sqlite3_user_data(context);
    const char *name = (const char *)sqlite3_value_text(values[0]);
    const struct claims *claims = database->context.claims;
    (void)n;
    result_json(context, claims == NULL || name == NULL ? NULL : claims_get(claims, name));
}

static void sql_scope_id(sqlite3_context *context, int n, sqlite3_value **values)
{
    const struct database *database = sqlite3_user_data(context);
    (void)n;
    (void)values;
    sqlite3_result_text64(context, database->context.scope_id.data, database->context.scope_id.len, SQLITE_TRANSIENT,
                          SQLITE_UTF8);
}

static void sql_now_ms(sqlite3_context *context, int n, sqlite3_value **values)
{
    const struct database *database = sqlite3_user_data(context);
    (void)n;
    (void)values;
    sqlite3_result_int64(context, database->context.now_ms);
}

static void add_functions(struct database *database)
{
    static const struct {
        const char *name;
        int n_args;
        void (*run)(sqlite3_context *, int, sqlite3_value **);
    } FUNCTIONS[] = {{"claim", 1, sql_claim}, {"scope_id", 0, sql_scope_id}, {"now_ms", 0, sql_now_ms}};
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++)
        sqlite3_create_function_v2(database->db, FUNCTIONS[i].name, FUNCTIONS[i].n_args,
                                   SQLITE_UTF8 | SQLITE_DIRECTONLY, database, FUNCTIONS[i].run, NULL, NULL, NULL);
}

static void harden(sqlite3 *db)
{
    static const struct {
        int limit, most;
    } LIMITS[] = {
        {SQLITE_LIMIT_ATTACHED, 0},       {SQLITE_LIMIT_COLUMN, 500},         {SQLITE_LIMIT_EXPR_DEPTH, 200},
        {SQLITE_LIMIT_LENGTH, 32 << 20},  {SQLITE_LIMIT_SQL_LENGTH, 1 << 20}, {SQLITE_LIMIT_COMPOUND_SELECT, 50},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 50}, {SQLITE_LIMIT_WORKER_THREADS, 0},   {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
    };
    static const struct {
        int option, value;
    } OPTIONS[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},   {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1}, {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},     {SQLITE_DBCONFIG_DQS_DDL, 0},
    };
    for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++)
        sqlite3_limit(db, LIMITS[i].limit, LIMITS[i].most);
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++)
        sqlite3_db_config(db, OPTIONS[i].option, OPTIONS[i].value, NULL);
}

static int is_time_up(void *arg)
{
    const struct database *database = arg;
    if (database->is_cancelled != NULL && atomic_load(database->is_cancelled))
        return true;
    return database->until_us != 0 && clock_mono_us() >= database->until_us;
}

/* A table-valued function declares its columns when it is first used, as a change of the schema, which the authorizer
 * could not tell from an app's. Those that an app may use are therefore used here; all others stay out of its reach. */
static const char TABLE_FUNCTIONS[] = "SELECT 1 FROM json_each('[]'), json_tree('[]')";

/* One connection per file, so the exclusive lock costs nothing and saves the shared memory of the WAL. */
static const char SETTINGS[] = "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA page_size = 1024;" /* of a new file: what a small row costs is pages */
                               "PRAGMA synchronous = %s;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA secure_delete = OFF;"
                               "PRAGMA cache_size = -512;" /* KiB a scope; the kernel keeps the rest */
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA page_size;";

/* The last row says the size of a page. */
static int take_number(void *arg, int n, char **values, char **names)
{
    int *number = arg;
    (void)n;
    (void)names;
    *number = values[0] == NULL ? 0 : atoi(values[0]);
    return SQLITE_OK;
}

bool database_has_wal(const char *path)
{
    struct stat stat_buf;
    char *wal = NULL;
    if (asprintf(&wal, "%s-wal", path) < 0)
        abort();
    bool found = stat(wal, &stat_buf) == 0 ? stat_buf.st_size > 0 : errno != ENOENT;
    free(wal);
    return found;
}

/* In the place of SQLite's automatic checkpoints. */
static int on_commit(void *arg, sqlite3 *db, const char *schema, int pages)
{
    struct database *database = arg;
    (void)db;
    (void)schema;
    database->wal_bytes = (int64_t)pages * database->page_bytes;
    return SQLITE_OK;
}

int database_keep_wal(sqlite3 *db, const char *path)
{
    if (dir_sync_of(path) == ERR_OK)
        return SQLITE_OK;
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* that would write the file */
    return SQLITE_IOERR_DIR_FSYNC;
}

static int apply_settings(struct database *database, const char *synchronous)
{
    char *sql = sqlite3_mprintf(SETTINGS, synchronous);
    int code = sql == NULL ? SQLITE_NOMEM : sqlite3_exec(database->db, sql, take_number, &database->page_bytes, NULL);
    sqlite3_free(sql);
    return code;
}

enum err database_open(struct database *database, const char *path, bool create, struct buf *ret_why)
{
    *database = (struct database){.wal_bytes = database_has_wal(path), .is_wal_kept = create};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (create ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(path, &database->db, flags, wal_vfs());
    database->is_open = code == SQLITE_OK;
    if (code == SQLITE_OK)
        code = apply_settings(database, create ? "OFF" : "NORMAL");
    if (code != SQLITE_OK) {
        buf_printf(ret_why, "%s: %s", path, database->db == NULL ? "out of memory" : sqlite3_errmsg(database->db));
        int error = database->db == NULL ? 0 : sqlite3_system_errno(database->db);
        database_close(database);
        return code == SQLITE_CANTOPEN && (error == ENOSPC || error == EDQUOT) ? ERR_FULL : database_err(code);
    }
    harden(database->db);
    add_functions(database);
    sqlite3_exec(database->db, TABLE_FUNCTIONS, NULL, NULL, NULL);
    sqlite3_set_authorizer(database->db, authorize, database);
    sqlite3_progress_handler(database->db, STEPS_A_LOOK, is_time_up, database);
    sqlite3_wal_hook(database->db, on_commit, database);
    return ERR_OK;
}

static int keep_wal(struct database *database)
{
    int code = SQLITE_OK;
    if (!database->is_wal_kept)
        code = database_keep_wal(database->db, sqlite3_db_filename(database->db, "main"));
    database->is_wal_kept = code == SQLITE_OK;
    return code;
}

enum err database_checkpoint(struct database *database, struct buf *ret_why)
{
    int in_wal = 0, done = 0, code = keep_wal(database);
    if (code == SQLITE_OK)
        code = sqlite3_wal_checkpoint_v2(database->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &done);
    if (code != SQLITE_OK && ret_why != NULL)
        buf_printf(ret_why, "%s",
                   code == SQLITE_IOERR_DIR_FSYNC ? "its folder cannot be synced" : sqlite3_errmsg(database->db));
    if (code != SQLITE_OK) { /* closing would try again, and might be told that what was lost is on disk */
        sqlite3_db_config(database->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        return database_err(code);
    }
    if (in_wal != done)
        return ERR_BUSY;
    database->wal_bytes = 0;
    return ERR_OK;
}

void database_close(struct database *database)
{
    if (database->is_open && database->wal_bytes > 0)
        keep_wal(database); /* if that fails, closing writes nothing */
    int code = sqlite3_close(database->db);
    assert(code == SQLITE_OK); /* every statement has been finalized */
    database->db = NULL;
}

/* Whether there is no statement: nothing but spaces, semicolons and comments. */
static bool is_blank(sqlite3 *db, const char *sql)
{
    while (*sql != '\0') {
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(db, sql, -1, &statement, &sql);
        sqlite3_finalize(statement);
        if (code != SQLITE_OK || statement != NULL)
            return false;
    }
    return true;
}

static void explain(const struct database *database, int code, struct buf *ret_why)
{
    if (ret_why == NULL)
        return;
    buf_printf(ret_why, "%s", sqlite3_errmsg(database->db));
    if ((code & 0xff) == SQLITE_AUTH && database->denied != NULL)
        buf_printf(ret_why, " (%s)", database->denied);
}

sqlite3_stmt *database_prepare(struct database *database, enum sql_kind kind, const char *sql, struct buf *ret_why)
{
    sqlite3_stmt *statement = NULL;
    const char *rest = "";
    database->preparing = kind;
    int code = sqlite3_prepare_v3(database->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, &rest);
    database->preparing = SQL_OURS;
    if (code != SQLITE_OK) {
        explain(database, code, ret_why);
        return NULL;
    }
    if (statement == NULL || !is_blank(database->db, rest)) {
        sqlite3_finalize(statement);
        if (ret_why != NULL)
            buf_printf(ret_why, "%s", statement == NULL ? "there is no statement" : "there is more than one statement");
        return NULL;
    }
    return statement;
}

enum err database_run(struct database *database, enum sql_kind kind, const char *sql, struct buf *ret_why)
{
    database->preparing = kind;
    int code = sqlite3_exec(database->db, sql, NULL, NULL, NULL);
    database->preparing = SQL_OURS;
    if (code == SQLITE_OK)
        return ERR_OK;
    explain(database, code, ret_why);
    return database_err(code);
}

int statement_run(sqlite3_stmt *statement)
{
    int code;
    do
        code = sqlite3_step(statement);
    while (code == SQLITE_ROW);
    int reset = sqlite3_reset(statement);
    return code == SQLITE_DONE ? reset : code;
}

enum err database_err(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_DAMAGED;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
    case SQLITE_READONLY: /* SQLite falls back to reading where it may not write, or has no descriptor */
        return ERR_IO;
    case SQLITE_INTERRUPT:
        return ERR_TIMEOUT;
    default:
        return ERR_INVALID;
    }
}
