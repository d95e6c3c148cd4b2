/*
 * options - the command line of serve, router, worker and check: one table for all of them.
 */
#ifndef CONTROL_OPTIONS_H
#define CONTROL_OPTIONS_H

#include <stdbool.h>

#include "src/control/usage.h"

/* The options that a command takes, as bits. */
enum option_bit {
    OPTION_DATA = 1 << 0,      /* --data DIR: scopes and locks; default ./data */
    OPTION_RUN = 1 << 1,       /* --run DIR: the shards' sockets; default DATA/run */
    OPTION_LISTEN = 1 << 2,    /* --listen ADDR:PORT; default 127.0.0.1:8080; port 0: any free one */
    OPTION_LISTEN_FD = 1 << 3, /* --listen-fd N: a socket that listens already, from the supervisor */
    OPTION_SHARDS = 1 << 4,    /* --shards N: worker threads; default: one per processor */
    OPTION_DEV = 1 << 5,       /* --dev: `?user=NAME` is an identity, and a changed app is loaded again */
    OPTION_READY_FD = 1 << 6,  /* --ready-fd N: told when ready, by the supervisor's wish */
};

/* What every help says of the argument. */
#define OPTIONS_APP "APP is the folder of an app: app.json and its migrations."

struct options {
    const char *app_dir;
    const char *data_dir, *listen;
    char *run_dir;
    int listen_fd, ready_fd; /* -1: none */
    unsigned n_shards;
    bool is_dev;
};

/* Parses `argv`, of which argv[0] is the command and one argument the app's folder; --help exits. False after a message
 * on standard error: exit with EXIT_USAGE. */
bool options_parse(const struct usage *usage, int argc, char **argv, struct options *ret_options);
void options_release(struct options *options);

#endif
