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

static void collection_release(struct app_collection *collection)
{
    rule_release(&collection->insert);
    rule_release(&collection->update);
    rule_release(&collection->delete);
    free(collection->name);
    free(collection->key);
}

static void command_release(struct app_command *command)
{
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
        collection_release(&kind->collections[i]);
    for (size_t i = 0; i < kind->n_commands; i++)
        command_release(&kind->commands[i]);
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

struct app *app_load(const char *dir, struct problems *problems)
{
    struct buf path = {0}, json = {0};
    buf_printf(&path, "%s/app.json", dir);
    enum err err = file_read(path.data, APP_JSON_MAX, &json);
    struct app *app = NULL;
    if (err == ERR_OK)
        app = app_parse(buf_slice(&json), path.data, problems);
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
