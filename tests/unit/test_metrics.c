/*
 * What is counted, and that it is printed as Prometheus reads it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"

static void test_a_gauge_goes_up_and_down(void **state)
{
    (void)state;
    metric_add(METRIC_SHARD_SESSIONS, 3);
    metric_add(METRIC_SHARD_SESSIONS, -2);
    assert_int_equal(metric_get(METRIC_SHARD_SESSIONS), 1);
    metric_add(METRIC_SHARD_SESSIONS, -1);
    assert_int_equal(metric_get(METRIC_SHARD_SESSIONS), 0);
}

enum { PER_THREAD = 20000 };

static void *count(void *arg)
{
    for (int i = 0; i < PER_THREAD; i++)
        metric_add(METRIC_SHARD_TURNS, 1);
    return arg;
}

static void test_threads_lose_nothing(void **state)
{
    (void)state;
    pthread_t threads[4];
    uint64_t before = metric_get(METRIC_SHARD_TURNS);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_get(METRIC_SHARD_TURNS) - before, 4 * PER_THREAD);
}

static void test_one_role_is_printed(void **state)
{
    (void)state;
    struct buf text = {0};
    metric_add(METRIC_SHARD_COMMITTED, 7);
    metrics_print(&text, "skerry_shard");
    assert_non_null(strstr(text.data, "# HELP skerry_shard_committed_total transactions committed\n"
                                      "# TYPE skerry_shard_committed_total counter\n"
                                      "skerry_shard_committed_total 7\n"));
    assert_non_null(strstr(text.data, "# TYPE skerry_shard_sessions gauge\n"));
    assert_null(strstr(text.data, "skerry_router"));
    buf_release(&text);
}

/* Each metric is there once: a counter's name ends with _total, a gauge's does not. */
static void test_names_follow_the_convention(void **state)
{
    (void)state;
    struct buf text = {0};
    size_t n = 0;
    metrics_print(&text, "");
    for (const char *at = text.data; (at = strstr(at, "# TYPE ")) != NULL; n++) {
        at += strlen("# TYPE ");
        const char *space = strchr(at, ' ');
        bool is_counter = strncmp(space, " counter\n", 9) == 0;
        assert_true(is_counter || strncmp(space, " gauge\n", 7) == 0);
        assert_int_equal(strncmp(space - 6, "_total", 6) == 0, is_counter);
    }
    assert_int_equal(n, METRIC_N);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_gauge_goes_up_and_down),
        cmocka_unit_test(test_threads_lose_nothing),
        cmocka_unit_test(test_one_role_is_printed),
        cmocka_unit_test(test_names_follow_the_convention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
