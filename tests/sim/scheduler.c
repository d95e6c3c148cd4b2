/*
 * scheduler - base/loop.h and base/background.h on simulated time: what is due is picked at random, one loop's round or
 * one task's step at a time.
 *
 * A task is what a thread of its own would run: it has its own stack, and may wait in the middle of its work while
 * everything else goes on.
 */
#include <assert.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/background.h"
#include "base/bytes.h"
#include "tests/sim/world.h"

enum { STACK_BYTES = 1 << 20, ROUND_MAX = 256, BETWEEN_US = 50, ASK_US = 300, QUIET_US = 1500000 };

struct loop {
    struct list link;
    unsigned owner;
    loop_turn_cb *turn;
    void *arg;
    struct list watches, timers, backgrounds; /* that want something; that run */
    bool has_more, is_stopped;
};

/* What stands in the room that libevent's struct has in a watch or a timer. */
struct seat {
    struct list link;
    struct loop *loop;
    union {
        int fd;
        int64_t due_us;
    } at;
};

_Static_assert(sizeof(struct seat) <= sizeof(struct event), "a watch has no room for us");

#define SEAT(thing)         ((struct seat *)(void *)&(thing)->event)
#define OF_SEAT(link, type) ((type *)(void *)((char *)(link)-offsetof(type, event)))

struct background {
    struct list link;
    struct loop *loop;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct task *task; /* NULL: it rests */
    bool is_asked;
    int64_t done_us; /* when the loop is told, or NEVER */
};

struct task {
    struct list link;
    unsigned owner;
    void (*run)(void *arg);
    void *arg;
    int64_t due_us;
    bool has_ended, may_not_wait;
    ucontext_t context, *back;
    char *stack;
};

static struct list loops, tasks, stacks;
static struct task *current_task;
static jmp_buf *escape_to;

static void lists_begin(void)
{
    if (loops.next != NULL)
        return;
    list_init(&loops);
    list_init(&tasks);
    list_init(&stacks);
}

/* Loops. */

struct loop *loop_new(loop_turn_cb *turn, void *arg)
{
    struct loop *loop = mem_zero(1, sizeof *loop);
    loop->owner = world.current;
    loop->turn = turn;
    loop->arg = arg;
    list_init(&loop->watches);
    list_init(&loop->timers);
    list_init(&loop->backgrounds);
    lists_begin();
    list_append(&loops, &loop->link);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    list_remove(&loop->link);
    free(loop);
}

void loop_run(struct loop *loop)
{
    (void)loop;
    abort(); /* the scheduler turns them */
}

void loop_stop(struct loop *loop)
{
    loop->is_stopped = true;
}

bool loop_is_stopped(const struct loop *loop)
{
    return loop->is_stopped;
}

void watch_init(struct watch *watch, struct loop *loop, int fd, watch_cb *cb, void *arg)
{
    watch->cb = cb;
    watch->arg = arg;
    watch->wanted = 0;
    SEAT(watch)->loop = loop;
    SEAT(watch)->at.fd = fd;
    list_init(&SEAT(watch)->link);
}

void watch_want(struct watch *watch, unsigned wanted)
{
    if (watch->wanted == wanted)
        return;
    if (watch->wanted == 0)
        list_append(&SEAT(watch)->loop->watches, &SEAT(watch)->link);
    else if (wanted == 0)
        list_remove(&SEAT(watch)->link);
    watch->wanted = wanted;
}

void watch_release(struct watch *watch)
{
    watch_want(watch, 0);
}

void timer_init(struct timer *timer, struct loop *loop, timer_cb *cb, void *arg)
{
    timer->cb = cb;
    timer->arg = arg;
    SEAT(timer)->loop = loop;
    list_init(&SEAT(timer)->link);
}

void timer_start(struct timer *timer, int64_t after_ms)
{
    timer_stop(timer);
    SEAT(timer)->at.due_us = world.now_us + after_ms * 1000;
    list_append(&SEAT(timer)->loop->timers, &SEAT(timer)->link);
}

void timer_stop(struct timer *timer)
{
    if (SEAT(timer)->loop != NULL)
        list_remove(&SEAT(timer)->link);
}

bool timer_is_running(const struct timer *timer)
{
    const struct seat *seat = (const struct seat *)(const void *)&timer->event;
    return seat->loop != NULL && !list_is_empty(&seat->link);
}

/* A round: what is ready, in any order, or some of it; then the turn. */

enum event_type { EVENT_WATCH, EVENT_TIMER, EVENT_DONE };

struct due {
    enum event_type type;
    struct list *link;
};

static bool watch_is_ready(struct list *link)
{
    const struct watch *watch = OF_SEAT(link, struct watch);
    return (net_ready(((struct seat *)(void *)link)->at.fd) & watch->wanted) != 0;
}

static bool timer_is_due(struct list *link)
{
    return ((struct seat *)(void *)link)->at.due_us <= world.now_us;
}

static bool is_done(struct list *link)
{
    return LIST_ITEM(link, struct background, link)->done_us <= world.now_us;
}

