/*
 * load - writers and subscribers of one scope or many, each on a connection of its own and subscribed, and what is sure
 * of them: each change reaches each connection of its scope exactly once, as it was written, and a writer's own before
 * its answer.
 *
 * What is written when is the workload's business; so is what is done with the latencies.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/client.h"
#include "tests/bench/tally.h"
#include "tests/bench/timing.h"

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

struct load {
    const char *url, *scope;
    long n_scopes, n_writers, n_subscribers, in_flight; /* options */
    struct net net;
    struct scope *scopes;
    struct peer *peers;                /* scope by scope, its writers first */
    char run[16];                      /* begins every key, so that a scope can be used again */
    uint64_t send_until, sent_max;     /* load_refill() stops at this time, at so many in all */
    uint64_t window_start, window_end; /* what is measured */
    uint64_t n_sent, n_answered, n_heard;
    uint64_t n_deliveries; /* in the window, to those who do not write */
    struct histogram committed, delivery;
};

/* Everything but the connections, once the options are set. */
void load_init(struct load *load, client_open_cb *on_open, client_frame_cb *on_frame);

/* Closes the connections that are open. */
void load_release(struct load *load);

/* Connections of a scope, and of all. */
long load_members(const struct load *load);
long load_n_peers(const struct load *load);

/* Connect peer `i` on `net`, which is the load's or another to the same server. Its client's owner is the peer. */
void load_open(struct load *load, long i, struct net *net);

/* A client_frame_cb: checks the frame, and sends more after an answer. */
void load_on_frame(struct client *client, const struct frame *frame, uint64_t now);

/* One transaction of a writer; and as many as may be in flight. The caller flushes the client. */
void load_send(struct peer *peer, uint64_t now);
void load_refill(struct peer *peer);

/* Would load_refill() send anything if there were room? */
bool load_is_sending(const struct load *load, uint64_t now);

/* Has everybody heard everything, and has every writer its answers? */
bool load_is_settled(const struct load *load);

#endif
