/*
 * app - an app's definition: app.json, bytes to structs, with every mistake named.
 *
 * Everything that can be judged without a database is judged here; SQL is judged by shards/scope/rules. A key that
 * this version does not support is refused, never ignored. docs/app.md documents the keys for people.
 */
#ifndef PROTO_APP_H
#define PROTO_APP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/problems.h"

struct app_assignment {
    char *column, *expression;
};

/* What clients may do with a collection's rows, per operation. */
struct app_rule {
    bool allowed;    /* false: the operation has no rule, so it is refused */
    bool any_column; /* `columns` is absent: clients may write all */
    char **columns;
    size_t n_columns;
    struct app_assignment *set;
    size_t n_set;
    char *authorize; /* SQL expression, or NULL: allowed to all whom `open` let in */
};

struct app_collection {
    char *name, *key; /* the table, its primary key's column */
    struct app_rule insert, update, delete;
};

enum app_arg_type { APP_ARG_TEXT, APP_ARG_INTEGER, APP_ARG_REAL, APP_ARG_BOOLEAN, APP_ARG_BLOB };

struct app_arg {
    char *name;
    enum app_arg_type type;
};

struct app_command {
    char *name;
    struct app_arg *args;
    size_t n_args;
    char *authorize; /* or NULL */
    char **execute;  /* statements, run in order */
    size_t n_execute;
    char *result; /* a query, or NULL */
};

struct app_kind {
    char *name;
    char *migrations; /* a folder within the app's */
    char *open;       /* SQL expression, or NULL: closed to all */
    struct app_collection *collections;
    size_t n_collections;
    struct app_command *commands;
    size_t n_commands;
    double frames_per_second; /* of one session; 0: no limit. Default 200 */
};

struct app {
    char *dir; /* the folder it was loaded from */
    char *name;
    char *keys;     /* file of JWKs within `dir`, or NULL: no tokens, so only `--dev` identities */
    char *audience; /* what `aud` must hold, or NULL */
    char *issuer;   /* what `iss` must be, or NULL */
    char *cookie;   /* a cookie that may carry the token, or NULL */
    char **origins; /* allowed Origin headers; none listed: any, but a cookie counts only from the same origin */
    size_t n_origins;
    struct app_kind *kinds;
    size_t n_kinds;
};

enum { APP_JSON_MAX = 1024 * 1024 }; /* bytes */

/* Parses the bytes of an app.json; `file` is how messages name it. NULL, with problems added, if anything is wrong. */
struct app *app_parse(struct slice text, const char *file, struct problems *problems);

/* The same for who goes on to name the mistakes of the rest: collections and commands with a mistake in them are left
 * out, and any other member that could not be read is as if it were absent. NULL if the text is no JSON. */
struct app *app_parse_rest(struct slice text, const char *file, struct problems *problems);

/* Reads DIR/app.json and parses it. */
struct app *app_load(const char *dir, struct problems *problems);
struct app *app_load_rest(const char *dir, struct problems *problems);
void app_free(struct app *app);

/* For the parser: frees what an element has. */
void app_collection_release(void *element);
void app_command_release(void *element);

/* NULL if there is none of that name. */
const struct app_kind *app_find_kind(const struct app *app, struct slice name);

#endif
