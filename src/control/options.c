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

static const struct usage_option TABLE[] = {
    {"data", "DIR", "where scopes are kept (default: data)", OPTION_DATA},
    {"run", "DIR", "where the shards' sockets are (default: DATA/run)", OPTION_RUN},
    {"listen", "ADDR:PORT", "where clients connect (default: 127.0.0.1:8080; port 0: any)", OPTION_LISTEN},
    {"listen-fd", "N", "a listening socket that was inherited (default: --listen makes one)", OPTION_LISTEN_FD},
    {"shards", "N", "worker threads (default: one per processor)", OPTION_SHARDS},
    {"dev", NULL, "accept ?user=NAME from loopback; load a changed app again (default: off)", OPTION_DEV},
    {"ready-fd", "N", "a pipe that gets a line when this process is ready (default: none)", OPTION_READY_FD},
    {0},
};

/* The options, and for whom. */
struct parse {
    const struct usage *usage;
    struct options *options;
};

static bool parse_number(const char *command, const char *name, const char *text, long least, long most, long *ret)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
        return usage_complain(command, "--%s %s: must be a number from %ld to %ld", name, text, least, most);
    *ret = value;
    return true;
}

static bool take(void *arg, unsigned bit, char *value)
{
    struct parse *parse = arg;
    struct options *options = parse->options;
    const char *command = parse->usage->command;
    long number = 0;
    switch ((enum option_bit)bit) {
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
        if (!parse_number(command, "shards", value, 1, WORKER_SHARDS_MAX, &number))
            return false;
        options->n_shards = (unsigned)number;
        return true;
    case OPTION_LISTEN_FD:
        if (!parse_number(command, "listen-fd", value, 0, INT_MAX, &number))
            return false;
        options->listen_fd = (int)number;
        return true;
    case OPTION_READY_FD:
        if (!parse_number(command, "ready-fd", value, 0, INT_MAX, &number))
            return false;
        options->ready_fd = (int)number;
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

bool options_parse(const struct usage *usage, int argc, char **argv, struct options *ret_options)
{
    *ret_options = (struct options){.data_dir = "data", .listen = "127.0.0.1:8080", .listen_fd = -1, .ready_fd = -1};
    struct parse parse = {usage, ret_options};
    if (!usage_parse(usage, TABLE, argc, argv, take, &parse))
        return false;
    ret_options->app_dir = argv[optind];
    fill_in(ret_options);
    return true;
}

void options_release(struct options *options)
{
    free(options->run_dir);
}
