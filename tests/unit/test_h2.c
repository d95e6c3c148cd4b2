/*
 * Two ends of a connection on one loop: what is written on a stream arrives whole, and every stream ends exactly once.
 *
 * The path that a client asks for says what the server does: /echo, /collect, /hello (says it and finishes), /refuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/h2.h"

enum { STREAMS_MAX = 4000, PATIENCE_MS = 30000 };

/* One end of a stream. */
struct side {
    struct h2_stream *stream;
    struct buf got;
    int n_ended;
    bool echoes;
};

struct pair;
typedef bool pair_step(struct pair *pair);

struct pair {
    struct loop *loop;
    struct timer patience;
    struct h2 *client, *server;
    struct side *clients, *servers; /* by order of opening */
    size_t n_clients, n_servers;
    bool client_lost, server_lost, has_pong;
    pair_step *step; /* after each round of events; true: the test is over */
    int phase;
};

static void say(struct side *side, struct slice text)
{
    buf_append_slice(h2_stream_out(side->stream), text);
    h2_stream_wake(side->stream);
}

static void on_data(void *stream_arg, struct slice data)
{
    struct side *side = stream_arg;
    assert_int_equal(side->n_ended, 0);
    buf_append_slice(&side->got, data);
    if (side->echoes)
        say(side, data);
}

static void on_end(void *stream_arg)
{
    struct side *side = stream_arg;
    side->n_ended++;
}

static void *on_open(void *arg, struct h2_stream *stream, struct slice path)
{
    struct pair *pair = arg;
    assert_in_range(pair->n_servers, 0, STREAMS_MAX - 1);
    if (slice_eq(path, SLICE("/refuse")))
        return NULL;
    struct side *side = &pair->servers[pair->n_servers++];
    *side = (struct side){.stream = stream, .echoes = slice_eq(path, SLICE("/echo"))};
    if (slice_eq(path, SLICE("/hello"))) {
        say(side, SLICE("hello"));
        h2_stream_finish(stream);
    }
    return side;
}

static void on_client_lost(void *arg)
{
    struct pair *pair = arg;
    for (size_t i = 0; i < pair->n_clients; i++)
        assert_int_equal(pair->clients[i].n_ended, 1); /* its streams have ended before */
    pair->client_lost = true;
}

static void on_server_lost(void *arg)
{
    struct pair *pair = arg;
    pair->server_lost = true;
}

static void on_pong(void *arg)
{
    struct pair *pair = arg;
    pair->has_pong = true;
}

static const struct h2_handlers CLIENT = {
    .on_data = on_data, .on_end = on_end, .on_lost = on_client_lost, .on_pong = on_pong};
static const struct h2_handlers SERVER = {
    .on_open = on_open, .on_data = on_data, .on_end = on_end, .on_lost = on_server_lost};

static bool turn(void *arg)
{
    struct pair *pair = arg;
    if (pair->step(pair))
        loop_stop(pair->loop);
    if (pair->client != NULL)
        h2_flush(pair->client);
    if (pair->server != NULL)
        h2_flush(pair->server);
    return pair->client_lost || pair->server_lost; /* a flush may have found out, and no event follows */
}

static void on_impatience(void *arg)
{
    (void)arg;
    fail_msg("what was waited for did not happen");
}

static void pair_init(struct pair *pair, pair_step *step)
{
    int fds[2];
    *pair = (struct pair){.step = step};
    pair->clients = mem_zero(STREAMS_MAX, sizeof *pair->clients);
    pair->servers = mem_zero(STREAMS_MAX, sizeof *pair->servers);
    pair->loop = loop_new(turn, pair);
    timer_init(&pair->patience, pair->loop, on_impatience, pair);
    timer_start(&pair->patience, PATIENCE_MS);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair->client = h2_new(pair->loop, fds[0], false, &CLIENT, pair);
    pair->server = h2_new(pair->loop, fds[1], true, &SERVER, pair);
}

