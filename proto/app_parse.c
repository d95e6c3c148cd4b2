#include <stdlib.h>
#include <strings.h>

#include "proto/app.h"
#include "proto/json.h"
#include "proto/route.h"
#include "proto/shape.h"

enum { NAME_MAX_BYTES = 64, FILE_NAME_MAX_BYTES = 255, FRAMES_PER_SECOND_MAX = 1000000 };

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Where a text goes that needs no reader of its own. */
#define TEXT(owner, member) .type = cJSON_String, .offset = offsetof(struct owner, member)

/* ---- names ---- */

static bool is_word(const char *text, const char *first, const char *others)
{
    size_t len = strlen(text);
    return len > 0 && len <= NAME_MAX_BYTES && strchr(first, text[0]) != NULL && strspn(text, others) == len;
}

static const char *check_name(const char *text)
{
    bool is_valid = route_name_is_valid(slice_str(text));
    return is_valid ? NULL : "a to z, 0 to 9, _ and -, the first a letter, at most 64 bytes";
}

static const char *check_command(const char *text)
{
    bool is_valid = is_word(text, LETTERS, LETTERS DIGITS "_-");
    return is_valid ? NULL : "letters, digits, _ and -, the first a letter, at most 64 bytes";
}

static const char *check_identifier(const char *text)
{
    bool is_valid = is_word(text, LETTERS "_", LETTERS DIGITS "_");
    return is_valid ? NULL : "a plain SQL name: letters, digits and _, the first no digit, at most 64 bytes";
}

static const char *check_collection(const char *text)
{
    if (strncasecmp(text, "_sync_", 6) == 0 || strncasecmp(text, "sqlite_", 7) == 0)
        return "a table of the app's: names that begin with _sync_ or sqlite_ are taken";
    return check_identifier(text);
}

static const char *check_file_name(const char *text)
{
    bool is_valid = strpbrk(text, "/\\") == NULL && strstr(text, "..") == NULL && strcmp(text, ".") != 0 &&
                    strlen(text) <= FILE_NAME_MAX_BYTES;
    return is_valid ? NULL : "a name within the app's folder, without / and ..";
}

static const char *check_cookie(const char *text)
{
    bool is_valid = is_word(text, LETTERS DIGITS "!#$%&'*+-.^_`|~", LETTERS DIGITS "!#$%&'*+-.^_`|~");
    return is_valid ? NULL : "a cookie's name: letters, digits and !#$%&'*+-.^_`|~, at most 64 bytes";
}

