/*
 * Any bytes as an app.json: either a definition in which everything is there that others rely on, or mistakes, each
 * in a line of its own.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/app.h"
#include "proto/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_rule(const struct app_rule *rule)
{
    assert(rule->allowed || (!rule->any_column && rule->n_columns == 0 && rule->n_set == 0 && rule->authorize == NULL));
    assert(!rule->any_column || rule->n_columns == 0);
    for (size_t i = 0; i < rule->n_columns; i++)
        assert(rule->columns[i][0] != '\0');
    for (size_t i = 0; i < rule->n_set; i++)
        assert(rule->set[i].column[0] != '\0' && rule->set[i].expression[0] != '\0');
}

static void check_kind(const struct app_kind *kind)
{
    assert(route_name_is_valid(slice_str(kind->name)));
    assert(strchr(kind->migrations, '/') == NULL);
    assert(kind->frames_per_second >= 0);
    for (size_t i = 0; i < kind->n_collections; i++) {
        const struct app_collection *collection = &kind->collections[i];
        assert(collection->name[0] != '\0' && collection->key[0] != '\0');
        check_rule(&collection->insert);
        check_rule(&collection->update);
        check_rule(&collection->delete);
    }
    for (size_t i = 0; i < kind->n_commands; i++) {
        assert(kind->commands[i].n_execute > 0);
        for (size_t n = 0; n < kind->commands[i].n_execute; n++)
            assert(kind->commands[i].execute[n][0] != '\0');
    }
}

static void check_app(const struct app *app)
{
    assert(route_name_is_valid(slice_str(app->name)));
    assert(app->n_kinds > 0);
    for (size_t i = 0; i < app->n_kinds; i++) {
        check_kind(&app->kinds[i]);
        assert(app_find_kind(app, slice_str(app->kinds[i].name)) == &app->kinds[i]);
    }
}

static void check_problems(const struct problems *problems)
{
    size_t n_lines = 0;
    for (size_t i = 0; i < problems->text.len; i++) {
        n_lines += problems->text.data[i] == '\n';
        assert(problems->text.data[i] == '\n' || (unsigned char)problems->text.data[i] >= ' ');
    }
    assert(n_lines == (problems->n <= PROBLEMS_MAX ? problems->n : PROBLEMS_MAX + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct problems problems = {0};
    struct app *app = app_parse(slice_of(data, len), "app.json", &problems);
    assert((app != NULL) == (problems.n == 0));
    if (app != NULL)
        check_app(app);
    check_problems(&problems);
    app_free(app);
    problems_release(&problems);
    return 0;
}
