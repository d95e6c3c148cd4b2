/*
 * client - a client of the base contract, as wire.md's client column wants it, which tells the history all it sees.
 *
 * It keeps its rows, one cursor, and a queue of transactions; it comes back with back-off, subscribes again at its
 * cursor, and sends what was not answered. By habit it also misbehaves: drops its socket, reads slowly, sends things
 * twice, on other sockets too.
 */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include "base/loop.h"
#include "tests/sim/history.h"

struct client;

/* Chances are out of a thousand at each of its ticks. */
struct habits {
    unsigned tick_ms;      /* on average */
    unsigned in_flight;    /* transactions unanswered, at most */
    unsigned large_one_in; /* see work_random */
    uint32_t drops, pauses, twice, again, resubscribes;
};

struct client *client_new(struct loop *loop, struct history *history, unsigned number, unsigned user,
                          const struct habits *habits);

/* Its identity has another socket: what it sends twice may go there. */
void client_befriend(struct client *client, struct client *other);

/* How many transactions it still is to send. */
void client_give(struct client *client, unsigned n_transactions);

/* It has sent all and has all answers, is subscribed to everything, and waits for nothing. It settles there: it does
 * nothing odd any more once it has nothing left to send. */
bool client_is_done(const struct client *client);

/* What it holds of a collection. */
const struct rows *client_rows(const struct client *client, enum collection collection);
uint64_t client_cursor(const struct client *client);
unsigned client_number(const struct client *client);

#endif
