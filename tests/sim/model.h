/*
 * model - what a scope must be: the transactions of its receipts, one after the other, on a plain SQLite database.
 *
 * It knows each change that each of them makes, so it knows which row stands for each position, and what the rows of
 * each collection were as of it. Nothing of the server's code decides here.
 */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <sqlite3.h>

#include "tests/sim/history.h"
#include "tests/sim/rows.h"

/* A row as some position left it. */
struct version {
    uint64_t seq, row; /* the row's hash, 0 of none */
    enum collection collection;
    unsigned slot;
    enum op_type op;
    bool is_silent;         /* a migration made it: there is no change of the log for it */
    struct version *before; /* of the same key */
};

/* What a position left behind. */
struct position {
    struct version *version; /* NULL: the position of a transaction that changed nothing, or of a migration */
    uint64_t rows[COLLECTION_N];
};

struct model;

/* `schema_file` is the application's first migration. */
struct model *model_new(const char *schema_file);

/* Decides a transaction. What it changed is then pending: model_take gives it positions, model_drop undoes it. */
struct outcome_of_model {
    const char *code; /* of a rejection; NULL: it is committed */
    uint64_t result;  /* as in struct ending */
    size_t n_changes;
};
struct outcome_of_model model_decide(struct model *model, const struct work *work);
void model_take(struct model *model);
void model_drop(struct model *model);

/* A position that is no transaction's. */
void model_ack(struct model *model);

/* Runs the migration FILE. What it leaves is what there is as of the next position. */
void model_migrate(struct model *model, const char *file);

/* The first position, then 0 or more others without a gap up to the head. */
void model_begin(struct model *model, uint64_t first);
uint64_t model_head(const struct model *model);
const struct position *model_at(const struct model *model, uint64_t seq); /* NULL: there is no such position */

/* The key's latest version; older ones are behind it. NULL: there was never such a row. */
const struct version *model_latest(const struct model *model, enum collection collection, unsigned slot);

/* The row that a `SELECT *` stands on, as it stands on the wire. */
uint64_t model_hash_row(sqlite3_stmt *row);

/* What the collection holds now. */
const struct rows *model_rows(const struct model *model, enum collection collection);

#endif
