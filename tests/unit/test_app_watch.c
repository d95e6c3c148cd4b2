/*
 * An app's files change, and it is told once, when they have settled.
 *
 * The watch looks when its timer says so, which here is when the test says so: there is no loop.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/control/app_watch.h"
#include "tests/lib/folder.h"

static bool timer_runs;

void timer_init(struct timer *timer, struct loop *loop, timer_cb *cb, void *arg)
{
    (void)loop;
    timer->cb = cb;
    timer->arg = arg;
}

void timer_start(struct timer *timer, int64_t after_ms)
{
    (void)timer;
    assert_in_range(after_ms, 100, 1000);
    timer_runs = true;
}

void timer_stop(struct timer *timer)
{
    (void)timer;
    timer_runs = false;
}

struct bench {
    struct folder folder;
    struct app_watch watch;
    int n_told;
};

static void on_change(void *arg)
{
    struct bench *bench = arg;
    bench->n_told++;
}

static int set_up(void **state)
{
    struct bench *bench = mem_zero(1, sizeof *bench);
    folder_make(&bench->folder);
    folder_write(&bench->folder, "app.json", SLICE("{}"));
    folder_write(&bench->folder, "room/0001_tables.sql", SLICE("CREATE TABLE t(a);"));
    folder_write(&bench->folder, "public/index.html", SLICE("<h1>hello</h1>"));
    app_watch_start(&bench->watch, NULL, bench->folder.path, on_change, bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    app_watch_stop(&bench->watch);
    assert_false(timer_runs);
    folder_remove(&bench->folder);
    free(bench);
    return 0;
}

/* How often it has spoken after it has looked so often. */
static int look(struct bench *bench, int times)
{
    int before = bench->n_told;
    while (times-- > 0) {
        assert_true(timer_runs);
        timer_runs = false;
        bench->watch.timer.cb(bench->watch.timer.arg);
    }
    return bench->n_told - before;
}

static void test_nothing_changed(void **state)
{
    assert_int_equal(look(*state, 5), 0);
}

static void test_each_change_is_told_once(void **state)
{
    struct bench *bench = *state;
    folder_write(&bench->folder, "app.json", SLICE("{\"app\":\"chat\"}"));
    assert_int_equal(look(bench, 5), 1);
    folder_write(&bench->folder, "room/0001_tables.sql", SLICE("CREATE TABLE t(a, b);"));
    assert_int_equal(look(bench, 5), 1);
    folder_write(&bench->folder, "room/0002_more.sql", SLICE(""));
    assert_int_equal(look(bench, 5), 1);
    folder_delete(&bench->folder, "room/0002_more.sql");
    assert_int_equal(look(bench, 5), 1);
    folder_write(&bench->folder, "board/0001_tables.sql", SLICE("CREATE TABLE t(a);"));
    assert_int_equal(look(bench, 5), 1);
    assert_int_equal(rename(folder_at(&bench->folder, "app.json").text, folder_at(&bench->folder, "app.jsom").text), 0);
    assert_int_equal(look(bench, 5), 1);
}

static void test_the_time_of_a_file_is_a_change(void **state)
{
    struct bench *bench = *state;
    static const struct timespec TIMES[2] = {{.tv_sec = 1000}, {.tv_sec = 1000, .tv_nsec = 7}};
    assert_int_equal(utimensat(AT_FDCWD, folder_at(&bench->folder, "app.json").text, TIMES, 0), 0);
    assert_int_equal(look(bench, 5), 1);
}

static void test_what_is_being_written_is_waited_for(void **state)
{
    struct bench *bench = *state;
    folder_write(&bench->folder, "app.json", SLICE("{\"a"));
    assert_int_equal(look(bench, 1), 0);
    folder_write(&bench->folder, "app.json", SLICE("{\"app\":"));
    assert_int_equal(look(bench, 1), 0);
    folder_write(&bench->folder, "app.json", SLICE("{\"app\":\"chat\"}"));
    assert_int_equal(look(bench, 1), 0);
    assert_int_equal(look(bench, 1), 1);
}

static void test_what_the_app_is_not_made_of_is_ignored(void **state)
{
    struct bench *bench = *state;
    folder_write(&bench->folder, "public/index.html", SLICE("<h1>hello, world</h1>"));
    folder_write(&bench->folder, ".app.json.swp", SLICE("an editor's"));
    folder_write(&bench->folder, "room/.0001.sql", SLICE("an editor's"));
    assert_int_equal(symlink("nowhere", folder_at(&bench->folder, "lock").text), 0);
    assert_int_equal(look(bench, 5), 0);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_nothing_changed),
        BENCH_TEST(test_each_change_is_told_once),
        BENCH_TEST(test_the_time_of_a_file_is_a_change),
        BENCH_TEST(test_what_is_being_written_is_waited_for),
        BENCH_TEST(test_what_the_app_is_not_made_of_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