/* A browser sends nothing behind the port, so an origin with a path, or just a slash, would match nobody. */
static const char *check_origin(const char *text)
{
    const char *host = strstr(text, "://");
    bool is_valid = (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0) && host[3] != '\0' &&
                    strpbrk(host + 3, "/?#@ *ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL;
    return is_valid ? NULL
                    : "an origin as browsers send it, in lower case and without a path: https://chat.example:8443";
}

/* ---- what a client may do with rows ---- */

static void read_expression(struct shape_reader *reader, const cJSON *value, void *element)
{
    struct app_assignment *assignment = element;
    assignment->expression = shape_read_text(reader, value, NULL);
}

static const struct shape_map SET = {check_identifier, sizeof(struct app_assignment), cJSON_String, read_expression,
                                     NULL};

static void read_set(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_rule *rule = owner;
    rule->set = shape_read_map(reader, value, &SET, &rule->n_set);
}

static void read_columns(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_rule *rule = owner;
    rule->any_column = false;
    rule->columns = shape_read_list(reader, value, check_identifier, &rule->n_columns);
}

static const struct shape_key WRITE_KEYS[] = {
    {"authorize", TEXT(app_rule, authorize)},
    {"columns", .type = cJSON_Array, .read = read_columns},
    {"execute", .presence = SHAPE_LATER},
    {"set", .type = cJSON_Object, .read = read_set},
    {0},
};

static const struct shape_key DELETE_KEYS[] = {
    {"authorize", TEXT(app_rule, authorize)},
    {"execute", .presence = SHAPE_LATER},
    {0},
};

static void read_rule(struct shape_reader *reader, const cJSON *value, const struct shape_key *keys,
                      struct app_rule *rule)
{
    rule->allowed = true;
    rule->any_column = true;
    shape_read_object(reader, value, keys, rule);
}

/* ---- collections ---- */

static void read_insert(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_collection *collection = owner;
    read_rule(reader, value, WRITE_KEYS, &collection->insert);
}

static void read_update(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_collection *collection = owner;
    read_rule(reader, value, WRITE_KEYS, &collection->update);
}

static void read_delete(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_collection *collection = owner;
    read_rule(reader, value, DELETE_KEYS, &collection->delete);
}

static const struct shape_key COLLECTION_KEYS[] = {
    {"delete", .type = cJSON_Object, .read = read_delete},
    {"insert", .type = cJSON_Object, .read = read_insert},
    {"key", .presence = SHAPE_REQUIRED, TEXT(app_collection, key), .check = check_identifier},
    {"max_row_bytes", .presence = SHAPE_LATER},
    {"max_rows", .presence = SHAPE_LATER},
    {"read", .presence = SHAPE_LATER},
    {"types", .presence = SHAPE_LATER},
    {"update", .type = cJSON_Object, .read = read_update},
    {0},
};

/* What ties the columns of a rule to each other and to the key. SQL ignores the case of names. */
static void check_columns(struct shape_reader *reader, const struct app_rule *rule, const char *key)
{
    for (size_t i = 0; i < rule->n_set; i++)
        if (strcasecmp(rule->set[i].column, key) == 0)
            shape_complain(reader, "set: \"%s\" is the key, which the client chooses; remove it", key);
    for (size_t i = 0; i < rule->n_columns; i++) {
        const char *column = rule->columns[i];
        if (strcasecmp(column, key) == 0)
            shape_complain(reader, "columns: \"%s\" is the key: an insert writes it anyway, an update never; remove it",
                           key);
        for (size_t before = 0; before < i; before++)
            if (strcasecmp(column, rule->columns[before]) == 0)
                shape_complain(reader, "columns: \"%s\" is named twice; keep one", column);
    }
}

static void read_collection(struct shape_reader *reader, const cJSON *value, void *element)
{
    struct app_collection *collection = element;
    shape_read_object(reader, value, COLLECTION_KEYS, collection);
    if (collection->key == NULL)
        return;
    size_t before = shape_enter(reader, "insert");
    check_columns(reader, &collection->insert, collection->key);
    shape_leave(reader, before);
    before = shape_enter(reader, "update");
    check_columns(reader, &collection->update, collection->key);
    shape_leave(reader, before);
}

static const struct shape_map COLLECTIONS = {check_collection, sizeof(struct app_collection), cJSON_Object,
                                             read_collection, app_collection_release};

/* ---- commands ---- */

static const char *const ARG_TYPES[] = {
    [APP_ARG_TEXT] = "text",       [APP_ARG_INTEGER] = "integer", [APP_ARG_REAL] = "real",
    [APP_ARG_BOOLEAN] = "boolean", [APP_ARG_BLOB] = "blob",
};

static void read_arg(struct shape_reader *reader, const cJSON *value, void *element)
{
    struct app_arg *arg = element;
    for (size_t i = 0; i < sizeof ARG_TYPES / sizeof ARG_TYPES[0]; i++) {
        if (strcmp(value->valuestring, ARG_TYPES[i]) == 0) {
            arg->type = (enum app_arg_type)i;
            return;
        }
    }
    shape_complain(reader, "\"%.64s\" must be one of text, integer, real, boolean, blob", value->valuestring);
}

static const struct shape_map ARGS = {check_identifier, sizeof(struct app_arg), cJSON_String, read_arg, NULL};

static void read_args(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_command *command = owner;
    command->args = shape_read_map(reader, value, &ARGS, &command->n_args);
}

static void read_execute(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_command *command = owner;
    if (value->child == NULL)
        shape_complain(reader, "is empty; it must be the command's SQL statements, in order");
    command->execute = shape_read_list(reader, value, NULL, &command->n_execute);
}

static const struct shape_key COMMAND_KEYS[] = {
    {"args", .type = cJSON_Object, .read = read_args},
    {"authorize", TEXT(app_command, authorize)},
    {"execute", .presence = SHAPE_REQUIRED, .type = cJSON_Array, .read = read_execute},
    {"result", TEXT(app_command, result)},
    {0},
};

static void read_command(struct shape_reader *reader, const cJSON *value, void *element)
{
    shape_read_object(reader, value, COMMAND_KEYS, element);
}

static const struct shape_map COMMANDS = {check_command, sizeof(struct app_command), cJSON_Object, read_command,
                                          app_command_release};

/* ---- kinds ---- */

static void read_frames_per_second(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_kind *kind = owner;
    if (value->valuedouble >= 0 && value->valuedouble <= FRAMES_PER_SECOND_MAX)
        kind->frames_per_second = value->valuedouble;
    else
        shape_complain(reader, "must be a number from 0 (no limit) to %d", FRAMES_PER_SECOND_MAX);
}

static const struct shape_key LIMITS_KEYS[] = {
    {"depth", .presence = SHAPE_LATER},
    {"frame", .presence = SHAPE_LATER},
    {"frames_per_second", .type = cJSON_Number, .read = read_frames_per_second},
    {"ops", .presence = SHAPE_LATER},
    {"subs", .presence = SHAPE_LATER},
    {0},
};

static void read_limits(struct shape_reader *reader, const cJSON *value, void *owner)
{
    shape_read_object(reader, value, LIMITS_KEYS, owner);
}

static void read_collections(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_kind *kind = owner;
    kind->collections = shape_read_map(reader, value, &COLLECTIONS, &kind->n_collections);
}

static void read_commands(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app_kind *kind = owner;
    kind->commands = shape_read_map(reader, value, &COMMANDS, &kind->n_commands);
}

static const struct shape_key KIND_KEYS[] = {
    {"after_commit", .presence = SHAPE_LATER},
    {"collections", .type = cJSON_Object, .read = read_collections},
    {"commands", .type = cJSON_Object, .read = read_commands},
    {"limits", .type = cJSON_Object, .read = read_limits},
    {"migrations", .presence = SHAPE_REQUIRED, TEXT(app_kind, migrations), .check = check_file_name},
    {"open", TEXT(app_kind, open)},
    {"retention", .presence = SHAPE_LATER},
    {0},
};

static void read_kind(struct shape_reader *reader, const cJSON *value, void *element)
{
    struct app_kind *kind = element;
    kind->frames_per_second = 200;
    shape_read_object(reader, value, KIND_KEYS, kind);
}

static const struct shape_map KINDS = {check_name, sizeof(struct app_kind), cJSON_Object, read_kind, NULL};

/* ---- the app ---- */

static void read_origins(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app *app = owner;
    app->origins = shape_read_list(reader, value, check_origin, &app->n_origins);
}

static const struct shape_key AUTH_KEYS[] = {
    {"audience", TEXT(app, audience)},
    {"cookie", TEXT(app, cookie), .check = check_cookie},
    {"issuer", TEXT(app, issuer)},
    {"keys", TEXT(app, keys), .check = check_file_name},
    {"origins", .type = cJSON_Array, .read = read_origins},
    {0},
};

static void read_auth(struct shape_reader *reader, const cJSON *value, void *owner)
{
    shape_read_object(reader, value, AUTH_KEYS, owner);
}

static void read_kinds(struct shape_reader *reader, const cJSON *value, void *owner)
{
    struct app *app = owner;
    if (value->child == NULL)
        shape_complain(reader, "is empty; an app has at least one kind of scope");
    app->kinds = shape_read_map(reader, value, &KINDS, &app->n_kinds);
}

static const struct shape_key APP_KEYS[] = {
    {"app", .presence = SHAPE_REQUIRED, TEXT(app, name), .check = check_name},
    {"auth", .type = cJSON_Object, .read = read_auth},
    {"kinds", .presence = SHAPE_REQUIRED, .type = cJSON_Object, .read = read_kinds},
    {0},
};

static void read_app(struct shape_reader *reader, const cJSON *json, struct app *app)
{
    if (cJSON_IsObject(json))
        shape_read_object(reader, json, APP_KEYS, app);
    else
        shape_complain(reader, "must be an object");
}

struct app *app_parse_rest(struct slice text, const char *file, struct problems *problems)
{
    struct json_error error;
    if (text.len > APP_JSON_MAX) {
        problems_add(problems, "%s: is larger than %d bytes", file, APP_JSON_MAX);
        return NULL;
    }
    cJSON *json = json_parse(text, &error);
    if (json == NULL) {
        problems_add(problems, "%s: line %zu, column %zu: %s", file, error.line, error.column, error.reason);
        return NULL;
    }
    struct app *app = mem_zero(1, sizeof *app);
    struct shape_reader reader = {.file = file, .problems = problems};
    read_app(&reader, json, app);
    buf_release(&reader.path);
    cJSON_Delete(json);
    return app;
}

struct app *app_parse(struct slice text, const char *file, struct problems *problems)
{
    size_t before = problems->n;
    struct app *app = app_parse_rest(text, file, problems);
    if (problems->n == before)
        return app;
    app_free(app);
    return NULL;
}
