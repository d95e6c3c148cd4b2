/*
 * fault - chance: the one stream of random numbers from which all that goes wrong comes, and its hash.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/sim/world.h"

struct world world = {.current = STORY};
struct sim_count sim_counts[SIM_FAULT_N];
bool sim_traces;

static const char *const FAULT_NAMES[] = {
#define NAME(id, name) name,
    SIM_FAULTS(NAME)
#undef NAME
};

static const char *const OWNER_NAMES[] = {"router", "worker", "story"};

const uint32_t SIM_WEIGHTS[SIM_FAULT_N] = {
    [SIM_SHORT_RECV] = 20000,    [SIM_SHORT_SEND] = 20000,  [SIM_SEND_AGAIN] = 20000,     [SIM_DELAY] = 10000,
    [SIM_DROP_CLIENT] = 1000,    [SIM_DROP_LINK] = 200,     [SIM_REFUSE_CONNECT] = 50000, [SIM_SLOW_READER] = 2000,
    [SIM_OPEN_FAILS] = 1000,     [SIM_READ_FAILS] = 300,    [SIM_SHORT_READ] = 20000,     [SIM_WRITE_FAILS] = 200,
    [SIM_SHORT_WRITE] = 10000,   [SIM_TORN_WRITE] = 200,    [SIM_SYNC_FAILS] = 1000,      [SIM_RENAME_FAILS] = 20000,
    [SIM_UNLINK_FAILS] = 5000,   [SIM_MKDIR_FAILS] = 10000, [SIM_TRUNCATE_FAILS] = 10000, [SIM_DISK_FULL] = 100,
    [SIM_BAD_FILE] = 100,        [SIM_CRASH_ROUTER] = 100,  [SIM_CRASH_WORKER] = 100,     [SIM_CRASH_BOTH] = 20,
    [SIM_LOOK_FAILS] = 1000,     [SIM_POWER_CUT] = 100,     [SIM_CLOCK_FORWARD] = 1000,   [SIM_CLOCK_BACK] = 1000,
    [SIM_SLOW_STATEMENT] = 1000,
};

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return n == 0 ? 0 : (uint32_t)((next(state) >> 32) * n >> 32);
}

uint32_t random_below(uint32_t n)
{
    return below(&world.random, n);
}

int64_t random_between(int64_t least, int64_t most)
{
    return least + random_below((uint32_t)(most - least + 1));
}

void random_fill(void *to, size_t len)
{
    unsigned char *bytes = to;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)random_below(256);
}

uint32_t sim_random(uint32_t n)
{
    return below(&world.story_random, n);
}

bool sim_chance(uint32_t n)
{
    return sim_random(1000000) < n;
}

bool fault(enum sim_fault which)
{
    if (world.is_calm || !world.is_begun || world.is_single)
        return false;
    sim_counts[which].reached++;
    if (random_below(1000000) >= world.options.weights[which])
        return false;
    sim_counts[which].hit++;
    sim_note("fault: %s", FAULT_NAMES[which]);
    return true;
}

struct sim_count sim_count(enum sim_fault which)
{
    return sim_counts[which];
}

unsigned sim_hits(void)
{
    uint64_t n = 0;
    for (int i = 0; i < SIM_FAULT_N; i++)
        n += sim_counts[i].hit;
    return (unsigned)n;
}

void world_mix(uint64_t value)
{
    world.hash = (world.hash ^ value) * 0x100000001b3u;
    world.hash ^= world.hash >> 29;
}

/* Crashes. */

static void crash_by_chance(void)
{
    if (fault(world.current == SIM_ROUTER ? SIM_CRASH_ROUTER : SIM_CRASH_WORKER))
        process_crash(world.current);
    if (fault(SIM_CRASH_BOTH)) {
        process_crash(world.current == SIM_ROUTER ? SIM_WORKER : SIM_ROUTER);
        process_crash(world.current);
    }
    if (fault(SIM_POWER_CUT))
        power_cut();
}

bool call(const char *name, const char *path, uint64_t a, uint64_t b)
{
    world_mix((uint64_t)world.now_us * 4 + world.current);
    world_mix(a * 0x10001 + b);
    if (sim_traces)
        sim_note("%s %s %llu %llu", name, path, (unsigned long long)a, (unsigned long long)b);
    if (world.current == STORY || !world.is_begun)
        return false;
    crash_by_chance();
    if (++world.n_calls != world.fail_call)
        return false;
    sim_note("the call %s %s fails", name, path);
    return true;
}

/* Time and the log. */

int64_t clock_mono_us(void)
{
    if (world.current != STORY && fault(SIM_SLOW_STATEMENT))
        world.now_us += random_between(1000, 30000);
    return world.now_us;
}

int64_t clock_wall_ms(void)
{
    if (world.current != STORY && fault(SIM_CLOCK_FORWARD))
        world.wall_offset_us += random_between(1000, 600000000);
    if (world.current != STORY && fault(SIM_CLOCK_BACK))
        world.wall_offset_us -= random_between(1000, 600000000);
    return (world.wall_offset_us + world.now_us) / 1000;
}

__attribute__((format(printf, 1, 0))) static void note(const char *format, va_list args)
{
    for (const char *c = format; *c != '\0'; c++)
        world_mix((unsigned char)*c);
    if (!sim_traces)
        return;
    unsigned owner = world.current;
    world.current = STORY; /* what is printed takes no memory of the process */
    fprintf(stderr, "%11.6f %s: ", (double)world.now_us / 1e6, OWNER_NAMES[owner]);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    world.current = owner;
}

void sim_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(format, args);
    va_end(args);
}

bool sim_is_traced(void)
{
    return sim_traces;
}

void log_init(const char *role, enum log_level least)
{
    (void)role;
    (void)least;
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list args;
    (void)level;
    va_start(args, format);
    note(format, args);
    va_end(args);
}

void sim_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "seed %llu at %.6f s: ", (unsigned long long)world.options.seed, (double)world.now_us / 1e6);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    syscall(SYS_exit_group, 1);
    __builtin_unreachable();
}
