/*
 * Inserts to `committed`, with every connection subscribed: one writer or many, one scope or many, and as many further
 * subscribers as wanted. Each change must reach each connection of its scope exactly once, as it was written.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/client.h"
#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/tally.h"
#include "tests/bench/task.h"
#include "tests/bench/timing.h"
#include "tests/bench/workload.h"

struct writer {
    struct tally answered;
    uint64_t n_sent;
    uint64_t *sent_ns;                /* by number, of all that were sent: a subscriber may be far behind */
    uint64_t delta_seq[TALLY_WINDOW]; /* by number, of those in flight: the writer's own change */
};

struct scope {
    struct load *load;
    char name[96];
    struct writer *writers;
};

/* One connection: writer `writer` of its scope, or a mere subscriber. */
struct peer {
    struct client client;
    struct scope *scope;
    int writer;          /* or NOT_A_WRITER */
    struct tally *heard; /* one for each writer of the scope */
};

#define NOT_A_WRITER    (-1)
#define CONNECTIONS_MAX 19000 /* a process may be held to 20,000 descriptors */
#define FIRST_MAX       64    /* first transactions at a time: making many files takes long */

struct load {
    const char *url, *scope;
    long n_scopes, n_writers, n_subscribers, in_flight, seconds, warmup_ms, count_max; /* options */
    struct net net;
    struct scope *scopes;
    struct peer *peers;
    char run[16]; /* begins every key, so that a scope can be used again */
    bool is_sending;
    uint64_t window_start, window_end; /* what is measured */
    uint64_t n_sent, n_answered, n_heard;
    uint64_t n_deliveries; /* in the window, to those who do not write */
    struct histogram committed, delivery;
};

static long members(const struct load *load)
{
    return load->n_writers + load->n_subscribers;
}

static struct writer *own_writer(const struct peer *peer)
{
    return &peer->scope->writers[peer->writer];
}

static bool in_window(const struct load *load, uint64_t now)
{
    return now >= load->window_start && now < load->window_end;
}

static void remember_sent(struct writer *writer, uint64_t now)
{
    uint64_t n = writer->n_sent++;
    if ((n & (n - 1)) == 0) { /* full at each power of two */
        writer->sent_ns = realloc(writer->sent_ns, (n ? 2 * n : 1) * sizeof(*writer->sent_ns));
    }
    if (!writer->sent_ns) {
        fail("out of memory");
    }
    writer->sent_ns[n] = now;
}

static void send_insert(struct peer *peer, uint64_t now)
{
    struct load *load = peer->scope->load;
    struct writer *writer = own_writer(peer);
    char bytes[TASK_ID_MAX];
    int len = snprintf(bytes, sizeof(bytes), "%s-%d-%" PRIu64, load->run, peer->writer, writer->n_sent);
    struct text id = {bytes, (uint32_t)len};
    struct buffer *out = client_begin(&peer->client);
    frame_insert(out, id, TASK_COLLECTION, id);
    task_encode(out, id, writer->n_sent);
    client_end(&peer->client);
    remember_sent(writer, now);
    load->n_sent++;
}

/* Keep the window full. */
static void refill(struct peer *peer)
{
    struct load *load = peer->scope->load;
    struct writer *writer = own_writer(peer);
    uint64_t now = now_ns();
    load->is_sending = now < load->window_end && load->n_sent < (uint64_t)load->count_max;
    while (load->is_sending && writer->n_sent < writer->answered.next + (uint64_t)load->in_flight) {
        send_insert(peer, now);
        load->is_sending = load->n_sent < (uint64_t)load->count_max;
    }
}

static bool read_number(struct text *text, uint64_t *ret)
{
    uint32_t i = 0;
    *ret = 0;
    for (; i < text->len && i < 18 && text->at[i] >= '0' && text->at[i] <= '9'; i++) {
        *ret = *ret * 10 + (uint64_t)(text->at[i] - '0');
    }
    *text = (struct text){text->at + i, text->len - i};
    return i > 0;
}

