#include "shards/scope/kind_check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shards/scope/bookkeeping.h"

/* Where a mistake is: `kinds.room.collections.messages`, for the messages. */
struct place {
    const struct app *app;
    const struct kind *kind;
    struct problems *problems;
};

#define COMPLAIN(place, path, format, ...)                                                                             \
    problems_add((place)->problems, "%s/app.json: kinds.%s." path ": " format, (place)->app->dir,                      \
                 (place)->kind->def->name, __VA_ARGS__)

#define COMPLAIN_TABLE(place, table, format, ...)                                                                      \
    problems_add((place)->problems, "%s/%s: table %s: " format, (place)->app->dir, (place)->kind->def->migrations,     \
                 table, __VA_ARGS__)

static bool contains(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (; *text != '\0'; text++)
        if (sqlite3_strnicmp(text, word, (int)len) == 0)
            return true;
    return false;
}

/* SQLite's rules 1 and 2 of column affinity. */
static bool has_text_affinity(const char *type)
{
    return type != NULL && !contains(type, "INT") &&
           (contains(type, "CHAR") || contains(type, "CLOB") || contains(type, "TEXT"));
}

static size_t word_len(const char *sql)
{
    size_t len = 0;
    while (isalnum((unsigned char)sql[len]) || sql[len] == '_' || (unsigned char)sql[len] >= 0x80)
        len++;
    return len;
}

/* Behind a text, a quoted name, a comment or any other character. */
static const char *skip_other(const char *sql)
{
    const char *end = sql + 1;
    if (strchr("'\"`[", *sql) != NULL)
        end = strchr(sql + 1, *sql == '[' ? ']' : *sql);
    else if (strncmp(sql, "--", 2) == 0)
        end = strchr(sql, '\n');
    else if (strncmp(sql, "/*", 2) == 0)
        end = strstr(sql + 2, "*/");
    else
        return end;
    return end == NULL ? sql + strlen(sql) : end + 1;
}

static bool says_word(const char *sql, const char *word)
{
    for (size_t len; *sql != '\0'; sql = len > 0 ? sql + len : skip_other(sql)) {
        len = word_len(sql);
        if (len == strlen(word) && sqlite3_strnicmp(sql, word, (int)len) == 0)
            return true;
    }
    return false;
}

/* The preupdate hook gives no VIRTUAL column, and shifts what is behind it. */
static void check_columns_of(const struct place *place, struct database *database, const char *table)
{
    enum { VIRTUAL = 2 };
    sqlite3_stmt *columns =
        database_prepare(database, SQL_OURS, "SELECT name, pk, hidden FROM pragma_table_xinfo(?)", NULL);
    bool has_key = false;
    sqlite3_bind_text(columns, 1, table, -1, SQLITE_STATIC);
    while (sqlite3_step(columns) == SQLITE_ROW) {
        has_key = has_key || sqlite3_column_int(columns, 1) > 0;
        if (sqlite3_column_int(columns, 2) == VIRTUAL)
            COMPLAIN_TABLE(place, table, "column %s is a VIRTUAL generated column; make it STORED",
                           sqlite3_column_text(columns, 0));
    }
    sqlite3_finalize(columns);
    if (!has_key)
        COMPLAIN_TABLE(place, table, "%s", "has no primary key; rows are replayed by primary key, so give it one");
}

/* For a key at place n of a table WITHOUT ROWID the preupdate hook goes by the type of the table's column n: beside a
 * REAL one, large integers lose their last digits. */
static void check_key_order(const struct place *place, struct database *database, const char *table)
{
    static const char SQL[] = "SELECT key.name, key.type, other.name FROM pragma_table_xinfo(?1) AS key"
                              " JOIN pragma_table_xinfo(?1) AS other ON other.cid = key.pk - 1"
                              " WHERE key.pk > 0 AND other.cid <> key.cid AND (other.type LIKE '%REAL%' OR"
                              "  other.type LIKE '%FLOA%' OR other.type LIKE '%DOUB%')"
                              " AND (SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1)";
    sqlite3_stmt *keys = database_prepare(database, SQL_OURS, SQL, NULL);
    sqlite3_bind_text(keys, 1, table, -1, SQLITE_STATIC);
    while (sqlite3_step(keys) == SQLITE_ROW)
        if (!has_text_affinity((const char *)sqlite3_column_text(keys, 1)))
            COMPLAIN_TABLE(place, table,
                           "is WITHOUT ROWID, and SQLite mixes up the types of its columns %s and %s when it reports "
                           "changes; declare the key's columns first, in the key's order",
                           sqlite3_column_text(keys, 0), sqlite3_column_text(keys, 2));
    sqlite3_finalize(keys);
}

