/*
 * Who owns the slots of a data folder: one, whoever asks, for as long as it lives.
 *
 * The clock goes on by a second each time that somebody looks, so that nobody waits for long.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "shards/slots.h"
#include "tests/lib/folder.h"

static int64_t now_us;
static int dying_fd = -1; /* its owner dies when somebody has waited for two seconds */

int64_t clock_mono_us(void)
{
    now_us += 1000000;
    if (dying_fd >= 0 && now_us > 2000000) {
        close(dying_fd);
        dying_fd = -1;
    }
    return now_us;
}

static int lock(const struct folder *folder, unsigned first, unsigned end, struct problems *problems)
{
    now_us = 0;
    return slots_lock(folder->path, first, end, problems);
}

static int set_up(void **state)
{
    struct folder *folder = mem_zero(1, sizeof *folder);
    folder_make(folder);
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    folder_remove(*state);
    free(*state);
    return 0;
}

static void check_refused(const struct folder *folder, unsigned first, unsigned end)
{
    struct problems problems = {0};
    struct buf expected = {0};
    assert_int_equal(lock(folder, first, end, &problems), -1);
    buf_printf(&expected,
               "%s/slots.lock: slots %u to %u: another Skerry has this data folder; stop it, or choose another with "
               "--data\n",
               folder->path, first, end - 1);
    assert_int_equal(problems.n, 1);
    assert_true(slice_eq(buf_slice(&problems.text), buf_slice(&expected)));
    problems_release(&problems);
    buf_release(&expected);
}

static void test_a_second_owner_is_refused(void **state)
{
    struct problems problems = {0};
    int fd = lock(*state, 0, 4096, &problems);
    assert_true(fd >= 0);
    check_refused(*state, 0, 4096);
    check_refused(*state, 4095, 4096);
    close(fd);
    fd = lock(*state, 0, 4096, &problems);
    assert_true(fd >= 0);
    assert_int_equal(problems.n, 0);
    close(fd);
}

static void test_shards_share_a_folder(void **state)
{
    struct problems problems = {0};
    int first = lock(*state, 0, 2048, &problems), second = lock(*state, 2048, 4096, &problems);
    assert_true(first >= 0 && second >= 0);
    check_refused(*state, 2047, 2049);
    close(first);
    check_refused(*state, 0, 4096); /* the other one is still there */
    close(second);
}

static void test_an_owner_that_is_dying_is_waited_for(void **state)
{
    struct problems problems = {0};
    dying_fd = lock(*state, 0, 4096, &problems);
    int fd = lock(*state, 0, 4096, &problems);
    assert_true(fd >= 0);
    assert_int_equal(dying_fd, -1);
    close(fd);
}

/* As a classic lock would not be. */
static void test_a_lock_outlives_another_look_at_the_file(void **state)
{
    struct problems problems = {0};
    int fd = lock(*state, 0, 4096, &problems);
    close(open(folder_at(*state, "slots.lock").text, O_RDWR));
    check_refused(*state, 0, 4096);
    close(fd);
}

static void test_a_dead_process_owns_nothing(void **state)
{
    struct problems problems = {0};
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(lock(*state, 0, 4096, &problems) >= 0 ? 0 : 1);
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    int fd = lock(*state, 0, 4096, &problems);
    assert_true(fd >= 0);
    close(fd);
}

static void test_a_folder_that_is_not_there_is_named(void **state)
{
    struct problems problems = {0};
    struct buf expected = {0};
    assert_int_equal(slots_lock(folder_at(*state, "none").text, 0, 4096, &problems), -1);
    buf_printf(&expected, "%s: No such file or directory\n", folder_at(*state, "none/slots.lock").text);
    assert_true(slice_eq(buf_slice(&problems.text), buf_slice(&expected)));
    problems_release(&problems);
    buf_release(&expected);
}

#define FOLDER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_a_second_owner_is_refused),
        FOLDER_TEST(test_shards_share_a_folder),
        FOLDER_TEST(test_an_owner_that_is_dying_is_waited_for),
        FOLDER_TEST(test_a_lock_outlives_another_look_at_the_file),
        FOLDER_TEST(test_a_dead_process_owns_nothing),
        FOLDER_TEST(test_a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
