#include "tests/scenario/expect.h"

#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/scenario/value.h"

enum { HEADS_MAX = 3, TEXT_MAX = 1024 };

/* A frame of the contract, as a story speaks of it. */
struct shape {
    const char *type;
    const char *heads[HEADS_MAX]; /* the fields that are named by their place */
    const char *body;             /* the map whose fields are checked by their own names */
    const char *fields;           /* all that the frame may hold */
    const char *more;             /* and to a client that speaks skerry.v1 */
};

static const struct shape shapes[] = {
    {"snap", {"sub", "key"}, "row", " t sub key row seq ", ""},
    {"snap-end", {"sub"}, "-", " t sub seq ", ""},
    {"d", {"sub", "op", "key"}, "cols", " t sub key op cols seq ", ""},
    {"uptodate", {"sub"}, "-", " t seq sub ", ""},
    {"committed", {"txId"}, "result", " t txId seq result ", ""},
    {"rejected", {"txId"}, "error", " t txId error ", " seq retryMs "},
    {"reset", {"sub"}, "-", " t sub ", ""},
    {"page", {"fetchId"}, "-", " t fetchId rows seq ", ""},
    {"hello", {NULL}, "limits", "", " t server session head floor schema types limits receipts "},
    {"gone", {NULL}, "-", "", " t code message retryMs "},
};

static bool is_text(const msgpack_object *object, const char *text)
{
    return object != NULL && object->type == MSGPACK_OBJECT_STR && object->via.str.size == strlen(text) &&
           memcmp(object->via.str.ptr, text, strlen(text)) == 0;
}

static bool is_missing(const msgpack_object *object)
{
    return object == NULL || object->type == MSGPACK_OBJECT_NIL;
}

static const struct shape *find_shape(const char *type)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(shapes[i].type, type) == 0)
            return &shapes[i];
    return NULL;
}

static bool is_field(const struct shape *shape, const char *padded_name, bool is_extended)
{
    return strstr(shape->fields, padded_name) != NULL || (is_extended && strstr(shape->more, padded_name) != NULL);
}

/* Whether the frame holds nothing but what the client's contract gives it. */
static bool is_tidy(const msgpack_object *frame, const struct shape *shape, bool is_extended)
{
    for (uint32_t i = 0; i < frame->via.map.size; i++) {
        char name[32] = " ";
        value_text(&frame->via.map.ptr[i].key, name + 1, sizeof name - 2);
        strcat(name, " ");
        if (!is_field(shape, name, is_extended))
            return false;
    }
    return !is_text(value_get(frame, "op"), "delete") || is_missing(value_get(frame, "cols"));
}

static const msgpack_object *find_field(const msgpack_object *frame, const struct shape *shape, const char *name)
{
    char padded[80];
    snprintf(padded, sizeof padded, " %s ", name);
    bool own = is_field(shape, padded, true);
    return own ? value_get(frame, name) : value_get(value_get(frame, shape->body), name);
}

static bool is_position(const char *name)
{
    return strcmp(name, "seq") == 0 || strcmp(name, "head") == 0 || strcmp(name, "floor") == 0;
}

static bool is_equal(const msgpack_object *field, const char *name, const char *value)
{
    if (strcmp(value, "-") == 0)
        return is_missing(field);
    if (field == NULL)
        return false;
    if (field->type == MSGPACK_OBJECT_ARRAY)
        return field->via.array.size == strtoul(value, NULL, 10);
    return is_position(name) ? is_text(field, value) : value_equals(field, value);
}

static bool is_greater(const msgpack_object *field, const char *value)
{
    char text[64];
    if (field == NULL)
        return false;
    value_text(field, text, sizeof text);
    return strtoll(text, NULL, 10) > strtoll(value, NULL, 10);
}

/* Checks one `name=value`, `name>value` or `name->variable`. */
static bool holds(struct play *play, const msgpack_object *frame, const struct shape *shape, const char *check)
{
    char name[64], text[TEXT_MAX];
    size_t len = strcspn(check, "=>");
    const char *value = play_expand(play, check + len + 1);
    bool captures = check[len] == '>' && len > 0 && check[len - 1] == '-';
    snprintf(name, sizeof name, "%.*s", (int)(len - captures), check);
    const msgpack_object *field = find_field(frame, shape, name);
    if (!captures)
        return check[len] == '=' ? is_equal(field, name, value) : is_greater(field, value);
    if (is_missing(field))
        return false;
    value_text(field, text, sizeof text);
    play_set(play, value, text);
    return true;
}

static const char *match_frame(struct play *play, const struct client *client, const msgpack_object *frame,
                               const char *const *words, size_t n)
{
    const struct shape *shape = find_shape(words[0]);
    if (shape == NULL)
        play_fail(play, "no frame is named '%s'", words[0]);
    if (!is_text(value_get(frame, "t"), shape->type))
        return "another frame";
    if (!is_tidy(frame, shape, client->is_extended))
        return "it holds what the contract does not give it";
    size_t i = 1;
    for (size_t head = 0; head < HEADS_MAX && shape->heads[head] != NULL; head++) {
        const msgpack_object *field = value_get(frame, shape->heads[head]);
        bool named = i < n && strpbrk(words[i], "=>") == NULL;
        if (!named ? !is_missing(field) : strcmp(words[i], "*") != 0 && !is_text(field, play_expand(play, words[i])))
            return shape->heads[head];
        i += named;
    }
    for (; i < n; i++)
        if (!holds(play, frame, shape, words[i]))
            return words[i];
    return NULL;
}

static const char *match_binary(struct play *play, const struct client *client, struct slice bytes,
                                const char *const *words, size_t n)
{
    msgpack_unpacked unpacked;
    size_t used = 0;
    msgpack_unpacked_init(&unpacked);
    const char *why = "not one MessagePack map";
    if (msgpack_unpack_next(&unpacked, bytes.data, bytes.len, &used) == MSGPACK_UNPACK_SUCCESS && used == bytes.len &&
        unpacked.data.type == MSGPACK_OBJECT_MAP)
        why = match_frame(play, client, &unpacked.data, words, n);
    msgpack_unpacked_destroy(&unpacked);
    return why;
}

const char *expect_match(struct play *play, const struct client *client, const struct message *message,
                         const char *const *words, size_t n)
{
    if (n == 2 && strcmp(words[0], "text") == 0)
        return message->opcode == CLIENT_TEXT && slice_eq(message->payload, slice_str(words[1])) ? NULL
                                                                                                 : "not this text";
    if (n == 2 && strcmp(words[0], "close") == 0)
        return message->opcode == CLIENT_CLOSE && message->code == strtoul(words[1], NULL, 10) ? NULL
                                                                                               : "not this close";
    if (message->opcode != CLIENT_BINARY)
        return "no frame";
    return match_binary(play, client, message->payload, words, n);
}

void expect_print(const struct message *message, char *ret_text, size_t size)
{
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    if (message->opcode == CLIENT_CLOSE)
        snprintf(ret_text, size, "close %u", message->code);
    else if (message->opcode == CLIENT_TEXT)
        snprintf(ret_text, size, "text %.*s", (int)message->payload.len, message->payload.data);
    else if (msgpack_unpack_next(&unpacked, message->payload.data, message->payload.len, NULL) ==
             MSGPACK_UNPACK_SUCCESS)
        msgpack_object_print_buffer(ret_text, size, unpacked.data);
    else
        snprintf(ret_text, size, "%zu bytes that are not MessagePack", message->payload.len);
    msgpack_unpacked_destroy(&unpacked);
}
