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

int worker_command(int argc, char **argv)
{
    struct options options;
    struct problems problems = {0};
    if (!options_parse(argc, argv, OPTION_DATA | OPTION_RUN | OPTION_SHARDS | OPTION_READY_FD, &options))
        return 2;
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

int router_command(int argc, char **argv)
{
    enum {
        ALLOWED =
            OPTION_DATA | OPTION_RUN | OPTION_SHARDS | OPTION_READY_FD | OPTION_LISTEN | OPTION_LISTEN_FD | OPTION_DEV
    };
    struct options options;
    struct problems problems = {0};
    struct buf address = {0};
    if (!options_parse(argc, argv, ALLOWED, &options))
        return 2;
    name_process("skerry-router", "router");
    if (options.listen_fd < 0)
        options.listen_fd = router_listen(options.listen, &address, &problems);
    bool ok = options.listen_fd >= 0 &&
              router_run(&(struct router_options){.app_dir = options.app_dir,
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

int check_command(int argc, char **argv)
{
    struct options options;
    struct problems problems = {0};
    if (!options_parse(argc, argv, 0, &options))
        return 2;
    bool ok = app_check(options.app_dir, &problems);
    if (ok)
        printf("%s: no mistakes\n", options.app_dir);
    options_release(&options);
    return report(ok, &problems);
}

int version_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("skerry %s\n", PACKAGE_VERSION);
    return 0;
}
