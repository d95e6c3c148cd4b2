#include "shards/scope/kind.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "proto/mp.h"
#include "shards/scope/bookkeeping.h"
#include "shards/scope/kind_check.h"
#include "shards/scope/kind_trial.h"

/* Appends a name as an SQL identifier. */
static void quote(struct buf *buf, const char *name)
{
    buf_append(buf, "\"", 1);
    for (; *name != '\0'; name++)
        buf_append(buf, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
    buf_append(buf, "\"", 1);
}

/* Takes the text of `buf`. */
static char *text_of(struct buf *buf)
{
    buf_append(buf, "", 1);
    char *text = buf->data;
    *buf = (struct buf){0};
    return text;
}

/* `%t` is the table and `%k` the key's column, quoted. */
static char *make_sql(const struct collection *collection, const char *pattern)
{
    struct buf sql = {0};
    for (; *pattern != '\0'; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 't')
            quote(&sql, collection->def->name);
        else if (pattern[0] == '%' && pattern[1] == 'k')
            quote(&sql, collection->def->key);
        else {
            buf_append(&sql, pattern, 1);
            continue;
        }
        pattern++;
    }
    return text_of(&sql);
}

static char *make_insert(const struct collection *collection)
{
    struct buf names = {0}, values = {0};
    for (size_t i = 0; i < collection->n_columns; i++) {
        if (collection->columns[i].is_generated)
            continue;
        buf_printf(&names, "%s", names.len == 0 ? "" : ", ");
        quote(&names, collection->columns[i].name);
        buf_printf(&values, "%s?%zu", values.len == 0 ? "" : ", ", i + 1);
    }
    struct buf sql = {0};
    buf_printf(&sql, "INSERT INTO ");
    quote(&sql, collection->def->name);
    buf_printf(&sql, "(%.*s) VALUES(%.*s)", (int)names.len, names.data, (int)values.len, values.data);
    buf_release(&names);
    buf_release(&values);
    return text_of(&sql);
}

char *collection_make_update(const struct collection *collection, const bool *columns)
{
    struct buf sql = {0};
    const char *comma = "";
    buf_printf(&sql, "UPDATE ");
    quote(&sql, collection->def->name);
    buf_printf(&sql, " SET ");
    for (size_t i = 0; i < collection->n_columns; i++) {
        if (!columns[i])
            continue;
        buf_printf(&sql, "%s", comma);
        quote(&sql, collection->columns[i].name);
        buf_printf(&sql, " = ?%zu", i + 1);
        comma = ", ";
    }
    buf_printf(&sql, " WHERE ");
    quote(&sql, collection->def->key);
    buf_printf(&sql, " = ?%zu", collection->n_columns + 1);
    return text_of(&sql);
}

static char *make_defaults(const struct collection *collection)
{
    struct buf sql = {0};
    bool any = false;
    buf_printf(&sql, "SELECT ");
    for (size_t i = 0; i < collection->n_columns; i++) {
        const char *expression = collection->columns[i].default_sql;
        any = any || expression != NULL;
        buf_printf(&sql, expression == NULL ? "%sNULL" : "%s(%s)", i == 0 ? "" : ", ", expression);
    }
    char *text = text_of(&sql);
    if (any)
        return text;
    free(text);
    return NULL;
}

/* The line break ends a comment that an expression may end with. */
static const char *const FROM[] = {
    [ROW_NONE] = "\n)",
    [ROW_STORED] = ("\n) FROM %t AS old WHERE old.%k = " KEY_PARAMETER),
    [ROW_ANY] = "\n) FROM (SELECT 1) LEFT JOIN %t AS old LIMIT 1",
};

static void append_from(const struct collection *collection, enum asked_row row, struct buf *sql)
{
    char *tail = make_sql(collection, FROM[row]);
    buf_printf(sql, "%s", tail);
    free(tail);
}

char *collection_make_question(const struct collection *collection, const char *expression, enum asked_row row)
{
    struct buf sql = {0};
    buf_printf(&sql, "SELECT (%s", expression);
    append_from(collection, row, &sql);
    return text_of(&sql);
}

