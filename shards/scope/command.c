#include "shards/scope/command.h"

#include <math.h>
#include <stdlib.h>

#include "proto/mp.h"
#include "shards/scope/failure.h"
#include "shards/scope/mutation.h"
#include "shards/scope/row.h"

struct run {
    struct scope_file *file;
    const struct app_command *def;
    struct command_statements *statements;
    const char *authorize_sql;
    struct value *args; /* in the order of the definition */
    struct outcome *outcome;
};

static const char *const TYPE_NAMES[] = {
    [APP_ARG_TEXT] = "text",       [APP_ARG_INTEGER] = "integer", [APP_ARG_REAL] = "real",
    [APP_ARG_BOOLEAN] = "boolean", [APP_ARG_BLOB] = "blob",
};

static bool is_whole(const struct value *value)
{
    return value->type == VALUE_REAL && fabs(value->real) <= 9007199254740992.0 && value->real == floor(value->real);
}

/* Whether the value is of that type, and makes it so: a whole real travels as an integer, and a whole number beyond 32
 * bits as a real. */
static bool take_type(struct value *value, enum app_arg_type type)
{
    switch (type) {
    case APP_ARG_TEXT:
        return value->type == VALUE_TEXT;
    case APP_ARG_INTEGER:
        if (is_whole(value))
            *value = (struct value){.type = VALUE_INT, .integer = (int64_t)value->real};
        return value->type == VALUE_INT;
    case APP_ARG_REAL:
        if (value->type == VALUE_INT)
            *value = (struct value){.type = VALUE_REAL, .real = (double)value->integer};
        return value->type == VALUE_REAL;
    case APP_ARG_BOOLEAN:
        return value->type == VALUE_BOOL;
    case APP_ARG_BLOB:
        return value->type == VALUE_BLOB;
    }
    return false;
}

static int find_arg(const struct app_command *def, struct slice name)
{
    for (size_t i = 0; i < def->n_args; i++)
        if (slice_eq(slice_str(def->args[i].name), name))
            return (int)i;
    return -1;
}

static bool take_args(struct run *run, struct columns columns)
{
    const struct app_command *def = run->def;
    struct slice name;
    struct value value;
    for (size_t i = 0; i < def->n_args; i++)
        run->args[i].type = VALUE_NIL; /* no argument's type: it stands for a missing one */
    while (columns_next(&columns, &name, &value)) {
        int i = find_arg(def, name);
        if (i < 0)
            return outcome_reject(run->outcome, REJECT_VALIDATION, "unknown argument '%.*s'", (int)name.len, name.data);
        run->args[i] = value;
    }
    for (size_t i = 0; i < def->n_args; i++)
        if (!take_type(&run->args[i], def->args[i].type))
            return outcome_reject(run->outcome, REJECT_VALIDATION, "argument '%s' must be of type %s",
                                  def->args[i].name, TYPE_NAMES[def->args[i].type]);
    return true;
}

/* Prepares a statement once and binds the arguments that it names. */
static sqlite3_stmt *ready(struct run *run, sqlite3_stmt **cached, enum sql_kind kind, const char *sql)
{
    if (*cached == NULL)
        *cached = database_prepare(&run->file->database, kind, sql, NULL);
    for (int i = 1; *cached != NULL && i <= sqlite3_bind_parameter_count(*cached); i++) {
        const char *name = sqlite3_bind_parameter_name(*cached, i);
        value_bind(*cached, i, &run->args[find_arg(run->def, slice_str(name + 1))]);
    }
    return *cached;
}

static enum err fail(struct run *run)
{
    return mutation_judge(run->file, SQLITE_ERROR, run->outcome);
}

static enum err ask(struct run *run)
{
    if (run->authorize_sql == NULL)
        return ERR_OK;
    sqlite3_stmt *rule = ready(run, &run->statements->authorize, SQL_RULE, run->authorize_sql);
    if (rule == NULL)
        return fail(run);
    int code = sqlite3_step(rule);
    bool allowed = code == SQLITE_ROW && sqlite3_column_int(rule, 0) != 0;
    int reset = sqlite3_reset(rule);
    if (code != SQLITE_ROW)
        return mutation_judge(run->file, reset, run->outcome);
    if (!allowed)
        outcome_reject(run->outcome, REJECT_FORBIDDEN, "not allowed to call '%s'", run->def->name);
    return ERR_OK;
}

