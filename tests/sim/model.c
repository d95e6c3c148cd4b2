#include "tests/sim/model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/mp.h"
#include "tests/sim/sim.h"

enum { STATEMENTS_MAX = 3 };

/* As the application's folder has it. */
#define INSERT_ITEM      "INSERT INTO items(id, list, n, body, owner) VALUES(:key, :list, :value, :body, :user)"
#define UPDATE_ITEM(key) "UPDATE items SET n = :value, body = :body WHERE id = " key

static const char *const SQL[WORK_KIND_N][STATEMENTS_MAX] = {
    [WORK_INSERT] = {INSERT_ITEM},
    [WORK_UPDATE] = {UPDATE_ITEM(":key")},
    [WORK_DELETE] = {"DELETE FROM items WHERE id = :key"},
    [WORK_PAIR] = {INSERT_ITEM, UPDATE_ITEM(":other")},
    [WORK_LIST] = {"INSERT INTO lists(id, title) VALUES(:list, :body)"},
    [WORK_RETITLE] = {"UPDATE lists SET title = :body WHERE id = :list"},
    [WORK_DROP] = {"DELETE FROM lists WHERE id = :list"},
    [WORK_ADOPT] = {"INSERT INTO items(id, list, n, owner) VALUES(:key, :list, 1, 'nobody')",
                    "INSERT INTO lists(id, title) VALUES(:list, 'adopted') ON CONFLICT DO NOTHING"},
    [WORK_DANGLE] = {"UPDATE items SET n = n + 1, list = 'nowhere' WHERE id = :key"},
    [WORK_FILL] = {"WITH RECURSIVE numbers(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM numbers"
                   " WHERE i + 1 < :first + :n) INSERT INTO items(id, n, body, owner) SELECT printf('f%03d', i), i,"
                   " printf('%.*c', :len, 'x'), 'nobody' FROM numbers WHERE 1"
                   " ON CONFLICT DO UPDATE SET n = n + 1, body = excluded.body"},
    [WORK_BUMP] = {"UPDATE items SET n = n + 1"},
    [WORK_CLEAR] = {"DELETE FROM items WHERE id >= 'f' AND id < 'g'"},
};

struct model {
    sqlite3 *db;
    sqlite3_stmt *statements[WORK_KIND_N][STATEMENTS_MAX], *begin, *commit, *rollback, *owner, *count;
    struct buf column_names[COLLECTION_N][16]; /* encoded */
    int n_columns[COLLECTION_N];
    struct version **pending; /* of the transaction under way */
    size_t n_pending;
    bool is_quiet;  /* a migration runs */
    uint64_t first; /* position */
    struct position *positions;
    size_t n_positions;
    struct rows rows[COLLECTION_N];
    struct version *latest[COLLECTION_N][KEYS];
};

static void check(const struct model *model, int code, const char *what)
{
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        sim_fail("the model: %s: %s", what, sqlite3_errmsg(model->db));
}

static sqlite3_stmt *prepare(const struct model *model, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    check(model, sqlite3_prepare_v2(model->db, sql, -1, &statement, NULL), sql);
    return statement;
}

/* Rows as they stand on the wire. */

static void write_value(struct buf *buf, sqlite3_value *value)
{
    struct slice bytes = slice_of(sqlite3_value_blob(value), (size_t)sqlite3_value_bytes(value));
    if (sqlite3_value_type(value) == SQLITE_INTEGER)
        mp_write_int(buf, sqlite3_value_int64(value));
    else if (sqlite3_value_type(value) == SQLITE_TEXT)
        mp_write_str(buf, bytes.len == 0 ? SLICE("") : bytes);
    else
        mp_write_nil(buf);
}

