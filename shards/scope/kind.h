/*
 * kind - a sort of scope, ready to be served: its definition, its migrations, and what its tables turned out to be.
 *
 * Loading a kind runs its migrations in an empty database and judges everything there: tables, columns, every rule and
 * statement. So `skerry check`, the start of a server and a reload refuse the same mistakes with the same words.
 *
 * Immutable once loaded; shared by all shards of a process.
 */
#ifndef SHARDS_SCOPE_KIND_H
#define SHARDS_SCOPE_KIND_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/app.h"
#include "proto/frame.h"
#include "shards/log/rowchange.h"
#include "shards/scope/database.h"
#include "shards/scope/migration.h"

struct column {
    char *name;
    struct buf encoded_name; /* as it goes into a row */
    const char *type;        /* what its values are, for clients: a word of proto/wire.md; a constant */
    char *default_sql;       /* an expression, or NULL */
    bool is_generated;
};

/* What a collection's statements are for. Which parameters each has stands in kind.c. */
enum collection_sql {
    COLLECTION_ROW,      /* a row by key */
    COLLECTION_SLICE,    /* rows behind a key, in the order of keys */
    COLLECTION_INSERT,   /* all columns that are not generated */
    COLLECTION_DELETE,   /* a row by key */
    COLLECTION_DEFAULTS, /* the default of each column */
    COLLECTION_INSERT_SET,
    COLLECTION_UPDATE_SET,
    COLLECTION_INSERT_AUTHORIZE,
    COLLECTION_UPDATE_AUTHORIZE,
    COLLECTION_DELETE_AUTHORIZE,
    COLLECTION_SQL_N,
};

/* What a client may write in an insert or an update, by column number. */
struct write_plan {
    bool *is_writable;
    bool *is_set; /* the rule decides it; what the client says is ignored */
    size_t *set;  /* the columns of `set`, in its order */
    size_t n_set;
};

struct collection {
    const struct app_collection *def;
    size_t number; /* within the kind */
    struct column *columns;
    size_t n_columns, key;       /* `key`: number of the key's column */
    char *sql[COLLECTION_SQL_N]; /* NULL where there is nothing to do or to ask */
    struct write_plan insert, update;
    char fingerprint[65]; /* of everything that decides what a client sees of it */
    bool is_missing;      /* while its kind is judged: it has no table or no key, so no SQL of it can be judged */
};

struct command {
    const struct app_command *def;
    char *authorize_sql; /* or NULL */
};

/* Any table of a scope's file: what the journal must carry. */
struct kind_table {
    struct row_table table;
    const struct collection *collection; /* NULL: the server's own, or one that no client sees */
};

struct kind {
    const struct app_kind *def;
    struct migrations migrations;
    struct collection *collections;
    size_t n_collections;
    struct command *commands;
    size_t n_commands;
    struct kind_table *tables;
    size_t n_tables;
    char *open_sql; /* or NULL: closed to all */
};

/* NULL, with problems added, if anything is wrong. `app` is borrowed and must outlive the kind. */
struct kind *kind_load(const struct app *app, const struct app_kind *def, struct problems *problems);
void kind_free(struct kind *kind);

/* Judges it as a load does. Besides, each migration, rule and statement must come to its end within `limit_ms` in an
 * empty scope. */
void kind_try(const struct app *app, const struct app_kind *def, int64_t limit_ms, struct problems *problems);

/* Opens an empty database of this kind in memory: what a scope looks like that has no file yet. */
enum err kind_open_blank(const struct kind *kind, struct database *database, struct buf *ret_why);

/* Prepares the statement of a collection that `which` names. */
sqlite3_stmt *collection_prepare(const struct collection *collection, enum collection_sql which,
                                 struct database *database, struct buf *ret_why);

/* Which row a rule is asked about as `old`. */
enum asked_row {
    ROW_NONE,
    ROW_STORED, /* the one of KEY_PARAMETER, if it is there */
    ROW_ANY,    /* one that is there, or else one of NULLs: an answer in any case */
};

/* A SELECT of the expression. The caller frees the text. */
char *collection_make_question(const struct collection *collection, const char *expression, enum asked_row row);

/* An UPDATE by key that sets the columns for which `columns` is true: parameters ?1.. by column number + 1, the key
 * last. The caller frees the text. */
char *collection_make_update(const struct collection *collection, const bool *columns);

/* NULL if there is none of that name. */
const struct collection *kind_find_collection(const struct kind *kind, struct slice name);
const struct command *kind_find_command(const struct kind *kind, struct slice name);

enum { COLUMN_NONE = -1 };

/* A column's number, or COLUMN_NONE. */
int collection_find_column(const struct collection *collection, struct slice name);

/* The parameter that stands for a row's key in statements that have others named after columns. */
#define KEY_PARAMETER "@key"

#endif
