/*
 * sim - plays schedules: sim [--seed N] [--schedules N] [--jobs N] [--twice] [--first] [--repro SEED [--trace]]
 *       or one of them with each thing failing once: sim --fail-each io|alloc [--stride N] [--seed N]
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

#include "base/metrics.h"
#include "proto/json.h"
#include "tests/sim/world.h"

enum { JOBS_MAX = 64, PATIENCE_S = 20, FAILED_SHOWN = 20 };

extern bool sim_traces;

enum each { EACH_NONE, EACH_CALL, EACH_ALLOCATION };

static struct settings {
    uint64_t seed, schedules, stride, fail_at;
    unsigned jobs;
    bool plays_twice, traces, plays_one, stops; /* at the first failure */
    enum each each;
} settings = {.seed = 1, .schedules = 300, .stride = 1, .jobs = 2};

static struct shared {
    uint64_t reached[SIM_FAULT_N], hit[SIM_FAULT_N], tallies[SIM_TALLY_N];
    uint64_t hashes[JOBS_MAX], points[JOBS_MAX];
} * shared;

static uint64_t tallies[SIM_TALLY_N];

static struct job {
    pid_t pid; /* 0: free */
    uint64_t seed, fail_at, hash;
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
    world.is_single = settings.each != EACH_NONE;
    if (settings.each == EACH_CALL)
        world.fail_call = job->fail_at;
    if (settings.each == EACH_ALLOCATION)
        world.fail_allocation = job->fail_at;
    story_play(job->seed);
    sim_tally(SIM_FALLEN, metric_get(METRIC_ROUTER_FALLEN));
    sim_tally(SIM_LAGGED, metric_get(METRIC_SHARD_LAGS));
    sim_tally(SIM_SHARED, metric_get(METRIC_SHARD_SLICES_SHARED));
    for (int i = 0; i < SIM_FAULT_N; i++) {
        add(&shared->reached[i], sim_counts[i].reached);
        add(&shared->hit[i], sim_counts[i].hit);
    }
    for (int i = 0; i < SIM_TALLY_N; i++)
        add(&shared->tallies[i], tallies[i]);
    shared->hashes[job - jobs] = world.hash;
    shared->points[job - jobs] = settings.each == EACH_CALL ? world.n_calls : world.n_allocations;
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

static void report_failure(const struct job *job, const char *why)
{
    static const char *const OPTIONS[] = {"", " --fail-each io", " --fail-each alloc"};
    fprintf(stderr, "seed %" PRIu64 ": %s; replay it with: sim --repro %" PRIu64 " --trace%s", job->seed, why,
            job->seed, OPTIONS[settings.each]);
    if (settings.each != EACH_NONE)
        fprintf(stderr, " --at %" PRIu64, job->fail_at);
    fputc('\n', stderr);
    if (n_failed < FAILED_SHOWN)
        failed[n_failed] = settings.each == EACH_NONE ? job->seed : job->fail_at;
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
        report_failure(job, why);
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

static void play_one(uint64_t seed, uint64_t fail_at)
{
    struct job *job;
    while ((job = free_job()) == NULL)
        await_one();
    *job = (struct job){.seed = seed, .fail_at = fail_at};
    start(job);
    show_progress();
}

static void await_all(void)
{
    while (!all_have_ended())
        await_one();
}

/* Seeds that failed once, one a line, what follows is a comment. */
static void play_kept_seeds(void)
{
    char line[256];
    FILE *file = fopen(TESTS_SIM "/seeds", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (line[0] >= '0' && line[0] <= '9')
            play_one(strtoull(line, NULL, 10), 0);
    if (file != NULL)
        fclose(file);
}

static void play_all(void)
{
    if (!settings.plays_one)
        play_kept_seeds();
    for (uint64_t i = 0; i < settings.schedules && !(settings.stops && n_failed > 0); i++)
        play_one(settings.seed + i, settings.fail_at);
    await_all();
}

/* The first time says how many points there are. */
static void play_each(void)
{
    play_one(settings.seed, UINT64_MAX);
    await_all();
    uint64_t n_points = shared->points[0];
    settings.schedules = n_points / settings.stride;
    for (uint64_t at = 1 + settings.seed % settings.stride; at <= n_points; at += settings.stride)
        play_one(settings.seed, at);
    await_all();
    printf("%" PRIu64 " points\n", n_points);
}

static void print_faults(void)
{
#define NAME(id, name) name,
    static const char *const NAMES[] = {SIM_FAULTS(NAME)}, *const TALLIES[] = {SIM_TALLIES(NAME)};
#undef NAME
    printf("%-40s %14s %12s\n", "fault", "reached", "hit");
    for (int i = 0; i < SIM_FAULT_N; i++)
        printf("%-40s %14" PRIu64 " %12" PRIu64 "\n", NAMES[i], shared->reached[i], shared->hit[i]);
    for (int i = 0; i < SIM_TALLY_N; i++)
        printf("%s%" PRIu64 " %s", i == 0 ? "" : ", ", shared->tallies[i], TALLIES[i]);
    printf("\n");
}

/* Of what never happened nothing has been shown. */
static bool all_have_hit(void)
{
    bool ok = true;
    for (int i = 0; i < SIM_FAULT_N; i++)
        ok = ok && shared->hit[i] > 0;
    for (int i = 0; i < SIM_TALLY_N; i++)
        ok = ok && shared->tallies[i] > 0;
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
        {"first", no_argument, NULL, '1'},
        {"repro", required_argument, NULL, 'r'},
        {"trace", no_argument, NULL, 't'},
        {"fail-each", required_argument, NULL, 'e'},
        {"stride", required_argument, NULL, 'd'},
        {"at", required_argument, NULL, 'a'},
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
        else if (option == '1')
            settings.stops = true;
        else if (option == 't')
            settings.traces = sim_traces = true;
        else if (option == 'r') {
            settings.seed = number(optarg);
            settings.schedules = 1;
            settings.plays_one = true;
        } else if (option == 'd')
            settings.stride = number(optarg);
        else if (option == 'a')
            settings.fail_at = number(optarg);
        else if (option == 'e' && strcmp(optarg, "io") == 0)
            settings.each = EACH_CALL;
        else if (option == 'e' && strcmp(optarg, "alloc") == 0)
            settings.each = EACH_ALLOCATION;
        else
            exit(2);
    }
    if (settings.jobs < 1 || settings.jobs > JOBS_MAX || settings.schedules < 1 || settings.stride < 1) {
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
    json_init();
    story_prepare();
    if (settings.each != EACH_NONE && !settings.plays_one)
        play_each();
    else
        play_all();
    if (settings.each == EACH_NONE)
        print_faults();
    if (settings.each == EACH_NONE && settings.schedules >= 10000 && !all_have_hit()) {
        printf("a fault has never hit\n");
        n_failed++;
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", n_passed, n_failed);
    for (uint64_t i = 0; i < n_failed && i < FAILED_SHOWN; i++)
        printf("failed: %s %" PRIu64 "\n", settings.each == EACH_NONE ? "seed" : "point", failed[i]);
    return n_failed > 0;
}