uint64_t model_hash_row(sqlite3_stmt *row)
{
    static struct buf buf;
    int n = sqlite3_column_count(row);
    buf.len = 0;
    mp_write_map(&buf, (uint32_t)n);
    for (int i = 0; i < n; i++) {
        mp_write_str(&buf, slice_str(sqlite3_column_name(row, i)));
        write_value(&buf, sqlite3_column_value(row, i));
    }
    return row_hash(buf_slice(&buf));
}

static uint64_t hash_new(const struct model *model, enum collection collection)
{
    static struct buf buf;
    buf.len = 0;
    mp_write_map(&buf, (uint32_t)model->n_columns[collection]);
    for (int i = 0; i < model->n_columns[collection]; i++) {
        sqlite3_value *value = NULL;
        check(model, sqlite3_preupdate_new(model->db, i, &value), "preupdate");
        buf_append_slice(&buf, buf_slice(&model->column_names[collection][i]));
        write_value(&buf, value);
    }
    return row_hash(buf_slice(&buf));
}

static void read_columns(struct model *model)
{
    for (size_t c = 0; c < COLLECTION_N; c++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT * FROM %s", COLLECTION_NAMES[c]);
        sqlite3_stmt *rows = prepare(model, sql);
        model->n_columns[c] = sqlite3_column_count(rows);
        for (int i = 0; i < model->n_columns[c]; i++) {
            model->column_names[c][i].len = 0;
            mp_write_str(&model->column_names[c][i], slice_str(sqlite3_column_name(rows, i)));
        }
        sqlite3_finalize(rows);
    }
}

/* Changes. */

static struct version *version_new(const struct model *model, enum collection collection, sqlite3_value *key)
{
    struct slice text = slice_of(sqlite3_value_text(key), (size_t)sqlite3_value_bytes(key));
    struct version *version = mem_zero(1, sizeof *version);
    *version = (struct version){.collection = collection, .slot = key_slot(collection, text)};
    if (version->slot == SLOT_NONE)
        check(model, SQLITE_ERROR, "a key");
    return version;
}

static void on_change(void *arg, sqlite3 *db, int op, const char *schema, const char *name, sqlite3_int64 old_rowid,
                      sqlite3_int64 new_rowid)
{
    struct model *model = arg;
    sqlite3_value *key = NULL;
    enum collection collection = LISTS;
    (void)schema;
    (void)old_rowid;
    (void)new_rowid;
    while (collection < COLLECTION_N && strcmp(COLLECTION_NAMES[collection], name) != 0)
        collection++;
    if (model->is_quiet || collection == COLLECTION_N)
        return;
    check(model, op == SQLITE_DELETE ? sqlite3_preupdate_old(db, 0, &key) : sqlite3_preupdate_new(db, 0, &key), "key");
    struct version *version = version_new(model, collection, key);
    version->op = op == SQLITE_INSERT ? OP_INSERT : op == SQLITE_UPDATE ? OP_UPDATE : OP_DELETE;
    version->row = op == SQLITE_DELETE ? 0 : hash_new(model, collection);
    if ((model->n_pending & (model->n_pending + 1)) == 0)
        model->pending = mem_resize(model->pending, (2 * model->n_pending + 1) * sizeof(struct version *));
    model->pending[model->n_pending++] = version;
}

static struct position *next_position(struct model *model)
{
    size_t n = model->n_positions;
    if ((n & (n + 1)) == 0)
        model->positions = mem_resize(model->positions, (2 * n + 1) * sizeof *model->positions);
    model->positions[n] = (struct position){0};
    return &model->positions[model->n_positions++];
}

static void end_position(struct model *model, struct position *position)
{
    for (size_t i = 0; i < COLLECTION_N; i++)
        position->rows[i] = model->rows[i].all;
}

static void become(struct model *model, struct version *version, uint64_t seq)
{
    struct version **latest = &model->latest[version->collection][version->slot];
    version->seq = seq;
    version->before = *latest;
    *latest = version;
    rows_set(&model->rows[version->collection], version->slot, version->row);
}