/* Every stream has ended once by the time that both ends are freed. */
static void pair_release(struct pair *pair)
{
    h2_free(pair->client);
    h2_free(pair->server);
    for (size_t i = 0; i < pair->n_clients; i++) {
        assert_int_equal(pair->clients[i].n_ended, 1);
        buf_release(&pair->clients[i].got);
    }
    for (size_t i = 0; i < pair->n_servers; i++) {
        assert_int_equal(pair->servers[i].n_ended, 1);
        buf_release(&pair->servers[i].got);
    }
    timer_stop(&pair->patience);
    loop_free(pair->loop);
    free(pair->clients);
    free(pair->servers);
}

static struct side *ask(struct pair *pair, const char *path)
{
    struct side *side = &pair->clients[pair->n_clients++];
    side->stream = h2_open(pair->client, path, side);
    assert_non_null(side->stream);
    return side;
}

static void run(struct pair *pair)
{
    h2_flush(pair->client);
    h2_flush(pair->server);
    loop_run(pair->loop);
}

static bool has_got(const struct side *side, const char *text)
{
    return slice_eq(buf_slice(&side->got), slice_str(text));
}

/* ---- streams ---- */

static bool both_ends_ended(struct pair *pair)
{
    for (size_t i = 0; i < pair->n_clients; i++)
        if (pair->clients[i].n_ended == 0)
            return false;
    for (size_t i = 0; i < pair->n_servers; i++)
        if (pair->servers[i].n_ended == 0)
            return false;
    return true;
}

static void test_what_was_written_arrives_before_the_end(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, both_ends_ended);
    struct side *side = ask(&pair, "/collect");
    say(side, SLICE("one "));
    say(side, SLICE("two"));
    h2_stream_finish(side->stream);
    run(&pair);
    assert_int_equal(pair.n_servers, 1);
    assert_true(has_got(&pair.servers[0], "one two"));
    pair_release(&pair);
}

static void test_the_server_may_answer_and_finish_at_once(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, both_ends_ended);
    struct side *side = ask(&pair, "/hello");
    run(&pair);
    assert_true(has_got(side, "hello"));
    pair_release(&pair);
}

static void test_a_refused_stream_ends_and_the_others_live(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, both_ends_ended);
    struct side *refused = ask(&pair, "/refuse"), *other = ask(&pair, "/hello");
    say(refused, SLICE("nobody hears this"));
    run(&pair);
    assert_int_equal(refused->got.len, 0);
    assert_true(has_got(other, "hello"));
    assert_int_equal(pair.n_servers, 1);
    pair_release(&pair);
}

static bool talk_after_a_pause(struct pair *pair)
{
    static const char *const SAID[] = {"", "a", "ab", "abc"};
    if (!has_got(&pair->clients[0], SAID[pair->phase]))
        return false;
    if (pair->phase == 3)
        return true;
    say(&pair->clients[0], slice_of(SAID[3] + pair->phase, 1));
    pair->phase++;
    return false;
}

static void test_a_stream_that_was_silent_speaks_again(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, talk_after_a_pause);
    ask(&pair, "/echo");
    run(&pair);
    pair_release(&pair);
}

/* ---- much of it ---- */

enum { MUCH = 24 << 20 };

static bool all_came_back(struct pair *pair)
{
    return pair->clients[0].got.len == MUCH;
}

static void test_much_data_arrives_whole(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, all_came_back);
    struct side *side = ask(&pair, "/echo");
    char *data = mem_alloc(MUCH);
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (char)(i * 2654435761u >> 24);
    say(side, slice_of(data, MUCH));
    run(&pair);
    assert_true(slice_eq(buf_slice(&side->got), slice_of(data, MUCH)));
    free(data);
    pair_release(&pair);
}

static bool all_echoed(struct pair *pair)
{
    for (size_t i = 0; i < pair->n_clients; i++)
        if (pair->clients[i].got.len < 4)
            return false;
    if (pair->phase++ == 0)
        for (size_t i = 0; i < pair->n_clients; i++)
            h2_stream_finish(pair->clients[i].stream);
    return both_ends_ended(pair);
}

