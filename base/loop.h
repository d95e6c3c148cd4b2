/*
 * loop - libevent, as little of it as Skerry needs: sockets, timers, and a turn after each round of events.
 *
 * Callbacks collect; the turn does the work. Nothing that an event may still point at is freed in a callback: the
 * owner frees it in its turn.
 *
 * Thread: the one that calls loop_run, except loop_stop.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

/* Runs after each round of events. Returns true to be called again without waiting for one. */
typedef bool loop_turn_cb(void *arg);

struct loop *loop_new(loop_turn_cb *turn, void *arg);
void loop_free(struct loop *loop);

/* Turns until loop_stop; may be called again then. */
void loop_run(struct loop *loop);

/* Ends loop_run after the turn under way. From any thread, and from signal handlers. */
void loop_stop(struct loop *loop);

/* A descriptor whose readiness is watched. The descriptor stays its owner's. */
enum { WATCH_READ = EV_READ, WATCH_WRITE = EV_WRITE };

typedef void watch_cb(void *arg, unsigned ready);

struct watch {
    struct event event;
    watch_cb *cb;
    void *arg;
    unsigned wanted;
};

void watch_init(struct watch *watch, struct loop *loop, int fd, watch_cb *cb, void *arg);
void watch_want(struct watch *watch, unsigned wanted); /* WATCH_READ | WATCH_WRITE, or 0 */
void watch_release(struct watch *watch);

typedef void timer_cb(void *arg);

struct timer {
    struct event event;
    timer_cb *cb;
    void *arg;
};

void timer_init(struct timer *timer, struct loop *loop, timer_cb *cb, void *arg);
void timer_start(struct timer *timer, int64_t after_ms); /* fires once; starting again moves it */
void timer_stop(struct timer *timer);
bool timer_is_running(const struct timer *timer);

#endif
