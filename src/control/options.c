#include "src/control/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "shards/worker.h"

static const struct {
    const char *name, *value, *help;
    enum option_bit bit;
} TABLE[] = {
    {"data", "DIR", "where scopes are kept (default: data)", OPTION_DATA},
    {"run", "DIR", "where the shards' sockets are (default: DATA/run)", OPTION_RUN},
    {"listen", "ADDR:PORT", "where clients connect (default: 127.0.0.1:8080; port 0: any)", OPTION_LISTEN},
    {"listen-fd", "N", "a listening socket that was inherited, instead of --listen", OPTION_LISTEN_FD},
    {"shards", "N", "worker threads (default: one per processor)", OPTION_SHARDS},
    {"dev", NULL, "accept ?user=NAME from loopback; load a changed app again", OPTION_DEV},
    {"ready-fd", "N", "a pipe that gets a line when this process is ready", OPTION_READY_FD},
};

enum { TABLE_N = sizeof TABLE / sizeof *TABLE };

static void print_help(const char *command, unsigned allowed)
{
    printf("usage: skerry %s APP [options]\n\nAPP is the folder of an app: app.json and its migrations.\n\n", command);
    for (int i = 0; i < TABLE_N; i++)
        if ((allowed & TABLE[i].bit) != 0)
            printf("  --%-9s %-10s %s\n", TABLE[i].name, TABLE[i].value == NULL ? "" : TABLE[i].value, TABLE[i].help);
}

static bool parse_number(const char *name, const char *text, long least, long most, long *ret)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && value >= least && value <= most) {
        *ret = value;
        return true;
    }
    fprintf(stderr, "skerry: --%s %s: must be a number from %ld to %ld\n", name, text, least, most);
    return false;
}

static bool take(struct options *options, enum option_bit bit, const char *name, char *value)
{
    long number = 0;
    switch (bit) {
    case OPTION_DATA:
        options->data_dir = value;
        return true;
    case OPTION_RUN:
        free(options->run_dir); /* it was said twice */
        options->run_dir = mem_dup(slice_str(value));
        return true;
    case OPTION_LISTEN:
        options->listen = value;
        return true;
    case OPTION_DEV:
        options->is_dev = true;
        return true;
    case OPTION_SHARDS:
        if (!parse_number(name, value, 1, WORKER_SHARDS_MAX, &number))
            return false;
        options->n_shards = (unsigned)number;
        return true;
    case OPTION_LISTEN_FD:
    case OPTION_READY_FD:
        if (!parse_number(name, value, 0, INT_MAX, &number))
            return false;
        *(bit == OPTION_LISTEN_FD ? &options->listen_fd : &options->ready_fd) = (int)number;
        return true;
    }
    return false;
}

static void fill_in(struct options *options)
{
    if (options->run_dir == NULL && asprintf(&options->run_dir, "%s/run", options->data_dir) < 0)
        abort();
    if (options->n_shards == 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        options->n_shards = n < 1 ? 1 : n > WORKER_SHARDS_MAX ? WORKER_SHARDS_MAX : (unsigned)n;
    }
}

bool options_parse(int argc, char **argv, unsigned allowed, struct options *ret_options)
{
    struct option longs[TABLE_N + 2] = {{"help", no_argument, NULL, 'h'}};
    int n = 1, found, index;
    for (int i = 0; i < TABLE_N; i++)
        if ((allowed & TABLE[i].bit) != 0)
            longs[n++] = (struct option){TABLE[i].name, TABLE[i].value == NULL ? no_argument : required_argument, NULL,
                                         1000 + i};
    *ret_options = (struct options){.data_dir = "data", .listen = "127.0.0.1:8080", .listen_fd = -1, .ready_fd = -1};
    optind = 0;
    while ((found = getopt_long(argc, argv, "h", longs, &index)) != -1) {
        if (found == 'h') {
            print_help(argv[0], allowed);
            exit(0);
        }
        if (found < 1000 || !take(ret_options, TABLE[found - 1000].bit, TABLE[found - 1000].name, optarg))
            return false; /* getopt_long has said why */
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "skerry: %s takes one app's folder; see skerry %s --help\n", argv[0], argv[0]);
        return false;
    }
    ret_options->app_dir = argv[optind];
    fill_in(ret_options);
    return true;
}

void options_release(struct options *options)
{
    free(options->run_dir);
}
