/*
 * serve - the supervisor: checks the app, takes the address, starts a worker and a router, and keeps them alive.
 *
 * It holds the listening socket, so that clients that come while a router restarts wait instead of being refused.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "src/control/app_check.h"
#include "src/control/app_watch.h"
#include "src/control/child.h"
#include "src/control/commands.h"
#include "src/control/options.h"
#include "src/router/router.h"

enum { PATIENCE_MS = 5000 }; /* with a child that was asked to end */

struct supervisor {
    struct options options;
    struct loop *loop;
    int signal_fd;
    struct watch signals;
    struct timer patience;
    struct buf address; /* where it listens, as text */
    struct child worker, router;
    struct app_watch app_watch;
    char shards_text[16], listen_text[16];
    bool was_ready, is_stopping, is_reloading;
    int status; /* to exit with */
};

/* The router first: sessions hear of it, and the worker finishes what they sent. */
static void stop_next(struct supervisor *supervisor)
{
    supervisor->router.is_stopping = supervisor->worker.is_stopping = true;
    timer_stop(&supervisor->router.restart);
    timer_stop(&supervisor->worker.restart);
    child_stop(supervisor->router.pid > 0 ? &supervisor->router : &supervisor->worker);
    timer_start(&supervisor->patience, PATIENCE_MS);
}

static void start_after_reload(struct supervisor *supervisor)
{
    supervisor->is_reloading = false;
    timer_stop(&supervisor->patience);
    supervisor->worker.is_stopping = supervisor->router.is_stopping = false;
    child_start(&supervisor->worker);
    child_start(&supervisor->router);
}

/* Goes on with what has begun, the end or a reload. Both children may be down already, waiting to be started again. */
static void go_on(struct supervisor *supervisor)
{
    bool both_down = supervisor->router.pid == 0 && supervisor->worker.pid == 0;
    if (!supervisor->is_stopping && !supervisor->is_reloading)
        return;
    if (!both_down)
        stop_next(supervisor);
    else if (supervisor->is_stopping)
        loop_stop(supervisor->loop);
    else
        start_after_reload(supervisor);
}

static void stop(struct supervisor *supervisor, int status)
{
    if (supervisor->is_stopping)
        return;
    log_line(LOG_INFO, "stopping");
    supervisor->is_stopping = true;
    supervisor->status = status;
    go_on(supervisor);
}

static void lose_patience(void *arg)
{
    struct supervisor *supervisor = arg;
    struct child *children[] = {&supervisor->router, &supervisor->worker};
    for (int i = 0; i < 2; i++) {
        if (children[i]->pid == 0 || !children[i]->is_stopping)
            continue;
        log_line(LOG_WARN, "child_killed role=%s why=\"did not end in time\"", children[i]->role);
        kill(children[i]->pid, SIGKILL);
        return;
    }
}

static void on_worker_ready(void *arg)
{
    struct supervisor *supervisor = arg;
    if (supervisor->router.pid == 0 && !supervisor->router.is_stopping && !supervisor->router.was_ready)
        child_start(&supervisor->router);
}

static void on_router_ready(void *arg)
{
    struct supervisor *supervisor = arg;
    if (supervisor->was_ready)
        return;
    supervisor->was_ready = true;
    printf("ready http://%.*s/\n", (int)supervisor->address.len, supervisor->address.data);
    fflush(stdout);
}

/* What ends before it was ever ready has said why: trying again would say the same. */
static bool is_hopeless(const struct child *child, int status)
{
    return !child->was_ready && WIFEXITED(status) && WEXITSTATUS(status) != 0;
}

static void on_exit_of(struct supervisor *supervisor, struct child *child, int status)
{
    bool is_hopeless_now = is_hopeless(child, status);
    if (is_hopeless_now)
        child->is_stopping = true;
    child_on_exit(child, status);
    if (is_hopeless_now)
        stop(supervisor, 1);
    go_on(supervisor);
}

static void reap(struct supervisor *supervisor)
{
    struct child *children[] = {&supervisor->router, &supervisor->worker};
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < 2; i++)
            if (children[i]->pid == pid)
                on_exit_of(supervisor, children[i], status);
}

static void on_signal(void *arg, unsigned ready)
{
    struct supervisor *supervisor = arg;
    struct signalfd_siginfo info;
    (void)ready;
    while (read(supervisor->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGCHLD)
            stop(supervisor, 0);
    }
    reap(supervisor);
}

