/*
 * sim - plays schedules: sim [--seed N] [--schedules N] [--jobs N] [--twice] [--repro SEED [--trace]]
 *
 * Each schedule has a process of its own, so what it leaks, and what a crash of the simulated processes abandons, goes
 * with it, and one that crashes, hangs or fails an assertion is known by its seed. What they count is in memory that
 * all share.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/world.h"

enum { JOBS_MAX = 64, PATIENCE_S = 20, FAILED_SHOWN = 20 };

extern bool sim_traces;

static struct settings {
    uint64_t seed, schedules;
    unsigned jobs;
    bool plays_twice, traces;
} settings = {.seed = 1, .schedules = 300, .jobs = 2};

static struct shared {
    uint64_t reached[SIM_FAULT_N], hit[SIM_FAULT_N], tallies[SIM_TALLY_N];
    uint64_t hashes[JOBS_MAX];
} * shared;

static uint64_t tallies[SIM_TALLY_N];

static struct job {
    pid_t pid; /* 0: free */
    uint64_t seed, hash;
    bool is_second;
} jobs[JOBS_MAX];

static uint64_t n_passed, n_failed, failed[FAILED_SHOWN];

void sim_tally(enum sim_tally tally, uint64_t more)
{
    tallies[tally] += more;
}

static void add(uint64_t *to, uint64_t more)
{
    __atomic_fetch_add(to, more, __ATOMIC_RELAXED);
}

static _Noreturn void play(const struct job *job)
{
    alarm(PATIENCE_S);
    story_play(job->seed);
    for (int i = 0; i < SIM_FAULT_N; i++) {
        add(&shared->reached[i], sim_counts[i].reached);
        add(&shared->hit[i], sim_counts[i].hit);
    }
    for (int i = 0; i < SIM_TALLY_N; i++)
        add(&shared->tallies[i], tallies[i]);
    shared->hashes[job - jobs] = world.hash;
    fflush(NULL);
    _exit(0);
}

static void start(struct job *job)
{
    fflush(NULL);
    job->pid = fork();
    if (job->pid == 0)
        play(job);
    if (job->pid < 0) {
        perror("fork");
        exit(2);
    }
}

static void report_failure(uint64_t seed, const char *why)
{
    fprintf(stderr, "seed %" PRIu64 ": %s; replay it with: sim --repro %" PRIu64 " --trace\n", seed, why, seed);
    if (n_failed < FAILED_SHOWN)
        failed[n_failed] = seed;
    n_failed++;
}

/* Of a schedule that is played twice, the first time only leaves its hash. */
static void judge(struct job *job, int status)
{
    char why[64] = "failed";
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    uint64_t hash = shared->hashes[job - jobs];
    job->pid = 0;
    if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "%s", WTERMSIG(status) == SIGALRM ? "does not end" : strsignal(WTERMSIG(status)));
    if (ok && settings.plays_twice && !job->is_second) {
        job->is_second = true;
        job->hash = hash;
        start(job);
        return;
    }
    if (ok && job->is_second && job->hash != hash) {
        ok = false;
        snprintf(why, sizeof why, "is not the same the second time");
    }
    if (ok)
        n_passed++;
    else
        report_failure(job->seed, why);
}

static void await_one(void)
{
    int status;
    pid_t pid = wait(&status);
    for (unsigned i = 0; i < settings.jobs; i++)
        if (pid > 0 && jobs[i].pid == pid)
            judge(&jobs[i], status);
}

static struct job *free_job(void)
{
    for (unsigned i = 0; i < settings.jobs; i++)
        if (jobs[i].pid == 0)
            return &jobs[i];
    return NULL;
}

static bool all_have_ended(void)
{
    for (unsigned i = 0; i < settings.jobs; i++)
        if (jobs[i].pid != 0)
            return false;
    return true;
}

static void show_progress(void)
{
    if (isatty(STDERR_FILENO) && !settings.traces && (n_passed + n_failed) % 50 == 0)
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 ", %" PRIu64 " failed ", n_passed + n_failed, settings.schedules,
                n_failed);
}

static void play_all(void)
{
    for (uint64_t i = 0; i < settings.schedules; i++) {
        struct job *job;
        while ((job = free_job()) == NULL)
            await_one();
        *job = (struct job){.seed = settings.seed + i};
        start(job);
        show_progress();
    }
    while (!all_have_ended())
        await_one();
}

static void print_faults(void)
{
    static const char *const NAMES[] = {
#define NAME(id, name) name,
        SIM_FAULTS(NAME)
#undef NAME
    };
    printf("%-40s %14s %12s\n", "fault", "reached", "hit");
    for (int i = 0; i < SIM_FAULT_N; i++)
        printf("%-40s %14" PRIu64 " %12" PRIu64 "\n", NAMES[i], shared->reached[i], shared->hit[i]);
    printf("%" PRIu64 " operations, %" PRIu64 " checks\n", shared->tallies[SIM_OPERATIONS],
           shared->tallies[SIM_CHECKS]);
}

/* Of a fault that never hit nothing has been shown. */
static bool all_have_hit(void)
{
    bool ok = true;
    for (int i = 0; i < SIM_FAULT_N; i++)
        ok = ok && shared->hit[i] > 0;
    return ok;
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        fprintf(stderr, "sim: %s is no number\n", text);
        exit(2);
    }
    return value;
}

static void parse(int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"seed", required_argument, NULL, 's'},
        {"schedules", required_argument, NULL, 'n'},
        {"jobs", required_argument, NULL, 'j'},
        {"twice", no_argument, NULL, '2'},
        {"repro", required_argument, NULL, 'r'},
        {"trace", no_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        if (option == 's')
            settings.seed = number(optarg);
        else if (option == 'n')
            settings.schedules = number(optarg);
        else if (option == 'j')
            settings.jobs = (unsigned)number(optarg);
        else if (option == '2')
            settings.plays_twice = true;
        else if (option == 't')
            settings.traces = sim_traces = true;
        else if (option == 'r') {
            settings.seed = number(optarg);
            settings.schedules = 1;
        } else
            exit(2);
    }
    if (settings.jobs < 1 || settings.jobs > JOBS_MAX || settings.schedules < 1) {
        fprintf(stderr, "sim: 1 to %d jobs, at least one schedule\n", JOBS_MAX);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    story_prepare();
    play_all();
    print_faults();
    if (settings.schedules >= 10000 && !all_have_hit()) {
        printf("a fault has never hit\n");
        n_failed++;
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", n_passed, n_failed);
    for (uint64_t i = 0; i < n_failed && i < FAILED_SHOWN; i++)
        printf("failed: seed %" PRIu64 "\n", failed[i]);
    return n_failed > 0;
}
