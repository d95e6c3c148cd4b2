/*
 * What is for many sessions reaches each socket, in order and once, as fast as that takes it; who is too slow falls
 * out, owns no more than the frame that its socket has begun, and is told about to the shard once its socket has
 * drained.
 *
 * Sockets are real, and small. A change's message is `<ID text>`, a boundary's is `(seq)`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/byteorder.h"
#include "src/router/client.h"
#include "src/router/connection.h"

enum { SESSIONS = 3, RING_MAX = 4096, NOTES = 0, TAGS = 1, LARGE = 3000 };

static struct world {
    struct router router;
    struct pump pump;
    struct client *clients[SESSIONS]; /* NULL: gone */
    int peers[SESSIONS];
    struct buf arrived[SESSIONS]; /* not yet looked at */
    unsigned n_lags;
    uint64_t seq; /* of the last change */
} * world;

/* The linker's name (--wrap). NOLINTNEXTLINE(bugprone-reserved-identifier) */
void __wrap_client_lag(struct client *client);

/* The shard would be told. NOLINTNEXTLINE(bugprone-reserved-identifier) */
void __wrap_client_lag(struct client *client)
{
    assert_int_equal(connection_waiting(client->connection), 0);
    world->n_lags++;
}

/* ---- sessions ---- */

static void connect_client(int i)
{
    int fds[2], small = 4096;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    connection_new(&world->router, fds[0], true);
    struct connection *connection = LIST_ITEM(world->router.connections.prev, struct connection, link);
    struct client *client = mem_zero(1, sizeof *client);
    client->connection = connection;
    list_init(&client->throttle_link);
    place_init(&client->place);
    connection->client = client;
    connection_become(connection, CONNECTION_WAITING);
    connection_become(connection, CONNECTION_WEBSOCKET);
    world->peers[i] = fds[1];
    world->clients[i] = client;
}

