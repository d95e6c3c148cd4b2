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
        channel_send(channel, ENVELOPE_DENIED, request->session, SLICE(""));
    } else if (request->verdict == VERDICT_LET_IN && actor->turn.err == ERR_OK) {
        struct session *session = session_new(channel, request->session, request->dialect, &request->claims);
        list_append(&actor->sessions, &session->link);
        channel_send(channel, ENVELOPE_ATTACHED, request->session, SLICE(""));
    } else { /* it is no decision, and a denial would be final */
        channel_send_close(channel, request->session, WS_CODE_TRY_LATER, ACTOR_UNAVAILABLE);
    }
}

static void on_sub(struct actor *actor, struct session *session, const struct frame *frame, uint32_t cost)
{
    session_on_sub(session, frame, &actor->feed, clock_mono_us(), cost);
    if (!session->is_holding || session->is_burst_over)
        return;
    list_remove(&session->burst_link);
    list_append(actor->host->bursts, &session->burst_link);
}

static void count(const struct outcome *outcome)
{
    if (outcome->is_replay)
        metric_add(METRIC_SHARD_REPLAYED, 1);
    else if (outcome->seq != 0) /* else the rules never saw it */
        metric_add(outcome->is_rejected ? METRIC_SHARD_REJECTED : METRIC_SHARD_COMMITTED, 1);
}

static void answer(struct session *session, const struct inbound *request, uint32_t cost)
{
    session_end_burst(session);
    if (request->verdict == VERDICT_REFUSED) {
        session_refuse(session, request->frame.id, "STORAGE_FULL", "there is no space for it now", TURN_RETRY_FULL_MS,
                       cost);
        return;
    }
    count(&request->outcome);
    session_answer(session, request->frame.id, &request->outcome, cost);
}

static void on_message(struct actor *actor, struct session *session, const struct inbound *request)
{
    const struct frame *frame = &request->frame;
    uint32_t cost = ENVELOPE_HEADER + (uint32_t)request->len;
    if (!request->is_valid) {
        metric_add(METRIC_SHARD_FRAMES_DROPPED, 1);
        session_consume(session, cost);
        return;
    }
    switch (frame->type) {
    case FRAME_SUB:
        on_sub(actor, session, frame, cost);
        break;
    case FRAME_UNSUB:
        session_end_burst(session);
        session_on_unsub(session, frame->id, cost);
        break;
    case FRAME_FETCH:
        session_end_burst(session);
        session_on_fetch(session, frame->id, cost);
        break;
    case FRAME_MUT:
    case FRAME_CALL:
        answer(session, request, cost);
        break;
    }
}

static void on_credit(struct session *session, const struct inbound *request)
{
    struct envelope envelope = {request->type, request->session, slice_of(request->payload, request->len)};
    uint32_t bytes;
    if (envelope_credit(&envelope, &bytes))
        session->credit += bytes;
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
    else if (request->type == ENVELOPE_CREDIT)
        on_credit(session, request);
    else if (request->type == ENVELOPE_MESSAGE)
        on_message(actor, session, request);
}