/* A changed app is checked first: with a mistake in it the old one goes on. */
static void on_app_changed(void *arg)
{
    struct supervisor *supervisor = arg;
    struct problems problems = {0};
    if (supervisor->is_stopping || supervisor->is_reloading)
        return;
    if (app_check(supervisor->options.app_dir, &problems)) {
        log_line(LOG_INFO, "app_reloading");
        supervisor->is_reloading = true;
        go_on(supervisor);
    } else {
        log_line(LOG_WARN, "app_not_reloaded mistakes=%zu", problems.n);
        problems_print(&problems);
    }
    problems_release(&problems);
}

static bool nothing_to_do(void *arg)
{
    (void)arg;
    return false;
}

static int catch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void add_args(struct child *child, const char *const *args)
{
    for (; *args != NULL; args++)
        child_add_arg(child, *args);
}

static void describe_children(struct supervisor *supervisor)
{
    const struct options *options = &supervisor->options;
    const char *const worker[] = {options->app_dir, "--data",   options->data_dir,       "--run",
                                  options->run_dir, "--shards", supervisor->shards_text, NULL};
    const char *const router[] = {options->app_dir,
                                  "--run",
                                  options->run_dir,
                                  "--shards",
                                  supervisor->shards_text,
                                  "--listen-fd",
                                  supervisor->listen_text,
                                  options->is_dev ? "--dev" : NULL,
                                  NULL};
    child_init(&supervisor->worker, supervisor->loop, "worker", on_worker_ready, supervisor);
    child_init(&supervisor->router, supervisor->loop, "router", on_router_ready, supervisor);
    add_args(&supervisor->worker, worker);
    add_args(&supervisor->router, router);
}

static void start(struct supervisor *supervisor, int listen_fd)
{
    snprintf(supervisor->shards_text, sizeof supervisor->shards_text, "%u", supervisor->options.n_shards);
    snprintf(supervisor->listen_text, sizeof supervisor->listen_text, "%d", listen_fd);
    supervisor->loop = loop_new(nothing_to_do, NULL);
    supervisor->signal_fd = catch_signals();
    watch_init(&supervisor->signals, supervisor->loop, supervisor->signal_fd, on_signal, supervisor);
    watch_want(&supervisor->signals, WATCH_READ);
    timer_init(&supervisor->patience, supervisor->loop, lose_patience, supervisor);
    describe_children(supervisor);
    supervisor->router.inherited_fd = listen_fd;
    if (supervisor->options.is_dev)
        app_watch_start(&supervisor->app_watch, supervisor->loop, supervisor->options.app_dir, on_app_changed,
                        supervisor);
    child_start(&supervisor->worker);
}

static void finish(struct supervisor *supervisor)
{
    if (supervisor->options.is_dev)
        app_watch_stop(&supervisor->app_watch);
    child_release(&supervisor->worker);
    child_release(&supervisor->router);
    watch_release(&supervisor->signals);
    timer_stop(&supervisor->patience);
    close(supervisor->signal_fd);
    loop_free(supervisor->loop);
}

static bool make_data_dir(const char *path, struct problems *problems)
{
    if (dir_make(path) == ERR_OK && access(path, R_OK | W_OK | X_OK) == 0)
        return true;
    problems_add(problems, "--data %s: %s", path, strerror(errno));
    return false;
}

static const struct usage USAGE = {
    .command = "serve",
    .arguments = "APP",
    .n_arguments = 1,
    .allowed = OPTION_DATA | OPTION_RUN | OPTION_SHARDS | OPTION_LISTEN | OPTION_DEV,
    .about = "Serves an app: checks it, starts a router and a worker, and keeps them alive.\n\n" OPTIONS_APP
             " Once clients can connect,\n"
             "`ready http://ADDR:PORT/` goes to standard output.",
    .success = "it was stopped, by SIGTERM or SIGINT",
    .failure = "the app, the data folder or the address is wrong, or a process could not start",
};

int serve_command(int argc, char **argv)
{
    struct supervisor supervisor = {0};
    struct problems problems = {0};
    if (!options_parse(&USAGE, argc, argv, &supervisor.options))
        return EXIT_USAGE;
    log_init("supervisor", LOG_INFO);
    int listen_fd = -1;
    if (app_check(supervisor.options.app_dir, &problems) && make_data_dir(supervisor.options.data_dir, &problems))
        listen_fd = router_listen(supervisor.options.listen, &supervisor.address, &problems);
    problems_print(&problems);
    problems_release(&problems);
    supervisor.status = 1;
    if (listen_fd >= 0) {
        supervisor.status = 0;
        start(&supervisor, listen_fd);
        loop_run(supervisor.loop);
        finish(&supervisor);
        close(listen_fd);
    }
    buf_release(&supervisor.address);
    options_release(&supervisor.options);
    return supervisor.status;
}
