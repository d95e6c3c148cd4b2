/*
 * What is held leaves when its position is durable, in order and once; what is held for a channel that has ended never
 * does.
 *
 * Streams are only names here: what would be written to one is noted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shards/channel.h"
#include "shards/gate.h"

enum { CHANNELS = 3 };

struct h2_stream {
    char name;
};

static struct h2_stream streams[CHANNELS] = {{'a'}, {'b'}, {'c'}};

static struct channel *channels[CHANNELS];
static struct buf written; /* "a:text " for each write */

/* The linker's name (--wrap). NOLINTNEXTLINE(bugprone-reserved-identifier) */
void __wrap_h2_stream_write(struct h2_stream *stream, struct buf *bytes);

/* The same. NOLINTNEXTLINE(bugprone-reserved-identifier) */
void __wrap_h2_stream_abort(struct h2_stream *stream);

/* The stream's end comes back to its channel. */
void __wrap_h2_stream_abort(struct h2_stream *stream)
{
    buf_printf(&written, "%c:end ", stream->name);
    for (int i = 0; i < CHANNELS; i++)
        if (channels[i] != NULL && channels[i]->stream == stream)
            channels[i]->stream = NULL;
}

void __wrap_h2_stream_write(struct h2_stream *stream, struct buf *bytes)
{
    buf_printf(&written, "%c:%.*s ", stream->name, (int)bytes->len, bytes->data);
    bytes->len = 0;
}

struct bench {
    struct gate gate;
    struct channel **channels;
};

static int set_up(void **state)
{
    struct bench *bench = mem_zero(1, sizeof *bench);
    gate_init(&bench->gate);
    bench->channels = channels;
    for (int i = 0; i < CHANNELS; i++)
        bench->channels[i] = channel_new(NULL, &streams[i]);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    gate_release(&bench->gate);
    for (int i = 0; i < CHANNELS; i++)
        if (bench->channels[i] != NULL)
            channel_free(bench->channels[i]);
    buf_release(&written);
    free(bench);
    return 0;
}

static void hold(struct bench *bench, int channel, const char *text, uint64_t position)
{
    buf_append_slice(&bench->channels[channel]->collected, slice_str(text));
    gate_hold(&bench->gate, bench->channels[channel], position);
    assert_int_equal(bench->channels[channel]->collected.len, 0);
}

/* What has left since the last look. */
static void check_left(const char *expected)
{
    buf_append(&written, "", 1);
    assert_string_equal(written.data, expected);
    written.len = 0;
}

static void test_what_is_held_leaves_when_it_is_durable(void **state)
{
    struct bench *bench = *state;
    hold(bench, 0, "one", 10);
    hold(bench, 0, "two", 20);
    check_left("");
    gate_advance(&bench->gate, 9);
    check_left("");
    gate_advance(&bench->gate, 10);
    check_left("a:one ");
    gate_advance(&bench->gate, 19);
    check_left("");
    gate_advance(&bench->gate, 1000);
    check_left("a:two ");
    gate_advance(&bench->gate, 1001);
    check_left("");
}

static void test_everything_leaves_in_order(void **state)
{
    struct bench *bench = *state;
    hold(bench, 0, "1", 10);
    hold(bench, 1, "2", 10);
    hold(bench, 2, "3", 20);
    hold(bench, 0, "4", 20);
    hold(bench, 1, "5", 30);
    gate_advance(&bench->gate, 20);
    check_left("a:1 b:2 c:3 a:4 ");
    hold(bench, 0, "6", 40);
    gate_advance(&bench->gate, 40);
    check_left("b:5 a:6 ");
}

static void test_what_is_durable_leaves_at_once(void **state)
{
    struct bench *bench = *state;
    hold(bench, 0, "nothing was ever written", 0);
    check_left("a:nothing was ever written ");
    gate_advance(&bench->gate, 10);
    hold(bench, 1, "durable", 10);
    check_left("b:durable ");
    hold(bench, 1, "not yet", 11);
    check_left("");
    gate_advance(&bench->gate, 11);
    check_left("b:not yet ");
}