/* Collects what is due; with ROUND_MAX 1, says whether anything is. */
static size_t collect(struct loop *loop, struct due *ret_due, size_t most)
{
    struct {
        struct list *list;
        bool (*is_due)(struct list *link);
    } sources[] = {{&loop->watches, watch_is_ready}, {&loop->timers, timer_is_due}, {&loop->backgrounds, is_done}};
    size_t n = 0;
    for (int i = 0; i < 3; i++)
        LIST_FOREACH(link, sources[i].list)
            if (n < most && sources[i].is_due(link))
                ret_due[n++] = (struct due){(enum event_type)i, link};
    return n;
}

static bool is_on(const struct list *list, const struct list *searched)
{
    LIST_FOREACH(link, list)
        if (link == searched)
            return true;
    return false;
}

static void fire(struct loop *loop, struct due due)
{
    struct watch *watch = OF_SEAT(due.link, struct watch);
    struct timer *timer = OF_SEAT(due.link, struct timer);
    struct background *background = LIST_ITEM(due.link, struct background, link);
    switch (due.type) {
    case EVENT_WATCH:
        if (is_on(&loop->watches, due.link) && watch_is_ready(due.link))
            watch->cb(watch->arg, net_ready(SEAT(watch)->at.fd) & watch->wanted);
        break;
    case EVENT_TIMER:
        if (!is_on(&loop->timers, due.link))
            break;
        list_remove(due.link);
        timer->cb(timer->arg);
        break;
    case EVENT_DONE:
        if (!is_on(&loop->backgrounds, due.link))
            break;
        background->done_us = NEVER;
        background->done(background->arg);
        break;
    }
}

static void loop_round(void *arg)
{
    struct loop *loop = arg;
    struct due due[ROUND_MAX];
    size_t n = collect(loop, due, ROUND_MAX);
    size_t n_fired = random_below(4) == 0 ? random_below((uint32_t)n + 1) : n;
    for (size_t i = 0; i < n_fired; i++) {
        size_t other = i + random_below((uint32_t)(n - i));
        struct due first = due[other];
        due[other] = due[i];
        due[i] = first;
        fire(loop, first);
    }
    loop->has_more = loop->turn(loop->arg);
}

/* Tasks. */

static void task_main(unsigned high, unsigned low)
{
    struct task *task = (struct task *)((uintptr_t)high << 32 | low);
    task->run(task->arg);
    task->has_ended = true;
    swapcontext(&task->context, task->back);
}

struct task *task_start(unsigned owner, void (*run)(void *arg), void *arg, int64_t after_us)
{
    struct task *task = mem_zero(1, sizeof *task);
    lists_begin();
    *task = (struct task){.owner = owner, .run = run, .arg = arg, .due_us = world.now_us + after_us};
    struct list *kept = list_pop(&stacks);
    task->stack = kept != NULL ? (char *)kept : mem_alloc(STACK_BYTES);
    getcontext(&task->context);
    task->context.uc_stack.ss_sp = task->stack;
    task->context.uc_stack.ss_size = STACK_BYTES;
    uintptr_t address = (uintptr_t)task;
    makecontext(&task->context, (void (*)(void))task_main, 2, (unsigned)(address >> 32), (unsigned)address);
    list_append(&tasks, &task->link);
    return task;
}

static void task_drop(struct task *task)
{
    list_remove(&task->link);
    list_append(&stacks, (struct list *)(void *)task->stack);
    free(task);
}

static void task_resume(struct task *task)
{
    ucontext_t here, *back = task->back;
    struct task *before = current_task;
    task->back = &here;
    current_task = task;
    swapcontext(&here, &task->context);
    current_task = before;
    task->back = back;
    if (task->has_ended)
        task_drop(task);
}

void task_finish(struct task *task)
{
    task->may_not_wait = true;
    task_resume(task);
}

bool task_may_wait(void)
{
    return current_task != NULL && !current_task->may_not_wait;
}

void task_wait(int64_t us)
{
    assert(task_may_wait());
    current_task->due_us = world.now_us + us;
    swapcontext(&current_task->context, current_task->back);
}

static void task_step(void *arg)
{
    task_resume(arg);
}

/* Backgrounds. */

static void work(void *arg)
{
    struct background *background = arg;
    while (background->is_asked) {
        background->is_asked = false;
        background->work(background->arg);
        background->done_us = world.now_us + random_between(0, ASK_US);
    }
    background->task = NULL;
}

struct background *background_new(struct loop *loop, void (*work_cb)(void *arg), void (*done)(void *arg), void *arg)
{
    struct background *background = mem_zero(1, sizeof *background);
    *background = (struct background){.loop = loop, .work = work_cb, .done = done, .arg = arg, .done_us = NEVER};
    list_append(&loop->backgrounds, &background->link);
    return background;
}

void background_free(struct background *background)
{
    if (background == NULL)
        return;
    if (background->task != NULL)
        task_finish(background->task);
    list_remove(&background->link);
    free(background);
}

void background_ask(struct background *background)
{
    background->is_asked = true;
    if (background->task == NULL)
        background->task = task_start(background->loop->owner, work, background, random_between(0, ASK_US));
}