/* The values of `set`, in its order. */
static char *make_set(const struct collection *collection, const struct app_rule *rule, enum asked_row row)
{
    if (rule->n_set == 0)
        return NULL;
    struct buf sql = {0};
    for (size_t i = 0; i < rule->n_set; i++)
        buf_printf(&sql, "%s%s", i == 0 ? "SELECT (" : "\n), (", rule->set[i].expression);
    append_from(collection, row, &sql);
    return text_of(&sql);
}

static char *make_authorize(const struct collection *collection, const struct app_rule *rule, enum asked_row row)
{
    return rule->authorize == NULL ? NULL : collection_make_question(collection, rule->authorize, row);
}

static void make_collection_sql(struct collection *collection)
{
    const struct app_collection *def = collection->def;
    char **sql = collection->sql;
    sql[COLLECTION_ROW] = make_sql(collection, "SELECT * FROM %t WHERE %k = ?1");
    sql[COLLECTION_SLICE] = make_sql(collection, "SELECT * FROM %t WHERE %k > ?1 ORDER BY %k");
    sql[COLLECTION_INSERT] = make_insert(collection);
    sql[COLLECTION_DELETE] = make_sql(collection, "DELETE FROM %t WHERE %k = ?1");
    sql[COLLECTION_DEFAULTS] = make_defaults(collection);
    sql[COLLECTION_INSERT_SET] = make_set(collection, &def->insert, ROW_NONE);
    sql[COLLECTION_UPDATE_SET] = make_set(collection, &def->update, ROW_STORED);
    sql[COLLECTION_INSERT_AUTHORIZE] = make_authorize(collection, &def->insert, ROW_NONE);
    sql[COLLECTION_UPDATE_AUTHORIZE] = make_authorize(collection, &def->update, ROW_STORED);
    sql[COLLECTION_DELETE_AUTHORIZE] = make_authorize(collection, &def->delete, ROW_STORED);
}

/* What a column's values are, by its declared type: SQLite's own rules, but for the two that it has no name for. */
static const char *type_of(const char *declared)
{
    static const struct {
        const char *part, *type;
    } TYPES[] = {{"BOOL", "boolean"}, {"JSON", "json"}, {"INT", "integer"}, {"CHAR", "text"}, {"CLOB", "text"},
                 {"TEXT", "text"},    {"BLOB", "blob"}, {"REAL", "real"},   {"FLOA", "real"}, {"DOUB", "real"}};
    for (size_t i = 0; declared != NULL && i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcasestr(declared, TYPES[i].part) != NULL)
            return TYPES[i].type;
    return "any";
}

static void read_columns(struct collection *collection, struct database *database)
{
    enum { NAME = 1, TYPE = 2, DEFAULT = 4, HIDDEN = 6 };
    struct buf sql = {0};
    buf_printf(&sql, "PRAGMA table_xinfo(");
    quote(&sql, collection->def->name);
    buf_append(&sql, ")", 2);
    sqlite3_stmt *read = database_prepare(database, SQL_OURS, sql.data, NULL);
    assert(read != NULL);
    while (sqlite3_step(read) == SQLITE_ROW) {
        size_t n = collection->n_columns++;
        collection->columns = mem_resize(collection->columns, (n + 1) * sizeof *collection->columns);
        struct column *column = &collection->columns[n];
        const char *preset = (const char *)sqlite3_column_text(read, DEFAULT);
        *column = (struct column){.name = mem_dup(slice_str((const char *)sqlite3_column_text(read, NAME))),
                                  .type = type_of((const char *)sqlite3_column_text(read, TYPE)),
                                  .default_sql = preset == NULL ? NULL : mem_dup(slice_str(preset)),
                                  .is_generated = sqlite3_column_int(read, HIDDEN) != 0};
        mp_write_str(&column->encoded_name, slice_str(column->name));
        if (strcmp(column->name, collection->def->key) == 0)
            collection->key = n;
    }
    sqlite3_finalize(read);
    buf_release(&sql);
}

/* While a kind is judged, its rules may name columns that nobody can write. */
static bool find_writable(const struct collection *collection, const char *name, size_t *ret_column)
{
    int column = collection_find_column(collection, slice_str(name));
    if (column == COLUMN_NONE || collection->columns[column].is_generated)
        return false;
    *ret_column = (size_t)column;
    return true;
}

