#include "shards/scope/mutation.h"

#include <assert.h>
#include <stdlib.h>

#include "shards/scope/failure.h"
#include "shards/scope/row.h"

/* What a column gets: what the client sent, or what a rule or a default made. */
struct cell {
    enum { CELL_ABSENT, CELL_SENT, CELL_MADE } from;
    struct value sent;
    sqlite3_value *made;
};

/* One op under way. */
struct step {
    struct scope_file *file;
    const struct collection *collection;
    const struct app_rule *rule;
    const struct write_plan *plan; /* NULL of a delete */
    const struct op *op;
    struct outcome *outcome;
    struct cell *cells;   /* by column number */
    sqlite3_stmt *stored; /* stands on the row as it is, or NULL */
    size_t n_sent;        /* columns that the client wrote */
};

static const char *const OP_NAMES[] = {[OP_INSERT] = "insert", [OP_UPDATE] = "update", [OP_DELETE] = "delete"};

/* The client is told nothing internal. */
static void fail(struct outcome *outcome, const char *why)
{
    outcome_reject(outcome, REJECT_EXECUTE_FAILED, "mutation failed");
    buf_printf(&outcome->why, "%s", why);
}

static enum err judge(struct scope_file *file, int code, struct outcome *outcome)
{
    switch (code & 0xff) {
    case SQLITE_OK:
        return ERR_OK;
    case SQLITE_INTERRUPT:
        if (!file->capture.is_too_large)
            return ERR_TIMEOUT;
        outcome_reject(outcome, REJECT_LIMIT_EXCEEDED, "its changes take more than %zu bytes", file->capture.bytes_max);
        return ERR_OK;
    case SQLITE_CONSTRAINT:
        outcome_reject(outcome, REJECT_CONSTRAINT, "%s", sqlite3_errmsg(file->database.db));
        return ERR_OK;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
        return database_err(code);
    default:
        fail(outcome, sqlite3_errmsg(file->database.db));
        return ERR_OK;
    }
}

enum err mutation_judge(struct scope_file *file, int code, struct outcome *outcome)
{
    enum err err = judge(file, code, outcome);
    if (err != ERR_OK || scope_file_is_in_transaction(file))
        return err;
    if (!outcome->is_rejected)
        fail(outcome, "the turn's transaction was rolled back");
    return ERR_ABORTED; /* what the others of the turn wrote is gone too */
}

/* NULL if there is nothing to do or to ask (ERR_OK), or if the file failed. */
static sqlite3_stmt *prepared(struct step *step, enum collection_sql which, enum err *ret_err)
{
    sqlite3_stmt *statement = scope_file_statement(step->file, step->collection, which);
    *ret_err = step->file->failed;
    return statement;
}

static bool is_key_value(const struct step *step, const struct value *value)
{
    return value->type == VALUE_TEXT && slice_eq(value->bytes, step->op->key);
}

/* Puts one column that the client sent into its cell. */
static bool take_column(struct step *step, struct slice name, const struct value *value)
{
    int column = collection_find_column(step->collection, name);
    struct outcome *outcome = step->outcome;
    if (column == COLUMN_NONE)
        return outcome_reject(outcome, REJECT_VALIDATION, "unknown column '%.*s'", (int)name.len, name.data);
    if ((size_t)column == step->collection->key)
        return is_key_value(step, value) ||
               outcome_reject(outcome, REJECT_VALIDATION, "the key column '%.*s' must hold the key", (int)name.len,
                              name.data);
    if (step->plan->is_set[column])
        return true;
    if (step->rule->allowed && !step->plan->is_writable[column])
        return outcome_reject(outcome, REJECT_VALIDATION, "column '%.*s' cannot be written", (int)name.len, name.data);
    if (value->type == VALUE_NESTED)
        return outcome_reject(outcome, REJECT_VALIDATION, "column '%.*s' cannot hold an array or a map", (int)name.len,
                              name.data);
    step->n_sent += step->cells[column].from == CELL_ABSENT;
    step->cells[column] = (struct cell){.from = CELL_SENT, .sent = *value};
    return true;
}

static bool take_columns(struct step *step)
{
    if (step->plan == NULL)
        return true;
    struct columns columns = step->op->columns;
    struct slice name;
    struct value value;
    while (columns_next(&columns, &name, &value))
        if (!take_column(step, name, &value))
            return false;
    return true;
}

static int bind_cell(const struct step *step, sqlite3_stmt *statement, int parameter, size_t column)
{
    const struct cell *cell = &step->cells[column];
    if (cell->from == CELL_SENT)
        return value_bind(statement, parameter, &cell->sent);
    if (cell->from == CELL_MADE)
        return sqlite3_bind_value(statement, parameter, cell->made);
    if (step->stored != NULL)
        return sqlite3_bind_value(statement, parameter, sqlite3_column_value(step->stored, (int)column));
    return sqlite3_bind_null(statement, parameter);
}