static void check_table(const struct place *place, struct database *database, const char *table, const char *sql)
{
    check_columns_of(place, database, table);
    check_key_order(place, database, table);
    if (says_word(sql, "AUTOINCREMENT"))
        COMPLAIN_TABLE(place, table, "%s", "uses AUTOINCREMENT; keys are minted by clients or by INTEGER PRIMARY KEY");
    if (strlen(table) > ROW_TABLE_NAME_MAX)
        COMPLAIN_TABLE(place, table, "has a name of %zu bytes; %d are the most", strlen(table), ROW_TABLE_NAME_MAX);
}

static void check_all_tables(const struct place *place, struct database *database)
{
    sqlite3_stmt *read = database_prepare(database, SQL_OURS,
                                          "SELECT name, sql FROM sqlite_schema WHERE type = 'table'"
                                          " AND name NOT LIKE '\\_sync\\_%' ESCAPE '\\'"
                                          " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
                                          NULL);
    while (sqlite3_step(read) == SQLITE_ROW)
        check_table(place, database, (const char *)sqlite3_column_text(read, 0),
                    (const char *)sqlite3_column_text(read, 1));
    sqlite3_finalize(read);
}

/* A conflict clause or RAISE that rolls back takes the turn's other transactions with it. */
static void check_rollback(const struct place *place, struct database *database)
{
    sqlite3_stmt *read =
        database_prepare(database, SQL_OURS, "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL", NULL);
    while (sqlite3_step(read) == SQLITE_ROW)
        if (says_word((const char *)sqlite3_column_text(read, 1), "ROLLBACK"))
            COMPLAIN_TABLE(place, (const char *)sqlite3_column_text(read, 0), "%s",
                           "its SQL says ROLLBACK, which would undo other clients' writes; use ABORT");
    sqlite3_finalize(read);
}

/* What ALTER TABLE ... RENAME TO names its table, the authorizer is not told. */
static void check_reserved_names(const struct place *place, struct database *database)
{
    sqlite3_stmt *read = database_prepare(database, SQL_OURS,
                                          "SELECT name FROM sqlite_schema WHERE name LIKE '\\_sync\\_%' ESCAPE '\\'"
                                          " AND name NOT IN (" BOOKKEEPING_TABLES ")",
                                          NULL);
    while (sqlite3_step(read) == SQLITE_ROW)
        COMPLAIN_TABLE(place, (const char *)sqlite3_column_text(read, 0), "%s",
                       "names that start with _sync_ are the server's; choose another");
    sqlite3_finalize(read);
}

