/*
 * main - commands and roles, in one table.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/json.h"
#include "src/control/commands.h"
#include "src/control/token_command.h"
#include "src/control/usage.h"

/* For jemalloc, which looks for it by its name: what many clients at once have made it take goes back to the system
 * soon. By default it keeps that for ten seconds, and the next such moment comes on top. */
extern const char *malloc_conf;
const char *malloc_conf = "dirty_decay_ms:500,muzzy_decay_ms:0";

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage, *help;
} COMMANDS[] = {
    {"serve", serve_command, "APP", "serve an app: a router and a worker, kept alive"},
    {"check", check_command, "APP", "name every mistake in an app"},
    {"token", token_command, "--app APP --sub WHO", "mint a token for an app's user"},
    {"status", status_command, "", "say how a running server is, and which scopes are in trouble"},
    {"backup", backup_command, "APP/KIND/ID FILE", "copy a scope to a file, while it is in use"},
    {"restore", restore_command, "APP/KIND/ID FILE", "put a backup in the place of a scope"},
    {"journal", journal_command, "show|verify|repair", "look into the journals of a stopped server"},
    {"router", router_command, "APP", "one router process (serve starts it)"},
    {"worker", worker_command, "APP", "one worker process (serve starts it)"},
    {"version", version_command, "", "print the version"},
};

static void print_help(FILE *to)
{
    fprintf(to, "usage: skerry COMMAND [arguments] [options]\n\n"
                "A sync server: each scope an SQLite file with one writer, and clients that follow it.\n\n"
                "commands:\n");
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        fprintf(to, "  %-7s  %-19s  %s\n", COMMANDS[i].name, COMMANDS[i].usage, COMMANDS[i].help);
    fprintf(to,
            "\nskerry COMMAND --help says more of each.\n\n"
            "exit status:\n  0  done\n  1  not done, or something is wrong\n  %d  wrong arguments\n",
            EXIT_USAGE);
}

/* Sockets are what a router is for, and files what a worker is for: as many as each may have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    const char *name = argc < 2 ? "" : argv[1];
    raise_descriptor_limit();
    json_init();
    signal(SIGPIPE, SIG_IGN); /* a reader that has gone, of a socket or of the log, is an error code */
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    bool wants_help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0;
    if (wants_help || *name == '\0')
        print_help(wants_help ? stdout : stderr);
    else
        fprintf(stderr, "skerry: %s: no such command; see skerry --help\n", name);
    return wants_help ? 0 : EXIT_USAGE;
}
