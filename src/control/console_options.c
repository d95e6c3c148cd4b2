#include "src/control/console_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const struct usage_option TABLE[] = {
    {"data", "DIR", "the server's data folder (default: data)", CONSOLE_DATA},
    {"run", "DIR", "where its sockets are (default: DATA/run)", CONSOLE_RUN},
    {"json", NULL, "print JSON (default: text)", CONSOLE_JSON},
    {"force", NULL, "overwrite FILE (default: refuse if it is there)", CONSOLE_FORCE},
    {"discard", NULL, "do not keep the file that is replaced (default: keep it)", CONSOLE_DISCARD},
    {"no-checksum", NULL, "do without FILE.sha256 (default: it must be there, and right)", CONSOLE_NO_CHECKSUM},
    {0},
};

/* What was said of where the server is. */
struct said {
    const char *data_dir, *run_dir;
    unsigned given;
};

static bool take(void *arg, unsigned bit, char *value)
{
    struct said *said = arg;
    said->given |= bit;
    if (bit == CONSOLE_DATA)
        said->data_dir = value;
    else if (bit == CONSOLE_RUN)
        said->run_dir = value;
    return true;
}

static bool take_arguments(const struct usage *usage, char **arguments, struct console_options *options)
{
    if (usage->n_arguments == 0)
        return true;
    options->file = arguments[1];
    return scope_name_parse(slice_str(arguments[0]), &options->scope) ||
           usage_complain(usage->command, "%s: is no scope's name; that is APP/KIND/ID, such as chat/room/tea",
                          arguments[0]);
}

bool console_options_parse(const struct usage *usage, int argc, char **argv, struct console_options *ret_options)
{
    struct said said = {.data_dir = "data"};
    *ret_options = (struct console_options){0};
    if (!usage_parse(usage, TABLE, argc, argv, take, &said) || !take_arguments(usage, argv + optind, ret_options))
        return false;
    ret_options->given = said.given;
    if (said.run_dir != NULL)
        ret_options->run_dir = mem_dup(slice_str(said.run_dir));
    else if (asprintf(&ret_options->run_dir, "%s/run", said.data_dir) < 0)
        abort();
    return true;
}

void console_options_release(struct console_options *options)
{
    free(options->run_dir);
}