static bool is_table(struct database *database, const char *name)
{
    sqlite3_stmt *find =
        database_prepare(database, SQL_OURS, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", NULL);
    sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
    bool found = sqlite3_step(find) == SQLITE_ROW;
    sqlite3_finalize(find);
    return found;
}

/* The key must be the table's whole primary key. */
static void check_column(const struct place *place, const struct app_collection *def, sqlite3_stmt *column,
                         bool *ret_has_key)
{
    enum { NAME = 1, PK = 5 };
    const char *name = (const char *)sqlite3_column_text(column, NAME);
    bool is_key = strcmp(name, def->key) == 0, in_pk = sqlite3_column_int(column, PK) > 0;
    if (is_key)
        *ret_has_key = in_pk;
    if (in_pk && !is_key)
        COMPLAIN(place, "collections.%s.key", "the primary key of the table holds %s too; it must be \"%s\" alone",
                 def->name, name, def->key);
}

static void check_key(const struct place *place, const struct app_collection *def, struct database *database)
{
    const char *type = NULL, *collation = NULL;
    if (sqlite3_table_column_metadata(database->db, "main", def->name, def->key, &type, &collation, NULL, NULL, NULL))
        return;
    if (!has_text_affinity(type))
        COMPLAIN(place, "collections.%s.key", "column %s is declared %s; a key needs TEXT", def->name, def->key,
                 type == NULL || *type == '\0' ? "without a type" : type);
    if (sqlite3_stricmp(collation, "BINARY") != 0)
        COMPLAIN(place, "collections.%s.key",
                 "column %s is declared COLLATE %s; keys compare by bytes, so leave it out", def->name, def->key,
                 collation);
}

/* Rows that the migrations write are a new scope's first. */
static void check_first_rows(const struct place *place, const struct app_collection *def, struct database *database)
{
    char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\" WHERE typeof(\"%w\") <> 'text' OR \"%w\" = ''", def->name,
                                def->key, def->key);
    sqlite3_stmt *read = database_prepare(database, SQL_OURS, sql, NULL);
    if (read != NULL && sqlite3_step(read) == SQLITE_ROW)
        COMPLAIN_TABLE(place, def->name, "a migration writes a row whose %s, its key, is no text or an empty one",
                       def->key);
    sqlite3_finalize(read);
    sqlite3_free(sql);
}

static void check_collection(const struct place *place, struct collection *collection, struct database *database)
{
    const struct app_collection *def = collection->def;
    bool is_there = is_table(database, def->name);
    collection->is_missing = !is_there || collection_find_column(collection, slice_str(def->key)) == COLUMN_NONE;
    if (!is_there) {
        COMPLAIN(place, "collections.%s", "the migrations in %s create no table of that name", def->name,
                 place->kind->def->migrations);
        return;
    }
    bool has_key = false;
    sqlite3_stmt *columns = database_prepare(database, SQL_OURS, "SELECT * FROM pragma_table_xinfo(?)", NULL);
    sqlite3_bind_text(columns, 1, def->name, -1, SQLITE_STATIC);
    while (sqlite3_step(columns) == SQLITE_ROW)
        check_column(place, def, columns, &has_key);
    sqlite3_finalize(columns);
    if (!has_key)
        COMPLAIN(place, "collections.%s.key", "\"%s\" is not the primary key of the table; declare it TEXT PRIMARY KEY",
                 def->name, def->key);
    check_key(place, def, database);
    check_first_rows(place, def, database);
}

void kind_check_tables(struct kind *kind, const struct app *app, struct database *database, struct problems *problems)
{
    struct place place = {app, kind, problems};
    check_all_tables(&place, database);
    check_rollback(&place, database);
    check_reserved_names(&place, database);
    for (size_t i = 0; i < kind->n_collections; i++)
        check_collection(&place, &kind->collections[i], database);
}

static void check_named_column(const struct place *place, const struct collection *collection, const char *operation,
                               const char *key, const char *name)
{
    int column = collection_find_column(collection, slice_str(name));
    if (column == COLUMN_NONE)
        COMPLAIN(place, "collections.%s.%s.%s", "the table has no column %s", collection->def->name, operation, key,
                 name);
    else if (collection->columns[column].is_generated)
        COMPLAIN(place, "collections.%s.%s.%s", "%s is a generated column, so nobody can write it",
                 collection->def->name, operation, key, name);
}

static void check_rule_columns(const struct place *place, const struct collection *collection, const char *operation,
                               const struct app_rule *rule)
{
    for (size_t i = 0; i < rule->n_columns; i++)
        check_named_column(place, collection, operation, "columns", rule->columns[i]);
    for (size_t i = 0; i < rule->n_set; i++)
        check_named_column(place, collection, operation, "set", rule->set[i].column);
}

void kind_check_columns(const struct kind *kind, const struct app *app, struct problems *problems)
{
    struct place place = {app, kind, problems};
    for (size_t i = 0; i < kind->n_collections; i++) {
        const struct collection *collection = &kind->collections[i];
        if (collection->is_missing)
            continue;
        check_rule_columns(&place, collection, "insert", &collection->def->insert);
        check_rule_columns(&place, collection, "update", &collection->def->update);
    }
}

/* Which parameters a statement may have. */
typedef bool parameter_check(const void *of, const char *name);

