#include "src/control/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "shards/worker.h"
#include "src/control/app_check.h"
#include "src/control/options.h"
#include "src/router/router.h"

/* Prints what is wrong and returns the exit status for it. */
static int report(bool ok, struct problems *problems)
{
    problems_print(problems);
    problems_release(problems);
    return ok ? 0 : 1;
}

/* What `ps` and the log call this process. */
static void name_process(const char *name, const char *role)
{
    prctl(PR_SET_NAME, name);
    log_init(role, LOG_INFO);
}

static const struct usage WORKER_USAGE = {
    .command = "worker",
    .arguments = "APP",
    .n_arguments = 1,
    .allowed = OPTION_DATA | OPTION_RUN | OPTION_SHARDS | OPTION_READY_FD,
    .about = "Runs one worker process: the scopes of an app. `skerry serve` starts it.\n\n" OPTIONS_APP,
    .success = "it was stopped, by SIGTERM or SIGINT",
    .failure = "it could not start",
};

int worker_command(int argc, char **argv)
{
    struct options options;
    struct problems problems = {0};
    if (!options_parse(&WORKER_USAGE, argc, argv, &options))
        return EXIT_USAGE;
    name_process("skerry-worker", "worker");
    struct worker_options worker = {
        .app_dir = options.app_dir,
        .data_dir = options.data_dir,
        .run_dir = options.run_dir,
        .n_shards = options.n_shards,
        .ready_fd = options.ready_fd,
    };
    bool ok = worker_run(&worker, &problems);
    options_release(&options);
    return report(ok, &problems);
}

static const struct usage ROUTER_USAGE = {
    .command = "router",
    .arguments = "APP",
    .n_arguments = 1,
    .allowed =
        OPTION_DATA | OPTION_RUN | OPTION_SHARDS | OPTION_READY_FD | OPTION_LISTEN | OPTION_LISTEN_FD | OPTION_DEV,
    .about = "Runs one router process: the clients of an app. `skerry serve` starts it.\n\n" OPTIONS_APP,
    .success = "it was stopped, by SIGTERM or SIGINT",
    .failure = "it could not start",
};

int router_command(int argc, char **argv)
{
    struct options options;
    struct problems problems = {0};
    struct buf address = {0};
    if (!options_parse(&ROUTER_USAGE, argc, argv, &options))
        return EXIT_USAGE;
    name_process("skerry-router", "router");
    if (options.listen_fd < 0)
        options.listen_fd = router_listen(options.listen, &address, &problems);
    bool ok = options.listen_fd >= 0 && router_run(&(struct router_options){.app_dir = options.app_dir,
                                                                            .run_dir = options.run_dir,
                                                                            .n_shards = options.n_shards,
                                                                            .listen_fd = options.listen_fd,
                                                                            .is_dev = options.is_dev,
                                                                            .ready_fd = options.ready_fd},
                                                   &problems);
    buf_release(&address);
    options_release(&options);
    return report(ok, &problems);
}

static const struct usage CHECK_USAGE = {
    .command = "check",
    .arguments = "APP",
    .n_arguments = 1,
    .about = "Names every mistake in an app: a line each, with file, place and what to do.\n\n" OPTIONS_APP,
    .success = "there are no mistakes",
    .failure = "there are mistakes",
};

int check_command(int argc, char **argv)
{
    struct options options;
    struct problems problems = {0};
    if (!options_parse(&CHECK_USAGE, argc, argv, &options))
        return EXIT_USAGE;
    bool ok = app_check(options.app_dir, &problems);
    if (ok)
        printf("%s: no mistakes\n", options.app_dir);
    options_release(&options);
    return report(ok, &problems);
}

int version_command(int argc, char **argv)
{
    static const struct usage USAGE = {
        .command = "version", .arguments = "", .about = "Prints the version.", .success = "it was printed"};
    static const struct usage_option NONE[] = {{0}};
    if (!usage_parse(&USAGE, NONE, argc, argv, NULL, NULL))
        return EXIT_USAGE;
    printf("skerry %s\n", PACKAGE_VERSION);
    return 0;
}
