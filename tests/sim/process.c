/*
 * process - the supervisor, and how a router and a worker begin and end: as src/control/serve.c, router_run and
 * worker_run have it, without threads and signals.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proto/route.h"
#include "shards/scope/kind.h"
#include "shards/scope/scope_file.h"
#include "shards/shard.h"
#include "shards/worker.h"
#include "src/router/router.h"
#include "tests/sim/disk.h"
#include "tests/sim/world.h"

#define DATA_DIR "/sim/data"
#define RUN_DIR  "/sim/run"

enum {
    WINDOW_MAX = 10000, /* at most, of bytes: so that sessions wait for credit, */
    RING_MAX = 2000,    /* and fall out of the ring */
    APPS_MAX = 4,
    SEGMENT_BYTES = 64 << 10, /* of the journal: many are filled in a schedule */
    RESTART_US = 100000,      /* at most, after a first death */
    RESTART_LAST_US = 2000000,
    CALM_AFTER_US = 10000000, /* who lived for so long begins again with the first pause */
    OUTAGE_US = 3000000,      /* at most, after a power cut */
    STOP_US = 30000000,
    MENDED_US = 100000000,
};

enum state { DOWN, STARTING, UP };

static struct {
    enum state state;
    unsigned starts;
    int64_t started_us, start_us; /* when it last was, when it will be, or NEVER */
    int64_t pause_us;
} processes[SIM_PROCESS_N];

/* An app is loaded once and used by all the worker's lives, as by all its shards. */
static struct loaded {
    const char *dir;
    struct app *app;
    struct kind **kinds;
} apps[APPS_MAX], *app_now;

static struct router *router;
static struct shard *shards[WORKER_SHARDS_MAX];
static bool is_stopped; /* nothing is started */
static char last_problem[1024];

static void note_sqlite(void *arg, int code, const char *message)
{
    (void)arg;
    sim_note("sqlite %d: %s", code, message);
}

/* As a worker does, but for locks: a process that crashes would hold them. */
static void configure_sqlite(void)
{
    static bool is_done;
    if (is_done)
        return;
    is_done = true;
    worker_configure_sqlite();
    sqlite3_shutdown();
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_LOG, note_sqlite, NULL);
    sqlite3_initialize();
}

static void keep_problems(struct problems *problems)
{
    snprintf(last_problem, sizeof last_problem, "%.*s", (int)problems->text.len, problems->text.data);
    sim_note("start failed: %s", last_problem);
}

void sim_load_app(const char *dir)
{
    struct problems problems = {0};
    size_t i = 0;
    configure_sqlite();
    while (i < APPS_MAX && apps[i].dir != NULL && strcmp(apps[i].dir, dir) != 0)
        i++;
    assert(i < APPS_MAX);
    app_now = &apps[i];
    if (app_now->dir != NULL)
        return;
    app_now->dir = dir;
    app_now->app = app_load(dir, &problems);
    app_now->kinds = app_now->app == NULL ? NULL : kinds_load(app_now->app, &problems);
    if (app_now->kinds == NULL) {
        keep_problems(&problems);
        sim_fail("%s: this app cannot be loaded: %s", dir, last_problem);
    }
}

/* Starts. */

static void start_router(void *arg)
{
    struct problems problems = {0};
    struct router_options options = {.app_dir = app_now->dir,
                                     .run_dir = RUN_DIR,
                                     .n_shards = world.options.n_shards,
                                     .listen_fd = net_inherit_listener(SIM_ROUTER),
                                     .is_dev = true,
                                     .ready_fd = -1,
                                     .window = (uint32_t)random_between(1, WINDOW_MAX),
                                     .ring_max = (size_t)random_between(1, RING_MAX)};
    (void)arg;
    router = router_new(&options, &problems);
    if (router == NULL) {
        keep_problems(&problems);
        process_exit(1);
    }
    processes[SIM_ROUTER].state = UP;
}

