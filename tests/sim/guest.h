/*
 * guest - a client as wire.md's client column wants it, which tells the history all it sees. (The server has a `struct
 * client` of its own.)
 *
 * It keeps its rows, one cursor, and a queue of transactions; it comes back with back-off, subscribes again at its
 * cursor, and sends what was not answered. By habit it also misbehaves: drops its socket, reads slowly, sends things
 * twice, on other sockets too.
 */
#ifndef TESTS_SIM_GUEST_H
#define TESTS_SIM_GUEST_H

#include "base/loop.h"
#include "tests/sim/history.h"

/* A client's subscriptions: one of each collection, and a second one of the first. */
enum { GUEST_SUBS = COLLECTION_N + 1 };

enum collection guest_collection(size_t sub);

struct guest;

/* Chances are out of a thousand at each of its ticks. */
struct habits {
    bool is_v1;                     /* speaks skerry.v1, else the base contract */
    unsigned tick_ms;               /* on average */
    unsigned in_flight;             /* transactions unanswered, at most */
    unsigned large_one_in, len_max; /* see work_random */
    uint32_t drops, pauses, twice, again, resubscribes;
};

struct guest *guest_new(struct loop *loop, struct history *history, unsigned number, unsigned user,
                        const struct habits *habits);

/* Its identity has another socket: what it sends twice may go there. */
void guest_befriend(struct guest *guest, struct guest *other);

/* How many transactions it still is to send. */
void guest_give(struct guest *guest, unsigned n_transactions);

bool guest_is_connected(const struct guest *guest);

/* It has sent all and has all answers, is subscribed to everything, and waits for nothing. It settles there: it does
 * nothing odd any more once it has nothing left to send. */
bool guest_is_done(const struct guest *guest);

/* What a subscription holds. */
const struct rows *guest_rows(const struct guest *guest, size_t sub);
uint64_t guest_cursor(const struct guest *guest);
unsigned guest_number(const struct guest *guest);

#endif