/* More at once than the peer is known to allow before it has spoken: they wait, and none is lost or mixed up. */
static void test_thousands_of_streams_keep_apart(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, all_echoed);
    for (int i = 0; i < STREAMS_MAX; i++) {
        char text[5];
        snprintf(text, sizeof text, "%04d", i);
        say(ask(&pair, "/echo"), slice_str(text));
    }
    run(&pair);
    for (int i = 0; i < STREAMS_MAX; i++) {
        char text[5];
        snprintf(text, sizeof text, "%04d", i);
        assert_true(has_got(&pair.clients[i], text));
    }
    pair_release(&pair);
}

/* ---- ends that nobody asked for ---- */

static bool server_aborts_the_first(struct pair *pair)
{
    if (pair->n_servers == 2 && pair->phase == 0) {
        pair->phase = 1;
        say(&pair->servers[0], SLICE("dropped with the stream"));
        h2_stream_abort(pair->servers[0].stream);
        say(&pair->servers[1], SLICE("still here"));
    }
    return pair->clients[0].n_ended == 1 && has_got(&pair->clients[1], "still here");
}

static void test_an_aborted_stream_leaves_the_others_alone(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, server_aborts_the_first);
    struct side *aborted = ask(&pair, "/collect"), *other = ask(&pair, "/collect");
    run(&pair);
    assert_int_equal(aborted->got.len, 0);
    assert_int_equal(other->n_ended, 0);
    pair_release(&pair);
}

static void test_a_stream_may_be_aborted_before_it_has_left(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, both_ends_ended);
    struct side *aborted = ask(&pair, "/collect"), *other = ask(&pair, "/hello");
    say(aborted, SLICE("never sent"));
    h2_stream_abort(aborted->stream);
    assert_int_equal(aborted->n_ended, 1);
    run(&pair);
    assert_true(has_got(other, "hello"));
    for (size_t i = 0; i < pair.n_servers; i++)
        assert_int_equal(pair.servers[i].got.len, 0);
    pair_release(&pair);
}

static bool server_dies(struct pair *pair)
{
    if (pair->n_servers == 3 && pair->phase == 0) {
        pair->phase = 1;
        h2_free(pair->server);
        pair->server = NULL;
    }
    return pair->client_lost;
}

static void test_a_lost_peer_ends_all_streams(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, server_dies);
    for (int i = 0; i < 3; i++)
        ask(&pair, "/collect");
    run(&pair);
    assert_false(pair.server_lost); /* who frees it needs not be told */
    assert_null(h2_open(pair.client, "/collect", &pair));
    pair_release(&pair);
}

static bool server_is_lost(struct pair *pair)
{
    return pair->server_lost;
}

static void test_bytes_that_are_not_http2_lose_the_connection(void **state)
{
    (void)state;
    struct pair pair;
    int fds[2];
    pair_init(&pair, server_is_lost);
    h2_free(pair.server);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair.server = h2_new(pair.loop, fds[1], true, &SERVER, &pair);
    static const char GARBAGE[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    assert_int_equal(write(fds[0], GARBAGE, sizeof GARBAGE), sizeof GARBAGE);
    run(&pair);
    assert_int_equal(pair.n_servers, 0);
    close(fds[0]);
    pair_release(&pair);
}

static bool has_pong(struct pair *pair)
{
    return pair->has_pong;
}

static void test_a_peer_that_says_nothing_answers_a_ping(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, has_pong);
    h2_ping(pair.client);
    h2_flush(pair.client);
    run(&pair);
    pair_release(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_arrives_before_the_end),
        cmocka_unit_test(test_the_server_may_answer_and_finish_at_once),
        cmocka_unit_test(test_a_refused_stream_ends_and_the_others_live),
        cmocka_unit_test(test_a_stream_that_was_silent_speaks_again),
        cmocka_unit_test(test_much_data_arrives_whole),
        cmocka_unit_test(test_thousands_of_streams_keep_apart),
        cmocka_unit_test(test_an_aborted_stream_leaves_the_others_alone),
        cmocka_unit_test(test_a_stream_may_be_aborted_before_it_has_left),
        cmocka_unit_test(test_a_lost_peer_ends_all_streams),
        cmocka_unit_test(test_a_peer_that_says_nothing_answers_a_ping),
        cmocka_unit_test(test_bytes_that_are_not_http2_lose_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
