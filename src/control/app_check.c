#include "src/control/app_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "shards/worker.h"
#include "src/router/token.h"

static bool check_keys(const struct app *app, struct problems *problems)
{
    struct keyset *keys = keyset_load_for(app, problems);
    bool ok = keys != NULL || app->keys == NULL;
    keyset_free(keys);
    return ok;
}

bool app_check(const char *app_dir, struct problems *problems)
{
    struct app *app = app_load(app_dir, problems);
    if (app == NULL)
        return false;
    bool keys_ok = check_keys(app, problems);
    struct kind **kinds = kinds_load(app, problems);
    bool ok = keys_ok && kinds != NULL;
    kinds_free(kinds, app->n_kinds);
    app_free(app);
    return ok;
}

void problems_print(const struct problems *problems)
{
    if (problems->text.len > 0)
        fwrite(problems->text.data, 1, problems->text.len, stderr);
}
