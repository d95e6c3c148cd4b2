#include "proto/shape.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/json.h"

void shape_complain(struct shape_reader *reader, const char *format, ...)
{
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    problems_add(reader->problems, "%s: %.*s%s%s", reader->file, (int)reader->path.len, reader->path.data,
                 reader->path.len > 0 ? ": " : "", text);
}

size_t shape_enter(struct shape_reader *reader, const char *name)
{
    size_t before = reader->path.len;
    buf_printf(&reader->path, "%s%.64s", before > 0 ? "." : "", name);
    return before;
}

static size_t enter_item(struct shape_reader *reader, size_t index)
{
    size_t before = reader->path.len;
    buf_printf(&reader->path, "[%zu]", index);
    return before;
}

void shape_leave(struct shape_reader *reader, size_t before)
{
    reader->path.len = before;
}

static const char *type_name(int type)
{
    switch (type & 0xff) {
    case cJSON_Object:
        return "an object";
    case cJSON_Array:
        return "an array";
    case cJSON_String:
        return "a text";
    case cJSON_Number:
        return "a number";
    case cJSON_NULL:
        return "null";
    default:
        return "a boolean";
    }
}

static bool is_of_type(struct shape_reader *reader, const cJSON *value, int type)
{
    if ((value->type & 0xff) == type)
        return true;
    shape_complain(reader, "must be %s, not %s", type_name(type), type_name(value->type));
    return false;
}

static bool is_bounded(struct shape_reader *reader, const cJSON *value)
{
    if (cJSON_GetArraySize(value) <= SHAPE_MEMBERS_MAX)
        return true;
    shape_complain(reader, "has more than %d members", SHAPE_MEMBERS_MAX);
    return false;
}

static bool is_first(struct shape_reader *reader, const cJSON *object, const cJSON *member)
{
    if (!json_is_repeated(object, member, strcasecmp))
        return true;
    shape_complain(reader, "\"%.64s\" is named twice (upper and lower case are the same); keep one", member->string);
    return false;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters to insert, delete or replace to get from one word to the other. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > LONGEST || b_len > LONGEST)
        return SIZE_MAX;
    size_t row[LONGEST + 1]; /* of the table (a's first i letters, b's first j) */
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            diagonal = row[j];
            row[j] = min3(replaced, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[b_len];
}

static const char *closest_key(const struct shape_key *keys, const char *name)
{
    const char *closest = NULL;
    size_t least = strlen(name) / 3 + 2; /* with more than a third of its letters changed, it is another word */
    for (; keys->name != NULL; keys++) {
        if (keys->presence != SHAPE_LATER && distance(name, keys->name) < least) {
            closest = keys->name;
            least = distance(name, closest);
        }
    }
    return closest;
}

static void complain_unknown(struct shape_reader *reader, const struct shape_key *keys, const char *name)
{
    struct buf known = {0};
    size_t n = 0;
    for (const struct shape_key *key = keys; key->name != NULL; key++)
        if (key->presence != SHAPE_LATER)
            buf_printf(&known, "%s%s", n++ > 0 ? ", " : "", key->name);
    const char *closest = closest_key(keys, name);
    if (closest != NULL)
        buf_printf(&known, " (did you mean \"%s\"?)", closest);
    shape_complain(reader, "unknown key \"%.64s\"; %s %.*s", name, n == 1 ? "the known key is" : "known keys are",
                   (int)known.len, known.data);
    buf_release(&known);
}

static void read_value(struct shape_reader *reader, const cJSON *value, const struct shape_key *key, void *owner)
{
    if (key->presence == SHAPE_LATER)
        shape_complain(reader, "not supported by this version of Skerry; remove it");
    else if (!is_of_type(reader, value, key->type))
        return;
    else if (key->read != NULL)
        key->read(reader, value, owner);
    else
        *(char **)(void *)((char *)owner + key->offset) = shape_read_text(reader, value, key->check);
}

static const struct shape_key *find_key(const struct shape_key *keys, const char *name)
{
    while (keys->name != NULL && strcmp(keys->name, name) != 0)
        keys++;
    return keys->name != NULL ? keys : NULL;
}

void shape_read_object(struct shape_reader *reader, const cJSON *object, const struct shape_key *keys, void *owner)
{
    if (!is_bounded(reader, object))
        return;
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        if (!is_first(reader, object, member))
            continue;
        const struct shape_key *key = find_key(keys, member->string);
        if (key == NULL) {
            complain_unknown(reader, keys, member->string);
            continue;
        }
        size_t before = shape_enter(reader, member->string);
        read_value(reader, member, key, owner);
        shape_leave(reader, before);
    }
    for (; keys->name != NULL;
         keys++) /* cJSON's look-up ignores the case: "Key" is unknown, but "key" is not missing */
        if (keys->presence == SHAPE_REQUIRED && !cJSON_HasObjectItem(object, keys->name))
            shape_complain(reader, "\"%s\" is missing; it must be %s", keys->name, type_name(keys->type));
}

void *shape_read_map(struct shape_reader *reader, const cJSON *object, const struct shape_map *map, size_t *ret_n)
{
    if (!is_bounded(reader, object))
        return NULL;
    size_t n = 0;
    char *elements = mem_zero((size_t)cJSON_GetArraySize(object), map->size);
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        if (!is_first(reader, object, member))
            continue;
        void *element = elements + n++ * map->size;
        size_t before_it = reader->problems->n;
        *(char **)element = mem_dup(slice_str(member->string));
        size_t before = shape_enter(reader, member->string);
        const char *rule = map->check_name(member->string);
        if (rule != NULL)
            shape_complain(reader, "this name must be %s", rule);
        if (is_of_type(reader, member, map->type))
            map->read(reader, member, element);
        shape_leave(reader, before);
        if (reader->problems->n > before_it && map->release != NULL) {
            map->release(element);
            memset(element, 0, map->size);
            n--;
        }
    }
    *ret_n = n;
    return elements;
}

char **shape_read_list(struct shape_reader *reader, const cJSON *array, shape_check *check, size_t *ret_n)
{
    if (!is_bounded(reader, array))
        return NULL;
    size_t n = 0, index = 0;
    char **texts = mem_zero((size_t)cJSON_GetArraySize(array), sizeof *texts);
    for (const cJSON *item = array->child; item != NULL; item = item->next) {
        size_t before = enter_item(reader, index++);
        char *text = is_of_type(reader, item, cJSON_String) ? shape_read_text(reader, item, check) : NULL;
        if (text != NULL)
            texts[n++] = text;
        shape_leave(reader, before);
    }
    *ret_n = n;
    return texts;
}

char *shape_read_text(struct shape_reader *reader, const cJSON *value, shape_check *check)
{
    const char *text = value->valuestring;
    const char *rule = check != NULL ? check(text) : NULL;
    if (text[strspn(text, " \t\r\n")] == '\0')
        shape_complain(reader, "is empty; write it or remove the key");
    else if (rule != NULL)
        shape_complain(reader, "\"%.64s\" must be %s", text, rule);
    else
        return mem_dup(slice_str(text));
    return NULL;
}
