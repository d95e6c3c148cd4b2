/*
 * A crowd that drops and returns at once: while nobody else is there a writer goes on, then each of the crowd comes
 * back at its own cursor, with the writer still at it. Each write must reach everybody exactly once, on whichever
 * connection, and who is told that he has caught up must have all that he missed.
 *
 * The writer's answers are timed before the drop and during the return, from the moment of sending, whether or not
 * older ones were answered. It has a net of its own, looked at between a few of the crowd's events: what is measured is
 * the server's patience, not the driver's. Its pace is slow, for each of its writes goes to the whole crowd.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/fail.h"
#include "tests/bench/load.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/workload.h"

#define SUB       "tasks"
#define WRITER    0 /* among the peers; the others are the crowd */
#define BATCH     32
#define IN_FLIGHT 32 /* of what the crowd misses */
#define RETURNED  UINT64_MAX
#define WAIT_SEC  10 /* for one more to come back: frames alone are no progress while the writer is at it */

struct storm {
    struct load load; /* first: storm_of() relies on it */
    struct net writer_net;
    long n_missed, at_once, every_ms, seconds; /* options */
    bool is_pacing, is_returning;
    uint64_t next_write;
    uint64_t n_written; /* before the return: what who has caught up must have */
    uint64_t *since;    /* by peer: its cursor when it dropped, or RETURNED */
    long n_opened, n_returned;
    uint64_t start_ns, end_ns; /* of the return: its first connection, the last who came back so far */
    struct histogram before, returned;
};

static struct storm *storm_of(const struct client *client)
{
    const struct peer *peer = client->owner;
    return (struct storm *)peer->scope->load;
}

static void on_open(struct client *client)
{
    const struct storm *storm = storm_of(client);
    const struct peer *peer = client->owner;
    if (storm->is_returning) {
        client_resume(client, SUB, TASK_COLLECTION, storm->since[peer - storm->load.peers]);
    } else {
        client_subscribe(client, SUB, TASK_COLLECTION);
    }
}

/* Only its first catch-up is the return: a session that reads slowly may be caught up again. */
static void on_caught_up(struct client *client, const struct frame *frame, uint64_t now)
{
    struct storm *storm = storm_of(client);
    const struct peer *peer = client->owner;
    uint64_t *since = &storm->since[peer - storm->load.peers];
    if (*since == RETURNED) {
        return;
    }
    if (peer->heard->next < storm->n_written) {
        client_refuse(client, frame, "a catch-up that lacks changes");
    }
    histogram_add(&storm->returned, now - client->asked_ns);
    *since = RETURNED;
    storm->n_returned++;
    storm->end_ns = now;
}

static void on_frame(struct client *client, const struct frame *frame, uint64_t now)
{
    load_on_frame(client, frame, now);
    if (frame->type == FRAME_UPTODATE && frame->sub.at) {
        on_caught_up(client, frame, now);
    }
}

/* ---- the writer, beside the crowd ---- */

static struct peer *writer_of(struct storm *storm)
{
    return &storm->load.peers[WRITER];
}

static void write_if_due(struct storm *storm)
{
    uint64_t now = now_ns();
    bool has_room = storm->load.n_sent - storm->load.n_answered < TALLY_WINDOW;
    if (storm->is_pacing && now >= storm->next_write && has_room) {
        storm->next_write += (uint64_t)storm->every_ms * NS_PER_MS;
        load_send(writer_of(storm), now);
        client_flush(&writer_of(storm)->client);
    }
}

/* Until the next write is due, or anything arrived. */
static void await(struct storm *storm)
{
    struct pollfd sets[] = {{.fd = storm->load.net.epoll, .events = POLLIN},
                            {.fd = storm->writer_net.epoll, .events = POLLIN}};
    uint64_t now = now_ns();
    int timeout_ms = 100;
    if (storm->is_pacing) {
        timeout_ms = storm->next_write > now ? (int)((storm->next_write - now) / NS_PER_MS) + 1 : 0;
    }
    poll(sets, 2, timeout_ms);
}

/* Before each of the crowd's batches. */
static void work_beside(struct storm *storm)
{
    write_if_due(storm);
    net_poll(&storm->writer_net, 0);
    await(storm);
}

static void start_pacing(struct storm *storm)
{
    storm->load.sent_max = 0; /* an answer is no reason to write */
    storm->load.window_start = storm->next_write = now_ns();
    storm->load.window_end = UINT64_MAX;
    storm->is_pacing = storm->every_ms > 0;
}

static bool is_settled(void *arg)
{
    struct storm *storm = arg;
    work_beside(storm);
    bool is_settled = load_is_settled(&storm->load);
    for (long i = 0; is_settled && i < load_n_peers(&storm->load); i++) {
        is_settled = storm->load.peers[i].client.session.delta_seq == 0;
    }
    return is_settled;
}

/* What was written until now is measured still, answered late or not. */
static void settle(struct storm *storm)
{
    storm->is_pacing = false;
    net_run(&storm->load.net, is_settled, storm, "all changes, and boundaries behind them");
}

/* ---- what happens, in this order ---- */