static bool is_nothing(const void *of, const char *name)
{
    (void)of;
    (void)name;
    return false;
}

static bool is_key(const void *of, const char *name)
{
    (void)of;
    return strcmp(name, KEY_PARAMETER) == 0;
}

/* What a generated column will hold is not known before the row is written. */
static bool is_column(const void *of, const char *name)
{
    const struct collection *collection = of;
    int column = name[0] == ':' ? collection_find_column(collection, slice_str(name + 1)) : COLUMN_NONE;
    return column != COLUMN_NONE && !collection->columns[column].is_generated;
}

static bool is_column_or_key(const void *of, const char *name)
{
    return is_column(of, name) || is_key(of, name);
}

static bool is_argument(const void *of, const char *name)
{
    const struct app_command *def = of;
    for (size_t i = 0; i < def->n_args; i++)
        if (name[0] == ':' && strcmp(def->args[i].name, name + 1) == 0)
            return true;
    return false;
}

/* Appends to `why` which parameters are bad. */
static void check_parameters(sqlite3_stmt *statement, parameter_check *check, const void *of, struct buf *why)
{
    for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) {
        const char *name = sqlite3_bind_parameter_name(statement, i);
        if (name == NULL || !check(of, name))
            buf_printf(why, "%s%s", why->len == 0 ? "no value is known for parameter " : ", ",
                       name == NULL ? "?" : name);
    }
}

/* Appends to `why` what is wrong with the statement; it stays empty for a good one. */
static void check_statement(struct database *database, enum sql_kind kind, const char *sql, int columns,
                            parameter_check *check, const void *of, struct buf *why)
{
    if (sql == NULL)
        return;
    sqlite3_stmt *statement = database_prepare(database, kind, sql, why);
    if (statement == NULL)
        return;
    if (columns > 0 && sqlite3_column_count(statement) != columns)
        buf_printf(why, "is not one expression");
    else
        check_parameters(statement, check, of, why);
    sqlite3_finalize(statement);
}

static void check_defaults(const struct place *place, const struct collection *collection, struct database *database)
{
    struct buf why = {0};
    if (collection->sql[COLLECTION_DEFAULTS] == NULL)
        return;
    sqlite3_finalize(collection_prepare(collection, COLLECTION_DEFAULTS, database, &why));
    if (why.len > 0)
        COMPLAIN_TABLE(place, collection->def->name,
                       "a DEFAULT cannot be computed: %.*s; a text stands in single quotes", (int)why.len, why.data);
    buf_release(&why);
}

/* The statement that a rule allows: it may reach triggers that do what they must not. */
static void check_write(const struct place *place, const struct collection *collection, struct database *database,
                        const char *operation, const char *sql)
{
    struct buf why = {0};
    sqlite3_finalize(database_prepare(database, SQL_STATEMENT, sql, &why));
    if (why.len > 0)
        COMPLAIN(place, "collections.%s.%s", "the table's triggers included, it fails: %.*s", collection->def->name,
                 operation, (int)why.len, why.data);
    buf_release(&why);
}

static void check_update(const struct place *place, const struct collection *collection, struct database *database)
{
    const struct write_plan *plan = &collection->update;
    bool *columns = mem_zero(collection->n_columns, sizeof *columns), any = false;
    for (size_t i = 0; i < collection->n_columns; i++) {
        columns[i] = i != collection->key && (plan->is_writable[i] || plan->is_set[i]);
        any = any || columns[i];
    }
    char *sql = collection_make_update(collection, columns);
    if (any)
        check_write(place, collection, database, "update", sql);
    free(sql);
    free(columns);
}

static void check_writes(const struct place *place, const struct collection *collection, struct database *database)
{
    const struct app_collection *def = collection->def;
    check_defaults(place, collection, database);
    if (def->insert.allowed)
        check_write(place, collection, database, "insert", collection->sql[COLLECTION_INSERT]);
    if (def->update.allowed)
        check_update(place, collection, database);
    if (def->delete.allowed)
        check_write(place, collection, database, "delete", collection->sql[COLLECTION_DELETE]);
}

