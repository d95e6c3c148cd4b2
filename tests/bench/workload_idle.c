/*
 * Many sockets, subscribed to one scope or each to its own, that do nothing until standard input ends: what they and
 * their scopes cost is measured from outside. A change or a lost connection meanwhile is a failure.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/client.h"
#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/task.h"
#include "tests/bench/timing.h"
#include "tests/bench/workload.h"

struct idling {
    const char *url, *scope, *collection;
    long n, has_own_scopes, is_writing, seconds; /* options */
    char key[TASK_ID_MAX];                       /* what is written */
    struct client *clients;
    char (*scopes)[96]; /* by client, if each has its own */
};

static void subscribe(struct client *client)
{
    const struct idling *idling = client->owner;
    client_subscribe(client, "idle", idling->collection);
}

static void insert(struct client *client)
{
    const struct idling *idling = client->owner;
    struct text key = text_of(idling->key);
    struct buffer *out = client_begin(client);
    frame_insert(out, key, TASK_COLLECTION, key);
    task_encode(out, key, 0);
    client_end(client);
}

static void on_open(struct client *client)
{
    const struct idling *idling = client->owner;
    if (idling->is_writing) {
        insert(client);
    } else {
        subscribe(client);
    }
}

static void on_frame(struct client *client, const struct frame *frame, uint64_t now)
{
    (void)now;
    if (frame->type == FRAME_DELTA) {
        client_refuse(client, frame, "a change that nobody made");
    }
    if (frame->type == FRAME_REJECTED) {
        client_refuse(client, frame, "a rejection");
    }
    if (frame->type == FRAME_COMMITTED) {
        subscribe(client);
    }
}

static bool input_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

static void hold(struct net *net, long seconds)
{
    uint64_t end = now_ns() + (uint64_t)seconds * NS_PER_SEC;
    while (!input_ended()) {
        if (now_ns() > end) {
            fail("standard input did not end within %ld s", seconds);
        }
        net_poll(net, 100);
    }
}

static void parse(struct idling *idling, int argc, char **argv)
{
    const struct option_text texts[] = {{"url", &idling->url, "the server, with {scope} in the path"},
                                        {"scope", &idling->scope, "the scope, or what the scopes' names begin with"},
                                        {"collection", &idling->collection, "what they subscribe to"},
                                        {0}};
    const struct option_number numbers[] = {
        {"connections", &idling->n, 1, 19000, "sockets to hold"},
        {"own-scopes", &idling->has_own_scopes, 0, 1, "1: scopes SCOPE-0, SCOPE-1, ... ; 0: all to SCOPE"},
        {"write", &idling->is_writing, 0, 1, "1: each writes a row first, to its own scope"},
        {"seconds", &idling->seconds, 1, 3600, "give up after this long"},
        {0}};
    options_parse(&(struct options){"driver idle [--OPTION VALUE]...", numbers, texts}, argc, argv);
    if (idling->is_writing && !idling->has_own_scopes) {
        fail("--write 1 wants --own-scopes 1: in one scope the others would hear of it");
    }
}

static void open_all(struct idling *idling, struct net *net)
{
    idling->clients = calloc((size_t)idling->n, sizeof(*idling->clients));
    idling->scopes = calloc((size_t)idling->n, sizeof(*idling->scopes));
    if (!idling->clients || !idling->scopes) {
        fail("out of memory");
    }
    for (long i = 0; i < idling->n; i++) {
        snprintf(idling->scopes[i], sizeof(idling->scopes[i]), "%.60s-%ld", idling->scope, i);
        net_admit(net);
        client_open(&idling->clients[i], net, (int)i, idling->has_own_scopes ? idling->scopes[i] : idling->scope,
                    idling);
    }
    net_settle(net);
}

static void close_all(struct idling *idling)
{
    for (long i = 0; i < idling->n; i++) {
        client_close(&idling->clients[i]);
    }
    free(idling->clients);
    free(idling->scopes);
}

void workload_idle(int argc, char **argv)
{
    struct idling idling = {.scope = "bench", .collection = TASK_COLLECTION, .n = 1000, .seconds = 300};
    struct net net;
    parse(&idling, argc, argv);
    snprintf(idling.key, sizeof(idling.key), "%" PRIx64, now_ns());
    net_init(&net, idling.url, on_open, on_frame);
    open_all(&idling, &net);
    printf("{\"work\":\"idle\",\"connections\":%ld}\n", idling.n);
    fflush(stdout);
    hold(&net, idling.seconds);
    close_all(&idling);
    net_release(&net);
}