/* Crashes: back to where the process was entered. What it had is never touched again. */

void loops_drop(unsigned owner)
{
    lists_begin();
    LIST_FOREACH_SAFE(link, &loops)
        if (LIST_ITEM(link, struct loop, link)->owner == owner)
            list_remove(link);
    LIST_FOREACH_SAFE(link, &tasks)
        if (LIST_ITEM(link, struct task, link)->owner == owner && LIST_ITEM(link, struct task, link) != current_task)
            task_drop(LIST_ITEM(link, struct task, link));
    if (current_task != NULL && current_task->owner == owner)
        list_remove(&current_task->link); /* it still runs on its stack */
}

void escape(void)
{
    longjmp(*escape_to, 1);
}

void run_as(unsigned owner, void (*run)(void *arg), void *arg)
{
    unsigned before = world.current;
    struct task *task_before = current_task;
    jmp_buf here, *escape_before = escape_to;
    world.current = owner;
    escape_to = &here;
    if (setjmp(here) == 0)
        run(arg);
    escape_to = escape_before;
    current_task = task_before;
    world.current = before;
}

/* The step. */

static bool loop_is_due(struct loop *loop)
{
    struct due due;
    bool may_run = loop->owner == STORY || process_is_up(loop->owner);
    return may_run && !loop->is_stopped && (loop->has_more || collect(loop, &due, 1) > 0);
}

static struct list *pick(bool *ret_is_task)
{
    struct list *picked = NULL;
    uint32_t n = 0;
    LIST_FOREACH(link, &loops)
        if (loop_is_due(LIST_ITEM(link, struct loop, link)) && random_below(++n) == 0)
            picked = link;
    *ret_is_task = false;
    LIST_FOREACH(link, &tasks)
        if (LIST_ITEM(link, struct task, link)->due_us <= world.now_us && random_below(++n) == 0) {
            picked = link;
            *ret_is_task = true;
        }
    return picked;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t loop_next_us(const struct loop *loop)
{
    int64_t next = NEVER;
    if (loop->is_stopped || (loop->owner != STORY && !process_is_up(loop->owner)))
        return next;
    LIST_FOREACH(link, &loop->timers)
        next = least(next, ((struct seat *)(void *)link)->at.due_us);
    LIST_FOREACH(link, &loop->backgrounds)
        next = least(next, LIST_ITEM(link, struct background, link)->done_us);
    return next;
}

static int64_t next_us(void)
{
    int64_t next = least(net_next_us(), processes_next_us());
    LIST_FOREACH(link, &loops)
        next = least(next, loop_next_us(LIST_ITEM(link, struct loop, link)));
    LIST_FOREACH(link, &tasks)
        next = least(next, LIST_ITEM(link, struct task, link)->due_us);
    return next;
}

/* One thing that is due. False if nothing is. */
static bool step(void)
{
    bool is_task;
    processes_turn();
    struct list *picked = pick(&is_task);
    if (picked == NULL)
        return false;
    if (is_task)
        run_as(LIST_ITEM(picked, struct task, link)->owner, task_step, LIST_ITEM(picked, struct task, link));
    else
        run_as(LIST_ITEM(picked, struct loop, link)->owner, loop_round, LIST_ITEM(picked, struct loop, link));
    world.now_us += random_between(1, BETWEEN_US);
    return true;
}

/* Nothing is due: on to what is next. */
static void pass_time(int64_t until)
{
    int64_t next = least(next_us(), until);
    assert(next > world.now_us);
    world.now_us = next;
}

bool sim_run(bool (*done)(void *arg), void *arg, int64_t us)
{
    int64_t until = world.now_us + us;
    lists_begin();
    while (done == NULL || !done(arg)) {
        if (world.now_us >= until)
            return false;
        if (!step())
            pass_time(until);
    }
    return true;
}

/* Quiet: nothing is under way, nothing is ready, nothing works. */
static bool is_quiet(int64_t quiet_us)
{
    struct due due;
    if (!net_is_silent() || !list_is_empty(&tasks) || !sim_is_up(SIM_ROUTER) || !sim_is_up(SIM_WORKER))
        return false;
    LIST_FOREACH(link, &loops) {
        struct loop *loop = LIST_ITEM(link, struct loop, link);
        if (loop->has_more || collect(loop, &due, 1) > 0)
            return false;
        if (loop->owner == STORY && loop_next_us(loop) < world.now_us + quiet_us)
            return false;
    }
    return true;
}

/* It must last for longer than any of the server's own pauses. */
bool sim_quiet(int64_t quiet_us, int64_t us)
{
    int64_t until = world.now_us + us;
    sim_calm();
    while (world.now_us < until) {
        bool is_calm = is_quiet(quiet_us);
        uint64_t n_sent = net_count();
        if (!is_calm && step())
            continue;
        if (is_calm && !sim_run(NULL, NULL, QUIET_US) && is_quiet(quiet_us) && net_count() == n_sent)
            return true;
        if (!is_calm)
            pass_time(until);
    }
    return false;
}
