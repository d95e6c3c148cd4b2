#include "tests/bench/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/fail.h"
#include "tests/bench/task.h"

long load_members(const struct load *load)
{
    return load->n_writers + load->n_subscribers;
}

long load_n_peers(const struct load *load)
{
    return load->n_scopes * load_members(load);
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

void load_send(struct peer *peer, uint64_t now)
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

bool load_is_sending(const struct load *load, uint64_t now)
{
    return now < load->send_until && load->n_sent < load->sent_max;
}

void load_refill(struct peer *peer)
{
    struct load *load = peer->scope->load;
    struct writer *writer = own_writer(peer);
    uint64_t now = now_ns();
    while (load_is_sending(load, now) && writer->n_sent < writer->answered.next + (uint64_t)load->in_flight) {
        load_send(peer, now);
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
    load_refill(peer);
}

void load_on_frame(struct client *client, const struct frame *frame, uint64_t now)
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

bool load_is_settled(const struct load *load)
{
    return load->n_answered == load->n_sent && load->n_heard == load->n_sent * (uint64_t)load_members(load);
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

static void make_peers(struct load *load)
{
    long members = load_members(load);
    load->peers = allocate((size_t)load_n_peers(load), sizeof(*load->peers));
    for (long i = 0; i < load_n_peers(load); i++) {
        struct peer *peer = &load->peers[i];
        peer->client.fd = -1;
        peer->scope = &load->scopes[i / members];
        peer->writer = i % members < load->n_writers ? (int)(i % members) : NOT_A_WRITER;
        peer->heard = allocate((size_t)load->n_writers, sizeof(*peer->heard));
    }
}

void load_init(struct load *load, client_open_cb *on_open, client_frame_cb *on_frame)
{
    if (load_n_peers(load) > CONNECTIONS_MAX) {
        fail("%ld scopes with %ld connections each are more than %d", load->n_scopes, load_members(load),
             CONNECTIONS_MAX);
    }
    snprintf(load->run, sizeof(load->run), "%" PRIx64, now_ns() / NS_PER_MS);
    net_init(&load->net, load->url, on_open, on_frame);
    make_scopes(load);
    make_peers(load);
}

void load_open(struct load *load, long i, struct net *net)
{
    struct peer *peer = &load->peers[i];
    client_open(&peer->client, net, (int)i, peer->scope->name, peer);
}

void load_release(struct load *load)
{
    for (long i = 0; i < load_n_peers(load); i++) {
        if (load->peers[i].client.fd >= 0) {
            client_close(&load->peers[i].client);
        }
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
