/*
 * migration - an app's numbered SQL files, and bringing a scope's file up to them.
 *
 * Files are `NNNN_name.sql`, numbered from 0001 without gaps. Each runs once per scope, in a transaction of its own,
 * and is remembered with its checksum: a file that was changed after it ran is an error, not a surprise.
 */
#ifndef SHARDS_SCOPE_MIGRATION_H
#define SHARDS_SCOPE_MIGRATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "proto/app.h"
#include "shards/scope/database.h"

struct migration {
    char *name; /* "0001_messages.sql" */
    char *sql;
    char checksum[65]; /* SHA-256 of the file, hexadecimal */
};

struct migrations {
    struct migration *items; /* item i has number i + 1 */
    size_t n;
};

/* Reads the folder. False, with problems added, if a name or number is wrong or a file cannot be read. */
bool migrations_load(struct migrations *migrations, const char *app_dir, const char *folder, struct problems *problems);
void migrations_release(struct migrations *migrations);

/* Whether some have not run yet. */
bool migrations_are_pending(const struct migrations *migrations, struct database *database);

/* Runs what has not run yet; each file may take `limit_ms`, unless that is 0. On failure `ret_why` says which file and
 * why, and nothing of that file remains. */
enum err migrations_apply(const struct migrations *migrations, struct database *database, int64_t limit_ms,
                          struct buf *ret_why);

#endif
