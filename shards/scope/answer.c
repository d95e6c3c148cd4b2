#include "shards/scope/answer.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "proto/websocket.h"
#include "shards/feed/session.h"
#include "shards/scope/actor.h"

static void attach(struct actor *actor, struct inbound *request)
{
    struct channel *channel = request->channel;
    if (!request->is_valid || channel_find(channel, request->session) != NULL) {
        channel_send_close(channel, request->session, WS_CODE_PROTOCOL, "bad attach");
    } else if (request->verdict == VERDICT_DENIED) {
        channel_send(channel, ENVELOPE_DENIED, request->session);
    } else if (request->verdict == VERDICT_LET_IN && actor->turn.err == ERR_OK) {
        struct session *session = session_new(channel, request->session, request->dialect, &request->claims);
        list_append(&actor->sessions, &session->link);
        channel_send(channel, ENVELOPE_ATTACHED, request->session);
    } else { /* it is no decision, and a denial would be final */
        channel_send_close(channel, request->session, WS_CODE_TRY_LATER, ACTOR_UNAVAILABLE);
    }
}

static void count(const struct outcome *outcome)
{
    if (outcome->is_replay)
        metric_add(METRIC_SHARD_REPLAYED, 1);
    else if (outcome->seq != 0) /* else the rules never saw it */
        metric_add(outcome->is_rejected ? METRIC_SHARD_REJECTED : METRIC_SHARD_COMMITTED, 1);
}

static void answer(struct session *session, const struct inbound *request)
{
    session_end_burst(session);
    if (request->verdict == VERDICT_REFUSED) {
        session_refuse(session, request->frame.id, "STORAGE_FULL", "there is no space for it now", TURN_RETRY_FULL_MS);
        return;
    }
    count(&request->outcome);
    session_answer(session, request->frame.id, &request->outcome);
}

static void on_message(struct actor *actor, struct session *session, const struct inbound *request)
{
    const struct frame *frame = &request->frame;
    if (!request->is_valid) {
        session_on_nonsense(session);
        return;
    }
    switch (frame->type) {
    case FRAME_SUB:
        session_on_sub(session, frame, &actor->feed, clock_mono_us());
        break;
    case FRAME_UNSUB:
        session_end_burst(session);
        session_on_unsub(session, frame->id, &actor->feed);
        break;
    case FRAME_FETCH:
        session_end_burst(session);
        session_on_fetch(session, frame->id);
        break;
    case FRAME_MUT:
    case FRAME_CALL:
        answer(session, request);
        break;
    }
}

/* Of the router itself. */
static void on_control(const struct actor *actor, struct session *session, const struct inbound *request)
{
    struct envelope envelope = {request->type, request->session, slice_of(request->payload, request->len)};
    uint32_t bytes;
    uint64_t seq;
    if (envelope_credit(&envelope, &bytes))
        session_on_credit(session, bytes);
    else if (envelope_lag(&envelope, &seq))
        session_on_lag(session, seq, &actor->feed);
}

void answer_request(struct actor *actor, struct inbound *request)
{
    if (request->type == ENVELOPE_ATTACH) {
        attach(actor, request);
        return;
    }
    struct session *session = channel_find(request->channel, request->session);
    if (session == NULL) /* it was closed while this was under way */
        return;
    if (request->type == ENVELOPE_DETACH)
        session_free(session);
    else if (request->type == ENVELOPE_MESSAGE)
        on_message(actor, session, request);
    else
        on_control(actor, session, request);
}
