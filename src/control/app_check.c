#include "src/control/app_check.h"

#include <stdio.h>

#include "shards/scope/kind.h"
#include "src/router/token.h"

enum { TRIAL_MS = 5000 }; /* for what has 5 ms in a turn, and no rows here */

/* One whose folder of migrations is not known has been complained of. */
static void check_kinds(const struct app *app, struct problems *problems)
{
    for (size_t i = 0; i < app->n_kinds; i++)
        if (app->kinds[i].migrations != NULL)
            kind_try(app, &app->kinds[i], TRIAL_MS, problems);
}

bool app_check(const char *app_dir, struct problems *problems)
{
    size_t before = problems->n;
    struct app *app = app_load_rest(app_dir, problems);
    if (app != NULL) {
        keyset_free(keyset_load_for(app, problems));
        check_kinds(app, problems);
    }
    app_free(app);
    return problems->n == before;
}

void problems_print(const struct problems *problems)
{
    if (problems->text.len > 0)
        fwrite(problems->text.data, 1, problems->text.len, stderr);
}