static void make_plan(struct write_plan *plan, const struct collection *collection, const struct app_rule *rule)
{
    size_t column;
    plan->is_writable = mem_zero(collection->n_columns, sizeof *plan->is_writable);
    plan->is_set = mem_zero(collection->n_columns, sizeof *plan->is_set);
    plan->set = mem_zero(rule->n_set + 1, sizeof *plan->set);
    plan->n_set = rule->n_set;
    for (size_t i = 0; i < collection->n_columns; i++)
        plan->is_writable[i] = rule->any_column && !collection->columns[i].is_generated;
    for (size_t i = 0; i < rule->n_columns; i++)
        if (find_writable(collection, rule->columns[i], &column))
            plan->is_writable[column] = true;
    for (size_t i = 0; i < rule->n_set; i++)
        if (find_writable(collection, rule->set[i].column, &plan->set[i]))
            plan->is_set[plan->set[i]] = true;
}

/* What changes this changes what a client sees, so that its cursor is good no more. */
static void make_fingerprint(struct collection *collection)
{
    struct buf text = {0};
    buf_printf(&text, "%s.%s", collection->def->name, collection->def->key);
    for (size_t i = 0; i < collection->n_columns; i++)
        buf_printf(&text, ",%s", collection->columns[i].name);
    sha256_text(buf_slice(&text), collection->fingerprint);
    buf_release(&text);
}

static char *make_question(const char *expression)
{
    if (expression == NULL)
        return NULL;
    struct buf sql = {0};
    buf_printf(&sql, "SELECT (%s\n)", expression);
    return text_of(&sql);
}

static void load_columns(struct kind *kind, struct database *database)
{
    kind->n_collections = kind->def->n_collections;
    kind->collections = mem_zero(kind->n_collections + 1, sizeof *kind->collections);
    for (size_t i = 0; i < kind->n_collections; i++) {
        kind->collections[i].def = &kind->def->collections[i];
        kind->collections[i].number = i;
        read_columns(&kind->collections[i], database);
    }
}

static void load_collections(struct kind *kind)
{
    for (size_t i = 0; i < kind->n_collections; i++) {
        struct collection *collection = &kind->collections[i];
        if (collection->is_missing)
            continue;
        make_plan(&collection->insert, collection, &collection->def->insert);
        make_plan(&collection->update, collection, &collection->def->update);
        make_fingerprint(collection);
        make_collection_sql(collection);
    }
}

static void load_commands(struct kind *kind)
{
    kind->n_commands = kind->def->n_commands;
    kind->commands = mem_zero(kind->n_commands + 1, sizeof *kind->commands);
    for (size_t i = 0; i < kind->n_commands; i++) {
        kind->commands[i].def = &kind->def->commands[i];
        kind->commands[i].authorize_sql = make_question(kind->commands[i].def->authorize);
    }
}

static void load_tables(struct kind *kind, struct database *database)
{
    sqlite3_stmt *read = database_prepare(database, SQL_OURS,
                                          "SELECT name FROM sqlite_schema WHERE type = 'table'"
                                          " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
                                          NULL);
    while (sqlite3_step(read) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(read, 0);
        kind->tables = mem_resize(kind->tables, (kind->n_tables + 1) * sizeof *kind->tables);
        struct kind_table *table = &kind->tables[kind->n_tables++];
        bool found = row_table_read(&table->table, database->db, name);
        assert(found);
        table->collection = kind_find_collection(kind, slice_str(name));
    }
    sqlite3_finalize(read);
}

/* A mistake does not stop the judging of what it has nothing to do with. */
static void judge(struct kind *kind, const struct app *app, struct database *database, struct problems *problems)
{
    load_columns(kind, database);
    kind_check_tables(kind, app, database, problems);
    kind_check_columns(kind, app, problems);
    load_collections(kind);
    load_commands(kind);
    kind->open_sql = make_question(kind->def->open);
    kind_check_sql(kind, app, database, problems);
}

/* Without a limit nothing is tried. */
static enum err open_blank(const struct kind *kind, int64_t limit_ms, struct database *database, struct buf *ret_why)
{
    enum err err = database_open(database, ":memory:", true, ret_why);
    if (err != ERR_OK)
        return err;
    if (limit_ms > 0)
        trial_bound(database);
    err = bookkeeping_create(database, ret_why);
    if (err == ERR_OK)
        err = migrations_apply(&kind->migrations, database, limit_ms, ret_why);
    if (err != ERR_OK)
        database_close(database);
    return err;
}