void model_ack(struct model *model)
{
    end_position(model, next_position(model));
}

/* Deciding. */

static void bind_text(sqlite3_stmt *statement, int parameter, const char *text)
{
    sqlite3_bind_text(statement, parameter, text, -1, SQLITE_TRANSIENT);
}

static void bind_body(sqlite3_stmt *statement, int parameter, const struct work *work)
{
    struct buf body = {0};
    work_body(work, &body);
    sqlite3_bind_text(statement, parameter, body.len == 0 ? "" : body.data, (int)body.len, SQLITE_TRANSIENT);
    buf_release(&body);
}

static void bind_user(sqlite3_stmt *statement, int parameter, unsigned user)
{
    char name[16];
    snprintf(name, sizeof name, "u%u", user);
    bind_text(statement, parameter, name);
}

static void bind_number(sqlite3_stmt *statement, int parameter, const char *name, const struct work *work)
{
    if (strcmp(name, ":first") == 0)
        sqlite3_bind_int64(statement, parameter, work->key);
    else if (strcmp(name, ":n") == 0)
        sqlite3_bind_int64(statement, parameter, work->n);
    else if (strcmp(name, ":len") == 0)
        sqlite3_bind_int64(statement, parameter, work->len);
    else
        sqlite3_bind_int64(statement, parameter, work->value);
}

static void bind_all(sqlite3_stmt *statement, const struct work *work)
{
    for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) {
        const char *name = sqlite3_bind_parameter_name(statement, i);
        char text[KEY_TEXT_MAX];
        if (strcmp(name, ":key") == 0)
            bind_text(statement, i, key_text(ITEMS, work->key, text));
        else if (strcmp(name, ":other") == 0)
            bind_text(statement, i, key_text(ITEMS, work->other, text));
        else if (strcmp(name, ":list") == 0 && work->list == LIST_KEYS)
            sqlite3_bind_null(statement, i);
        else if (strcmp(name, ":list") == 0)
            bind_text(statement, i, key_text(LISTS, work->list, text));
        else if (strcmp(name, ":user") == 0)
            bind_user(statement, i, work->user);
        else if (strcmp(name, ":body") == 0)
            bind_body(statement, i, work);
        else
            bind_number(statement, i, name, work);
    }
}

/* False: a constraint failed. */
static bool run(const struct model *model, sqlite3_stmt *statement)
{
    sqlite3_step(statement);
    int code = sqlite3_reset(statement);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_CONSTRAINT)
        check(model, code, sqlite3_sql(statement));
    return code == SQLITE_OK;
}

static bool is_anothers(struct model *model, const struct work *work)
{
    bind_all(model->owner, work);
    bool found = sqlite3_step(model->owner) == SQLITE_ROW && sqlite3_column_int(model->owner, 0) != 0;
    sqlite3_reset(model->owner);
    return found;
}

static bool run_statements(struct model *model, const struct work *work)
{
    for (size_t i = 0; i < STATEMENTS_MAX && SQL[work->kind][i] != NULL; i++) {
        sqlite3_stmt **statement = &model->statements[work->kind][i];
        if (*statement == NULL)
            *statement = prepare(model, SQL[work->kind][i]);
        bind_all(*statement, work);
        if (!run(model, *statement))
            return false;
    }
    int unresolved = 0, ignored;
    sqlite3_db_status(model->db, SQLITE_DBSTATUS_DEFERRED_FKS, &unresolved, &ignored, 0);
    return unresolved == 0;
}

static uint64_t count_items(struct model *model)
{
    struct buf result = {0};
    sqlite3_step(model->count);
    mp_write_int(&result, sqlite3_column_int64(model->count, 0));
    sqlite3_reset(model->count);
    uint64_t hash = row_hash(buf_slice(&result));
    buf_release(&result);
    return hash;
}

