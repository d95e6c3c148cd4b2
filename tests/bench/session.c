#include "tests/bench/session.h"

#include <assert.h>
#include <stddef.h>

void session_subscribe(struct session *session, const char *sub)
{
    session->state = SESSION_WAITING;
    session->sub = sub;
}

void session_resume(struct session *session, const char *sub, uint64_t since)
{
    session->state = SESSION_CATCH_UP;
    session->sub = sub;
    session->cursor = since;
    session->is_held = true;
}

void session_unsubscribe(struct session *session)
{
    session->state = SESSION_BARE;
    session->sub = NULL;
    session->delta_seq = 0;
    session->is_held = false;
}

bool session_concerns(const struct session *session, const struct frame *frame)
{
    return !frame->sub.at || (session->sub && text_is(frame->sub, session->sub));
}

static const char *take_snap(struct session *session)
{
    if (session->state == SESSION_LIVE) {
        return "a snapshot row after the snapshot's end";
    }
    if (session->state == SESSION_CATCH_UP) {
        return "a snapshot instead of a catch-up";
    }
    session->state = SESSION_SNAPSHOT;
    return NULL;
}

static const char *take_snap_end(struct session *session, uint64_t seq)
{
    if (session->state == SESSION_LIVE || session->state == SESSION_CATCH_UP) {
        return "the end of a snapshot that did not begin";
    }
    if (seq < session->cursor) {
        return "a snapshot that is older than the cursor";
    }
    session->state = SESSION_LIVE;
    session->cursor = seq;
    return NULL;
}

static const char *take_delta(struct session *session, const struct frame *frame)
{
    if (session->state != SESSION_LIVE && session->state != SESSION_CATCH_UP) {
        return "a delta before the snapshot's end";
    }
    if (frame->seq <= session->cursor) {
        return "a delta at or below the cursor";
    }
    if (session->state == SESSION_CATCH_UP && frame->seq <= session->delta_seq) {
        return "a catch-up that is not in the order of the log";
    }
    bool is_delete = text_is(frame->op, "delete");
    if (!is_delete && !text_is(frame->op, "insert") && !text_is(frame->op, "update")) {
        return "a delta with an unknown op";
    }
    if (!is_delete && !frame->row.at) {
        return "a delta without its row";
    }
    if (frame->seq > session->delta_seq) {
        session->delta_seq = frame->seq;
    }
    return NULL;
}

static const char *take_uptodate(struct session *session, const struct frame *frame)
{
    if (frame->seq < session->cursor) {
        return "a boundary below the cursor";
    }
    if (session->state == SESSION_CATCH_UP && frame->sub.at) {
        session->state = SESSION_LIVE;
    }
    if (session->is_held && frame->seq == session->cursor) {
        return NULL; /* the others of a burst could still be behind */
    }
    if (frame->seq < session->delta_seq) {
        return "a boundary below a delta that came before it";
    }
    session->cursor = frame->seq;
    session->delta_seq = 0;
    session->is_held = false;
    return NULL;
}

/*
 * An answer may be older than the cursor (a turn has one boundary and many answers), never newer: everything that
 * the driver writes concerns its own subscription, so the boundary has to come first.
 */
static const char *take_committed(struct session *session, uint64_t seq)
{
    if (session->state == SESSION_LIVE) {
        return seq <= session->cursor ? NULL : "an answer before the session was told of its change";
    }
    if (session->state == SESSION_BARE && seq > session->cursor) {
        session->cursor = seq;
    }
    return NULL;
}

const char *session_take(struct session *session, const struct frame *frame)
{
    assert(session_concerns(session, frame));
    if (session->state == SESSION_SNAPSHOT && frame->type != FRAME_SNAP && frame->type != FRAME_SNAP_END &&
        frame->type != FRAME_UNKNOWN) {
        return "a frame in the middle of a snapshot";
    }
    switch (frame->type) {
    case FRAME_SNAP:
        return take_snap(session);
    case FRAME_SNAP_END:
        return take_snap_end(session, frame->seq);
    case FRAME_DELTA:
        return take_delta(session, frame);
    case FRAME_UPTODATE:
        return take_uptodate(session, frame);
    case FRAME_COMMITTED:
        return take_committed(session, frame->seq);
    case FRAME_RESET:
        return "a reset, which nothing here gives a reason for";
    default:
        return NULL;
    }
}