static void run_migrations(struct kind *kind, const struct app *app, int64_t limit_ms, struct database *database,
                           struct problems *problems)
{
    struct buf why = {0}, hint = {0};
    enum err err = open_blank(kind, limit_ms, database, &why);
    if (limit_ms > 0)
        trial_explain(err, limit_ms, &hint);
    if (err != ERR_OK)
        problems_add(problems, "%s/%s/%.*s%s%.*s", app->dir, kind->def->migrations, (int)why.len, why.data,
                     hint.len > 0 ? ": it " : "", (int)hint.len, hint.data == NULL ? "" : hint.data);
    buf_release(&why);
    buf_release(&hint);
}

static struct kind *load(const struct app *app, const struct app_kind *def, int64_t limit_ms, struct problems *problems)
{
    struct kind *kind = mem_zero(1, sizeof *kind);
    struct database database = {0};
    size_t before = problems->n;
    kind->def = def;
    migrations_load(&kind->migrations, app->dir, def->migrations, problems);
    if (problems->n == before)
        run_migrations(kind, app, limit_ms, &database, problems);
    if (problems->n == before) {
        judge(kind, app, &database, problems);
        if (limit_ms > 0)
            kind_trial(kind, app, &database, limit_ms, problems);
    }
    if (problems->n == before)
        load_tables(kind, &database);
    if (database.db != NULL)
        database_close(&database);
    if (problems->n == before)
        return kind;
    kind_free(kind);
    return NULL;
}

struct kind *kind_load(const struct app *app, const struct app_kind *def, struct problems *problems)
{
    return load(app, def, 0, problems);
}

void kind_try(const struct app *app, const struct app_kind *def, int64_t limit_ms, struct problems *problems)
{
    kind_free(load(app, def, limit_ms, problems));
}

static void collection_release(struct collection *collection)
{
    for (size_t i = 0; i < collection->n_columns; i++) {
        free(collection->columns[i].name);
        free(collection->columns[i].default_sql);
        buf_release(&collection->columns[i].encoded_name);
    }
    free(collection->columns);
    for (size_t i = 0; i < COLLECTION_SQL_N; i++)
        free(collection->sql[i]);
    struct write_plan *plans[] = {&collection->insert, &collection->update};
    for (size_t i = 0; i < 2; i++) {
        free(plans[i]->is_writable);
        free(plans[i]->is_set);
        free(plans[i]->set);
    }
}

void kind_free(struct kind *kind)
{
    if (kind == NULL)
        return;
    for (size_t i = 0; i < kind->n_collections; i++)
        collection_release(&kind->collections[i]);
    for (size_t i = 0; i < kind->n_commands; i++)
        free(kind->commands[i].authorize_sql);
    for (size_t i = 0; i < kind->n_tables; i++)
        row_table_release(&kind->tables[i].table);
    free(kind->tables);
    free(kind->collections);
    free(kind->commands);
    free(kind->open_sql);
    migrations_release(&kind->migrations);
    free(kind);
}

enum err kind_open_blank(const struct kind *kind, struct database *database, struct buf *ret_why)
{
    return open_blank(kind, 0, database, ret_why);
}

sqlite3_stmt *collection_prepare(const struct collection *collection, enum collection_sql which,
                                 struct database *database, struct buf *ret_why)
{
    bool writes = which == COLLECTION_INSERT || which == COLLECTION_DELETE;
    return database_prepare(database, writes ? SQL_STATEMENT : SQL_RULE, collection->sql[which], ret_why);
}

const struct collection *kind_find_collection(const struct kind *kind, struct slice name)
{
    for (size_t i = 0; i < kind->n_collections; i++)
        if (slice_eq(slice_str(kind->collections[i].def->name), name))
            return &kind->collections[i];
    return NULL;
}

const struct command *kind_find_command(const struct kind *kind, struct slice name)
{
    for (size_t i = 0; i < kind->n_commands; i++)
        if (slice_eq(slice_str(kind->commands[i].def->name), name))
            return &kind->commands[i];
    return NULL;
}

int collection_find_column(const struct collection *collection, struct slice name)
{
    for (size_t i = 0; i < collection->n_columns; i++)
        if (slice_eq(slice_str(collection->columns[i].name), name))
            return (int)i;
    return COLUMN_NONE;
}