static int set_up(void **state)
{
    (void)state;
    world = mem_zero(1, sizeof *world);
    world->router.loop = loop_new(NULL, NULL);
    struct list *lists[] = {&world->router.connections, &world->router.dirty, &world->router.dead};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_init(lists[i]);
    pump_init(&world->pump);
    for (int i = 0; i < SESSIONS; i++)
        connect_client(i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    LIST_FOREACH_SAFE(link, &world->router.connections)
        connection_kill(LIST_ITEM(link, struct connection, link));
    LIST_FOREACH_SAFE(link, &world->router.dead)
        connection_free(LIST_ITEM(link, struct connection, link));
    for (int i = 0; i < SESSIONS; i++) {
        buf_release(&world->arrived[i]);
        if (world->peers[i] >= 0)
            close(world->peers[i]);
    }
    pump_release(&world->pump);
    written_release(&world->router.written);
    loop_free(world->router.loop);
    free(world);
    return 0;
}

/* The session's subscriptions: a letter of an id for each, of notes or, in upper case, of tags. */
static void join(int i, const char *ids)
{
    struct buf buf = {0};
    struct envelope envelope;
    size_t begun = envelope_begin_join(&buf, 1, 0);
    for (; *ids != '\0'; ids++)
        envelope_add_audience(&buf, *ids >= 'a' ? NOTES : TAGS, slice_of(ids, 1));
    envelope_end(&buf, begun);
    struct slice in = buf_slice(&buf);
    assert_int_equal(envelope_decode(&in, &envelope), ENVELOPE_WHOLE);
    pump_join(&world->pump, world->clients[i], &envelope);
    buf_release(&buf);
}

/* ---- what the channel brings ---- */

static void take(struct buf *buf)
{
    struct slice in = buf_slice(buf);
    struct envelope envelope;
    assert_int_equal(envelope_decode(&in, &envelope), ENVELOPE_WHOLE);
    pump_take(&world->pump, &envelope);
    buf_release(buf);
}

static void change(uint32_t audience, const char *text, int width)
{
    struct buf buf = {0};
    size_t begun = envelope_begin_change(&buf, audience, ++world->seq);
    buf_printf(&buf, "< %*s>", width, text);
    envelope_end_change(&buf, begun, 1);
    take(&buf);
}

static void boundary(uint64_t seq, bool is_for_all)
{
    struct buf buf = {0};
    size_t begun = envelope_begin_boundary(&buf, is_for_all, seq);
    buf_printf(&buf, "(%llu)", (unsigned long long)seq);
    envelope_end(&buf, begun);
    take(&buf);
}

static void turn(void)
{
    pump_run(&world->pump, RING_MAX);
    pump_end_turn(&world->router.written);
    struct list *link;
    while ((link = list_pop(&world->router.dirty)) != NULL)
        connection_flush(LIST_ITEM(link, struct connection, dirty_link));
}

/* ---- what arrives ---- */

static void read_all(int i)
{
    ssize_t len;
    while ((len = recv(world->peers[i], buf_reserve(&world->arrived[i], 65536), 65536, 0)) > 0)
        world->arrived[i].len += (size_t)len;
}

/* The peer reads, and what waits goes on, until nothing moves. */
static void drain(int i)
{
    struct connection *connection = world->clients[i]->connection;
    do {
        read_all(i);
        connection_flush(connection);
        pump_resume(&world->pump, world->clients[i]);
    } while (connection_waiting(connection) > 0);
    read_all(i);
}

/* The messages that have arrived, whole ones and nothing else, without spaces. */
static const char *messages(int i)
{
    static struct buf text;
    struct slice in = buf_slice(&world->arrived[i]);
    text.len = 0;
    while (in.len > 0) {
        size_t header = 2, len = byte_at(in.data, 1);
        if (len == 126) {
            header = 4;
            len = be16_load(in.data + 2);
        }
        assert_true(in.len >= header + len);
        for (size_t at = header; at < header + len; at++)
            if (in.data[at] != ' ')
                buf_append(&text, in.data + at, 1);
        in = slice_of(in.data + header + len, in.len - header - len);
    }
    buf_append(&text, "", 1);
    world->arrived[i].len = 0;
    return text.data;
}

static void check(int i, const char *expected)
{
    read_all(i);
    assert_string_equal(messages(i), expected);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    while ((text = strstr(text, word)) != NULL) {
        text += strlen(word);
        n++;
    }
    return n;
}

/* ---- the tests ---- */

static void test_each_gets_what_its_subscriptions_want(void **state)
{
    (void)state;
    join(0, "a");
    join(1, "aB");
    join(2, "xy");
    change(NOTES, "one", 0);
    change(TAGS, "two", 0);
    boundary(2, false);
    turn();
    check(0, "<aone>(2)");
    check(1, "<aone><Btwo>(2)");
    check(2, "<xone><yone>(2)");
    change(TAGS, "three", 0);
    boundary(3, false);
    turn();
    check(0, "");
    check(1, "<Bthree>(3)");
}

static void test_who_joins_gets_what_comes_then(void **state)
{
    (void)state;
    join(0, "a");
    change(NOTES, "one", 0);
    boundary(1, false);
    join(1, "a");
    change(NOTES, "two", 0);
    boundary(2, false);
    turn();
    check(0, "<aone>(1)<atwo>(2)");
    check(1, "<atwo>(2)");
    pump_leave(world->clients[0]);
    change(NOTES, "three", 0);
    turn();
    check(0, "");
    check(1, "<athree>");
}

static void test_a_boundary_for_all_is_for_those_who_have_not_got_it(void **state)
{
    (void)state;
    join(0, "a");
    join(1, "B");
    change(NOTES, "one", 0);
    boundary(1, false);
    boundary(1, true);
    turn();
    check(0, "<aone>(1)");
    check(1, "(1)");
}

/* Nothing stays in the ring when all have it. */
static void test_what_all_have_is_forgotten(void **state)
{
    (void)state;
    join(0, "a");
    join(1, "a");
    for (int i = 0; i < 100; i++) {
        change(NOTES, "x", LARGE);
        turn();
        read_all(0);
        read_all(1);
    }
    assert_int_equal(world->pump.ring.bytes.len, 0);
    assert_int_equal(world->pump.ring.start, ring_end(&world->pump.ring));
}

/* Whether the socket takes it at once or not: it is brought there, in pieces of any size. */
static void test_a_full_socket_owns_the_rest_of_one_frame(void **state)
{
    (void)state;
    join(0, "ab");
    change(NOTES, "one", LARGE);
    change(NOTES, "two", LARGE);
    boundary(2, false);
    turn();
    assert_true(connection_is_blocked(world->clients[0]->connection));
    assert_in_range(connection_waiting(world->clients[0]->connection), 1, LARGE + 20);
    turn();
    assert_in_range(connection_waiting(world->clients[0]->connection), 1, LARGE + 20);
    assert_in_range(pump_distance(&world->pump, world->clients[0]), 1, 2);
    drain(0);
    check(0, "<aone><bone><atwo><btwo>(2)");
    assert_true(pump_distance(&world->pump, world->clients[0]) == 0);
    assert_int_equal(world->n_lags, 0);
}

/* It costs nothing but that rest, and nobody else notices. */
static void test_who_is_too_slow_falls_out(void **state)
{
    (void)state;
    join(0, "a");
    join(1, "a");
    for (uint64_t seq = 1; seq <= 20; seq++) {
        change(NOTES, "x", LARGE);
        boundary(seq, false);
        turn();
        read_all(1);
        assert_true(ring_end(&world->pump.ring) - world->pump.ring.start <= RING_MAX);
    }
    assert_int_equal(world->clients[0]->place.state, PLACE_FALLEN);
    assert_in_range(connection_waiting(world->clients[0]->connection), 1, LARGE + 20);
    assert_int_equal(world->n_lags, 0);
    uint64_t seq = world->clients[0]->place.spot.seq;
    assert_true(seq < 20 && pump_distance(&world->pump, world->clients[0]) == 20 - seq);
    drain(0);
    assert_int_equal(world->n_lags, 1);
    assert_int_equal(world->clients[0]->place.state, PLACE_LAGGING);
    assert_int_equal(count(messages(0), "<ax>"), seq); /* none of what it has will come again */
    drain(0);
    assert_int_equal(world->n_lags, 1);
    assert_int_equal(strlen(messages(1)), 20 * strlen("<ax>") + 9 * strlen("(1)") + 11 * strlen("(10)"));
}

/* Until the shard has heard of it, what comes is from before. */
static void test_what_comes_for_one_that_has_fallen_out_is_dropped(void **state)
{
    (void)state;
    struct client *client = world->clients[0];
    join(0, "a");
    assert_true(pump_lets_in(&world->pump, client));
    for (int i = 0; i < 20; i++) {
        change(NOTES, "x", LARGE);
        turn();
    }
    assert_false(pump_lets_in(&world->pump, client));
    drain(0);
    assert_false(pump_lets_in(&world->pump, client));
    pump_return(client);
    assert_true(pump_lets_in(&world->pump, client));
    assert_true(pump_distance(&world->pump, client) == 0); /* there was no boundary */
    join(0, "a");
    assert_true(pump_lets_in(&world->pump, client));
}

static void test_what_is_for_one_comes_behind_what_was_for_many(void **state)
{
    (void)state;
    join(0, "a");
    change(NOTES, "one", 0);
    boundary(1, false);
    assert_true(pump_lets_in(&world->pump, world->clients[0]));
    ws_frame(connection_out(world->clients[0]->connection), WS_BINARY, SLICE("mine"));
    change(NOTES, "two", 0);
    boundary(2, false);
    turn();
    check(0, "<aone>(1)mine<atwo>(2)");
}

/* However many subscriptions want what is in the ring. */
static void test_who_has_much_waiting_falls_out_when_something_comes_for_it(void **state)
{
    (void)state;
    join(0, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    for (int i = 0; i < 10; i++)
        change(NOTES, "x", LARGE);
    assert_false(pump_lets_in(&world->pump, world->clients[0]));
    assert_int_equal(world->clients[0]->place.state, PLACE_FALLEN);
    assert_in_range(connection_waiting(world->clients[0]->connection), ROUTER_OUT_MAX, 2 * ROUTER_OUT_MAX + LARGE + 20);
}

static void test_a_socket_that_breaks_takes_only_its_own_session(void **state)
{
    (void)state;
    for (int i = 0; i < SESSIONS; i++)
        join(i, "a");
    close(world->peers[1]);
    world->peers[1] = -1;
    change(NOTES, "one", 0);
    boundary(1, false);
    turn();
    check(0, "<aone>(1)");
    check(2, "<aone>(1)");
    assert_false(list_is_empty(&world->router.dead));
}

/* It had been behind, and its socket breaks when it goes on. */
static void test_a_socket_that_breaks_when_its_session_goes_on(void **state)
{
    (void)state;
    join(0, "a");
    for (int i = 0; i < 20; i++)
        change(NOTES, "x", LARGE);
    pump_run(&world->pump, 1 << 20);
    struct connection *connection = world->clients[0]->connection;
    assert_true(connection_is_blocked(connection));
    read_all(0);
    connection_flush(connection);
    assert_int_equal(connection_waiting(connection), 0);
    close(world->peers[0]);
    world->peers[0] = -1;
    pump_resume(&world->pump, world->clients[0]);
    assert_int_equal(connection->state, CONNECTION_DEAD);
}

#define PUMP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PUMP_TEST(test_each_gets_what_its_subscriptions_want),
        PUMP_TEST(test_who_joins_gets_what_comes_then),
        PUMP_TEST(test_a_boundary_for_all_is_for_those_who_have_not_got_it),
        PUMP_TEST(test_what_all_have_is_forgotten),
        PUMP_TEST(test_a_full_socket_owns_the_rest_of_one_frame),
        PUMP_TEST(test_who_is_too_slow_falls_out),
        PUMP_TEST(test_what_comes_for_one_that_has_fallen_out_is_dropped),
        PUMP_TEST(test_what_is_for_one_comes_behind_what_was_for_many),
        PUMP_TEST(test_who_has_much_waiting_falls_out_when_something_comes_for_it),
        PUMP_TEST(test_a_socket_that_breaks_takes_only_its_own_session),
        PUMP_TEST(test_a_socket_that_breaks_when_its_session_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
