/*
 * Rows through the bench app's command `seed`, a few at a time, on a session without subscriptions; one scope after the
 * other if there are many.
 */
#include <stdio.h>

#include "tests/bench/client.h"
#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/timing.h"
#include "tests/bench/workload.h"

struct seeding {
    const char *url, *scope;
    long n_rows, step, n_scopes; /* options */
    long n_asked, n_done;
};

static void call_seed(struct client *client, struct seeding *seeding)
{
    long left = seeding->n_rows - seeding->n_asked;
    long n = left < seeding->step ? left : seeding->step;
    char tx[64];
    int len = snprintf(tx, sizeof(tx), "seed-%llx-%ld", (unsigned long long)now_ns(), seeding->n_asked);
    struct buffer *out = client_begin(client);
    frame_call(out, (struct text){tx, (uint32_t)len}, "seed");
    mp_map(out, 2);
    mp_str(out, "from");
    mp_int(out, seeding->n_asked);
    mp_str(out, "n");
    mp_int(out, n);
    client_end(client);
    seeding->n_asked += n;
}

static void on_open(struct client *client)
{
    call_seed(client, client->owner);
}

/* The command's result is the number of its rows. */
static void on_committed(struct client *client, const struct frame *frame)
{
    struct seeding *seeding = client->owner;
    struct mp_reader reader = frame->result;
    struct mp_value result;
    if (!mp_next(&reader, &result) || result.type != MP_INT || result.i != seeding->n_asked - seeding->n_done) {
        client_refuse(client, frame, "a result of seed that is not its number of rows");
    }
    seeding->n_done = seeding->n_asked;
    if (seeding->n_done < seeding->n_rows) {
        call_seed(client, seeding);
    }
}

static void on_frame(struct client *client, const struct frame *frame, uint64_t now)
{
    (void)now;
    if (frame->type == FRAME_REJECTED) {
        client_refuse(client, frame, "a rejection");
    }
    if (frame->type == FRAME_COMMITTED) {
        on_committed(client, frame);
    }
}

static bool is_done(void *arg)
{
    const struct seeding *seeding = arg;
    return seeding->n_done == seeding->n_rows;
}

static void parse(struct seeding *seeding, int argc, char **argv)
{
    const struct option_text texts[] = {
        {"url", &seeding->url, "the server, with {scope} in the path"}, {"scope", &seeding->scope, "the scope"}, {0}};
    const struct option_number numbers[] = {
        {"rows", &seeding->n_rows, 1, 1000000, "rows to make"},
        {"step", &seeding->step, 1, 100000, "rows of one transaction"},
        {"scopes", &seeding->n_scopes, 0, 2000, "scopes SCOPE-0, SCOPE-1, ... ; 0 is SCOPE itself"},
        {0}};
    options_parse(&(struct options){"driver seed [--OPTION VALUE]...", numbers, texts}, argc, argv);
}

static void seed_scope(struct seeding *seeding, struct net *net, const char *scope)
{
    struct client client;
    seeding->n_asked = seeding->n_done = 0;
    client_open(&client, net, 0, scope, seeding);
    net_run(net, is_done, seeding, "the answer of seed");
    client_close(&client);
}

void workload_seed(int argc, char **argv)
{
    struct seeding seeding = {.scope = "bench", .n_rows = 20000, .step = 1000};
    struct net net;
    parse(&seeding, argc, argv);
    net_init(&net, seeding.url, on_open, on_frame);
    if (seeding.n_scopes == 0) {
        seed_scope(&seeding, &net, seeding.scope);
    }
    for (long i = 0; i < seeding.n_scopes; i++) {
        char scope[96];
        snprintf(scope, sizeof(scope), "%.60s-%ld", seeding.scope, i);
        seed_scope(&seeding, &net, scope);
    }
    net_release(&net);
    printf("{\"work\":\"seed\",\"rows\":%ld}\n", seeding.n_rows);
}
