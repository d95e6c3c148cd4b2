/*
 * sim - router, worker, disk, network and clock in one thread, from one seed.
 *
 * The daemon's own code runs here. What is replaced is what is below it: loop, clock, background and log (sim has its
 * own), and each call of the C library that touches a file or a socket (calls.c), SQLite's among them. Paths below
 * /sim are on the simulated disk; every socket is a simulated one.
 *
 * The story (story_play) is the world outside: its clients use base/loop.h and plain non-blocking sockets. It may
 * connect to any IPv4 address, behind which the router listens. Time goes on only within sim_run and what calls it.
 *
 * The story is linked with the server, whose names are taken: client_, connection_, link_, session_, channel_ and such.
 *
 * There is one world per process, and each schedule has a process of its own: nothing is freed.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* Everything that can go wrong, with its name in the report. Each is a place that is reached often and hits seldom. */
#define SIM_FAULTS(X)                                                                                                  \
    X(SHORT_RECV, "short recv")                                                                                        \
    X(SHORT_SEND, "short send")                                                                                        \
    X(SEND_AGAIN, "send EAGAIN")                                                                                       \
    X(DELAY, "delivery delayed")                                                                                       \
    X(DROP_CLIENT, "client connection dropped")                                                                        \
    X(DROP_LINK, "link dropped")                                                                                       \
    X(REFUSE_CONNECT, "connect refused")                                                                               \
    X(SLOW_READER, "client stops reading")                                                                             \
    X(OPEN_FAILS, "open failed")                                                                                       \
    X(LOOK_FAILS, "stat, access or scandir EIO")                                                                       \
    X(READ_FAILS, "read EIO")                                                                                          \
    X(SHORT_READ, "short read of a file")                                                                              \
    X(WRITE_FAILS, "write EIO")                                                                                        \
    X(SHORT_WRITE, "short write to a file")                                                                            \
    X(TORN_WRITE, "write torn, then EIO")                                                                              \
    X(SYNC_FAILS, "fsync failed, unsynced writes gone")                                                                \
    X(RENAME_FAILS, "rename failed")                                                                                   \
    X(UNLINK_FAILS, "unlink failed")                                                                                   \
    X(MKDIR_FAILS, "mkdir failed")                                                                                     \
    X(TRUNCATE_FAILS, "ftruncate failed")                                                                              \
    X(DISK_FULL, "disk full for a while")                                                                              \
    X(BAD_FILE, "one scope's file EIO for a while")                                                                    \
    X(CRASH_ROUTER, "router crashed")                                                                                  \
    X(CRASH_WORKER, "worker crashed")                                                                                  \
    X(CRASH_BOTH, "router and worker crashed")                                                                         \
    X(POWER_CUT, "power cut")                                                                                          \
    X(CLOCK_FORWARD, "wall clock stepped forward")                                                                     \
    X(CLOCK_BACK, "wall clock stepped back")                                                                           \
    X(SLOW_STATEMENT, "time passed within a turn")

enum sim_fault {
#define SIM_FAULTS_ENUM(id, name) SIM_##id,
    SIM_FAULTS(SIM_FAULTS_ENUM)
#undef SIM_FAULTS_ENUM
        SIM_FAULT_N
};

struct sim_options {
    uint64_t seed;
    const char *app_dir;           /* on the real disk; borrowed */
    unsigned n_shards;             /* of the worker */
    uint32_t weights[SIM_FAULT_N]; /* how often a fault hits, of a million times that it is reached */
};

/* Chances out of a million that make each fault hit a few times in a schedule of some hundred operations. */
extern const uint32_t SIM_WEIGHTS[SIM_FAULT_N];

/* Loads an app's definition: once, before the schedules part, because it takes long. */
void sim_load_app(const char *app_dir);

/* Builds the world; the worker and then the router start once time goes on. */
void sim_begin(const struct sim_options *options);

/* Turns until `done` says so (it is asked between turns; NULL: never) or `us` have passed; false: the time is up. */
bool sim_run(bool (*done)(void *arg), void *arg, int64_t us);

/* No fault hits from here on, what goes on for a while ends, and processes that are down start. sim_faults brings them
 * back, with the options' weights. */
void sim_calm(void);
void sim_faults(void);

/* Calms, and turns until all is up and nothing happens any more but timers of the router's and the shards' sweeps and
 * clients' timers further away than `quiet_us`. False: there was no quiet for `us`. */
bool sim_quiet(int64_t quiet_us, int64_t us);

/* At once, whatever the weights are; the supervisor starts them again. */
enum sim_process { SIM_ROUTER, SIM_WORKER, SIM_PROCESS_N };
void sim_crash(enum sim_process process);
void sim_cut_power(void);

/* Both end as on SIGTERM and stay down until sim_start: then files can be opened: see sim_open_scope. The app that they
 * start with may have been changed meanwhile. */
void sim_stop(void);
void sim_start(void);
void sim_change_app(const char *app_dir); /* borrowed */

/* How often a process has been up, and whether it is. */
unsigned sim_starts(enum sim_process process);
bool sim_is_up(enum sim_process process);

/* The file of the scope `app/kind/id`, while the processes are down. NULL: there is none. The caller closes it. */
sqlite3 *sim_open_scope(const char *scope);

/* Whether anything of the scope's was found damaged or set aside: FILE.damaged is there. */
bool sim_scope_is_damaged(const char *scope);

/* Random numbers for the story, from a stream of their own: below `n`; with a chance of `n` in a million. */
uint32_t sim_random(uint32_t n);
bool sim_chance(uint32_t n);

/* How often a fault has been reached and has hit. Loop, clock: base/loop.h, base/clock.h. */
struct sim_count {
    uint64_t reached, hit;
};
struct sim_count sim_count(enum sim_fault which);
unsigned sim_hits(void); /* of all */

/* A line of the trace, and a part of its hash: two runs of one seed must say the same. */
void sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool sim_is_traced(void);

/* The schedule has failed: says why, with seed and time, and ends it. */
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Once, at first: loads the apps. Then the story of each schedule: builds a world with sim_begin, and returns if all
 * was well. Written elsewhere. */
void story_prepare(void);
void story_play(uint64_t seed);

/* What is counted for the report: the sums of all schedules are printed. */
#define SIM_TALLIES(X)                                                                                                 \
    X(OPERATIONS, "operations")                                                                                        \
    X(CHECKS, "checks")                                                                                                \
    X(FALLEN, "sessions fell out of the ring")                                                                         \
    X(LAGGED, "sessions went on from the log")                                                                         \
    X(SHARED, "slices of snapshots were shared")

enum sim_tally {
#define SIM_TALLIES_ENUM(id, name) SIM_##id,
    SIM_TALLIES(SIM_TALLIES_ENUM)
#undef SIM_TALLIES_ENUM
        SIM_TALLY_N
};

void sim_tally(enum sim_tally tally, uint64_t more);

#endif
