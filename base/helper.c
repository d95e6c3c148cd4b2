#include "base/helper.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/background.h"
#include "base/bytes.h"

struct helper {
    struct background *background;
    pthread_mutex_t lock;
    struct list waiting, finished; /* under the lock */
};

static struct job *take(struct helper *helper, struct list *from)
{
    pthread_mutex_lock(&helper->lock);
    struct list *link = list_pop(from);
    pthread_mutex_unlock(&helper->lock);
    return link == NULL ? NULL : LIST_ITEM(link, struct job, link);
}

static void put(struct helper *helper, struct list *to, struct job *job)
{
    pthread_mutex_lock(&helper->lock);
    list_append(to, &job->link);
    pthread_mutex_unlock(&helper->lock);
}

/* One job, so that the loop is told of it before the next. */
static void work(void *arg)
{
    struct helper *helper = arg;
    struct job *job = take(helper, &helper->waiting);
    if (job == NULL)
        return;
    job->work(job);
    put(helper, &helper->finished, job);
    background_ask(helper->background);
}

static void tell_done(void *arg)
{
    struct helper *helper = arg;
    struct job *job;
    while ((job = take(helper, &helper->finished)) != NULL)
        job->done(job);
}

struct helper *helper_new(struct loop *loop)
{
    struct helper *helper = mem_zero(1, sizeof *helper);
    list_init(&helper->waiting);
    list_init(&helper->finished);
    pthread_mutex_init(&helper->lock, NULL);
    helper->background = background_new(loop, work, tell_done, helper);
    return helper;
}

void helper_free(struct helper *helper)
{
    if (helper == NULL)
        return;
    background_free(helper->background);
    pthread_mutex_destroy(&helper->lock);
    free(helper);
}

void helper_ask(struct helper *helper, struct job *job)
{
    put(helper, &helper->waiting, job);
    background_ask(helper->background);
}