/* `RUN-WRITER-NUMBER`: false when this run never sent such a key. */
static bool read_key(const struct scope *scope, struct text key, int *ret_writer, uint64_t *ret_n)
{
    struct text run = text_of(scope->load->run);
    uint64_t writer = 0;
    if (key.len <= run.len + 1 || memcmp(key.at, run.at, run.len) != 0 || key.at[run.len] != '-') {
        return false;
    }
    key = (struct text){key.at + run.len + 1, key.len - run.len - 1};
    if (!read_number(&key, &writer) || key.len < 2 || key.at[0] != '-') {
        return false;
    }
    key = (struct text){key.at + 1, key.len - 1};
    if (!read_number(&key, ret_n) || key.len > 0 || writer >= (uint64_t)scope->load->n_writers) {
        return false;
    }
    *ret_writer = (int)writer;
    return *ret_n < scope->writers[writer].n_sent;
}

static void on_delta(struct peer *peer, const struct frame *frame, uint64_t now)
{
    struct load *load = peer->scope->load;
    int writer = 0;
    uint64_t n = 0;
    if (!read_key(peer->scope, frame->key, &writer, &n)) {
        client_refuse(&peer->client, frame, "a change that nobody made");
    }
    if (!text_is(frame->op, "insert") || !task_matches(frame->row, frame->key, n)) {
        client_refuse(&peer->client, frame, "a change that is not what was written");
    }
    if (!tally_add(&peer->heard[writer], n)) {
        client_refuse(&peer->client, frame, "a change that came twice, or before one that is lost");
    }
    load->n_heard++;
    if (writer == peer->writer) {
        own_writer(peer)->delta_seq[n % TALLY_WINDOW] = frame->seq;
    }
    if (peer->writer == NOT_A_WRITER && in_window(load, now)) {
        load->n_deliveries++;
        histogram_add(&load->delivery, now - peer->scope->writers[writer].sent_ns[n]);
    }
}

static void on_committed(struct peer *peer, const struct frame *frame, uint64_t now)
{
    struct load *load = peer->scope->load;
    int writer = 0;
    uint64_t n = 0;
    if (!read_key(peer->scope, frame->tx, &writer, &n) || writer != peer->writer) {
        client_refuse(&peer->client, frame, "an answer to a transaction that this session did not send");
    }
    if (!tally_has(&peer->heard[writer], n)) {
        client_refuse(&peer->client, frame, "an answer before the session's own change");
    }
    if (!tally_add(&own_writer(peer)->answered, n)) {
        client_refuse(&peer->client, frame, "a second answer");
    }
    if (own_writer(peer)->delta_seq[n % TALLY_WINDOW] != frame->seq) {
        client_refuse(&peer->client, frame, "an answer with another seq than its change");
    }
    load->n_answered++;
    if (in_window(load, now)) {
        histogram_add(&load->committed, now - own_writer(peer)->sent_ns[n]);
    }
    refill(peer);
}

static void on_frame(struct client *client, const struct frame *frame, uint64_t now)
{
    struct peer *peer = client->owner;
    switch (frame->type) {
    case FRAME_DELTA:
        on_delta(peer, frame, now);
        break;
    case FRAME_COMMITTED:
        on_committed(peer, frame, now);
        break;
    case FRAME_REJECTED:
        client_refuse(client, frame, "a rejection");
    default:
        break;
    }
}

static void on_open(struct client *client)
{
    client_subscribe(client, "tasks", TASK_COLLECTION);
}

/* Nothing more is sent, and everybody knows everything. */
static bool is_over(void *arg)
{
    struct load *load = arg;
    load->is_sending = load->is_sending && now_ns() < load->window_end;
    return !load->is_sending && load->n_answered == load->n_sent &&
           load->n_heard == load->n_sent * (uint64_t)members(load);
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    if (!memory) {
        fail("out of memory");
    }
    return memory;
}

static void make_scopes(struct load *load)
{
    load->scopes = allocate((size_t)load->n_scopes, sizeof(*load->scopes));
    for (long i = 0; i < load->n_scopes; i++) {
        struct scope *scope = &load->scopes[i];
        scope->load = load;
        scope->writers = allocate((size_t)load->n_writers, sizeof(*scope->writers));
        snprintf(scope->name, sizeof(scope->name), "%.60s-%ld", load->scope, i);
    }
}

