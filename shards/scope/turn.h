/*
 * turn - the requests that an actor takes in one turn, and what is decided about them.
 *
 * The writes of a turn are one SQLite transaction, with a savepoint each. Deciding them touches the scope's file and
 * the requests, and looks up the claims of sessions; no session hears of anything. So it can be done on another thread,
 * and it can be done again: SQL of an app that ends the transaction for everybody is rejected, and the others are
 * decided anew without it. What takes too long is cut off, with all that is behind it.
 *
 * Ownership: its actor's. Thread: whose the actor's file is.
 */
#ifndef SHARDS_SCOPE_TURN_H
#define SHARDS_SCOPE_TURN_H

#include "base/list.h"
#include "proto/envelope.h"
#include "proto/frame.h"
#include "shards/channel.h"
#include "shards/scope/scope_file.h"

struct actor;

enum {
    TURN_US = 5000,            /* of one turn, after which it yields to its neighbours */
    TURN_CHANGES = 1000,       /* row changes of one turn, likewise; a single transaction may go over */
    TURN_BYTES = 4 << 20,      /* of what they take in memory, likewise */
    TURN_LONG_MS = 10000,      /* of a request that runs alone */
    TURN_RETRY_FULL_MS = 1000, /* after which a write that found no room is worth another try */
};

enum verdict {
    VERDICT_NONE,    /* there was nothing to decide, or it could not be */
    VERDICT_DECIDED, /* a write: `outcome` says how */
    VERDICT_REFUSED, /* a write: there is no room, so that it was not decided */
    VERDICT_LET_IN,  /* an attach */
    VERDICT_DENIED,  /* an attach */
};

/* One envelope that waits for a turn, or takes part in it. */
struct inbound {
    struct list link;
    struct channel *channel;
    enum envelope_type type;
    uint32_t session;
    bool is_read;       /* as far as its type goes: the fields up to `claims` are filled */
    bool is_valid;      /* the frame or the claims could be decoded */
    bool is_long;       /* it has overrun a turn: it runs alone */
    bool is_settled;    /* whatever else is decided again, its verdict stays */
    struct frame frame; /* of a message */
    enum dialect dialect;
    struct claims claims; /* of an attach */
    enum verdict verdict;
    struct outcome outcome;
    size_t len;
    char payload[];
};

struct inbound *inbound_new(struct channel *channel, const struct envelope *envelope);
void inbound_free(struct inbound *request);

/* Decodes it, unless that was done. */
void inbound_read(struct inbound *request);
bool inbound_is_write(const struct inbound *request);

struct turn {
    const struct actor *actor;
    struct list requests; /* in order */
    struct list cut;      /* requests for the next turn */
    int64_t now_ms;       /* the turn's one time: what is decided together has it */
    int64_t until_us, started_us;
    bool is_alone;     /* it holds one request, which is long */
    bool is_full;      /* there is no room: writes are refused */
    bool is_closed;    /* no more requests: something went wrong */
    bool is_begun;     /* the transaction is open */
    bool is_committed; /* and needs a record */
    enum err err;      /* the file has failed, in the course of `what`: nothing of the turn stands */
    const char *what;
    struct buf why;
};

void turn_init(struct turn *turn, const struct actor *actor);
void turn_release(struct turn *turn);

/* The last one has been dealt with; an empty one begins. */
void turn_begin(struct turn *turn);

/* Forgets the turn and its requests. */
void turn_drop(struct turn *turn);

/* Whether the turn's bounds allow another request. */
bool turn_has_room(const struct turn *turn);

/* Whether deciding this request, the next, takes a file that there is not. */
bool turn_needs_file(const struct turn *turn, const struct inbound *request);

/* Takes the request and decides it. */
void turn_add(struct turn *turn, struct inbound *request);

/* Decides all of its requests, from the first; in so much time. */
void turn_decide(struct turn *turn, int64_t time_us);

/* Commits. What fails the turn, `err` says. */
void turn_commit(struct turn *turn);

/* The file has failed. `why` is copied. */
void turn_fail(struct turn *turn, const char *what, enum err err, struct slice why);

#endif
