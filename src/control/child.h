/*
 * child - a process of the supervisor's: started, told apart when ready, started again when it dies.
 *
 * It dies with the supervisor, however that dies. A first death is answered at once; from the second within ten
 * seconds on there is a pause, which doubles.
 */
#ifndef CONTROL_CHILD_H
#define CONTROL_CHILD_H

#include <sys/types.h>

#include "base/loop.h"

enum { CHILD_ARGS_MAX = 16 };

struct child {
    const char *role;
    const char *argv[CHILD_ARGS_MAX]; /* ended by NULL; --ready-fd is added */
    int inherited_fd;                 /* a descriptor of ours that it gets too, or -1 */
    struct loop *loop;
    void (*on_ready)(void *arg);
    void *arg;
    pid_t pid; /* 0: not running */
    bool was_ready;
    bool is_stopping; /* its end is wanted */
    int ready_fd;
    struct watch ready;
    struct timer restart;
    int64_t died_us;
    int64_t pause_ms;
};

void child_init(struct child *child, struct loop *loop, const char *role, void (*on_ready)(void *arg), void *arg);
void child_release(struct child *child);
void child_add_arg(struct child *child, const char *arg);

void child_start(struct child *child);

/* Asks it to end. */
void child_stop(struct child *child);

/* It has ended: starts it again, now or after a pause, unless its end was wanted. */
void child_on_exit(struct child *child, int status);

#endif