static void open_peers(struct load *load)
{
    long n = load->n_scopes * members(load);
    load->peers = allocate((size_t)n, sizeof(*load->peers));
    for (long i = 0; i < n; i++) {
        struct peer *peer = &load->peers[i];
        long member = i % members(load);
        peer->scope = &load->scopes[i / members(load)];
        peer->writer = member < load->n_writers ? (int)member : NOT_A_WRITER;
        peer->heard = allocate((size_t)load->n_writers, sizeof(*peer->heard));
        net_admit(&load->net);
        client_open(&peer->client, &load->net, (int)i, peer->scope->name, peer);
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
    long n = load->n_scopes * members(load);
    for (long i = 0; i < n; i++) {
        if (load->peers[i].writer != NOT_A_WRITER) {
            net_run(&load->net, has_room, load, "the first answers");
            send_insert(&load->peers[i], now_ns());
            client_flush(&load->peers[i].client);
        }
    }
    net_run(&load->net, is_over, load, "the first answers and deltas");
}

static void run(struct load *load)
{
    load->window_start = now_ns() + (uint64_t)load->warmup_ms * NS_PER_MS;
    load->window_end = load->window_start + (uint64_t)load->seconds * NS_PER_SEC;
    long n = load->n_scopes * members(load);
    for (long i = 0; i < n; i++) {
        if (load->peers[i].writer != NOT_A_WRITER) {
            refill(&load->peers[i]);
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

static void release(struct load *load)
{
    for (long i = 0; i < load->n_scopes * members(load); i++) {
        client_close(&load->peers[i].client);
        free(load->peers[i].heard);
    }
    for (long i = 0; i < load->n_scopes; i++) {
        for (long w = 0; w < load->n_writers; w++) {
            free(load->scopes[i].writers[w].sent_ns);
        }
        free(load->scopes[i].writers);
    }
    free(load->scopes);
    free(load->peers);
    net_release(&load->net);
}

static void parse(struct load *load, int argc, char **argv)
{
    const struct option_text texts[] = {{"url", &load->url, "the server, with {scope} in the path"},
                                        {"scope", &load->scope, "the scopes' names begin with this"},
                                        {0}};
    const struct option_number numbers[] = {
        {"scopes", &load->n_scopes, 1, 2000, "scopes that are written"},
        {"writers", &load->n_writers, 1, 256, "connections of a scope that write"},
        {"subscribers", &load->n_subscribers, 0, 4000, "connections of a scope that only listen"},
        {"in-flight", &load->in_flight, 1, TALLY_WINDOW, "unanswered transactions of a writer"},
        {"warmup-ms", &load->warmup_ms, 0, 10000, "time before the measurement, after each writer's first answer"},
        {"seconds", &load->seconds, 1, 600, "time of the measurement"},
        {"count", &load->count_max, 1, 20000000, "most transactions of the run"},
        {0}};
    options_parse(&(struct options){"driver insert [--OPTION VALUE]...", numbers, texts}, argc, argv);
    if (load->n_scopes * members(load) > CONNECTIONS_MAX) {
        fail("%ld scopes with %ld connections each are more than %d", load->n_scopes, members(load), CONNECTIONS_MAX);
    }
}

void workload_insert(int argc, char **argv)
{
    struct load *load = allocate(1, sizeof(*load));
    *load = (struct load){.scope = "bench",
                          .n_scopes = 1,
                          .n_writers = 1,
                          .in_flight = 1,
                          .seconds = 3,
                          .warmup_ms = 500,
                          .count_max = 20000000};
    parse(load, argc, argv);
    snprintf(load->run, sizeof(load->run), "%" PRIx64, now_ns() / NS_PER_MS);
    net_init(&load->net, load->url, on_open, on_frame);
    make_scopes(load);
    open_peers(load);
    write_first(load);
    run(load);
    report(load, now_ns());
    release(load);
    free(load);
}
