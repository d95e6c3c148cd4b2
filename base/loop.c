#include "base/loop.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"

struct loop {
    struct event_base *base;
    loop_turn_cb *turn;
    void *arg;
    atomic_bool stopped;
    int wake_fd;
    struct watch wake;
};

static void on_wake(void *arg, unsigned ready)
{
    struct loop *loop = arg;
    uint64_t ignored;
    (void)ready;
    if (read(loop->wake_fd, &ignored, sizeof ignored) < 0)
        return;
}

struct loop *loop_new(loop_turn_cb *turn, void *arg)
{
    struct loop *loop = mem_zero(1, sizeof *loop);
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    assert(loop->base != NULL);
    loop->turn = turn;
    loop->arg = arg;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(loop->wake_fd >= 0);
    watch_init(&loop->wake, loop, loop->wake_fd, on_wake, loop);
    watch_want(&loop->wake, WATCH_READ);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    watch_release(&loop->wake);
    close(loop->wake_fd);
    event_base_free(loop->base);
    free(loop);
}

void loop_run(struct loop *loop)
{
    bool more = false;
    while (!atomic_load_explicit(&loop->stopped, memory_order_acquire)) {
        event_base_loop(loop->base, more ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
        more = loop->turn(loop->arg);
    }
    atomic_store_explicit(&loop->stopped, false, memory_order_relaxed);
}

void loop_stop(struct loop *loop)
{
    uint64_t one = 1;
    atomic_store_explicit(&loop->stopped, true, memory_order_release);
    if (write(loop->wake_fd, &one, sizeof one) < 0)
        return;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;
    (void)fd;
    watch->cb(watch->arg, (unsigned)what & watch->wanted);
}

void watch_init(struct watch *watch, struct loop *loop, int fd, watch_cb *cb, void *arg)
{
    watch->cb = cb;
    watch->arg = arg;
    watch->wanted = 0;
    event_assign(&watch->event, loop->base, fd, EV_PERSIST, on_event, watch);
}

void watch_want(struct watch *watch, unsigned wanted)
{
    if (watch->wanted == wanted)
        return;
    if (watch->wanted != 0)
        event_del(&watch->event);
    watch->wanted = wanted;
    if (wanted == 0)
        return;
    event_assign(&watch->event, event_get_base(&watch->event), event_get_fd(&watch->event),
                 (short)(wanted | EV_PERSIST), on_event, watch);
    event_add(&watch->event, NULL);
}

void watch_release(struct watch *watch)
{
    watch_want(watch, 0);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct timer *timer = arg;
    (void)fd;
    (void)what;
    timer->cb(timer->arg);
}

void timer_init(struct timer *timer, struct loop *loop, timer_cb *cb, void *arg)
{
    timer->cb = cb;
    timer->arg = arg;
    evtimer_assign(&timer->event, loop->base, on_timeout, timer);
}

void timer_start(struct timer *timer, int64_t after_ms)
{
    struct timeval after = {.tv_sec = after_ms / 1000, .tv_usec = after_ms % 1000 * 1000};
    evtimer_add(&timer->event, &after);
}

void timer_stop(struct timer *timer)
{
    evtimer_del(&timer->event);
}

bool timer_is_running(const struct timer *timer)
{
    return evtimer_pending(&timer->event, NULL) != 0;
}