struct outcome_of_model model_decide(struct model *model, const struct work *work)
{
    struct outcome_of_model outcome = {0};
    model->n_pending = 0;
    run(model, model->begin);
    if (work->kind == WORK_UNKNOWN)
        outcome.code = "UNKNOWN_COMMAND";
    else if (work->kind == WORK_FORBIDDEN || (work->kind == WORK_DELETE && is_anothers(model, work)))
        outcome.code = "FORBIDDEN";
    else if (!run_statements(model, work))
        outcome.code = "CONSTRAINT";
    else if (work->kind == WORK_FILL || work->kind == WORK_BUMP)
        outcome.result = count_items(model);
    outcome.n_changes = outcome.code == NULL ? model->n_pending : 0;
    return outcome;
}

void model_drop(struct model *model)
{
    run(model, model->rollback);
}

void model_take(struct model *model)
{
    if (!run(model, model->commit))
        sim_fail("the model: a deferred foreign key was overlooked");
    for (size_t i = 0; i < model->n_pending; i++) {
        struct position *position = next_position(model);
        position->version = model->pending[i];
        become(model, position->version, model_head(model));
        end_position(model, position);
    }
    if (model->n_pending == 0)
        model_ack(model);
}

/* Migrations. */

static void run_file(struct model *model, const char *path)
{
    struct buf sql = {0};
    FILE *file = fopen(path, "r");
    if (file == NULL)
        sim_fail("the model cannot read %s", path);
    do
        sql.len += fread(buf_reserve(&sql, BUFSIZ), 1, BUFSIZ, file);
    while (!feof(file) && !ferror(file));
    fclose(file);
    buf_append(&sql, "", 1);
    check(model, sqlite3_exec(model->db, sql.data, NULL, NULL, NULL), path);
    buf_release(&sql);
}

/* Rows that are others than the model knew. */
static void reread(struct model *model, enum collection collection)
{
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT * FROM %s", COLLECTION_NAMES[collection]);
    sqlite3_stmt *rows = prepare(model, sql);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        struct version *version = version_new(model, collection, sqlite3_column_value(rows, 0));
        version->is_silent = true;
        version->op = OP_UPDATE;
        version->row = model_hash_row(rows);
        if (model->rows[collection].of[version->slot] != version->row)
            become(model, version, model_head(model) + 1);
    }
    sqlite3_finalize(rows);
}

void model_migrate(struct model *model, const char *file)
{
    model->is_quiet = true;
    run_file(model, file);
    model->is_quiet = false;
    read_columns(model);
    for (enum collection i = LISTS; i < COLLECTION_N; i++)
        reread(model, i);
}

struct model *model_new(const char *schema_file)
{
    struct model *model = mem_zero(1, sizeof *model);
    check(model, sqlite3_open(":memory:", &model->db), "open");
    check(model, sqlite3_exec(model->db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL), "foreign keys");
    run_file(model, schema_file);
    read_columns(model);
    model->begin = prepare(model, "BEGIN");
    model->commit = prepare(model, "COMMIT");
    model->rollback = prepare(model, "ROLLBACK");
    model->owner = prepare(model, "SELECT owner <> :user FROM items WHERE id = :key");
    model->count = prepare(model, "SELECT count(*) FROM items");
    sqlite3_preupdate_hook(model->db, on_change, model);
    return model;
}

void model_begin(struct model *model, uint64_t first)
{
    assert(model->n_positions == 0);
    model->first = first;
    model_ack(model);
}

uint64_t model_head(const struct model *model)
{
    return model->first + model->n_positions - 1;
}

const struct position *model_at(const struct model *model, uint64_t seq)
{
    return seq < model->first || seq > model_head(model) ? NULL : &model->positions[seq - model->first];
}

const struct version *model_latest(const struct model *model, enum collection collection, unsigned slot)
{
    return model->latest[collection][slot];
}

const struct rows *model_rows(const struct model *model, enum collection collection)
{
    return &model->rows[collection];
}
