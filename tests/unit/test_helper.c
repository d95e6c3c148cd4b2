/*
 * Jobs beside the loop: done one after the other, on another thread, and handed back in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/bytes.h"
#include "base/helper.h"

enum { JOBS = 100 };

struct errand {
    struct job job;
    int number;
    bool is_worked;
};

static struct bench {
    struct loop *loop;
    struct helper *helper;
    pthread_t looper;
    struct errand errands[JOBS];
    int n_worked; /* the thread's, until it is told */
    int n_done;
} bench;

static void work(struct job *job)
{
    struct errand *errand = (struct errand *)(void *)job;
    assert_false(pthread_equal(pthread_self(), bench.looper));
    assert_int_equal(errand->number, bench.n_worked);
    bench.n_worked++;
    errand->is_worked = true;
}

static void done(struct job *job)
{
    struct errand *errand = (struct errand *)(void *)job;
    assert_true(pthread_equal(pthread_self(), bench.looper));
    assert_true(errand->is_worked);
    assert_int_equal(errand->number, bench.n_done);
    if (++bench.n_done == JOBS)
        loop_stop(bench.loop);
}

static bool turn(void *arg)
{
    (void)arg;
    return false;
}

static int set_up(void **state)
{
    (void)state;
    bench = (struct bench){.loop = loop_new(turn, NULL), .looper = pthread_self()};
    bench.helper = helper_new(bench.loop);
    for (int i = 0; i < JOBS; i++) {
        bench.errands[i] = (struct errand){.job = {.work = work, .done = done}, .number = i};
        list_init(&bench.errands[i].job.link);
        helper_ask(bench.helper, &bench.errands[i].job);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(bench.loop);
    return 0;
}

static void test_jobs_are_done_in_order_and_handed_back(void **state)
{
    (void)state;
    loop_run(bench.loop);
    assert_int_equal(bench.n_worked, JOBS);
    helper_free(bench.helper);
}

static void test_the_end_waits_for_what_was_asked(void **state)
{
    (void)state;
    helper_free(bench.helper);
    assert_int_equal(bench.n_worked, JOBS);
    assert_int_equal(bench.n_done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_jobs_are_done_in_order_and_handed_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_end_waits_for_what_was_asked, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
