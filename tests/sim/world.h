/*
 * world - what the parts of the simulator know of each other.
 *
 * Whatever runs belongs to a process, the router, the worker or the story (all that is outside), and `world.current`
 * says to which: it decides which faults may hit, and who loses what in a crash.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "base/list.h"
#include "base/loop.h"
#include "tests/sim/sim.h"

enum { STORY = SIM_PROCESS_N, OWNERS };

#define NEVER INT64_MAX

struct world {
    struct sim_options options;
    unsigned current; /* enum sim_process, or STORY */
    bool is_begun, is_calm;
    int64_t now_us, wall_offset_us;
    uint64_t hash; /* of all that has happened */
    uint64_t random, story_random;
    bool is_single;                          /* nothing goes wrong by chance: one thing fails, */
    uint64_t n_calls, fail_call;             /* of the calls that processes make the one with this number, or 0; */
    uint64_t n_allocations, fail_allocation; /* or of their allocations */
};

extern struct world world;

/* fault.c: chance. */
uint32_t random_below(uint32_t n);
int64_t random_between(int64_t least, int64_t most);
void random_fill(void *to, size_t len);
bool fault(enum sim_fault which);
void world_mix(uint64_t value); /* into the hash */
extern struct sim_count sim_counts[SIM_FAULT_N];

/* One call of the system by the current process: it may crash here, or the power may go, and then this does not return.
 * True: the call is the one that must fail. */
bool call(const char *name, const char *path, uint64_t a, uint64_t b);

/* scheduler.c: loops, tasks, time. */
struct task;
struct task *task_start(unsigned owner, void (*run)(void *arg), void *arg, int64_t after_us);
void task_finish(struct task *task); /* runs it to its end, whatever it waits for */
bool task_may_wait(void);
void task_wait(int64_t us);
void loops_drop(unsigned owner); /* with all tasks: the process is gone */
bool loop_is_stopped(const struct loop *loop);

/* Runs `run`; returns too when the process that it runs in has crashed. */
void run_as(unsigned owner, void (*run)(void *arg), void *arg);
_Noreturn void escape(void); /* to there */

/* process.c: the supervisor. */
void processes_begin(void);
void processes_turn(void); /* starts what is due */
int64_t processes_next_us(void);
bool process_is_up(unsigned owner);
bool process_is_starting(void); /* the current one */
unsigned process_starts(unsigned owner);
void process_crash(unsigned owner);
void power_cut(void);
_Noreturn void process_exit(int status); /* the current one */

/* net.c: sockets. */
void net_begin(void);
int net_inherit_listener(unsigned owner);
void net_reset_story(void); /* what it was connected to is gone */
unsigned net_ready(int fd); /* WATCH_READ | WATCH_WRITE */
int64_t net_next_us(void);
bool net_is_silent(void); /* nothing is under way */
void net_calm(void);
uint64_t net_count(void); /* of bytes ever sent */

/* disk.c: see disk.h. */
void disk_begin(void);
void disk_cut(void);
void disk_calm(void);

/* fd.c: descriptors. */
void fds_close_all(unsigned owner);

#endif