static void open_all(struct storm *storm)
{
    struct net *crowd = &storm->load.net;
    load_open(&storm->load, WRITER, &storm->writer_net);
    net_settle(&storm->writer_net);
    for (long i = WRITER + 1; i < load_n_peers(&storm->load); i++) {
        net_admit(crowd);
        load_open(&storm->load, i, crowd);
    }
    net_settle(crowd);
    crowd->poll_ms = 0; /* await() waits */
    crowd->batch = BATCH;
}

static bool is_baseline_over(void *arg)
{
    struct storm *storm = arg;
    work_beside(storm);
    return now_ns() >= storm->load.window_start + (uint64_t)storm->seconds * NS_PER_SEC;
}

/* The first write makes the scope's file and is not measured. */
static void write_before(struct storm *storm)
{
    load_send(writer_of(storm), now_ns());
    client_flush(&writer_of(storm)->client);
    settle(storm);
    start_pacing(storm);
    net_run(&storm->load.net, is_baseline_over, storm, "what is written before the drop");
    settle(storm);
    storm->before = storm->load.committed;
    storm->load.committed = (struct histogram){0};
}

static void drop(struct storm *storm)
{
    for (long i = WRITER + 1; i < load_n_peers(&storm->load); i++) {
        struct client *client = &storm->load.peers[i].client;
        storm->since[i] = client->session.cursor;
        client_close(client);
    }
}

static bool is_answered(void *arg)
{
    const struct storm *storm = arg;
    return storm->load.n_answered == storm->load.n_sent;
}

static void write_missed(struct storm *storm)
{
    struct load *load = &storm->load;
    load->window_start = load->window_end = load->send_until = UINT64_MAX;
    load->sent_max = load->n_sent + (uint64_t)storm->n_missed;
    load_refill(writer_of(storm));
    client_flush(&writer_of(storm)->client);
    net_run(&storm->writer_net, is_answered, storm, "the answers to what the crowd misses");
    storm->n_written = load->n_sent;
}

static bool have_all_returned(void *arg)
{
    struct storm *storm = arg;
    struct net *crowd = &storm->load.net;
    while (storm->n_opened < storm->load.n_subscribers && crowd->n_clients - crowd->n_live < storm->at_once) {
        load_open(&storm->load, WRITER + 1 + storm->n_opened++, crowd);
    }
    work_beside(storm);
    if (now_ns() - storm->end_ns > WAIT_SEC * NS_PER_SEC) {
        fail("nobody has come back for %d s: %ld of %ld did", WAIT_SEC, storm->n_returned, storm->load.n_subscribers);
    }
    return storm->n_returned == storm->load.n_subscribers;
}

static void bring_back(struct storm *storm)
{
    storm->is_returning = true;
    start_pacing(storm);
    storm->start_ns = storm->end_ns = now_ns();
    net_run(&storm->load.net, have_all_returned, storm, "those who return");
    settle(storm);
}

static void parse(struct storm *storm, int argc, char **argv)
{
    struct load *load = &storm->load;
    const struct option_text texts[] = {{"url", &load->url, "the server, with {scope} in the path"},
                                        {"scope", &load->scope, "the scope's name begins with this"},
                                        {0}};
    const struct option_number numbers[] = {
        {"clients", &load->n_subscribers, 1, CONNECTIONS_MAX - 1, "connections that drop and return"},
        {"missed", &storm->n_missed, 1, 100000, "changes that they miss"},
        {"at-once", &storm->at_once, 1, 4000, "how many may be on their way back at a time"},
        {"every-ms", &storm->every_ms, 0, 1000, "the writer's pace, missed changes apart; 0 writes nothing else"},
        {"seconds", &storm->seconds, 1, 60, "time of writing before the drop"},
        {0}};
    options_parse(&(struct options){"driver storm [--OPTION VALUE]...", numbers, texts}, argc, argv);
}

static void report(const struct storm *storm)
{
    double seconds = (double)(storm->end_ns - storm->start_ns) / (double)NS_PER_SEC;
    printf("{\"work\":\"storm\",\"clients\":%ld,\"missed\":%ld,\"resumes_per_s\":%.1f,", storm->load.n_subscribers,
           storm->n_missed, (double)storm->load.n_subscribers / seconds);
    histogram_print(&storm->returned, "resume_ms");
    printf(",");
    histogram_print(&storm->before, "committed_before_ms");
    printf(",");
    histogram_print(&storm->load.committed, "committed_during_ms");
    printf("}\n");
}

void workload_storm(int argc, char **argv)
{
    static struct storm storm = {
        .load = {.scope = "bench", .n_scopes = 1, .n_writers = 1, .n_subscribers = 5000, .in_flight = IN_FLIGHT},
        .n_missed = 200,
        .at_once = 1000,
        .every_ms = 100,
        .seconds = 3};
    parse(&storm, argc, argv);
    load_init(&storm.load, on_open, on_frame);
    net_init(&storm.writer_net, storm.load.url, on_open, on_frame);
    storm.since = calloc((size_t)load_n_peers(&storm.load), sizeof(*storm.since));
    if (!storm.since) {
        fail("out of memory");
    }
    open_all(&storm);
    if (storm.every_ms > 0) {
        write_before(&storm);
    }
    drop(&storm);
    write_missed(&storm);
    bring_back(&storm);
    report(&storm);
    free(storm.since);
    load_release(&storm.load);
    net_release(&storm.writer_net);
}