static void test_it_knows_how_much_it_holds(void **state)
{
    struct bench *bench = *state;
    hold(bench, 0, "123", 10);
    hold(bench, 1, "45", 20);
    hold(bench, 2, "6", 20);
    assert_int_equal(bench->gate.bytes, 6);
    gate_advance(&bench->gate, 10);
    assert_int_equal(bench->gate.bytes, 3);
    gate_drop(bench->channels[1]);
    assert_int_equal(bench->gate.bytes, 1);
    gate_break(&bench->gate);
    assert_int_equal(bench->gate.bytes, 0);
}

static void test_nothing_collected_is_nothing_held(void **state)
{
    struct bench *bench = *state;
    gate_hold(&bench->gate, bench->channels[0], 10);
    assert_true(list_is_empty(&bench->gate.held));
    gate_advance(&bench->gate, 10);
    gate_hold(&bench->gate, bench->channels[0], 10);
    check_left("");
}

static void test_what_is_held_for_a_channel_goes_with_it(void **state)
{
    struct bench *bench = *state;
    hold(bench, 0, "1", 10);
    hold(bench, 1, "2", 10);
    hold(bench, 0, "3", 20);
    hold(bench, 2, "4", 20);
    channel_free(bench->channels[0]);
    bench->channels[0] = NULL;
    gate_advance(&bench->gate, 20);
    check_left("b:2 c:4 ");
}

/* The router has gone, but the channel waits for its last requests. */
static void test_what_is_held_for_a_stream_that_ended_is_dropped(void **state)
{
    struct bench *bench = *state;
    hold(bench, 0, "1", 10);
    hold(bench, 1, "2", 10);
    bench->channels[0]->stream = NULL;
    hold(bench, 0, "3", 20);
    gate_advance(&bench->gate, 10);
    check_left("b:2 ");
    gate_advance(&bench->gate, 20);
    check_left("");
    assert_true(list_is_empty(&bench->gate.held));
}

static void test_what_the_shard_held_at_its_end_is_dropped(void **state)
{
    struct bench *bench = *state;
    hold(bench, 0, "1", 10);
    hold(bench, 1, "2", 20);
    gate_release(&bench->gate);
    assert_true(list_is_empty(&bench->channels[0]->outputs));
    assert_true(list_is_empty(&bench->channels[1]->outputs));
    check_left("");
}

/* What it depends on is lost. Who was to get some of it comes back; the others are not touched. */
static void test_what_is_held_when_it_breaks_is_dropped(void **state)
{
    struct bench *bench = *state;
    hold(bench, 0, "1", 10);
    hold(bench, 1, "2", 10);
    gate_advance(&bench->gate, 10);
    check_left("a:1 b:2 ");
    hold(bench, 0, "3", 20);
    hold(bench, 2, "4", 20);
    hold(bench, 0, "5", 30);
    gate_break(&bench->gate);
    check_left("a:end c:end ");
    assert_true(list_is_empty(&bench->gate.held));
    hold(bench, 1, "read of what was durable", 10);
    hold(bench, 1, "written since, where the lost was", 20);
    check_left("b:read of what was durable ");
    gate_advance(&bench->gate, 20);
    check_left("b:written since, where the lost was ");
}

static void test_breaking_with_nothing_held_is_nothing(void **state)
{
    struct bench *bench = *state;
    gate_break(&bench->gate);
    hold(bench, 0, "1", 10);
    bench->channels[0]->stream = NULL; /* the router has gone meanwhile */
    gate_break(&bench->gate);
    check_left("");
}

#define GATE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(test_what_is_held_leaves_when_it_is_durable),
        GATE_TEST(test_everything_leaves_in_order),
        GATE_TEST(test_what_is_durable_leaves_at_once),
        GATE_TEST(test_it_knows_how_much_it_holds),
        GATE_TEST(test_nothing_collected_is_nothing_held),
        GATE_TEST(test_what_is_held_for_a_channel_goes_with_it),
        GATE_TEST(test_what_is_held_for_a_stream_that_ended_is_dropped),
        GATE_TEST(test_what_is_held_when_it_breaks_is_dropped),
        GATE_TEST(test_breaking_with_nothing_held_is_nothing),
        GATE_TEST(test_what_the_shard_held_at_its_end_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
