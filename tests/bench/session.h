/*
 * session - one session with one subscription, as the base contract's client sees it, and what it may be told when.
 *
 * It holds the cursor and refuses what breaks the order of frames: a boundary that goes back or stops short of
 * a delta, a delta at or below the cursor, anything in the middle of a snapshot, an answer before the session's own
 * change, a catch-up out of the log's order. Pure: frames in, a verdict out. Which rows there must be is the workload's
 * business.
 *
 * A resumed session is live with the end of its catch-up, but its boundaries may repeat the cursor that it came with
 * until the server takes its burst of subscriptions for over: only then is what it was sent confirmed.
 */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/frame.h"

enum session_state {
    SESSION_BARE,     /* no subscription */
    SESSION_WAITING,  /* subscribed, nothing came yet */
    SESSION_SNAPSHOT, /* between the first snap and its snap-end */
    SESSION_CATCH_UP, /* resumed, and not yet given what it missed */
    SESSION_LIVE,
};

struct session {
    enum session_state state;
    const char *sub; /* the subscription's id; borrowed */
    uint64_t cursor;
    uint64_t delta_seq; /* the highest delta since the last boundary; 0 when there is none */
    bool is_held;       /* resumed, and no boundary has moved the cursor yet */
};

void session_subscribe(struct session *session, const char *sub);
void session_resume(struct session *session, const char *sub, uint64_t since);
void session_unsubscribe(struct session *session);

/* Is the frame for the session's subscription, or for the session as a whole? The others are left-overs. */
bool session_concerns(const struct session *session, const struct frame *frame);

/* Take a frame that concerns the session; NULL, or what is wrong with it. */
const char *session_take(struct session *session, const struct frame *frame);

#endif