static int bind_key(sqlite3_stmt *statement, int parameter, struct slice key)
{
    return sqlite3_bind_text64(statement, parameter, key.data, key.len, SQLITE_STATIC, SQLITE_UTF8);
}

/* A rule's parameters are columns of the row as it will be, and the key of the row as it is. */
static void bind_rule(const struct step *step, sqlite3_stmt *statement)
{
    for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) {
        const char *name = sqlite3_bind_parameter_name(statement, i);
        if (name[0] == '@')
            bind_key(statement, i, step->op->key);
        else
            bind_cell(step, statement, i, (size_t)collection_find_column(step->collection, slice_str(name + 1)));
    }
}

static void make_cell(struct step *step, size_t column, sqlite3_value *value)
{
    struct cell *cell = &step->cells[column];
    sqlite3_value_free(cell->made);
    *cell = (struct cell){.from = CELL_MADE, .made = sqlite3_value_dup(value)};
}

static enum err make_defaults(struct step *step)
{
    enum err err;
    sqlite3_stmt *defaults = prepared(step, COLLECTION_DEFAULTS, &err);
    if (defaults == NULL)
        return err;
    int code = sqlite3_step(defaults);
    for (size_t i = 0; code == SQLITE_ROW && i < step->collection->n_columns; i++)
        if (step->cells[i].from == CELL_ABSENT)
            make_cell(step, i, sqlite3_column_value(defaults, (int)i));
    int reset = sqlite3_reset(defaults);
    return code == SQLITE_ROW ? ERR_OK : mutation_judge(step->file, reset, step->outcome);
}

static enum err make_set(struct step *step, enum collection_sql which)
{
    enum err err;
    sqlite3_stmt *set = prepared(step, which, &err);
    if (set == NULL)
        return err;
    bind_rule(step, set);
    int code = sqlite3_step(set);
    for (size_t i = 0; code == SQLITE_ROW && i < step->plan->n_set; i++)
        make_cell(step, step->plan->set[i], sqlite3_column_value(set, (int)i));
    int reset = sqlite3_reset(set);
    return code == SQLITE_ROW ? ERR_OK : mutation_judge(step->file, reset, step->outcome);
}

/* `ret_found` false: there is no such row, so there was nothing to ask. */
static enum err ask(struct step *step, enum collection_sql which, bool *ret_found)
{
    enum err err;
    sqlite3_stmt *rule = prepared(step, which, &err);
    *ret_found = true;
    if (rule == NULL)
        return err;
    bind_rule(step, rule);
    int code = sqlite3_step(rule);
    *ret_found = code == SQLITE_ROW;
    if (code == SQLITE_ROW && sqlite3_column_int(rule, 0) == 0)
        outcome_reject(step->outcome, REJECT_FORBIDDEN, "not allowed to %s this row of '%s'", OP_NAMES[step->op->type],
                       step->collection->def->name);
    int reset = sqlite3_reset(rule);
    return code == SQLITE_ROW || code == SQLITE_DONE ? ERR_OK : mutation_judge(step->file, reset, step->outcome);
}

static enum err run_insert(struct step *step)
{
    bool found;
    enum err err = make_defaults(step);
    if (err == ERR_OK && !step->outcome->is_rejected)
        err = make_set(step, COLLECTION_INSERT_SET);
    if (err == ERR_OK && !step->outcome->is_rejected)
        err = ask(step, COLLECTION_INSERT_AUTHORIZE, &found);
    if (err != ERR_OK || step->outcome->is_rejected)
        return err;
    sqlite3_stmt *insert = prepared(step, COLLECTION_INSERT, &err);
    for (size_t i = 0; insert != NULL && i < step->collection->n_columns; i++)
        if (!step->collection->columns[i].is_generated)
            bind_cell(step, insert, (int)i + 1, i);
    return insert == NULL ? err : mutation_judge(step->file, statement_run(insert), step->outcome);
}

static enum err write_update(struct step *step)
{
    const struct collection *collection = step->collection;
    bool *columns = mem_zero(collection->n_columns, sizeof *columns);
    for (size_t i = 0; i < collection->n_columns; i++)
        columns[i] = step->cells[i].from != CELL_ABSENT && i != collection->key;
    sqlite3_stmt *update = scope_file_update(step->file, collection, columns);
    for (size_t i = 0; update != NULL && i < collection->n_columns; i++)
        if (columns[i])
            bind_cell(step, update, (int)i + 1, i);
    free(columns);
    if (update == NULL)
        return mutation_judge(step->file, SQLITE_ERROR, step->outcome);
    bind_key(update, (int)collection->n_columns + 1, step->op->key);
    return mutation_judge(step->file, statement_run(update), step->outcome);
}

