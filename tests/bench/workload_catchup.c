/*
 * A client that had read a seeded scope whole comes back after some of its rows have changed, again and again, each
 * time on a connection of its own: it must be given each changed row once, as it is now, and nothing else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/client.h"
#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/timing.h"
#include "tests/bench/workload.h"

#define SUB "tasks"

struct catching_up {
    const char *url, *scope;
    long n_rows, n_changed, seconds; /* options */
    struct net net;
    uint64_t since;    /* the cursor of who had read the scope before it changed; 0 while nobody has */
    uint64_t asked_ns; /* when the catch-up was */
    long n_got;        /* rows of this snapshot or catch-up */
    bool *was_changed; /* by row, in this catch-up */
    bool is_answered;  /* the change is made */
    long n_times;
    double took_s;
    struct histogram took;
};

static void on_open(struct client *client)
{
    struct catching_up *catching_up = client->owner;
    if (catching_up->since == 0) {
        client_subscribe(client, SUB, TASK_COLLECTION);
    } else {
        catching_up->asked_ns = now_ns();
        client_resume(client, SUB, TASK_COLLECTION, catching_up->since);
    }
}

static void on_snap_end(struct client *client, const struct frame *frame)
{
    struct catching_up *catching_up = client->owner;
    if (catching_up->n_got != catching_up->n_rows) {
        client_refuse(client, frame, "a snapshot that does not have all rows, or more");
    }
    catching_up->n_got = 0;
}

/* Live to whom saw the change being made, in a catch-up to all others. */
static void on_delta(struct client *client, const struct frame *frame)
{
    struct catching_up *catching_up = client->owner;
    uint64_t number = 0;
    if (!task_seed_number(frame->key, &number) || number >= (uint64_t)catching_up->n_changed) {
        client_refuse(client, frame, "a change of a row that did not change");
    }
    if (catching_up->was_changed[number]) {
        client_refuse(client, frame, "a change that came twice");
    }
    if (!text_is(frame->op, "update") || !task_touched_matches(frame->row, frame->key, number)) {
        client_refuse(client, frame, "a row that is not as it was changed");
    }
    catching_up->was_changed[number] = true;
    catching_up->n_got++;
}

static void on_caught_up(struct client *client, const struct frame *frame, uint64_t now)
{
    struct catching_up *catching_up = client->owner;
    if (catching_up->n_got != catching_up->n_changed) {
        client_refuse(client, frame, "a catch-up that lacks changes");
    }
    uint64_t took = now - catching_up->asked_ns;
    histogram_add(&catching_up->took, took);
    catching_up->took_s += (double)took / (double)NS_PER_SEC;
    catching_up->n_times++;
}

static void on_frame(struct client *client, const struct frame *frame, uint64_t now)
{
    struct catching_up *catching_up = client->owner;
    switch (frame->type) {
    case FRAME_SNAP:
        catching_up->n_got++;
        break;
    case FRAME_SNAP_END:
        on_snap_end(client, frame);
        break;
    case FRAME_DELTA:
        on_delta(client, frame);
        break;
    case FRAME_UPTODATE:
        if (frame->sub.at) {
            on_caught_up(client, frame, now);
        }
        break;
    case FRAME_COMMITTED:
        catching_up->is_answered = true;
        break;
    case FRAME_REJECTED:
        client_refuse(client, frame, "a rejection");
    default:
        break;
    }
}

static bool is_answered(void *arg)
{
    const struct catching_up *catching_up = arg;
    return catching_up->is_answered;
}

static bool is_live(void *arg)
{
    const struct client *client = arg;
    return client->session.state == SESSION_LIVE;
}

/* It has a boundary behind all that it was given, as a client needs that is to come back another time. */
static bool is_confirmed(void *arg)
{
    const struct client *client = arg;
    return is_live(arg) && client->session.delta_seq == 0;
}

static void call_touch(struct client *client, long n)
{
    char tx[32];
    snprintf(tx, sizeof(tx), "touch-%" PRIx64, now_ns());
    struct buffer *out = client_begin(client);
    frame_call(out, text_of(tx), "touch");
    mp_map(out, 1);
    mp_str(out, "n");
    mp_int(out, n);
    client_end(client);
    client_flush(client);
}

/* Read all rows, then change the first of them. */
static void change(struct catching_up *catching_up)
{
    struct client client;
    client_open(&client, &catching_up->net, 0, catching_up->scope, catching_up);
    net_run(&catching_up->net, is_live, &client, "the rows before they change");
    uint64_t since = client.session.cursor;
    call_touch(&client, catching_up->n_changed);
    net_run(&catching_up->net, is_answered, catching_up, "the answer of touch");
    if (catching_up->n_got != catching_up->n_changed) {
        client_fail(&client, "an answer of touch before all of its changes");
    }
    client_close(&client);
    catching_up->since = since;
}

/* Only the last one waits for its boundary: a server may let that take a while. */
static void catch_up(struct catching_up *catching_up, uint64_t end_ns)
{
    struct client client;
    bool is_last = false;
    while (!is_last) {
        catching_up->n_got = 0;
        memset(catching_up->was_changed, 0, (size_t)catching_up->n_changed * sizeof(*catching_up->was_changed));
        client_open(&client, &catching_up->net, 0, catching_up->scope, catching_up);
        net_run(&catching_up->net, is_live, &client, "the changes since a cursor");
        is_last = now_ns() >= end_ns;
        if (is_last) {
            net_run(&catching_up->net, is_confirmed, &client, "a boundary behind what was caught up");
        }
        client_close(&client);
    }
}

static void parse(struct catching_up *catching_up, int argc, char **argv)
{
    const struct option_text texts[] = {{"url", &catching_up->url, "the server, with {scope} in the path"},
                                        {"scope", &catching_up->scope, "the scope, seeded and not changed since"},
                                        {0}};
    const struct option_number numbers[] = {
        {"rows", &catching_up->n_rows, 1, 1000000, "rows that were seeded"},
        {"changed", &catching_up->n_changed, 1, 1000000, "how many of them change"},
        {"seconds", &catching_up->seconds, 0, 600, "go on for this long; 0 is once"},
        {0}};
    options_parse(&(struct options){"driver catchup [--OPTION VALUE]...", numbers, texts}, argc, argv);
    if (catching_up->n_changed > catching_up->n_rows) {
        fail("--changed is at most --rows");
    }
}

static void report(const struct catching_up *catching_up)
{
    printf("{\"work\":\"catchup\",\"rows\":%ld,\"changed\":%ld,\"times\":%ld,\"rows_per_s\":%.1f,", catching_up->n_rows,
           catching_up->n_changed, catching_up->n_times,
           (double)(catching_up->n_changed * catching_up->n_times) / catching_up->took_s);
    histogram_print(&catching_up->took, "catchup_ms");
    printf("}\n");
}

void workload_catchup(int argc, char **argv)
{
    static struct catching_up catching_up = {.scope = "bench", .n_rows = 20000, .n_changed = 5000, .seconds = 3};
    parse(&catching_up, argc, argv);
    catching_up.was_changed = calloc((size_t)catching_up.n_changed, sizeof(*catching_up.was_changed));
    if (!catching_up.was_changed) {
        fail("out of memory");
    }
    net_init(&catching_up.net, catching_up.url, on_open, on_frame);
    change(&catching_up);
    catch_up(&catching_up, now_ns() + (uint64_t)catching_up.seconds * NS_PER_SEC);
    net_release(&catching_up.net);
    free(catching_up.was_changed);
    report(&catching_up);
}
