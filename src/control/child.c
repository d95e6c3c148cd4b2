#include "src/control/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { CLOSE_DEATHS_MS = 10000, PAUSE_FIRST_MS = 100, PAUSE_LAST_MS = 5000 };

static void forget_ready(struct child *child)
{
    if (child->ready_fd < 0)
        return;
    watch_release(&child->ready);
    close(child->ready_fd);
    child->ready_fd = -1;
}

static void on_ready_line(void *arg, unsigned ready)
{
    struct child *child = arg;
    char line[16];
    (void)ready;
    ssize_t len = read(child->ready_fd, line, sizeof line);
    forget_ready(child);
    if (len <= 0)
        return; /* it died before: on_exit comes */
    child->was_ready = true;
    child->on_ready(child->arg);
}

static void start_again(void *arg)
{
    child_start(arg);
}

void child_init(struct child *child, struct loop *loop, const char *role, void (*on_ready)(void *arg), void *arg)
{
    *child = (struct child){
        .role = role, .loop = loop, .on_ready = on_ready, .arg = arg, .ready_fd = -1, .inherited_fd = -1};
    child_add_arg(child, "skerry");
    child_add_arg(child, role);
    timer_init(&child->restart, loop, start_again, child);
}

void child_release(struct child *child)
{
    timer_stop(&child->restart);
    forget_ready(child);
}

void child_add_arg(struct child *child, const char *arg)
{
    int n = 0;
    while (child->argv[n] != NULL)
        n++;
    assert(n < CHILD_ARGS_MAX - 3);
    child->argv[n] = arg;
}

/* In the new process: does not return. */
static void become(const struct child *child, int ready_fd, pid_t supervisor)
{
    const char *argv[CHILD_ARGS_MAX];
    char number[16];
    int n = 0;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor)
        _exit(1); /* it died before the kernel was asked */
    if (child->inherited_fd >= 0)
        fcntl(child->inherited_fd, F_SETFD, 0);
    for (; child->argv[n] != NULL; n++)
        argv[n] = child->argv[n];
    snprintf(number, sizeof number, "%d", ready_fd);
    argv[n++] = "--ready-fd";
    argv[n++] = number;
    argv[n] = NULL;
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(127);
}

void child_start(struct child *child)
{
    int ends[2];
    assert(child->pid == 0);
    timer_stop(&child->restart); /* the worker that is ready starts a router that was about to start again */
    if (pipe(ends) < 0) {
        log_line(LOG_ERROR, "start_failed role=%s why=\"%s\"", child->role, strerror(errno));
        timer_start(&child->restart, PAUSE_LAST_MS);
        return;
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    pid_t supervisor = getpid();
    child->pid = fork();
    if (child->pid == 0)
        become(child, ends[1], supervisor);
    close(ends[1]);
    if (child->pid < 0) {
        log_line(LOG_ERROR, "start_failed role=%s why=\"%s\"", child->role, strerror(errno));
        child->pid = 0;
        close(ends[0]);
        timer_start(&child->restart, PAUSE_LAST_MS);
        return;
    }
    child->ready_fd = ends[0];
    watch_init(&child->ready, child->loop, child->ready_fd, on_ready_line, child);
    watch_want(&child->ready, WATCH_READ);
}

void child_stop(struct child *child)
{
    child->is_stopping = true;
    timer_stop(&child->restart);
    if (child->pid > 0)
        kill(child->pid, SIGTERM);
}

static int64_t next_pause(struct child *child)
{
    int64_t now_us = clock_mono_us();
    bool is_close = child->died_us != 0 && now_us - child->died_us < CLOSE_DEATHS_MS * 1000;
    child->died_us = now_us;
    if (!is_close)
        child->pause_ms = 0;
    else if (child->pause_ms == 0)
        child->pause_ms = PAUSE_FIRST_MS;
    else
        child->pause_ms = child->pause_ms * 2 > PAUSE_LAST_MS ? PAUSE_LAST_MS : child->pause_ms * 2;
    return child->pause_ms;
}

void child_on_exit(struct child *child, int status)
{
    child->pid = 0;
    forget_ready(child);
    if (child->is_stopping)
        return;
    int64_t pause_ms = next_pause(child);
    log_line(LOG_WARN, "child_died role=%s %s=%d restart_ms=%lld", child->role,
             WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
             (long long)pause_ms);
    timer_start(&child->restart, pause_ms);
}
