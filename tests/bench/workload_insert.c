/*
 * Inserts to `committed`, with every connection subscribed: one writer or many, one scope or many, and as many further
 * subscribers as wanted.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/bench/fail.h"
#include "tests/bench/load.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/workload.h"

#define FIRST_MAX 64 /* first transactions at a time: making many files takes long */

struct inserting {
    struct load load;
    long seconds, warmup_ms, count_max; /* options */
};

static void on_open(struct client *client)
{
    client_subscribe(client, "tasks", TASK_COLLECTION);
}

/* Nothing more is sent, and everybody knows everything. */
static bool is_over(void *arg)
{
    const struct load *load = arg;
    return !load_is_sending(load, now_ns()) && load_is_settled(load);
}

static void open_peers(struct load *load)
{
    for (long i = 0; i < load_n_peers(load); i++) {
        net_admit(&load->net);
        load_open(load, i, &load->net);
    }
    net_settle(&load->net);
}

static bool has_room(void *arg)
{
    const struct load *load = arg;
    return load->n_sent - load->n_answered < FIRST_MAX;
}

/* One transaction of each writer, unmeasured: a scope's first one makes its file. */
static void write_first(struct load *load)
{
    for (long i = 0; i < load_n_peers(load); i++) {
        if (load->peers[i].writer != NOT_A_WRITER) {
            net_run(&load->net, has_room, load, "the first answers");
            load_send(&load->peers[i], now_ns());
            client_flush(&load->peers[i].client);
        }
    }
    net_run(&load->net, is_over, load, "the first answers and deltas");
}

static void run(struct inserting *inserting)
{
    struct load *load = &inserting->load;
    load->window_start = now_ns() + (uint64_t)inserting->warmup_ms * NS_PER_MS;
    load->window_end = load->window_start + (uint64_t)inserting->seconds * NS_PER_SEC;
    load->send_until = load->window_end;
    load->sent_max = (uint64_t)inserting->count_max;
    for (long i = 0; i < load_n_peers(load); i++) {
        if (load->peers[i].writer != NOT_A_WRITER) {
            load_refill(&load->peers[i]);
            client_flush(&load->peers[i].client);
        }
    }
    net_run(&load->net, is_over, load, "the last answers and deltas");
}

/* With a count that ends the run early, the window ends there. */
static double window_seconds(const struct load *load, uint64_t now)
{
    uint64_t end = now < load->window_end ? now : load->window_end;
    return end > load->window_start ? (double)(end - load->window_start) / (double)NS_PER_SEC : 0;
}

static void report(const struct load *load, uint64_t now)
{
    double seconds = window_seconds(load, now);
    if (load->committed.n == 0 || seconds <= 0) {
        fail("nothing was committed in the time that is measured");
    }
    printf("{\"work\":\"insert\",\"scopes\":%ld,\"writers\":%ld,\"subscribers\":%ld,\"in_flight\":%ld,\"sent\":%" PRIu64
           ",\"seconds\":%.3f,\"commits_per_s\":%.1f,",
           load->n_scopes, load->n_writers, load->n_subscribers, load->in_flight, load->n_sent, seconds,
           (double)load->committed.n / seconds);
    histogram_print(&load->committed, "committed_ms");
    printf(",\"deliveries_per_s\":%.1f,", (double)load->n_deliveries / seconds);
    histogram_print(&load->delivery, "delivery_ms");
    printf("}\n");
}

static void parse(struct inserting *inserting, int argc, char **argv)
{
    struct load *load = &inserting->load;
    const struct option_text texts[] = {{"url", &load->url, "the server, with {scope} in the path"},
                                        {"scope", &load->scope, "the scopes' names begin with this"},
                                        {0}};
    const struct option_number numbers[] = {
        {"scopes", &load->n_scopes, 1, 2000, "scopes that are written"},
        {"writers", &load->n_writers, 1, 256, "connections of a scope that write"},
        {"subscribers", &load->n_subscribers, 0, 4000, "connections of a scope that only listen"},
        {"in-flight", &load->in_flight, 1, TALLY_WINDOW, "unanswered transactions of a writer"},
        {"warmup-ms", &inserting->warmup_ms, 0, 10000, "time before the measurement, after each writer's first answer"},
        {"seconds", &inserting->seconds, 1, 600, "time of the measurement"},
        {"count", &inserting->count_max, 1, 20000000, "most transactions of the run"},
        {0}};
    options_parse(&(struct options){"driver insert [--OPTION VALUE]...", numbers, texts}, argc, argv);
}

void workload_insert(int argc, char **argv)
{
    static struct inserting inserting = {.load = {.scope = "bench", .n_scopes = 1, .n_writers = 1, .in_flight = 1},
                                         .seconds = 3,
                                         .warmup_ms = 500,
                                         .count_max = 20000000};
    parse(&inserting, argc, argv);
    load_init(&inserting.load, on_open, load_on_frame);
    open_peers(&inserting.load);
    write_first(&inserting.load);
    run(&inserting);
    report(&inserting.load, now_ns());
    load_release(&inserting.load);
}
