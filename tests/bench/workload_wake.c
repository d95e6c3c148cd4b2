/*
 * Sleeping scopes, woken one after the other by a connection of their own: from asking for the upgrade to the first
 * frame of a snapshot, or to the answer of a first write. What was seeded must be there, and nothing else but what
 * was written.
 *
 * That they do sleep is the caller's business.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/client.h"
#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/timing.h"
#include "tests/bench/workload.h"

struct waking {
    const char *url, *scope;
    long n_scopes, n_rows, is_writing; /* options */
    char own[TASK_ID_MAX];             /* the key that is written; it comes before those of the seed */
    long n_got;                        /* rows of this snapshot */
    struct histogram took;
};

static struct text own_key(const struct waking *waking)
{
    return text_of(waking->own);
}

static void insert(struct client *client, const struct waking *waking)
{
    struct buffer *out = client_begin(client);
    frame_insert(out, own_key(waking), TASK_COLLECTION, own_key(waking));
    task_encode(out, own_key(waking), 0);
    client_end(client);
}

static void on_open(struct client *client)
{
    struct waking *waking = client->owner;
    if (waking->is_writing) {
        insert(client, waking);
    } else {
        client_subscribe(client, "wake", TASK_COLLECTION);
    }
}

static void on_snap(struct client *client, const struct frame *frame)
{
    struct waking *waking = client->owner;
    char bytes[TASK_ID_MAX];
    bool is_own = waking->is_writing && waking->n_got == 0;
    uint64_t number = is_own ? 0 : (uint64_t)(waking->n_got - waking->is_writing);
    struct text id = is_own ? own_key(waking) : task_seed_id(bytes, number);
    if (!text_equals(frame->key, id) || !task_matches(frame->row, id, number)) {
        client_refuse(client, frame, "a row that is not the next one of those that were written");
    }
    waking->n_got++;
}

static void on_committed(struct client *client, const struct frame *frame)
{
    if (!text_equals(frame->tx, own_key(client->owner))) {
        client_refuse(client, frame, "an answer to a transaction that this session did not send");
    }
    client_subscribe(client, "wake", TASK_COLLECTION); /* to see whether it is there */
}

static void on_snap_end(struct client *client, const struct frame *frame)
{
    const struct waking *waking = client->owner;
    if (waking->n_got != waking->n_rows + waking->is_writing) {
        client_refuse(client, frame, "a snapshot that does not have all rows");
    }
}

static void on_frame(struct client *client, const struct frame *frame, uint64_t now)
{
    struct waking *waking = client->owner;
    enum frame_type first = waking->is_writing ? FRAME_COMMITTED : FRAME_SNAP;
    if (frame->type == first && waking->n_got == 0) {
        histogram_add(&waking->took, now - client->asked_ns);
    }
    switch (frame->type) {
    case FRAME_SNAP:
        on_snap(client, frame);
        break;
    case FRAME_SNAP_END:
        on_snap_end(client, frame);
        break;
    case FRAME_COMMITTED:
        on_committed(client, frame);
        break;
    case FRAME_REJECTED:
        client_refuse(client, frame, "a rejection");
    default:
        break;
    }
}

static bool is_over(void *arg)
{
    const struct client *client = arg;
    return client->session.state == SESSION_LIVE;
}

/* The connection stays: that a scope goes to sleep again must not disturb the next one's wake. */
static void wake(struct waking *waking, struct net *net, struct client *client, long i)
{
    char scope[96];
    snprintf(scope, sizeof(scope), "%.60s-%ld", waking->scope, i);
    waking->n_got = 0;
    client_open(client, net, (int)i, scope, waking);
    net_run(net, is_over, client, "the snapshot of a scope that slept");
    client->scope = waking->scope; /* its name ends here */
}

static void wake_all(struct waking *waking, struct net *net)
{
    struct client *clients = calloc((size_t)waking->n_scopes, sizeof(*clients));
    if (!clients) {
        fail("out of memory");
    }
    for (long i = 0; i < waking->n_scopes; i++) {
        wake(waking, net, &clients[i], i);
    }
    for (long i = 0; i < waking->n_scopes; i++) {
        client_close(&clients[i]);
    }
    free(clients);
}

static void parse(struct waking *waking, int argc, char **argv)
{
    const struct option_text texts[] = {{"url", &waking->url, "the server, with {scope} in the path"},
                                        {"scope", &waking->scope, "SCOPE-0, SCOPE-1, ... are woken"},
                                        {0}};
    const struct option_number numbers[] = {
        {"scopes", &waking->n_scopes, 1, 2000, "scopes to wake"},
        {"rows", &waking->n_rows, 1, 1000000, "rows that were seeded into each"},
        {"write", &waking->is_writing, 0, 1, "1: write to it, and time that; 0: read it"},
        {0}};
    options_parse(&(struct options){"driver wake [--OPTION VALUE]...", numbers, texts}, argc, argv);
}

void workload_wake(int argc, char **argv)
{
    static struct waking waking = {.scope = "bench", .n_scopes = 100, .n_rows = 20};
    struct net net;
    parse(&waking, argc, argv);
    snprintf(waking.own, sizeof(waking.own), "%" PRIx64, now_ns());
    net_init(&net, waking.url, on_open, on_frame);
    wake_all(&waking, &net);
    net_release(&net);
    printf("{\"work\":\"wake\",\"scopes\":%ld,\"write\":%ld,", waking.n_scopes, waking.is_writing);
    histogram_print(&waking.took, waking.is_writing ? "committed_ms" : "frame_ms");
    printf("}\n");
}
