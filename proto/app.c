#include "proto/app.h"

#include <errno.h>
#include <stdlib.h>

#include "base/file.h"

static void list_free(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

static void rule_release(struct app_rule *rule)
{
    list_free(rule->columns, rule->n_columns);
    for (size_t i = 0; i < rule->n_set; i++) {
        free(rule->set[i].column);
        free(rule->set[i].expression);
    }
    free(rule->set);
    free(rule->authorize);
}

void app_collection_release(void *element)
{
    struct app_collection *collection = element;
    rule_release(&collection->insert);
    rule_release(&collection->update);
    rule_release(&collection->delete);
    free(collection->name);
    free(collection->key);
}

void app_command_release(void *element)
{
    struct app_command *command = element;
    for (size_t i = 0; i < command->n_args; i++)
        free(command->args[i].name);
    free(command->args);
    list_free(command->execute, command->n_execute);
    free(command->name);
    free(command->authorize);
    free(command->result);
}

static void kind_release(struct app_kind *kind)
{
    for (size_t i = 0; i < kind->n_collections; i++)
        app_collection_release(&kind->collections[i]);
    for (size_t i = 0; i < kind->n_commands; i++)
        app_command_release(&kind->commands[i]);
    free(kind->collections);
    free(kind->commands);
    free(kind->name);
    free(kind->migrations);
    free(kind->open);
}

void app_free(struct app *app)
{
    if (app == NULL)
        return;
    for (size_t i = 0; i < app->n_kinds; i++)
        kind_release(&app->kinds[i]);
    free(app->kinds);
    list_free(app->origins, app->n_origins);
    free(app->dir);
    free(app->name);
    free(app->keys);
    free(app->audience);
    free(app->issuer);
    free(app->cookie);
    free(app);
}

const struct app_kind *app_find_kind(const struct app *app, struct slice name)
{
    for (size_t i = 0; i < app->n_kinds; i++)
        if (slice_eq(slice_str(app->kinds[i].name), name))
            return &app->kinds[i];
    return NULL;
}

typedef struct app *app_parser(struct slice text, const char *file, struct problems *problems);

static struct app *load(const char *dir, app_parser *parse, struct problems *problems)
{
    struct buf path = {0}, json = {0};
    buf_printf(&path, "%s/app.json", dir);
    enum err err = file_read(path.data, APP_JSON_MAX, &json);
    struct app *app = NULL;
    if (err == ERR_OK)
        app = parse(buf_slice(&json), path.data, problems);
    else if (err == ERR_IO)
        problems_add(problems, "%s: cannot be read: %s", path.data, strerror(errno));
    else if (err == ERR_TOO_LARGE)
        problems_add(problems, "%s: is larger than %d bytes", path.data, APP_JSON_MAX);
    else
        problems_add(problems, "%s: no such file; an app is a folder with an app.json in it", path.data);
    if (app != NULL)
        app->dir = mem_dup(slice_str(dir));
    buf_release(&path);
    buf_release(&json);
    return app;
}

struct app *app_load(const char *dir, struct problems *problems)
{
    return load(dir, app_parse, problems);
}

struct app *app_load_rest(const char *dir, struct problems *problems)
{
    return load(dir, app_parse_rest, problems);
}
