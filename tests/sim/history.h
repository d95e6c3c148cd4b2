/*
 * history - what is known of one scope from outside: what was sent, what was answered, what any client was given.
 *
 * Clients tell it everything. What does not fit together by itself (two answers to one transaction) fails at once; the
 * rest is held against the model when the files can be read: see check.h.
 */
#ifndef TESTS_SIM_HISTORY_H
#define TESTS_SIM_HISTORY_H

#include "proto/frame.h"
#include "proto/route.h"
#include "tests/sim/work.h"

enum { CODE_MAX = 24, SNAPSHOT_ROW = OP_DELETE + 1, USERS_MAX = 8 };

/* How a transaction ended. */
struct ending {
    bool is_rejected;
    uint64_t seq;        /* 0: a rejection of the base contract, which does not say */
    char code[CODE_MAX]; /* of a rejection, "" without one */
    uint64_t result;     /* a hash of a commit's result, 0 without one */
};

struct tx {
    struct work work;
    bool is_answered;
    struct ending ending;
};

/* A row that a client was given, by a delta or (op SNAPSHOT_ROW) within a snapshot that began at `seq`. */
struct sight {
    uint64_t seq, row; /* the row's hash; 0 of a delete */
    unsigned client;
    enum collection collection;
    unsigned slot;
    unsigned op;
};

/* A cursor moved to `seq`, and then the client held of this collection what has this hash: see rows.h. COLLECTION_N: it
 * was only said that `seq` is the head. */
struct view {
    uint64_t seq, rows;
    unsigned client;
    enum collection collection;
};

/* A subscription was not let on from `since`. */
struct reset {
    uint64_t since;
    unsigned client;
    enum collection collection;
};

struct history {
    struct scope_name name;
    struct tx *txs;
    struct sight *sights;
    struct view *views;
    struct reset *resets;
    size_t n_txs, n_sights, n_views, n_resets;
    size_t n_answered;
};

struct history *history_new(const char *scope);

/* Adds a transaction; returns its number. Its id on the wire follows from that. */
size_t history_add(struct history *history, const struct work *work);
const char *history_tx_id(size_t number, char text[CODE_MAX]);
bool history_find(const struct history *history, struct slice tx_id, size_t *ret_number);

/* Any answer to it, to anybody: there is only one. */
void history_end(struct history *history, size_t number, const struct ending *ending);

void history_saw(struct history *history, const struct sight *sight);
void history_held(struct history *history, const struct view *view);
void history_reset(struct history *history, const struct reset *reset);

#endif
