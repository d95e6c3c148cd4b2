/*
 * herd - many clients that ask at the same moment for the same snapshot, each over a slow socket: a small receive
 * buffer, read a few bytes at a time.
 *
 * The scope's tasks are those of the command `seed`, which nobody changes, and others, fewer than OTHERS_MAX, which
 * somebody else writes meanwhile. Each client must get each seeded row once, in order and right, and end with the same
 * others as a client that comes when it is all over: that is when the row SEAL has come, which is written last.
 *
 * Prints `live` when all have their snapshots, then one line of JSON. The first thing that is wrong ends it with a
 * message and exit status 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/client.h"
#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/timing.h"

#define OTHERS_MAX 4096
#define SEAL       "sealed"
#define TICKS      UINT64_C(100) /* a second: each reads a bit in each */
#define SILENCE    (20 * NS_PER_SEC)

/* A row that is not of the seed; without a key, a free place. */
struct other {
    char key[TASK_ID_MAX];
    uint64_t hash; /* of its columns; 0 when it was deleted */
};

struct reader {
    struct herd *herd;
    struct client client;
    uint64_t n_rows; /* of the seed, so far */
    int n_others;
    struct other others[OTHERS_MAX]; /* by the hash of their keys */
    bool is_sealed;
};

struct herd {
    const char *url, *scope;
    long n, n_rows, receive_buffer, kib_per_second, seconds; /* options */
    struct net net;
    struct reader *readers; /* the last one is who comes when it is all over */
    long n_open, n_live, n_sealed;
    uint64_t n_deltas, asked_ns, live_ns, end_ns;
};

/* FNV-1a, and never 0. */
static uint64_t hash_of(const void *bytes, size_t len)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const uint8_t *at = bytes; at < (const uint8_t *)bytes + len; at++) {
        hash = (hash ^ *at) * UINT64_C(1099511628211);
    }
    return hash | 1;
}

/* The place of the row with that key, or for it. */
static struct other *find_other(struct reader *reader, struct text key)
{
    uint64_t at = hash_of(key.at, key.len) >> 1;
    while (reader->others[at % OTHERS_MAX].key[0] && !text_is(key, reader->others[at % OTHERS_MAX].key)) {
        at++;
    }
    return &reader->others[at % OTHERS_MAX];
}

static void on_other(struct reader *reader, const struct frame *frame)
{
    struct other *other = find_other(reader, frame->key);
    bool is_new = !other->key[0];
    if (frame->type == FRAME_SNAP && !is_new) {
        client_refuse(&reader->client, frame, "a row that came twice in one snapshot");
    }
    if (is_new && (reader->n_others == OTHERS_MAX - 1 || frame->key.len >= TASK_ID_MAX)) {
        client_refuse(&reader->client, frame, "more rows than were written, or one with another key");
    }
    memcpy(other->key, frame->key.at, frame->key.len);
    other->hash = frame->row.at ? hash_of(frame->row.at, (size_t)(frame->row.end - frame->row.at)) : 0;
    reader->n_others += is_new;
    if (!reader->is_sealed && text_is(frame->key, SEAL)) {
        reader->is_sealed = true;
        reader->herd->n_sealed++;
    }
}

static bool is_seeded(struct text key)
{
    char bytes[TASK_ID_MAX];
    return key.len == task_seed_id(bytes, 0).len;
}

static void on_snap(struct reader *reader, const struct frame *frame)
{
    if (!is_seeded(frame->key)) {
        on_other(reader, frame);
        return;
    }
    char bytes[TASK_ID_MAX];
    struct text id = task_seed_id(bytes, reader->n_rows);
    if (!text_equals(frame->key, id)) {
        client_refuse(&reader->client, frame, "a row that is not the next one of the seed");
    }
    if (!task_matches(frame->row, id, reader->n_rows)) {
        client_refuse(&reader->client, frame, "a row with other values than the seed's");
    }
    reader->n_rows++;
}

static void on_snap_end(struct reader *reader, const struct frame *frame)
{
    if (reader->n_rows != (uint64_t)reader->herd->n_rows) {
        client_refuse(&reader->client, frame, "a snapshot that does not have all rows of the seed, or more");
    }
    reader->herd->n_live++;
}

static void on_delta(struct reader *reader, const struct frame *frame)
{
    if (is_seeded(frame->key)) {
        client_refuse(&reader->client, frame, "a change that nobody made");
    }
    reader->herd->n_deltas++;
    on_other(reader, frame);
}

static void on_frame(struct client *client, const struct frame *frame, uint64_t now)
{
    (void)now;
    struct reader *reader = client->owner;
    if (frame->type == FRAME_SNAP) {
        on_snap(reader, frame);
    } else if (frame->type == FRAME_SNAP_END) {
        on_snap_end(reader, frame);
    } else if (frame->type == FRAME_DELTA) {
        on_delta(reader, frame);
    }
}

static void on_open(struct client *client)
{
    struct reader *reader = client->owner;
    reader->herd->n_open++;
}

static void sleep_until(uint64_t ns)
{
    struct timespec at = {.tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = (long)(ns % NS_PER_SEC)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL)) {
    }
}

