/*
 * Work beside the loop: what was asked for is done, the loop hears of it afterwards, and nothing is forgotten at the
 * end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/background.h"
#include "base/bytes.h"

struct bench {
    struct loop *loop;
    struct background *background;
    pthread_t looper;
    sem_t may_work, has_begun;
    int n_done, wanted; /* the loop's */
    int n_worked;       /* the thread's, and of everyone once that has ended */
    bool was_other_thread;
};

static void work(void *arg)
{
    struct bench *bench = arg;
    sem_post(&bench->has_begun);
    sem_wait(&bench->may_work);
    bench->was_other_thread = !pthread_equal(pthread_self(), bench->looper);
    bench->n_worked++;
}

static void done(void *arg)
{
    struct bench *bench = arg;
    assert_true(pthread_equal(pthread_self(), bench->looper));
    if (++bench->n_done == bench->wanted)
        loop_stop(bench->loop);
}

static bool turn(void *arg)
{
    (void)arg;
    return false;
}

static int set_up(void **state)
{
    struct bench *bench = mem_zero(1, sizeof *bench);
    sem_init(&bench->may_work, 0, 0);
    sem_init(&bench->has_begun, 0, 0);
    bench->looper = pthread_self();
    bench->loop = loop_new(turn, bench);
    bench->background = background_new(bench->loop, work, done, bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    background_free(bench->background);
    loop_free(bench->loop);
    sem_destroy(&bench->may_work);
    sem_destroy(&bench->has_begun);
    free(bench);
    return 0;
}

static void wait_for_done(struct bench *bench, int n)
{
    bench->wanted = n;
    if (bench->n_done < n)
        loop_run(bench->loop);
}

static void test_the_loop_is_told_when_the_work_is_done(void **state)
{
    struct bench *bench = *state;
    background_ask(bench->background);
    sem_post(&bench->may_work);
    wait_for_done(bench, 1);
    assert_int_equal(bench->n_worked, 1);
    assert_true(bench->was_other_thread);
}

static void test_what_is_asked_for_during_the_work_is_done_once_more(void **state)
{
    struct bench *bench = *state;
    background_ask(bench->background);
    sem_wait(&bench->has_begun);
    for (int i = 0; i < 3; i++)
        background_ask(bench->background);
    sem_post(&bench->may_work);
    sem_post(&bench->may_work);
    sem_wait(&bench->has_begun); /* the second round */
    wait_for_done(bench, 1);
    background_free(bench->background);
    bench->background = NULL;
    assert_int_equal(bench->n_worked, 2);
}

static void test_what_was_asked_for_is_done_before_the_end(void **state)
{
    struct bench *bench = *state;
    background_ask(bench->background);
    sem_post(&bench->may_work);
    background_free(bench->background);
    bench->background = NULL;
    assert_int_equal(bench->n_worked, 1);
    assert_int_equal(bench->n_done, 0);
}

static void test_who_never_asks_ends_at_once(void **state)
{
    struct bench *bench = *state;
    background_free(bench->background);
    bench->background = NULL;
    assert_int_equal(bench->n_worked, 0);
    background_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_loop_is_told_when_the_work_is_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_asked_for_during_the_work_is_done_once_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_asked_for_is_done_before_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_never_asks_ends_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("background", tests, NULL, NULL);
}
