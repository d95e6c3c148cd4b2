/*
 * The command line: what each option means, and what a mistake is answered with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "shards/worker.h"
#include "src/control/options.h"
#include "tests/lib/output.h"

enum {
    SERVE = OPTION_DATA | OPTION_RUN | OPTION_LISTEN | OPTION_SHARDS | OPTION_DEV,
    ROUTER = OPTION_RUN | OPTION_LISTEN | OPTION_LISTEN_FD | OPTION_READY_FD,
};

/* Parses `skerry serve` with these words, separated by spaces. */
static bool parse(const char *words, unsigned allowed, struct options *ret_options)
{
    static char text[200]; /* options borrow from it */
    char *argv[20] = {"serve"};
    int argc = 1;
    snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    const struct usage usage = {.command = "serve",
                                .arguments = "APP",
                                .n_arguments = 1,
                                .allowed = allowed,
                                .about = "Serves an app.",
                                .success = "it was stopped",
                                .failure = "it could not start"};
    return options_parse(&usage, argc, argv, ret_options);
}

static void test_what_is_not_said_has_a_default(void **state)
{
    (void)state;
    struct options options;
    assert_true(parse("chat", SERVE, &options));
    assert_string_equal(options.app_dir, "chat");
    assert_string_equal(options.data_dir, "data");
    assert_string_equal(options.run_dir, "data/run");
    assert_string_equal(options.listen, "127.0.0.1:8080");
    assert_int_equal(options.listen_fd, -1);
    assert_int_equal(options.ready_fd, -1);
    assert_in_range(options.n_shards, 1, WORKER_SHARDS_MAX);
    assert_false(options.is_dev);
    options_release(&options);
}

static void test_what_is_said_counts(void **state)
{
    (void)state;
    struct options options;
    assert_true(
        parse("--data=/var/lib/skerry chat --run /run/skerry --listen 0.0.0.0:80 --shards 64 --dev", SERVE, &options));
    assert_string_equal(options.app_dir, "chat");
    assert_string_equal(options.data_dir, "/var/lib/skerry");
    assert_string_equal(options.run_dir, "/run/skerry");
    assert_string_equal(options.listen, "0.0.0.0:80");
    assert_int_equal(options.n_shards, 64);
    assert_true(options.is_dev);
    options_release(&options);
    assert_true(parse("--listen-fd 0 --ready-fd 7 chat", ROUTER, &options));
    assert_int_equal(options.listen_fd, 0);
    assert_int_equal(options.ready_fd, 7);
    options_release(&options);
}

static void test_of_an_option_said_twice_the_last_counts(void **state)
{
    (void)state;
    struct options options;
    assert_true(parse("--run one --data a --run two --data b chat", SERVE, &options));
    assert_string_equal(options.run_dir, "two");
    assert_string_equal(options.data_dir, "b");
    options_release(&options);
}

static void test_a_mistake_is_named_in_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *words, *line;
    } CASES[] = {
        {"", "skerry serve: an argument is missing, it takes APP; see skerry serve --help\n"},
        {"chat board", "skerry serve: board: unexpected; see skerry serve --help\n"},
        {"chat --shards 0", "skerry serve: --shards 0: must be a number from 1 to 64\n"},
        {"chat --shards 65", "skerry serve: --shards 65: must be a number from 1 to 64\n"},
        {"chat --shards two", "skerry serve: --shards two: must be a number from 1 to 64\n"},
        {"chat --shards 2x", "skerry serve: --shards 2x: must be a number from 1 to 64\n"},
        {"chat --shards 99999999999999999999",
         "skerry serve: --shards 99999999999999999999: must be a number from 1 to 64\n"},
        {"chat --shards=", "skerry serve: --shards : must be a number from 1 to 64\n"},
        {"chat --listen-fd 3",
         "skerry serve: --listen-fd: no such option; see skerry serve --help\n"}, /* the router's */
        {"chat --prot 3", "skerry serve: --prot: no such option; see skerry serve --help\n"},
        {"chat -x", "skerry serve: -x: no such option; see skerry serve --help\n"},
        {"chat --data", "skerry serve: --data: a value is missing; see skerry serve --help\n"},
        {"chat --dev=yes", "skerry serve: --dev: takes no value; see skerry serve --help\n"},
        {"chat --run here --shards 0", "skerry serve: --shards 0: must be a number from 1 to 64\n"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct options options;
        struct output output;
        output_catch(&output);
        bool ok = parse(CASES[i].words, SERVE, &options);
        output_restore(&output);
        assert_false(ok);
        assert_string_equal(output.err, CASES[i].line);
        assert_string_equal(output.out, "");
        options_release(&options);
    }
}

/* It ends the process, so it runs in one of its own. */
static void check_help(const char *words, const char *option, bool is_there)
{
    struct output output;
    struct options options;
    int status;
    output_catch(&output);
    pid_t pid = fork();
    if (pid == 0) {
        parse(words, SERVE, &options);
        _exit(3);
    }
    waitpid(pid, &status, 0);
    output_restore(&output);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    static const char HEAD[] = "usage: skerry serve APP [options]\n\nServes an app.\n\noptions:\n  --data DIR ";
    static const char TAIL[] = "\n\nexit status:\n  0  it was stopped\n  1  it could not start\n  2  wrong arguments\n";
    assert_int_equal(strncmp(output.out, HEAD, strlen(HEAD)), 0);
    assert_non_null(strstr(output.out, TAIL));
    assert_int_equal(strstr(output.out, option) != NULL, is_there);
    assert_string_equal(output.err, "");
}

static void test_help_names_the_options_of_the_command(void **state)
{
    (void)state;
    check_help("--help", "--shards", true);
    check_help("-h", "--listen ", true);
    check_help("chat --help", "--listen-fd", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_said_has_a_default),
        cmocka_unit_test(test_what_is_said_counts),
        cmocka_unit_test(test_of_an_option_said_twice_the_last_counts),
        cmocka_unit_test(test_a_mistake_is_named_in_one_line),
        cmocka_unit_test(test_help_names_the_options_of_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
