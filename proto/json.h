/*
 * json - a strict way into cJSON, for definitions, keys and tokens.
 *
 * cJSON alone recurses as deep as a text asks, takes any bytes for text, and ends a string at an escaped NUL, so that
 * two different names could be read as the same. Here each of these is a mistake, found before cJSON sees the text.
 */
#ifndef PROTO_JSON_H
#define PROTO_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/bytes.h"

enum { JSON_DEPTH_MAX = 32 };

struct json_error {
    const char *reason;
    size_t line, column; /* from 1; a column is a byte */
};

/* Once, before cJSON is used: who has no memory ends, as everywhere. A member that could not be added, such as a claim,
 * would be missing without a word. */
void json_init(void);

/* The whole of `text` as one value, or NULL with `ret_error` filled. The caller frees it with cJSON_Delete. */
cJSON *json_parse(struct slice text, struct json_error *ret_error);

/* Whether a member before this one has its name. `compare` is strcmp or strcasecmp. */
bool json_is_repeated(const cJSON *object, const cJSON *member, int (*compare)(const char *, const char *));

#endif
