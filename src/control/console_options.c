#include "src/control/console_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name, *value, *help;
    unsigned bit; /* 0: every command takes it */
} TABLE[] = {
    {"data", "DIR", "the server's data folder (default: data)", 0},
    {"run", "DIR", "where its sockets are (default: DATA/run)", 0},
    {"json", NULL, "print JSON", CONSOLE_JSON},
    {"force", NULL, "overwrite FILE", CONSOLE_FORCE},
    {"discard", NULL, "do not keep the file that is replaced", CONSOLE_DISCARD},
    {"no-checksum", NULL, "do without FILE.sha256", CONSOLE_NO_CHECKSUM},
};

enum { TABLE_N = sizeof TABLE / sizeof *TABLE, DATA_OPTION = 0, RUN_OPTION };

static bool takes(unsigned allowed, int i)
{
    return TABLE[i].bit == 0 || (allowed & TABLE[i].bit) != 0;
}

static void print_help(const char *command, unsigned allowed, const char *about)
{
    printf("usage: skerry %s%s [options]\n\n%s\n\n", command,
           (allowed & CONSOLE_SCOPE_FILE) != 0 ? " APP/KIND/ID FILE" : "", about);
    for (int i = 0; i < TABLE_N; i++)
        if (takes(allowed, i))
            printf("  --%-12s %-4s %s\n", TABLE[i].name, TABLE[i].value == NULL ? "" : TABLE[i].value, TABLE[i].help);
}

static bool take_arguments(int argc, char **argv, unsigned allowed, struct console_options *options)
{
    int wanted = (allowed & CONSOLE_SCOPE_FILE) != 0 ? 2 : 0;
    if (argc - optind != wanted) {
        fprintf(stderr, "skerry: %s takes %s; see skerry %s --help\n", argv[0],
                wanted == 0 ? "no arguments" : "a scope, APP/KIND/ID, and a file", argv[0]);
        return false;
    }
    if (wanted == 0)
        return true;
    options->file = argv[optind + 1];
    if (scope_name_parse(slice_str(argv[optind]), &options->scope))
        return true;
    fprintf(stderr, "skerry: %s: is no scope's name; that is APP/KIND/ID, such as chat/room/tea\n", argv[optind]);
    return false;
}

bool console_options_parse(int argc, char **argv, unsigned allowed, const char *about,
                           struct console_options *ret_options)
{
    struct option longs[TABLE_N + 2] = {{"help", no_argument, NULL, 'h'}};
    const char *data_dir = "data", *run_dir = NULL;
    int n = 1, found;
    for (int i = 0; i < TABLE_N; i++)
        if (takes(allowed, i))
            longs[n++] = (struct option){TABLE[i].name, TABLE[i].value == NULL ? no_argument : required_argument, NULL,
                                         1000 + i};
    *ret_options = (struct console_options){0};
    optind = 0;
    while ((found = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (found == 'h') {
            print_help(argv[0], allowed, about);
            exit(0);
        }
        if (found < 1000)
            return false; /* getopt_long has said why */
        if (found - 1000 == DATA_OPTION)
            data_dir = optarg;
        else if (found - 1000 == RUN_OPTION)
            run_dir = optarg;
        else
            ret_options->given |= TABLE[found - 1000].bit;
    }
    if (!take_arguments(argc, argv, allowed, ret_options))
        return false;
    if (asprintf(&ret_options->run_dir, run_dir == NULL ? "%s/run" : "%s", run_dir == NULL ? data_dir : run_dir) < 0)
        abort();
    return true;
}

void console_options_release(struct console_options *options)
{
    free(options->run_dir);
}
