#include "proto/json.h"

#include <stdlib.h>

#include "proto/utf8.h"

static void fill_error(struct slice text, size_t at, const char *reason, struct json_error *ret_error)
{
    *ret_error = (struct json_error){reason, 1, 1};
    for (size_t i = 0; i < at && i < text.len; i++) {
        ret_error->column++;
        if (text.data[i] == '\n') {
            ret_error->line++;
            ret_error->column = 1;
        }
    }
}

/* Looks for what cJSON would let pass. Returns the reason and stores where it is, or NULL. */
static const char *scan(struct slice text, size_t *ret_at)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        *ret_at = i;
        if ((unsigned char)c < ' ' && (in_string || (c != '\n' && c != '\r' && c != '\t')))
            return "control character";
        if (c == '"') {
            in_string = !in_string;
        } else if (in_string && c == '\\') {
            if (text.len - i >= 6 && memcmp(text.data + i, "\\u0000", 6) == 0)
                return "\\u0000 is not allowed";
            i++;
        } else if (!in_string && (c == '{' || c == '[')) {
            if (++depth > JSON_DEPTH_MAX)
                return "nested too deep";
        } else if (!in_string && (c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return NULL;
}

cJSON *json_parse(struct slice text, struct json_error *ret_error)
{
    size_t at = 0;
    const char *reason = utf8_is_valid(text) ? scan(text, &at) : "not UTF-8";
    if (reason != NULL) {
        fill_error(text, at, reason, ret_error);
        return NULL;
    }
    char *copy = mem_dup(text); /* terminated: that is how cJSON finds out that something follows the value */
    const char *end = copy;
    cJSON *json = cJSON_ParseWithLengthOpts(copy, text.len + 1, &end, true);
    if (json == NULL)
        fill_error(text, (size_t)(end - copy), "not JSON", ret_error);
    free(copy);
    return json;
}

bool json_is_repeated(const cJSON *object, const cJSON *member, int (*compare)(const char *, const char *))
{
    const cJSON *before = object->child;
    while (before != member && compare(before->string, member->string) != 0)
        before = before->next;
    return before != member;
}
