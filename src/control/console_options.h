/*
 * console_options - the command lines of those who ask a running server: status, backup, restore.
 */
#ifndef CONTROL_CONSOLE_OPTIONS_H
#define CONTROL_CONSOLE_OPTIONS_H

#include <stdbool.h>

#include "proto/route.h"

/* What a command takes besides --data and --run, as bits. */
enum console_bit {
    CONSOLE_SCOPE_FILE = 1 << 0, /* two arguments: APP/KIND/ID and FILE */
    CONSOLE_JSON = 1 << 1,
    CONSOLE_FORCE = 1 << 2,
    CONSOLE_DISCARD = 1 << 3,
    CONSOLE_NO_CHECKSUM = 1 << 4,
};

struct console_options {
    char *run_dir;
    struct scope_name scope;
    const char *file;
    unsigned given; /* bits of the options that were */
};

/* Parses `argv`, argv[0] being the command. `about` is what --help says first; --help exits. False after a message on
 * standard error: exit with 2. */
bool console_options_parse(int argc, char **argv, unsigned allowed, const char *about,
                           struct console_options *ret_options);
void console_options_release(struct console_options *options);

#endif
