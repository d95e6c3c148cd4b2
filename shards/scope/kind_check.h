/*
 * kind_check - what can be wrong with a kind once its tables exist: each mistake is named with file and path.
 */
#ifndef SHARDS_SCOPE_KIND_CHECK_H
#define SHARDS_SCOPE_KIND_CHECK_H

#include "shards/scope/kind.h"

/* The tables: primary keys, types, what cannot be replayed. Before the columns are read. */
bool kind_check_tables(const struct kind *kind, const struct app *app, struct database *database,
                       struct problems *problems);

/* The columns that rules name. After the columns are read. */
bool kind_check_columns(const struct kind *kind, const struct app *app, struct problems *problems);

/* Every rule, statement and query prepares, and its parameters are columns or arguments. */
bool kind_check_sql(const struct kind *kind, const struct app *app, struct database *database,
                    struct problems *problems);

#endif
