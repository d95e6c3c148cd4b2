/*
 * app_check - judges an app as a start of the server would: definition, keys, migrations, tables and SQL.
 */
#ifndef CONTROL_APP_CHECK_H
#define CONTROL_APP_CHECK_H

#include "base/problems.h"
#include <stdbool.h>

/* True if there is nothing wrong. */
bool app_check(const char *app_dir, struct problems *problems);

/* Prints the problems on standard error, a line each. */
void problems_print(const struct problems *problems);

#endif
