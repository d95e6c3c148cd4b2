/*
 * pump - gives the sessions of a channel the frames that are for many of them.
 *
 * What comes goes into the channel's ring, and at the end of the turn to each session that has joined, from the ring
 * to its socket in one write: nothing is kept per session but its place in the ring. A socket that is full owns the
 * rest of one frame, and its session stays where it is; once the ring does not reach back to it, it has fallen out. It
 * costs nothing then until its socket has drained; then the shard is asked to go on from the last change that it was
 * given, and all that it had sent and that was not done with is sent again, in order.
 *
 * What a channel brings for one session alone comes behind what it brought before for many: the session's place is
 * brought to the end of the ring first, or, if too much waits for it, it falls out.
 *
 * Ownership: a pump is its channel's. Thread: the router's.
 */
#ifndef ROUTER_PUMP_H
#define ROUTER_PUMP_H

#include "base/list.h"
#include "src/router/ring.h"

struct client;

struct pump {
    struct ring ring;
    struct list clients;    /* that have joined, and not fallen out */
    struct list dirty_link; /* on the link's list of channels that got frames in this turn */
    uint64_t seq;           /* of the latest boundary */
};

enum place_state {
    PLACE_ALONE,     /* everything that comes for it is for it alone */
    PLACE_RETURNING, /* the same, for one that had fallen out */
    PLACE_JOINED,
    PLACE_FALLEN,  /* what comes for it is dropped, until its socket has drained */
    PLACE_LAGGING, /* and until the shard has heard of it */
};

/* How far a session has been given what is for many. */
struct spot {
    uint64_t at;        /* in the ring, */
    size_t member;      /* and within its members, when a change has been given to some of them */
    uint64_t seq;       /* of the last change or boundary that was passed: everything up to there was given */
    uint64_t told;      /* of the last one that was sent, or that it had when it joined */
    bool owes_boundary; /* changes were given that no boundary has followed yet */
};

/* A session's place. */
struct place {
    struct list link; /* on the pump's clients */
    enum place_state state;
    struct buf members; /* which subscription gets what, as its join says */
    struct spot spot;
};

/* Most sessions are at the same place and want the same: what was written for one is written for the next. A router
 * has one. Zeroed is empty and valid. */
struct written {
    uint64_t ring; /* its id; 0: nothing is written */
    struct spot from, to;
    struct buf members;
    struct buf frames;
};

void written_release(struct written *written);

void pump_init(struct pump *pump);
void pump_release(struct pump *pump);

/* A change or a boundary has come. */
void pump_take(struct pump *pump, const struct envelope *envelope);

/* The turn: gives everybody what has come, and forgets what is too old: `ring_max` bytes of it stay. */
void pump_run(struct pump *pump, size_t ring_max);

/* The turns of all pumps are over. */
void pump_end_turn(struct written *written);

void place_init(struct place *place);
void place_release(struct place *place);

/* It joins; it leaves, whatever its place is. */
void pump_join(struct pump *pump, struct client *client, const struct envelope *join);
void pump_leave(struct client *client);

/* The shard has heard that it had fallen out: from here on it is given what comes for it. */
void pump_return(struct client *client);

/* Something has come for this session alone. False if that is to be dropped, because it has fallen out. */
bool pump_lets_in(struct pump *pump, struct client *client);

/* Its socket has drained. */
void pump_resume(struct pump *pump, struct client *client);

/* By how many positions it is behind: 0 if it is not. */
uint64_t pump_distance(const struct pump *pump, const struct client *client);

#endif