static void start_worker(void *arg)
{
    struct problems problems = {0};
    struct worker_options options = {.app_dir = app_now->dir,
                                     .data_dir = DATA_DIR,
                                     .run_dir = RUN_DIR,
                                     .n_shards = world.options.n_shards,
                                     .ready_fd = -1,
                                     .journal = {.segment_bytes = SEGMENT_BYTES}};
    (void)arg;
    sqlite3_randomness(0, NULL); /* a new process knows nothing of the old one's numbers */
    if (!shards_open(&options, app_now->app, app_now->kinds, shards, &problems)) {
        keep_problems(&problems);
        process_exit(1);
    }
    processes[SIM_WORKER].state = UP;
}

static void start(unsigned owner)
{
    sim_note("%s starts", owner == SIM_ROUTER ? "router" : "worker");
    processes[owner].state = STARTING;
    processes[owner].starts++;
    processes[owner].start_us = NEVER;
    processes[owner].started_us = world.now_us;
    if (owner == SIM_ROUTER)
        run_as(SIM_ROUTER, start_router, NULL);
    else
        task_start(SIM_WORKER, start_worker, NULL, 0);
}

void processes_turn(void)
{
    for (unsigned i = 0; i < SIM_PROCESS_N; i++)
        if (!is_stopped && processes[i].start_us <= world.now_us)
            start(i);
}

int64_t processes_next_us(void)
{
    int64_t next = NEVER;
    for (unsigned i = 0; i < SIM_PROCESS_N; i++)
        if (!is_stopped && processes[i].start_us < next)
            next = processes[i].start_us;
    return next;
}

void processes_begin(void)
{
    for (unsigned i = 0; i < SIM_PROCESS_N; i++)
        processes[i].start_us = world.now_us;
}

bool process_is_up(unsigned owner)
{
    return processes[owner].state == UP;
}

bool process_is_starting(void)
{
    return world.current < SIM_PROCESS_N && processes[world.current].state == STARTING;
}

unsigned process_starts(unsigned owner)
{
    return owner < SIM_PROCESS_N ? processes[owner].starts : 0;
}

bool sim_is_up(enum sim_process process)
{
    return process_is_up(process);
}

unsigned sim_starts(enum sim_process process)
{
    return process_starts(process);
}

/* Ends. */

static int64_t pause_of(unsigned owner)
{
    int64_t *pause = &processes[owner].pause_us;
    bool lived = world.now_us - processes[owner].started_us > CALM_AFTER_US;
    *pause = lived || *pause == 0 ? RESTART_US : *pause * 2 < RESTART_LAST_US ? *pause * 2 : RESTART_LAST_US;
    return random_between(100, *pause);
}

/* What the kernel does for a process that is no more. */
static void bury(unsigned owner, int64_t start_us)
{
    loops_drop(owner);
    fds_close_all(owner);
    processes[owner].state = DOWN;
    processes[owner].start_us = start_us;
    if (owner == SIM_ROUTER)
        router = NULL;
    else
        memset(shards, 0, sizeof shards);
}

void process_crash(unsigned owner)
{
    if (processes[owner].state != DOWN) {
        sim_note("%s is gone", owner == SIM_ROUTER ? "router" : "worker");
        bury(owner, world.now_us + pause_of(owner));
    }
    if (world.current == owner)
        escape();
}

void process_exit(int status)
{
    sim_note("exit %d", status);
    process_crash(world.current);
    abort();
}

void power_cut(void)
{
    int64_t back_us = world.now_us + random_between(1000, OUTAGE_US);
    sim_note("the power is gone");
    for (unsigned i = 0; i < SIM_PROCESS_N; i++)
        bury(i, back_us);
    net_reset_story();
    disk_cut();
    if (world.current != STORY)
        escape();
}

void sim_crash(enum sim_process process)
{
    process_crash(process);
}

void sim_cut_power(void)
{
    power_cut();
}

/* The end that was asked for. */

static bool router_has_stopped(void *arg)
{
    (void)arg;
    return router == NULL || loop_is_stopped(router->loop);
}

