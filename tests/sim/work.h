/*
 * work - the transactions that clients send: what each asks for, and how that stands on the wire.
 *
 * The rows of a scope have few keys, so that writers meet: each key is a number below KEYS, its slot. What a
 * transaction must do to the scope is the model's business.
 */
#ifndef TESTS_SIM_WORK_H
#define TESTS_SIM_WORK_H

#include "base/bytes.h"

enum collection { LISTS, ITEMS, TOTALS, COLLECTION_N };

extern const char *const COLLECTION_NAMES[COLLECTION_N];

enum {
    KEYS = 128,       /* of a collection, at most */
    ITEM_KEYS = 24,   /* that clients write one by one: slots from 0 on; behind them those that `fill` writes */
    LIST_KEYS = 6,    /* lists; the totals have one more, of items without a list: '-' */
    KEY_TEXT_MAX = 8, /* bytes of a key, with its end */
};

/* SLOT_NONE: no row of this application has such a key. */
enum { SLOT_NONE = KEYS };
unsigned key_slot(enum collection collection, struct slice key);
const char *key_text(enum collection collection, unsigned slot, char text[KEY_TEXT_MAX]);

enum work_kind {
    WORK_INSERT,    /* an item */
    WORK_UPDATE,    /* an item */
    WORK_DELETE,    /* an item of the writer's own */
    WORK_PAIR,      /* inserts one item and updates another */
    WORK_LIST,      /* inserts a list, at times with a title that a CHECK refuses */
    WORK_RETITLE,   /* updates a list */
    WORK_DROP,      /* deletes a list, and by a cascade its items */
    WORK_ADOPT,     /* an item before its list: the foreign key is deferred */
    WORK_DANGLE,    /* leaves a deferred foreign key that leads nowhere, if there is the item */
    WORK_FILL,      /* many rows, at times more than the journal takes in a record */
    WORK_BUMP,      /* changes every item */
    WORK_CLEAR,     /* deletes what `fill` wrote */
    WORK_FORBIDDEN, /* no rule allows it */
    WORK_UNKNOWN,   /* a command that there is not */
    WORK_KIND_N
};

struct work {
    enum work_kind kind;
    unsigned user;
    unsigned key, other, list; /* slots; `list` LIST_KEYS: none */
    unsigned n, len;
    int64_t value;
};

/* A random one of `user`: one in `large_one_in` changes many rows; texts are shorter than `len_max`. */
struct work work_random(unsigned user, unsigned large_one_in, unsigned len_max);

/* What the item's `body`, or the list's `title`, is to be. */
void work_body(const struct work *work, struct buf *buf);

/* Appends the whole message. */
void work_encode(const struct work *work, struct slice tx_id, struct buf *buf);

const char *work_name(const struct work *work);

#endif
