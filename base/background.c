#include "base/background.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"

struct background {
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    int wake_fd;
    struct watch wake;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_asked, is_ending;
};

/* False when there is none and none will come. */
static bool wait_for_work(struct background *background)
{
    pthread_mutex_lock(&background->lock);
    while (!background->is_asked && !background->is_ending)
        pthread_cond_wait(&background->changed, &background->lock);
    bool is_asked = background->is_asked;
    background->is_asked = false;
    pthread_mutex_unlock(&background->lock);
    return is_asked;
}

static void *run(void *arg)
{
    struct background *background = arg;
    uint64_t one = 1;
    while (wait_for_work(background)) {
        background->work(background->arg);
        ssize_t len = write(background->wake_fd, &one, sizeof one);
        assert(len == sizeof one);
    }
    return NULL;
}

static void on_wake(void *arg, unsigned ready)
{
    struct background *background = arg;
    uint64_t ignored;
    (void)ready;
    if (read(background->wake_fd, &ignored, sizeof ignored) == sizeof ignored)
        background->done(background->arg);
}

struct background *background_new(struct loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct background *background = mem_zero(1, sizeof *background);
    *background = (struct background){.work = work, .done = done, .arg = arg};
    background->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watch_init(&background->wake, loop, background->wake_fd, on_wake, background);
    watch_want(&background->wake, WATCH_READ);
    pthread_mutex_init(&background->lock, NULL);
    pthread_cond_init(&background->changed, NULL);
    int failed = pthread_create(&background->thread, NULL, run, background);
    assert(background->wake_fd >= 0 && failed == 0);
    return background;
}

void background_free(struct background *background)
{
    if (background == NULL)
        return;
    pthread_mutex_lock(&background->lock);
    background->is_ending = true;
    pthread_cond_signal(&background->changed);
    pthread_mutex_unlock(&background->lock);
    pthread_join(background->thread, NULL);
    watch_release(&background->wake);
    close(background->wake_fd);
    pthread_mutex_destroy(&background->lock);
    pthread_cond_destroy(&background->changed);
    free(background);
}

void background_ask(struct background *background)
{
    pthread_mutex_lock(&background->lock);
    background->is_asked = true;
    pthread_cond_signal(&background->changed);
    pthread_mutex_unlock(&background->lock);
}
