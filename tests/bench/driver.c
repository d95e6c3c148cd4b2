/*
 * driver - a load generator that speaks the base contract to any server of it, and believes nothing.
 *
 * README.md says what each command measures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/fail.h"
#include "tests/bench/workload.h"

static const struct {
    const char *name;
    void (*run)(int argc, char **argv);
    const char *what;
} commands[] = {
    {"insert", workload_insert, "write rows, to one scope or many, with or without further subscribers"},
    {"seed", workload_seed, "fill a scope or many with rows, through the bench app's command"},
    {"snapshot", workload_snapshot, "subscribe to a seeded scope again and again"},
    {"catchup", workload_catchup, "come back to a seeded scope after it changed, again and again"},
    {"storm", workload_storm, "drop many connections and bring them back at once"},
    {"wake", workload_wake, "open one sleeping scope after the other, to read it or to write to it"},
    {"idle", workload_idle, "subscribe many sockets, in one scope or many, and hold them until standard input ends"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: driver COMMAND --url ws://HOST:PORT/PATH-WITH-{scope} [--OPTION VALUE]...\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(stderr, "  %-9s %s\n", commands[i].name, commands[i].what);
    }
    fprintf(stderr, "driver COMMAND --help lists its options\n");
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    fail_as("driver");
    for (size_t i = 0; argc > 1 && i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            commands[i].run(argc - 1, argv + 1);
            return EXIT_SUCCESS;
        }
    }
    usage();
}
