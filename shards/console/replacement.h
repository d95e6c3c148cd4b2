/*
 * replacement - a file that is to take the place of a scope's: checked, prepared, and put there.
 *
 * Until it is there, in one rename, the scope's own file is what it was. The old one is kept under another name.
 *
 * Thread: one at a time; nobody may have either file open.
 */
#ifndef SHARDS_CONSOLE_REPLACEMENT_H
#define SHARDS_CONSOLE_REPLACEMENT_H

#include "shards/log/scoperecord.h"
#include "shards/scope/kind.h"
#include "shards/scope/scope_file.h"

struct replacement {
    const char *data_dir;          /* borrowed, as are the next two */
    const struct scope_name *name; /* of the scope, and its kind */
    const struct kind *kind;
    char *fresh, *path;  /* of the file that comes, and of the scope's */
    bool discards;       /* the old file is not kept */
    uint64_t known_head; /* of the scope as it was: what clients may have been told of */

    struct buf from;           /* the scope that the file was of: known once it is checked */
    struct buf kept;           /* the path under which the old file is kept; empty: there was none */
    struct scoperecord record; /* for the journal, once it is in its place */
    bool is_in_place;
    struct buf why; /* it failed */
};

/* `fresh` is taken. */
void replacement_init(struct replacement *replacement, const char *data_dir, const struct scope_name *name,
                      const struct kind *kind, char **fresh);
void replacement_release(struct replacement *replacement);

/* Whether the file is whole, of this version's format, and a scope's of the same app and kind. Names it after the
 * scope. False: `why` says what is wrong. */
bool replacement_check(struct replacement *replacement);

/* Gives it a new timeline and brings it up to the kind's migrations; then it takes the place, durably. False: `why`
 * says what is wrong, and `is_in_place` whether it is there all the same, but may not last. */
bool replacement_place(struct replacement *replacement);

#endif
