#include "shards/worker.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "shards/log/replay.h"
#include "shards/scope/kind.h"
#include "shards/shard.h"

void kinds_free(struct kind **kinds, size_t n)
{
    for (size_t i = 0; kinds != NULL && i < n; i++)
        kind_free(kinds[i]);
    free(kinds);
}

struct kind **kinds_load(const struct app *app, struct problems *problems)
{
    struct kind **kinds = mem_zero(app->n_kinds + 1, sizeof *kinds);
    bool ok = true;
    for (size_t i = 0; i < app->n_kinds; i++) {
        kinds[i] = kind_load(app, &app->kinds[i], problems);
        ok = ok && kinds[i] != NULL;
    }
    if (ok)
        return kinds;
    kinds_free(kinds, app->n_kinds);
    return NULL;
}

/* SQLite's memory: who has none ends, as everywhere. SQLite would go on, and a rule that could not be computed would be
 * taken for a no. */

static void *allocate(int len)
{
    return mem_alloc((size_t)len);
}

static void *resize(void *old, int len)
{
    return mem_resize(old, (size_t)len);
}

static int size_of(void *memory)
{
    return (int)malloc_usable_size(memory);
}

static int round_up(int len)
{
    return (len + 7) & ~7;
}

static int begin_memory(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void end_memory(void *arg)
{
    (void)arg;
}

/* Every connection is used by one thread, and none needs pages before it reads some. */
void worker_configure_sqlite(void)
{
    static const struct sqlite3_mem_methods MEMORY = {allocate, free,         resize,     size_of,
                                                      round_up, begin_memory, end_memory, NULL};
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MALLOC, &MEMORY);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    sqlite3_initialize();
}

static bool make_dir(const char *path, struct problems *problems)
{
    if (dir_make(path) == ERR_OK)
        return true;
    problems_add(problems, "%s: %s", path, strerror(errno));
    return false;
}

static void *run_shard(void *shard)
{
    shard_run(shard);
    return NULL;
}

static void tell_ready(int fd)
{
    if (fd < 0)
        return;
    if (write(fd, "ready\n", 6) != 6)
        log_line(LOG_WARN, "ready_untold why=\"%s\"", strerror(errno));
    close(fd);
}

static void run_threads(struct shard **shards, unsigned n, const sigset_t *stop_signals, int ready_fd)
{
    pthread_t threads[WORKER_SHARDS_MAX];
    for (unsigned i = 0; i < n; i++) {
        int failed = pthread_create(&threads[i], NULL, run_shard, shards[i]);
        assert(failed == 0);
        char name[32];
        snprintf(name, sizeof name, "shard-%u", i);
        pthread_setname_np(threads[i], name);
    }
    tell_ready(ready_fd);
    int signal;
    sigwait(stop_signals, &signal);
    for (unsigned i = 0; i < n; i++)
        shard_stop(shards[i]);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

void shards_close(struct shard **shards, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        shard_free(shards[i]);
}

bool shards_open(const struct worker_options *options, const struct app *app, struct kind *const *kinds,
                 struct shard **ret_shards, struct problems *problems)
{
    unsigned n = 0;
    bool ok = make_dir(options->data_dir, problems) && make_dir(options->run_dir, problems);
    for (; ok && n < options->n_shards; n++) {
        ret_shards[n] = shard_new(
            &(struct shard_options){
                .number = n,
                .n_shards = options->n_shards,
                .data_dir = options->data_dir,
                .run_dir = options->run_dir,
                .app = app,
                .kinds = kinds,
                .journal = options->journal,
            },
            problems);
        if (ret_shards[n] == NULL)
            break;
    }
    ok = ok && n == options->n_shards && replay_all(options->data_dir, problems);
    for (unsigned i = 0; ok && i < n; i++)
        ok = shard_open_journal(ret_shards[i], problems);
    if (!ok)
        shards_close(ret_shards, n);
    return ok;
}

static bool start(const struct worker_options *options, const struct app *app, struct kind *const *kinds,
                  struct problems *problems)
{
    struct shard *shards[WORKER_SHARDS_MAX];
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop_signals, NULL); /* inherited by the shards' threads */

    if (!shards_open(options, app, kinds, shards, problems))
        return false;
    log_line(LOG_INFO, "worker_ready shards=%u data=%s", options->n_shards, options->data_dir);
    run_threads(shards, options->n_shards, &stop_signals, options->ready_fd);
    shards_close(shards, options->n_shards);
    return true;
}

bool worker_run(const struct worker_options *options, struct problems *problems)
{
    assert(options->n_shards >= 1 && options->n_shards <= WORKER_SHARDS_MAX);
    worker_configure_sqlite();
    struct app *app = app_load(options->app_dir, problems);
    struct kind **kinds = app == NULL ? NULL : kinds_load(app, problems);
    bool ok = kinds != NULL && start(options, app, kinds, problems);
    if (app != NULL)
        kinds_free(kinds, app->n_kinds);
    app_free(app);
    return ok;
}
