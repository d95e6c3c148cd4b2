/*
 * usage - the command lines of all commands: parsed in one way, explained and complained of in one style.
 *
 *   usage: skerry COMMAND ARGUMENTS [options]
 *
 *   What it does, in a line. Then more, if there is more to say.
 *
 *   options:
 *     --data DIR   what it is for (default: data)
 *
 *   exit status:
 *     0  ...
 */
#ifndef CONTROL_USAGE_H
#define CONTROL_USAGE_H

#include <stdbool.h>

struct usage {
    const char *command, *arguments; /* as the synopsis has them; "" if there are none */
    int n_arguments;
    unsigned allowed;              /* bits of the options that it takes */
    const char *about;             /* lines; the first says what it does */
    const char *success, *failure; /* what the exit statuses 0 and 1 mean; `failure` may be NULL */
};

/* A table of them ends with a zeroed one. */
struct usage_option {
    const char *name, *value, *help; /* `value` is NULL if it takes none */
    unsigned bit;
};

/* False after a complaint. */
typedef bool usage_take(void *arg, unsigned bit, char *value);

/* Parses `argv`, argv[0] being the command; afterwards its arguments, as many as there must be, begin at argv[optind].
 * --help prints the text above and exits. False after a message on standard error: exit with EXIT_USAGE. */
bool usage_parse(const struct usage *usage, const struct usage_option *options, int argc, char **argv, usage_take *take,
                 void *arg);

/* Says on standard error what is wrong, in a line. Returns false, for the caller to return. */
bool usage_complain(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum { EXIT_USAGE = 2 };

#endif
