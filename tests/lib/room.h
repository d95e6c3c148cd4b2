/*
 * room - an app in a temporary folder, with one kind, `room`, loaded as a server loads it.
 *
 * A definition is what stands in app.json for the kind, beside `migrations`, with ` for " so that C sources can hold
 * it:
 *
 *   room_open(&room, "`open`:`claim('sub') = 'ann'`", "CREATE TABLE notes(id TEXT PRIMARY KEY);");
 */
#ifndef TESTS_LIB_ROOM_H
#define TESTS_LIB_ROOM_H

#include "shards/scope/kind.h"
#include "tests/lib/folder.h"

struct room {
    struct folder folder;
    struct app *app;
    struct kind *kind; /* NULL: it was refused, for these reasons */
    struct problems problems;
};

/* `sql` is the first migration. */
void room_open(struct room *room, const char *definition, const char *sql);
void room_close(struct room *room);

/* Loads it again: with another definition (unless NULL), or after a file was written. */
void room_load(struct room *room, const char *definition);

/* Writes another migration; room_load comes next. */
void room_migrate(struct room *room, const char *file, const char *sql);

/* The reasons, a line each, without the folder's path. Borrowed until the next call. */
const char *room_problems(const struct room *room);

#endif
