/*
 * console_options - the command lines of those who ask a running server: status, backup, restore.
 */
#ifndef CONTROL_CONSOLE_OPTIONS_H
#define CONTROL_CONSOLE_OPTIONS_H

#include <stdbool.h>

#include "proto/route.h"
#include "src/control/usage.h"

enum console_bit {
    CONSOLE_DATA = 1 << 0,
    CONSOLE_RUN = 1 << 1,
    CONSOLE_JSON = 1 << 2,
    CONSOLE_FORCE = 1 << 3,
    CONSOLE_DISCARD = 1 << 4,
    CONSOLE_NO_CHECKSUM = 1 << 5,
};

struct console_options {
    char *run_dir;
    struct scope_name scope; /* if the command has two arguments: APP/KIND/ID and FILE */
    const char *file;
    unsigned given; /* bits of the options that were */
};

/* Parses `argv`, argv[0] being the command; --help exits. False after a message on standard error: exit with
 * EXIT_USAGE. */
bool console_options_parse(const struct usage *usage, int argc, char **argv, struct console_options *ret_options);
void console_options_release(struct console_options *options);

#endif