static enum err execute(struct run *run)
{
    if (run->statements->execute == NULL)
        run->statements->execute = mem_zero(run->def->n_execute, sizeof *run->statements->execute);
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && !run->outcome->is_rejected && i < run->def->n_execute; i++) {
        sqlite3_stmt *statement = ready(run, &run->statements->execute[i], SQL_STATEMENT, run->def->execute[i]);
        err = statement == NULL ? fail(run) : mutation_judge(run->file, statement_run(statement), run->outcome);
    }
    return err;
}

/* False if no client could read it. */
static bool write_result_row(struct buf *buf, sqlite3_stmt *query)
{
    int n = sqlite3_column_count(query);
    bool is_readable = true;
    mp_write_map(buf, (uint32_t)n);
    for (int i = 0; i < n; i++) {
        mp_write_str(buf, slice_str(sqlite3_column_name(query, i)));
        is_readable = is_readable && row_value_is_readable(sqlite3_column_value(query, i));
        row_write_value(buf, sqlite3_column_value(query, i));
    }
    return is_readable;
}

/* The rows as an array of maps, or the single value of one row with one column. */
static enum err collect(struct run *run, sqlite3_stmt *query)
{
    struct buf rows = {0}, value = {0};
    uint32_t n = 0;
    int code;
    bool is_readable = true;
    while ((code = sqlite3_step(query)) == SQLITE_ROW && rows.len <= COMMAND_RESULT_MAX) {
        if (n == 0 && sqlite3_column_count(query) == 1)
            row_write_value(&value, sqlite3_column_value(query, 0));
        is_readable = write_result_row(&rows, query) && is_readable;
        n++;
    }
    int reset = sqlite3_reset(query);
    enum err err = code == SQLITE_DONE || code == SQLITE_ROW ? ERR_OK : mutation_judge(run->file, reset, run->outcome);
    if (rows.len > COMMAND_RESULT_MAX) {
        outcome_reject(run->outcome, REJECT_LIMIT_EXCEEDED, "the result is above %d bytes", COMMAND_RESULT_MAX);
    } else if (!is_readable) {
        outcome_reject(run->outcome, REJECT_CONSTRAINT, "text must be UTF-8");
    } else if (n == 1 && value.len > 0) {
        buf_append_slice(&run->outcome->result, buf_slice(&value));
    } else {
        mp_write_array(&run->outcome->result, n);
        buf_append_slice(&run->outcome->result, buf_slice(&rows));
    }
    buf_release(&rows);
    buf_release(&value);
    return err;
}

static enum err query_result(struct run *run)
{
    if (run->def->result == NULL)
        return ERR_OK;
    sqlite3_stmt *query = ready(run, &run->statements->result, SQL_RULE, run->def->result);
    return query == NULL ? fail(run) : collect(run, query);
}

static void log_failure(const struct run *run)
{
    struct buf what = {0};
    buf_printf(&what, "command=%s", run->def->name);
    failure_log(run->file->name, run->file->database.context.now_ms, what.data, run->outcome->why.data);
    buf_release(&what);
}

enum err command_run(struct scope_file *file, const struct frame *frame, struct outcome *outcome)
{
    const struct command *command = kind_find_command(file->kind, frame->call.name);
    if (command == NULL) {
        outcome_reject(outcome, REJECT_UNKNOWN_COMMAND, "unknown command '%.*s'", (int)frame->call.name.len,
                       frame->call.name.data);
        return ERR_OK;
    }
    struct run run = {.file = file,
                      .def = command->def,
                      .statements = &file->commands[command - file->kind->commands],
                      .authorize_sql = command->authorize_sql,
                      .args = mem_zero(command->def->n_args + 1, sizeof *run.args),
                      .outcome = outcome};
    enum err err = ERR_OK;
    if (take_args(&run, frame->call.args))
        err = ask(&run);
    if (err == ERR_OK && !outcome->is_rejected)
        err = execute(&run);
    if (err == ERR_OK && !outcome->is_rejected)
        err = query_result(&run);
    if (outcome->why.len > 0)
        log_failure(&run);
    free(run.args);
    return err;
}
