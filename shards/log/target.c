#include "shards/log/target.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "shards/scope/database.h"
#include "shards/scope/wal.h"

static bool fail(struct target *target, const char *why, int code)
{
    target->why = why;
    target->code = code & 0xff;
    return false;
}

/* A file that cannot be opened because its disk fails is no matter of rights or descriptors. */
static bool fail_sqlite(struct target *target, const char *why)
{
    int code = target->db == NULL ? SQLITE_NOMEM : sqlite3_errcode(target->db) & 0xff;
    if (code == SQLITE_CANTOPEN && sqlite3_system_errno(target->db) == EIO)
        code = SQLITE_IOERR;
    return fail(target, why, code);
}

static bool read_number(struct target *target, const char *sql, int64_t *ret)
{
    sqlite3_stmt *read = NULL;
    int code = sqlite3_prepare_v2(target->db, sql, -1, &read, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(read);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(read, 0);
    sqlite3_finalize(read);
    return code == SQLITE_ROW || fail(target, "the file does not say which transactions it holds", code);
}

static const char INCARNATION[] = "SELECT value FROM _sync_meta WHERE name = 'incarnation'";
static const char TX[] = "SELECT value FROM _sync_meta WHERE name = 'tx'";
static const char HEAD[] = "SELECT coalesce(max(seq), 0) FROM _sync_log";

/* What is applied is made durable at the end, by target_save. */
static const char SETTINGS[] = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = NORMAL; PRAGMA ignore_check_constraints = ON;";

bool target_open(struct target *target, const char *path)
{
    *target = (struct target){0};
    if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return fail(target, "the file is missing", SQLITE_OK);
    if (sqlite3_open_v2(path, &target->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, wal_vfs()) != SQLITE_OK)
        return fail_sqlite(target, "the file cannot be opened");
    sqlite3_db_config(target->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(target->db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    if (sqlite3_exec(target->db, SETTINGS, NULL, NULL, NULL) != SQLITE_OK)
        return fail_sqlite(target, "the file cannot be opened");
    if (database_keep_wal(target->db, path) != SQLITE_OK)
        return fail(target, "its folder cannot be synced", SQLITE_CANTOPEN);
    return read_number(target, INCARNATION, &target->incarnation) && read_number(target, TX, &target->tx) &&
           read_number(target, HEAD, &target->head);
}

bool target_save(struct target *target)
{
    return sqlite3_wal_checkpoint_v2(target->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK ||
           fail_sqlite(target, "the file cannot be made durable");
}

void target_close(struct target *target)
{
    for (size_t i = 0; i < target->n_tables; i++) {
        for (int op = 0; op <= ROWCHANGE_DELETE; op++)
            sqlite3_finalize(target->tables[i].statements[op]);
        row_table_release(&target->tables[i].table);
    }
    free(target->tables);
    if (target->db != NULL && target->why != NULL) /* closing would sync again, and might be told that all is well */
        sqlite3_db_config(target->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(target->db);
}

static struct target_table *table_of(struct target *target, struct slice name)
{
    for (size_t i = 0; i < target->n_tables; i++)
        if (slice_eq(slice_str(target->tables[i].table.name), name))
            return &target->tables[i];
    target->tables = mem_resize(target->tables, (target->n_tables + 1) * sizeof *target->tables);
    struct target_table *table = &target->tables[target->n_tables];
    *table = (struct target_table){0};
    char *text = mem_dup(name);
    bool found = row_table_read(&table->table, target->db, text);
    free(text);
    if (!found)
        return NULL;
    target->n_tables++;
    return table;
}

static const char MISFIT[] = "a transaction of the journal does not fit the file";

/* Exactly one row must change. */
static bool apply_change(struct target *target, struct slice *changes)
{
    enum rowchange_op op;
    struct slice name;
    if (!rowchange_head(*changes, &op, &name))
        return fail(target, MISFIT, SQLITE_OK);
    struct target_table *table = table_of(target, name);
    sqlite3_stmt **statement = table == NULL ? NULL : &table->statements[op];
    if (statement != NULL && *statement == NULL)
        *statement = rowchange_prepare(&table->table, target->db, op);
    if (statement == NULL || *statement == NULL)
        return fail_sqlite(target, MISFIT);
    if (!rowchange_bind(changes, &table->table, op, *statement))
        return fail(target, MISFIT, SQLITE_OK);
    sqlite3_step(*statement);
    if (sqlite3_reset(*statement) != SQLITE_OK)
        return fail_sqlite(target, MISFIT);
    return sqlite3_changes(target->db) == 1 || fail(target, MISFIT, SQLITE_OK);
}

static bool run(struct target *target, const char *sql)
{
    return sqlite3_exec(target->db, sql, NULL, NULL, NULL) == SQLITE_OK || fail_sqlite(target, MISFIT);
}

static bool apply_record(struct target *target, const struct scoperecord *record)
{
    struct slice changes = record->changes;
    bool ok = run(target, "BEGIN IMMEDIATE");
    while (ok && changes.len > 0)
        ok = apply_change(target, &changes);
    ok = ok && run(target, "COMMIT");
    if (!ok && !sqlite3_get_autocommit(target->db))
        sqlite3_exec(target->db, "ROLLBACK", NULL, NULL, NULL);
    if (!ok)
        return false;
    target->tx = record->tx;
    target->head = (int64_t)record->last_seq;
    target->n_applied++;
    return true;
}

bool target_has_head(struct target *target)
{
    int64_t head = 0;
    return read_number(target, HEAD, &head) && (head == target->head || fail(target, MISFIT, SQLITE_OK));
}

/* A record of another incarnation is of an earlier life of the scope, and lies below the file's head; or the file is of
 * an earlier life than the record. */
static bool is_of_its_life(struct target *target, const struct scoperecord *record)
{
    return record->incarnation == target->incarnation || (int64_t)record->last_seq <= target->head ||
           fail(target, "the file is older than one that took its place", SQLITE_OK);
}

bool target_apply(struct target *target, const struct scoperecord *record)
{
    if (!is_of_its_life(target, record))
        return false;
    if (record->incarnation != target->incarnation || record->tx <= target->tx)
        return true;
    if (record->type != SCOPERECORD_CHANGES)
        return fail(target, "the file is older than a point at which it was made durable", SQLITE_OK);
    if (record->tx != target->tx + 1)
        return fail(target, "a transaction is missing between the file and the journal", SQLITE_OK);
    return apply_record(target, record);
}
