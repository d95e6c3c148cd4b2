/*
 * kind_check - what can be wrong with a kind once its tables exist: each mistake is named with file and path.
 */
#ifndef SHARDS_SCOPE_KIND_CHECK_H
#define SHARDS_SCOPE_KIND_CHECK_H

#include "shards/scope/kind.h"

/* The tables: primary keys, types, what cannot be replayed. After the columns are read. A collection of which nothing
 * more can be said is marked. */
void kind_check_tables(struct kind *kind, const struct app *app, struct database *database, struct problems *problems);

/* The columns that rules name. */
void kind_check_columns(const struct kind *kind, const struct app *app, struct problems *problems);

/* Every rule, statement and query prepares, and its parameters are columns or arguments. After the SQL is made. */
void kind_check_sql(const struct kind *kind, const struct app *app, struct database *database,
                    struct problems *problems);

#endif
