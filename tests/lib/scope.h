/*
 * scope - the scope `test/room/tea` with its file open in the temporary folder of a room, and Ann at its door.
 *
 * Seqs are told relative to the head that the scope had when it was opened first: its first change is 1.
 */
#ifndef TESTS_LIB_SCOPE_H
#define TESTS_LIB_SCOPE_H

#include "shards/scope/scope_file.h"
#include "tests/lib/room.h"

struct scope {
    struct room room;
    struct scope_name name;
    char *path;
    struct scope_file *file;
    struct claims claims; /* of the caller: `sub` is ann */
    int64_t now_ms;
    uint64_t base;
};

/* The arguments of room_open. */
void scope_open(struct scope *scope, const char *definition, const char *sql);
void scope_close(struct scope *scope);

/* Closes the file and opens it again, as a server does that was restarted. */
void scope_reopen(struct scope *scope);

/* The same after a change of the app: another definition (unless NULL), or a migration that room_migrate has written.
 */
void scope_upgrade(struct scope *scope, const char *definition);

/* Who calls from now on: a token's claims, JSON with ' for ". */
void scope_become(struct scope *scope, const char *claims);

/* Decides a frame (JSON with ' for "): "committed 1", "committed 2 result=5", "rejected CODE: message", or "failed:
 * why" of the file. In a turn of its own, unless a transaction is open. Borrowed until the next call. */
const char *scope_decide(struct scope *scope, const char *frame);

/* Runs statements as an app's, in a turn of their own, which must succeed. */
void scope_execute(struct scope *scope, const char *sql);

/* The changes that the last turn left: "insert notes a {row}" or "delete notes a", a line each. Borrowed likewise. */
const char *scope_changes(const struct scope *scope);

/* The rows of a query, values separated by commas, rows by spaces. Borrowed likewise. */
const char *scope_query(struct scope *scope, const char *sql);

#endif
