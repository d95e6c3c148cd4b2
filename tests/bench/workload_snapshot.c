/*
 * Snapshots of a seeded scope, one after the other on one session: each must hold every seeded row once, in order of
 * its key, with the seed's values.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/client.h"
#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/timing.h"
#include "tests/bench/workload.h"

struct reading {
    const char *url, *scope;
    long n_rows, seconds; /* options */
    long n_got;           /* rows of this snapshot */
    long n_snapshots;
    uint64_t asked_ns, end_ns;
    char sub[24]; /* a new id each time, so that a left-over of the last one is no row of this one */
    struct histogram took;
    double took_s;
};

static void subscribe(struct client *client)
{
    struct reading *reading = client->owner;
    snprintf(reading->sub, sizeof(reading->sub), "tasks-%ld", reading->n_snapshots);
    reading->n_got = 0;
    reading->asked_ns = now_ns();
    client_subscribe(client, reading->sub, TASK_COLLECTION);
}

static void on_snap(struct client *client, const struct frame *frame)
{
    struct reading *reading = client->owner;
    char bytes[TASK_ID_MAX];
    struct text id = task_seed_id(bytes, (uint64_t)reading->n_got);
    if (!text_equals(frame->key, id)) {
        client_refuse(client, frame, "a row that is not the next one of the seed");
    }
    if (!task_matches(frame->row, id, (uint64_t)reading->n_got)) {
        client_refuse(client, frame, "a row with other values than the seed's");
    }
    reading->n_got++;
}

static void on_snap_end(struct client *client, const struct frame *frame, uint64_t now)
{
    struct reading *reading = client->owner;
    if (reading->n_got != reading->n_rows) {
        client_refuse(client, frame, "a snapshot that does not have all rows, or more");
    }
    histogram_add(&reading->took, now - reading->asked_ns);
    reading->took_s += (double)(now - reading->asked_ns) / (double)NS_PER_SEC;
    reading->n_snapshots++;
    if (now < reading->end_ns) {
        client_unsubscribe(client);
        subscribe(client);
    }
}

static void on_frame(struct client *client, const struct frame *frame, uint64_t now)
{
    if (frame->type == FRAME_SNAP) {
        on_snap(client, frame);
    }
    if (frame->type == FRAME_SNAP_END) {
        on_snap_end(client, frame, now);
    }
}

static bool is_over(void *arg)
{
    const struct client *client = arg;
    return client->session.state == SESSION_LIVE;
}

static void parse(struct reading *reading, int argc, char **argv)
{
    const struct option_text texts[] = {{"url", &reading->url, "the server, with {scope} in the path"},
                                        {"scope", &reading->scope, "the seeded scope"},
                                        {0}};
    const struct option_number numbers[] = {{"rows", &reading->n_rows, 1, 1000000, "rows that were seeded"},
                                            {"seconds", &reading->seconds, 0, 600, "go on for this long; 0 is once"},
                                            {0}};
    options_parse(&(struct options){"driver snapshot [--OPTION VALUE]...", numbers, texts}, argc, argv);
}

static void report(const struct reading *reading)
{
    printf("{\"work\":\"snapshot\",\"rows\":%ld,\"snapshots\":%ld,\"rows_per_s\":%.1f,", reading->n_rows,
           reading->n_snapshots, (double)(reading->n_rows * reading->n_snapshots) / reading->took_s);
    histogram_print(&reading->took, "snapshot_ms");
    printf("}\n");
}

void workload_snapshot(int argc, char **argv)
{
    static struct reading reading = {.scope = "bench", .n_rows = 20000, .seconds = 3};
    struct net net;
    struct client client;
    parse(&reading, argc, argv);
    net_init(&net, reading.url, subscribe, on_frame);
    reading.end_ns = now_ns() + (uint64_t)reading.seconds * NS_PER_SEC;
    client_open(&client, &net, 0, reading.scope, &reading);
    net_run(&net, is_over, &client, "a snapshot's next frame");
    client_close(&client);
    net_release(&net);
    report(&reading);
}
