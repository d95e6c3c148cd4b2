#include "proto/json.h"

#include <stdlib.h>
#include <string.h>

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

static char letter_at(struct slice text, size_t at)
{
    return at < text.len ? text.data[at] : '\0';
}

/* Goes on to the closing quote. */
static const char *scan_string(struct slice text, size_t *at)
{
    for (++*at; *at < text.len && text.data[*at] != '"'; ++*at) {
        if ((unsigned char)text.data[*at] < ' ')
            return "control character";
        if (text.len - *at >= 6 && memcmp(text.data + *at, "\\u0000", 6) == 0)
            return "\\u0000 is not allowed";
        if (text.data[*at] == '\\')
            ++*at;
    }
    return NULL;
}

static bool skip_digits(struct slice text, size_t *at)
{
    size_t first = *at;
    while (letter_at(text, *at) >= '0' && letter_at(text, *at) <= '9')
        ++*at;
    return *at > first;
}

/* Goes on to the last digit. cJSON takes 007 for 7, and `1.` for 1. */
static const char *scan_number(struct slice text, size_t *at)
{
    size_t end = *at + (text.data[*at] == '-'), first = end;
    bool is_sound = skip_digits(text, &end) && (text.data[first] != '0' || end == first + 1);
    if (letter_at(text, end) == '.') {
        end++;
        is_sound = skip_digits(text, &end) && is_sound;
    }
    if (letter_at(text, end) == 'e' || letter_at(text, end) == 'E') {
        end++;
        end += letter_at(text, end) == '+' || letter_at(text, end) == '-';
        is_sound = skip_digits(text, &end) && is_sound;
    }
    if (!is_sound)
        return "not a number as JSON writes them";
    *at = end - 1;
    return NULL;
}

/* Looks for what cJSON would let pass. Returns the reason and stores where it is, or NULL. */
static const char *scan(struct slice text, size_t *ret_at)
{
    const char *reason = NULL;
    size_t depth = 0;
    for (; *ret_at < text.len && reason == NULL; *ret_at += reason == NULL) {
        char c = text.data[*ret_at];
        if (c == '"')
            reason = scan_string(text, ret_at);
        else if (c == '-' || (c >= '0' && c <= '9'))
            reason = scan_number(text, ret_at);
        else if (c == '{' || c == '[')
            reason = ++depth > JSON_DEPTH_MAX ? "nested too deep" : NULL;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        else if ((unsigned char)c < ' ' && c != '\n' && c != '\r' && c != '\t')
            reason = "control character";
    }
    return reason;
}

void json_init(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){mem_alloc, free});
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
