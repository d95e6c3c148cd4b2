/*
 * What an operator's command is told by a shard that answers late, not at all, or hangs: an end in any case, and the
 * reason.
 *
 * The shard is a process of its own, which plays a part.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/control/shard_call.h"
#include "tests/lib/folder.h"

enum { PATIENCE_MS = 1000 };

enum part {
    HANGS,      /* connections wait to be accepted */
    IS_SILENT,  /* its loop turns, but there is no answer */
    TAKES_LONG, /* the answer comes when most would have lost their patience */
    GOES_AWAY,  /* in the middle of the answer */
};

/* ---- the shard ---- */

struct play {
    enum part part;
    struct loop *loop;
    struct h2 *h2;
    struct h2_stream *stream;
    struct timer timer;
};

static void answer(void *arg)
{
    struct play *play = arg;
    buf_append_slice(h2_stream_out(play->stream), SLICE("{\"percent\":1}\n"));
    h2_stream_wake(play->stream);
    if (play->part == TAKES_LONG)
        h2_stream_finish(play->stream);
}

static void *on_open(void *arg, struct h2_stream *stream, struct slice path)
{
    struct play *play = arg;
    (void)path;
    play->stream = stream;
    timer_init(&play->timer, play->loop, answer, play);
    if (play->part == TAKES_LONG)
        timer_start(&play->timer, 3 * PATIENCE_MS);
    else if (play->part == GOES_AWAY)
        answer(play);
    return play;
}

static void on_data(void *stream_arg, struct slice data)
{
    (void)stream_arg;
    (void)data;
}

static void on_end(void *stream_arg)
{
    (void)stream_arg;
}

static void on_lost(void *arg)
{
    (void)arg;
    _exit(0);
}

static bool turn(void *arg)
{
    struct play *play = arg;
    if (play->h2 != NULL)
        h2_flush(play->h2);
    if (play->part == GOES_AWAY && play->stream != NULL)
        _exit(0);
    return false;
}

static _Noreturn void play(enum part part, int listen_fd)
{
    static const struct h2_handlers HANDLERS = {
        .on_open = on_open, .on_data = on_data, .on_end = on_end, .on_lost = on_lost};
    struct play play = {.part = part};
    if (part == HANGS)
        for (;;)
            pause();
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);
    play.loop = loop_new(turn, &play);
    play.h2 = h2_new(play.loop, fd, true, &HANDLERS, &play);
    loop_run(play.loop);
    _exit(1);
}

/* ---- the one who asks ---- */

struct asker {
    struct folder folder;
    pid_t shard;
    struct problems problems;
    int n_lines;
};

static void count_line(void *arg, const cJSON *line)
{
    struct asker *asker = arg;
    assert_true(cJSON_HasObjectItem(line, "percent"));
    asker->n_lines++;
}

/* It is the shard that listens, so that its process is the one that is named. */
static void start_shard(struct asker *asker, enum part part)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int ready[2];
    char byte = 0;
    folder_make(&asker->folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/shard-0.sock", asker->folder.path);
    assert_int_equal(pipe(ready), 0);
    asker->shard = fork();
    if (asker->shard == 0) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0 ||
            write(ready[1], &byte, 1) != 1)
            _exit(1);
        play(part, fd);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
}

static bool ask(struct asker *asker, bool is_long)
{
    struct shard_call call = {.run_dir = asker->folder.path,
                              .path = "/backup/chat/room/tea",
                              .patience_ms = PATIENCE_MS,
                              .is_long = is_long,
                              .if_lost = "try again",
                              .arg = asker,
                              .on_line = count_line};
    return shard_call_run(&call, 0, &asker->problems);
}

static void check_said(struct asker *asker, const char *said)
{
    assert_int_equal(asker->problems.n, 1);
    char *text = mem_dup(buf_slice(&asker->problems.text));
    if (strstr(text, said) == NULL)
        fail_msg("%s", text);
    free(text);
}

static void end(struct asker *asker)
{
    kill(asker->shard, SIGKILL);
    waitpid(asker->shard, NULL, 0);
    problems_release(&asker->problems);
    folder_remove(&asker->folder);
}

static void test_a_shard_that_hangs_is_named_with_its_process(void **state)
{
    (void)state;
    for (int is_long = 0; is_long <= 1; is_long++) {
        struct asker asker = {.n_lines = 0};
        char said[100];
        start_shard(&asker, HANGS);
        assert_false(ask(&asker, is_long));
        snprintf(said, sizeof said, "/shard-0.sock: no answer for 1 s: its worker, process %d, hangs",
                 (int)asker.shard);
        check_said(&asker, said);
        check_said(&asker, "; try again\n");
        end(&asker);
    }
}

static void test_what_takes_long_is_waited_for_while_the_shard_lives(void **state)
{
    (void)state;
    struct asker asker = {.n_lines = 0};
    start_shard(&asker, TAKES_LONG);
    bool ok = ask(&asker, true);
    if (!ok)
        fail_msg("%.*s", (int)asker.problems.text.len, asker.problems.text.data);
    assert_int_equal(asker.n_lines, 1);
    end(&asker);
}

static void test_what_should_be_quick_is_not(void **state)
{
    (void)state;
    struct asker asker = {.n_lines = 0};
    start_shard(&asker, IS_SILENT);
    assert_false(ask(&asker, false));
    check_said(&asker, "no answer for 1 s");
    end(&asker);
}

static void test_a_shard_that_goes_away_is_noticed(void **state)
{
    (void)state;
    struct asker asker = {.n_lines = 0};
    start_shard(&asker, GOES_AWAY);
    assert_false(ask(&asker, true));
    check_said(&asker, "/shard-0.sock: the server went away before it had answered; try again\n");
    end(&asker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_shard_that_hangs_is_named_with_its_process),
        cmocka_unit_test(test_what_takes_long_is_waited_for_while_the_shard_lives),
        cmocka_unit_test(test_what_should_be_quick_is_not),
        cmocka_unit_test(test_a_shard_that_goes_away_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