static void stop_router(void *arg)
{
    (void)arg;
    if (router != NULL)
        router_stop(router);
}

static void free_router(void *arg)
{
    (void)arg;
    if (router != NULL) /* it may have crashed while it stopped */
        router_free(router);
}

static void free_worker(void *arg)
{
    bool *ret_has_ended = arg;
    if (!process_is_up(SIM_WORKER))
        return;
    shards_close(shards, world.options.n_shards);
    *ret_has_ended = true;
}

static bool is_all_up(void *arg)
{
    (void)arg;
    return process_is_up(SIM_ROUTER) && process_is_up(SIM_WORKER);
}

static void await_start(void)
{
    if (!sim_run(is_all_up, NULL, STOP_US))
        sim_fail("the server does not start: %s", last_problem);
}

/* The records of a file that failed are kept aside until the worker has mended it. */
static bool is_mended(void *arg)
{
    char **names;
    bool is_kept = false;
    (void)arg;
    ssize_t n = disk_list(DATA_DIR "/journal", &names);
    for (ssize_t i = 0; i < n; i++) {
        is_kept = is_kept || strncmp(names[i], "kept-", 5) == 0;
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return !is_kept;
}

/* False if the worker has crashed meanwhile: then its files are not what a stop leaves. */
static bool stop_all(void)
{
    bool has_ended = false;
    await_start();
    sim_run(is_mended, NULL, MENDED_US); /* what needs a person stays as it is */
    run_as(SIM_ROUTER, stop_router, NULL);
    if (!sim_run(router_has_stopped, NULL, STOP_US))
        sim_fail("the router does not stop");
    run_as(SIM_ROUTER, free_router, NULL);
    run_as(SIM_WORKER, free_worker, &has_ended);
    for (unsigned i = 0; i < SIM_PROCESS_N; i++)
        bury(i, has_ended ? NEVER : world.now_us);
    return has_ended;
}

void sim_stop(void)
{
    sim_calm();
    while (!stop_all())
        sim_note("once more");
    is_stopped = true;
}

void sim_start(void)
{
    is_stopped = false;
    processes_begin();
    await_start();
}

void sim_change_app(const char *app_dir)
{
    assert(is_stopped || !world.is_begun);
    sim_load_app(app_dir);
}

/* Looking at files. */

static char *path_of(const char *scope)
{
    struct scope_name name;
    if (!scope_name_parse(slice_str(scope), &name))
        sim_fail("%s: no scope has such a name", scope);
    return scope_file_path(DATA_DIR, &name);
}

sqlite3 *sim_open_scope(const char *scope)
{
    sqlite3 *db = NULL;
    char *path = path_of(scope);
    assert(is_stopped);
    int code = disk_has(path) ? sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) : SQLITE_OK;
    if (code == SQLITE_OK && db != NULL)
        code = sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode", NULL, NULL, NULL);
    if (code != SQLITE_OK)
        sim_fail("%s: %s", path, sqlite3_errmsg(db));
    free(path);
    return db;
}

bool sim_scope_is_damaged(const char *scope)
{
    char *path = path_of(scope), *marker = NULL;
    if (asprintf(&marker, "%s" SCOPE_FILE_DAMAGED, path) < 0)
        abort();
    bool found = disk_has(marker);
    free(path);
    free(marker);
    return found;
}

void sim_begin(const struct sim_options *options)
{
    assert(!world.is_begun);
    world.options = *options;
    world.random = options->seed * 2;
    world.story_random = options->seed * 2 + 1;
    world.now_us = 1000000000;
    world.wall_offset_us = 1800000000000000;
    sim_load_app(options->app_dir);
    sqlite3_randomness(0, NULL);
    net_begin();
    disk_begin();
    processes_begin();
    world.is_begun = true;
}

void sim_calm(void)
{
    world.is_calm = true;
    disk_calm();
    net_calm();
}

void sim_faults(void)
{
    world.is_calm = false;
}
