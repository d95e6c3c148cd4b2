/*
 * Many sockets, each subscribed to the same scope, that do nothing until standard input ends: what they cost is
 * measured from outside. A change or a lost connection meanwhile is a failure.
 */
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
    long n, seconds;
};

static void on_open(struct client *client)
{
    const struct idling *idling = client->owner;
    client_subscribe(client, "idle", idling->collection);
}

static void on_frame(struct client *client, const struct frame *frame, uint64_t now)
{
    (void)now;
    if (frame->type == FRAME_DELTA) {
        client_refuse(client, frame, "a change that nobody made");
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
                                        {"scope", &idling->scope, "the scope of all of them"},
                                        {"collection", &idling->collection, "what they subscribe to"},
                                        {0}};
    const struct option_number numbers[] = {{"connections", &idling->n, 1, 19000, "sockets to hold"},
                                            {"seconds", &idling->seconds, 1, 3600, "give up after this long"},
                                            {0}};
    options_parse(&(struct options){"driver idle [--OPTION VALUE]...", numbers, texts}, argc, argv);
}

void workload_idle(int argc, char **argv)
{
    struct idling idling = {.scope = "bench", .collection = TASK_COLLECTION, .n = 1000, .seconds = 300};
    struct net net;
    parse(&idling, argc, argv);
    net_init(&net, idling.url, on_open, on_frame);
    struct client *clients = calloc((size_t)idling.n, sizeof(*clients));
    if (!clients) {
        fail("out of memory");
    }
    for (long i = 0; i < idling.n; i++) {
        net_admit(&net);
        client_open(&clients[i], &net, (int)i, idling.scope, &idling);
    }
    net_settle(&net);
    printf("{\"work\":\"idle\",\"connections\":%ld}\n", idling.n);
    fflush(stdout);
    hold(&net, idling.seconds);
    for (long i = 0; i < idling.n; i++) {
        client_close(&clients[i]);
    }
    free(clients);
    net_release(&net);
}