static enum err run_update(struct step *step)
{
    if (step->n_sent == 0)
        return ERR_OK;
    enum err err;
    sqlite3_stmt *stored = prepared(step, COLLECTION_ROW, &err);
    if (stored == NULL)
        return err;
    bind_key(stored, 1, step->op->key);
    int code = sqlite3_step(stored);
    bool found;
    step->stored = stored;
    if (code == SQLITE_ROW)
        err = make_set(step, COLLECTION_UPDATE_SET);
    if (code == SQLITE_ROW && err == ERR_OK && !step->outcome->is_rejected)
        err = ask(step, COLLECTION_UPDATE_AUTHORIZE, &found);
    step->stored = NULL;
    int reset = sqlite3_reset(stored);
    if (code != SQLITE_ROW)
        return mutation_judge(step->file, reset, step->outcome); /* no such row: nothing changes */
    return err != ERR_OK || step->outcome->is_rejected ? err : write_update(step);
}

static enum err run_delete(struct step *step)
{
    bool found;
    enum err err = ask(step, COLLECTION_DELETE_AUTHORIZE, &found);
    if (err != ERR_OK || step->outcome->is_rejected || !found)
        return err;
    sqlite3_stmt *delete = prepared(step, COLLECTION_DELETE, &err);
    if (delete == NULL)
        return err;
    bind_key(delete, 1, step->op->key);
    return mutation_judge(step->file, statement_run(delete), step->outcome);
}

static void choose(struct step *step)
{
    const struct collection *collection = step->collection;
    switch (step->op->type) {
    case OP_INSERT:
        step->rule = &collection->def->insert;
        step->plan = &collection->insert;
        break;
    case OP_UPDATE:
        step->rule = &collection->def->update;
        step->plan = &collection->update;
        break;
    case OP_DELETE:
        step->rule = &collection->def->delete;
        break;
    }
}

static enum err run_allowed(struct step *step)
{
    switch (step->op->type) {
    case OP_INSERT:
        /* the key column was checked, or left out */
        step->cells[step->collection->key] =
            (struct cell){.from = CELL_SENT, .sent = {.type = VALUE_TEXT, .bytes = step->op->key}};
        return run_insert(step);
    case OP_UPDATE:
        return run_update(step);
    case OP_DELETE:
        return run_delete(step);
    }
    return ERR_INVALID;
}

static void log_failure(const struct step *step)
{
    struct buf what = {0};
    buf_printf(&what, "op=%s:%s", step->collection->def->name, OP_NAMES[step->op->type]);
    failure_log(step->file->name, step->file->database.context.now_ms, what.data, step->outcome->why.data);
    buf_release(&what);
}

static bool reject_without_rule(struct outcome *outcome, struct slice collection, enum op_type type)
{
    return outcome_reject(outcome, NULL, "no mutation handler for '%.*s:%s'", (int)collection.len, collection.data,
                          OP_NAMES[type]);
}

static enum err run_op(struct scope_file *file, const struct collection *collection, struct slice name,
                       const struct op *op, struct outcome *outcome)
{
    if (op->key.len == 0) {
        outcome_reject(outcome, REJECT_VALIDATION, "the key is empty");
        return ERR_OK;
    }
    if (collection == NULL) {
        reject_without_rule(outcome, name, op->type);
        return ERR_OK;
    }
    struct step step = {.file = file, .collection = collection, .op = op, .outcome = outcome};
    step.cells = mem_zero(collection->n_columns, sizeof *step.cells);
    choose(&step);
    bool ok = take_columns(&step) && (step.rule->allowed || reject_without_rule(outcome, name, op->type));
    enum err err = ok ? run_allowed(&step) : ERR_OK;
    if (outcome->why.len > 0)
        log_failure(&step);
    for (size_t i = 0; i < collection->n_columns; i++)
        sqlite3_value_free(step.cells[i].made);
    free(step.cells);
    return err;
}

enum err mutation_run(struct scope_file *file, const struct frame *frame, struct outcome *outcome)
{
    struct ops ops = frame->mut.ops;
    struct op op;
    struct slice name = frame->mut.collection;
    const struct collection *collection = kind_find_collection(file->kind, name);
    enum err err = ERR_OK;
    while (err == ERR_OK && !outcome->is_rejected && ops_next(&ops, &op))
        err = run_op(file, collection, name, &op, outcome);
    return err;
}