/* A tick at a time, in which each client reads once, until `*count` is `wanted`. */
static void run(struct herd *herd, const long *count, long wanted, const char *what)
{
    uint64_t n_frames = herd->net.n_frames, since = now_ns(), tick = since;
    while (*count < wanted) {
        net_poll(&herd->net, 0);
        uint64_t now = now_ns();
        if (herd->net.n_frames != n_frames) {
            n_frames = herd->net.n_frames;
            since = now;
        }
        if (now - since > SILENCE || now > herd->end_ns) {
            fail("%ld of %ld: waited in vain for %s", *count, wanted, what);
        }
        tick = now > tick + NS_PER_SEC / TICKS ? now : tick + NS_PER_SEC / TICKS;
        sleep_until(tick);
    }
}

static void open_reader(struct herd *herd, long i)
{
    herd->readers[i].herd = herd;
    client_open(&herd->readers[i].client, &herd->net, (int)i, herd->scope, &herd->readers[i]);
}

static void subscribe(struct reader *reader)
{
    client_subscribe(&reader->client, TASK_COLLECTION, TASK_COLLECTION);
    client_flush(&reader->client);
}

/* All of them are connected before the first one asks. */
static void gather(struct herd *herd)
{
    for (long i = 0; i < herd->n; i++) {
        open_reader(herd, i);
    }
    run(herd, &herd->n_open, herd->n, "connections to be upgraded");
    herd->asked_ns = now_ns();
    for (long i = 0; i < herd->n; i++) {
        subscribe(&herd->readers[i]);
    }
    run(herd, &herd->n_live, herd->n, "snapshots to end");
    herd->live_ns = now_ns();
}

static long n_alive(const struct reader *reader)
{
    long n = 0;
    for (int i = 0; i < OTHERS_MAX; i++) {
        n += reader->others[i].hash != 0;
    }
    return n;
}

static void compare(struct reader *reader, const struct reader *fresh)
{
    for (int i = 0; i < OTHERS_MAX; i++) {
        const struct other *wanted = &fresh->others[i];
        if (wanted->hash != 0 && find_other(reader, text_of(wanted->key))->hash != wanted->hash) {
            fail("connection %d holds another row '%s' than a new client", reader->client.number, wanted->key);
        }
    }
    if (n_alive(reader) != n_alive(fresh)) {
        fail("connection %d holds rows that a new client does not", reader->client.number);
    }
}

/* Everybody knows the last write: what they hold must be what a new client finds. */
static void compare_all(struct herd *herd)
{
    run(herd, &herd->n_sealed, herd->n, "the last write");
    herd->net.receive_buffer = 0; /* this one may be quick */
    herd->net.read_max = (size_t)256 << 10;
    open_reader(herd, herd->n);
    run(herd, &herd->n_open, herd->n + 1, "a new connection");
    subscribe(&herd->readers[herd->n]);
    run(herd, &herd->n_live, herd->n + 1, "a new client's snapshot");
    for (long i = 0; i < herd->n; i++) {
        compare(&herd->readers[i], &herd->readers[herd->n]);
    }
}

static void parse(struct herd *herd, int argc, char **argv)
{
    const struct option_text texts[] = {
        {"url", &herd->url, "the server, with {scope} in the path"}, {"scope", &herd->scope, "the seeded scope"}, {0}};
    const struct option_number numbers[] = {
        {"clients", &herd->n, 1, 1000, "how many ask at once"},
        {"rows", &herd->n_rows, 1, 1000000, "rows that were seeded"},
        {"receive-buffer", &herd->receive_buffer, 1024, 1 << 20, "bytes that a socket takes before they are read"},
        {"kib-per-second", &herd->kib_per_second, 1, 1 << 20, "how fast a client reads, at most"},
        {"seconds", &herd->seconds, 1, 3600, "give up after this long"},
        {0}};
    options_parse(&(struct options){"herd [--OPTION VALUE]...", numbers, texts}, argc, argv);
}

int main(int argc, char **argv)
{
    struct herd herd = {.scope = "herd", .n = 20, .n_rows = 20000, .receive_buffer = 16384, .kib_per_second = 1024};
    herd.seconds = 600;
    fail_as("herd");
    parse(&herd, argc, argv);
    herd.end_ns = now_ns() + (uint64_t)herd.seconds * NS_PER_SEC;
    herd.readers = calloc((size_t)herd.n + 1, sizeof(*herd.readers));
    if (!herd.readers) {
        fail("out of memory");
    }
    net_init(&herd.net, herd.url, on_open, on_frame);
    herd.net.read_max = ((size_t)herd.kib_per_second << 10) / TICKS;
    herd.net.receive_buffer = (int)herd.receive_buffer;
    gather(&herd);
    printf("live\n");
    fflush(stdout);
    compare_all(&herd);
    printf("{\"clients\":%ld,\"rows\":%ld,\"others\":%ld,\"deltas\":%" PRIu64 ",\"seconds\":%.2f}\n", herd.n,
           herd.n_rows, n_alive(&herd.readers[herd.n]), herd.n_deltas,
           (double)(herd.live_ns - herd.asked_ns) / (double)NS_PER_SEC);
    for (long i = 0; i <= herd.n; i++) {
        client_close(&herd.readers[i].client);
    }
    net_release(&herd.net);
    free(herd.readers);
    return 0;
}
