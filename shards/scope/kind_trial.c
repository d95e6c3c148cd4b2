#include "shards/scope/kind_trial.h"

#include <stdlib.h>

#include "base/clock.h"

#define ROOM "256 MiB"
static const char BOUND[] = "PRAGMA max_page_count = 262144"; /* of 1 KiB */

struct trial {
    const struct kind *kind;
    const struct app *app;
    struct database *database;
    int64_t limit_ms;
    struct problems *problems;
    struct buf path; /* of what is tried, in app.json */
};

void trial_bound(struct database *database)
{
    database_run(database, SQL_OURS, BOUND, NULL);
}

void trial_explain(enum err err, int64_t limit_ms, struct buf *ret_why)
{
    static const char HINT[] = "in an empty scope; does a WITH RECURSIVE lack an end?";
    if (err == ERR_TIMEOUT)
        buf_printf(ret_why, "has not ended after %.3g s %s", (double)limit_ms / 1000, HINT);
    else if (err == ERR_FULL)
        buf_printf(ret_why, "has written " ROOM " %s", HINT);
}

/* A text, a blob and a number of that many letters, bytes, ones. */
static void bind_argument(sqlite3_stmt *statement, int i, enum app_arg_type type, int size)
{
    switch (type) {
    case APP_ARG_TEXT:
        sqlite3_bind_text(statement, i, "x", size, SQLITE_STATIC);
        break;
    case APP_ARG_REAL:
        sqlite3_bind_double(statement, i, size);
        break;
    case APP_ARG_INTEGER:
    case APP_ARG_BOOLEAN:
        sqlite3_bind_int(statement, i, size);
        break;
    case APP_ARG_BLOB:
        sqlite3_bind_zeroblob(statement, i, size);
        break;
    }
}

/* A key and an argument are never NULL; a column may be, and stays so. */
static void bind(sqlite3_stmt *statement, int i, const struct app_command *command, int size)
{
    const char *name = sqlite3_bind_parameter_name(statement, i);
    if (name != NULL && name[0] == '@')
        bind_argument(statement, i, APP_ARG_TEXT, size);
    for (size_t arg = 0; name != NULL && command != NULL && arg < command->n_args; arg++)
        if (strcmp(command->args[arg].name, name + 1) == 0)
            bind_argument(statement, i, command->args[arg].type, size);
}

/* In a transaction that is never committed. SQLite ends it when a write is interrupted. */
static enum err run(struct trial *trial, sqlite3_stmt *statement, const struct app_command *command, int size)
{
    struct database *database = trial->database;
    int n = sqlite3_bind_parameter_count(statement);
    for (int i = 1; i <= n; i++)
        bind(statement, i, command, size);
    if (sqlite3_get_autocommit(database->db))
        database_run(database, SQL_OURS, "BEGIN", NULL);
    database->until_us = clock_mono_us() + trial->limit_ms * 1000;
    enum err err = database_err(statement_run(statement));
    database->until_us = 0;
    bool may_end = n > 0 && size == 0 && (err == ERR_TIMEOUT || err == ERR_FULL);
    return may_end ? run(trial, statement, command, 1) : err; /* it may be but zero that it counts to in vain */
}

/* Takes back what was written. */
static void forget(struct trial *trial)
{
    if (!sqlite3_get_autocommit(trial->database->db))
        database_run(trial->database, SQL_OURS, "ROLLBACK", NULL);
}

/* Runs `sql`, unless that is NULL, and empties the path. */
static void try(struct trial *trial, enum sql_kind kind, const char *sql, const struct app_command *command)
{
    struct buf why = {0};
    sqlite3_stmt *statement = sql == NULL ? NULL : database_prepare(trial->database, kind, sql, NULL);
    if (statement != NULL)
        trial_explain(run(trial, statement, command, 0), trial->limit_ms, &why);
    sqlite3_finalize(statement);
    if (why.len > 0)
        problems_add(trial->problems, "%s/app.json: kinds.%s.%.*s: %.*s", trial->app->dir, trial->kind->def->name,
                     (int)trial->path.len, trial->path.data, (int)why.len, why.data);
    buf_release(&why);
    trial->path.len = 0;
}

static void try_expression(struct trial *trial, const struct collection *collection, const char *expression,
                           enum asked_row row)
{
    char *sql = expression == NULL ? NULL : collection_make_question(collection, expression, row);
    try(trial, SQL_RULE, sql, NULL);
    free(sql);
}

static void try_rule(struct trial *trial, const struct collection *collection, const char *operation,
                     const struct app_rule *rule, enum asked_row row)
{
    for (size_t i = 0; i < rule->n_set; i++) {
        buf_printf(&trial->path, "collections.%s.%s.set.%s", collection->def->name, operation, rule->set[i].column);
        try_expression(trial, collection, rule->set[i].expression, row);
    }
    buf_printf(&trial->path, "collections.%s.%s.authorize", collection->def->name, operation);
    try_expression(trial, collection, rule->authorize, row);
}

static void try_collection(struct trial *trial, const struct collection *collection)
{
    if (collection->is_missing)
        return;
    try_rule(trial, collection, "insert", &collection->def->insert, ROW_NONE);
    try_rule(trial, collection, "update", &collection->def->update, ROW_ANY);
    try_rule(trial, collection, "delete", &collection->def->delete, ROW_ANY);
}

static void try_command(struct trial *trial, const struct command *command)
{
    const struct app_command *def = command->def;
    buf_printf(&trial->path, "commands.%s.authorize", def->name);
    try(trial, SQL_RULE, command->authorize_sql, def);
    for (size_t i = 0; i < def->n_execute; i++) {
        buf_printf(&trial->path, "commands.%s.execute[%zu]", def->name, i);
        try(trial, SQL_STATEMENT, def->execute[i], def);
    }
    buf_printf(&trial->path, "commands.%s.result", def->name);
    try(trial, SQL_RULE, def->result, def);
    forget(trial);
}

void kind_trial(const struct kind *kind, const struct app *app, struct database *database, int64_t limit_ms,
                struct problems *problems)
{
    struct trial trial = {.kind = kind, .app = app, .database = database, .limit_ms = limit_ms, .problems = problems};
    database->context = (struct sql_context){.scope_id = SLICE("trial"), .now_ms = clock_wall_ms()};
    buf_printf(&trial.path, "open");
    try(&trial, SQL_RULE, kind->open_sql, NULL);
    for (size_t i = 0; i < kind->n_collections; i++)
        try_collection(&trial, &kind->collections[i]);
    for (size_t i = 0; i < kind->n_commands; i++)
        try_command(&trial, &kind->commands[i]);
    forget(&trial);
    buf_release(&trial.path);
}