/* Each expression alone, so that each mistake is told of its column; then all of them as they are asked. */
static void check_set(const struct place *place, const struct collection *collection, struct database *database,
                      const char *operation, const struct app_rule *rule, enum collection_sql which, enum asked_row row,
                      parameter_check *check)
{
    struct buf why = {0};
    bool ok = true;
    for (size_t i = 0; i < rule->n_set; i++) {
        char *sql = collection_make_question(collection, rule->set[i].expression, row);
        check_statement(database, SQL_RULE, sql, 1, check, collection, &why);
        if (why.len > 0)
            COMPLAIN(place, "collections.%s.%s.set.%s", "%.*s", collection->def->name, operation, rule->set[i].column,
                     (int)why.len, why.data);
        ok = ok && why.len == 0;
        why.len = 0;
        free(sql);
    }
    if (ok)
        check_statement(database, SQL_RULE, collection->sql[which], (int)rule->n_set, check, collection, &why);
    if (why.len > 0)
        COMPLAIN(place, "collections.%s.%s.set", "%.*s", collection->def->name, operation, (int)why.len, why.data);
    buf_release(&why);
}

static void check_authorize(const struct place *place, const struct collection *collection, struct database *database,
                            const char *operation, enum collection_sql which, parameter_check *check)
{
    struct buf why = {0};
    check_statement(database, SQL_RULE, collection->sql[which], 1, check, collection, &why);
    if (why.len > 0)
        COMPLAIN(place, "collections.%s.%s.authorize", "%.*s", collection->def->name, operation, (int)why.len,
                 why.data);
    buf_release(&why);
}

static void check_collection_sql(const struct place *place, const struct collection *collection,
                                 struct database *database)
{
    const struct app_collection *def = collection->def;
    check_set(place, collection, database, "insert", &def->insert, COLLECTION_INSERT_SET, ROW_NONE, is_column);
    check_set(place, collection, database, "update", &def->update, COLLECTION_UPDATE_SET, ROW_STORED, is_column_or_key);
    check_authorize(place, collection, database, "insert", COLLECTION_INSERT_AUTHORIZE, is_column);
    check_authorize(place, collection, database, "update", COLLECTION_UPDATE_AUTHORIZE, is_column_or_key);
    check_authorize(place, collection, database, "delete", COLLECTION_DELETE_AUTHORIZE, is_key);
    check_writes(place, collection, database);
}

/* Empties `why`. */
static void complain_command(const struct place *place, const struct command *command, const char *path,
                             struct buf *why)
{
    if (why->len > 0)
        COMPLAIN(place, "commands.%s.%s", "%.*s", command->def->name, path, (int)why->len, why->data);
    buf_release(why);
}

static void check_command_sql(const struct place *place, const struct command *command, struct database *database)
{
    struct buf why = {0};
    check_statement(database, SQL_RULE, command->authorize_sql, 1, is_argument, command->def, &why);
    complain_command(place, command, "authorize", &why);
    for (size_t i = 0; i < command->def->n_execute; i++) {
        char path[32];
        snprintf(path, sizeof path, "execute[%zu]", i);
        check_statement(database, SQL_STATEMENT, command->def->execute[i], 0, is_argument, command->def, &why);
        complain_command(place, command, path, &why);
        if (says_word(command->def->execute[i], "ROLLBACK"))
            buf_printf(&why, "says ROLLBACK, which would undo other clients' writes; use ABORT");
        complain_command(place, command, path, &why);
    }
    check_statement(database, SQL_RULE, command->def->result, 0, is_argument, command->def, &why);
    complain_command(place, command, "result", &why);
}

void kind_check_sql(const struct kind *kind, const struct app *app, struct database *database,
                    struct problems *problems)
{
    struct place place = {app, kind, problems};
    struct buf why = {0};
    check_statement(database, SQL_RULE, kind->open_sql, 1, is_nothing, NULL, &why);
    if (why.len > 0)
        COMPLAIN(&place, "open", "%.*s", (int)why.len, why.data);
    buf_release(&why);
    for (size_t i = 0; i < kind->n_collections; i++)
        if (!kind->collections[i].is_missing)
            check_collection_sql(&place, &kind->collections[i], database);
    for (size_t i = 0; i < kind->n_commands; i++)
        check_command_sql(&place, &kind->commands[i], database);
}
