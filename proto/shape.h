/*
 * shape - reads JSON into structs by tables of keys, and names every mistake with its path.
 *
 * A table says which keys an object may have, of which type, and where each goes; so the checks that hold for all of
 * them (unknown, repeated, missing, not yet supported, wrong type, too many) and their messages are here once.
 * A mistake does not stop the reading: what could not be read is left as it was.
 */
#ifndef PROTO_SHAPE_H
#define PROTO_SHAPE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/problems.h"

enum { SHAPE_MEMBERS_MAX = 1000 }; /* of one object or array */

struct shape_reader {
    const char *file; /* as messages name it; borrowed */
    struct buf path;  /* of the value that is being read */
    struct problems *problems;
};

/* Adds `FILE: PATH: ...`. */
void shape_complain(struct shape_reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Goes down to a member, for messages; returns what shape_leave needs to come back. */
size_t shape_enter(struct shape_reader *reader, const char *name);
void shape_leave(struct shape_reader *reader, size_t before);

/* Judges a text: NULL, or what it must be, to follow "must be". */
typedef const char *shape_check(const char *text);
typedef void shape_read(struct shape_reader *reader, const cJSON *value, void *owner);

enum shape_presence { SHAPE_OPTIONAL, SHAPE_REQUIRED, SHAPE_LATER };

/* A table ends with a zeroed entry. Its keys are in alphabetical order, for the messages. */
struct shape_key {
    const char *name;
    enum shape_presence presence; /* SHAPE_LATER: known, but this version does not support it */
    int type;                     /* cJSON_String, cJSON_Object, ... */
    shape_read *read;             /* fills the owner; NULL: text, copied to the `char *` at `offset` of the owner */
    shape_check *check;           /* of that text, or NULL: any that is not empty */
    size_t offset;
};

void shape_read_object(struct shape_reader *reader, const cJSON *object, const struct shape_key *keys, void *owner);

/* An object whose names are the author's, such as `kinds`. */
struct shape_map {
    shape_check *check_name;
    size_t size;                    /* of an element, a struct whose first member is `char *name` */
    int type;                       /* of each value */
    shape_read *read;               /* fills the element */
    void (*release)(void *element); /* an element with a mistake in it is left out; NULL: it stays, as far as it goes */
};

/* Returns an array of one element per member that is not left out. */
void *shape_read_map(struct shape_reader *reader, const cJSON *object, const struct shape_map *map, size_t *ret_n);

/* Returns an array of texts, or NULL if there are none. */
char **shape_read_list(struct shape_reader *reader, const cJSON *array, shape_check *check, size_t *ret_n);

/* Reads the value of `key` or of an element into a new string, or complains and returns NULL. */
char *shape_read_text(struct shape_reader *reader, const cJSON *value, shape_check *check);

#endif
