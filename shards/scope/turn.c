#include "shards/scope/turn.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "shards/feed/session.h"
#include "shards/scope/actor.h"
#include "shards/scope/transaction.h"

/* ---- requests ---- */

struct inbound *inbound_new(struct channel *channel, const struct envelope *envelope)
{
    struct inbound *request = mem_alloc(sizeof *request + envelope->payload.len);
    *request = (struct inbound){
        .channel = channel, .type = envelope->type, .session = envelope->session, .len = envelope->payload.len};
    if (request->len > 0)
        memcpy(request->payload, envelope->payload.data, request->len);
    channel->n_requests++;
    return request;
}

void inbound_free(struct inbound *request)
{
    request->channel->n_requests--;
    outcome_release(&request->outcome);
    claims_release(&request->claims);
    free(request);
}

void inbound_read(struct inbound *request)
{
    struct envelope envelope = {request->type, request->session, slice_of(request->payload, request->len)};
    struct slice claims;
    if (request->is_read)
        return;
    request->is_read = true;
    if (request->type == ENVELOPE_ATTACH)
        request->is_valid =
            envelope_attach(&envelope, &request->dialect, &claims) && claims_init(&request->claims, claims);
    else if (request->type == ENVELOPE_MESSAGE)
        request->is_valid = frame_decode(envelope.payload, &request->frame);
}

bool inbound_is_write(const struct inbound *request)
{
    return request->type == ENVELOPE_MESSAGE && request->is_valid &&
           (request->frame.type == FRAME_MUT || request->frame.type == FRAME_CALL);
}

/* ---- the turn ---- */

static struct scope_file *file_of(const struct turn *turn)
{
    return turn->actor->feed.file;
}

void turn_init(struct turn *turn, const struct actor *actor)
{
    *turn = (struct turn){.actor = actor};
    list_init(&turn->requests);
    list_init(&turn->cut);
}

void turn_release(struct turn *turn)
{
    list_move(&turn->requests, &turn->cut);
    LIST_FOREACH_SAFE(link, &turn->requests)
        inbound_free(LIST_ITEM(link, struct inbound, link));
    buf_release(&turn->why);
}

void turn_drop(struct turn *turn)
{
    turn_release(turn);
    turn_init(turn, turn->actor);
}

void turn_begin(struct turn *turn)
{
    assert(list_is_empty(&turn->requests) && list_is_empty(&turn->cut) && !turn->is_begun);
    turn_drop(turn);
    turn->now_ms = clock_wall_ms();
    turn->until_us = clock_mono_us() + TURN_US;
}

bool turn_has_room(const struct turn *turn)
{
    const struct scope_file *file = file_of(turn);
    if (turn->is_closed)
        return false;
    if (file != NULL && (file->capture.n >= TURN_CHANGES || capture_bytes(&file->capture) >= TURN_BYTES))
        return false;
    return clock_mono_us() < turn->until_us;
}

/* Under which claims the request was sent; NULL if nobody is there. A session may come in with this very turn. */
static const struct claims *find_claims(const struct turn *turn, const struct inbound *request)
{
    const struct session *session = channel_find(request->channel, request->session);
    if (session != NULL)
        return &session->claims;
    LIST_FOREACH(link, &turn->requests) {
        const struct inbound *other = LIST_ITEM(link, struct inbound, link);
        if (other == request)
            break;
        if (other->type == ENVELOPE_ATTACH && other->channel == request->channel &&
            other->session == request->session && other->verdict == VERDICT_LET_IN)
            return &other->claims;
    }
    return NULL;
}

bool turn_needs_file(const struct turn *turn, const struct inbound *request)
{
    if (file_of(turn) != NULL || turn->is_full || !inbound_is_write(request))
        return false;
    const struct claims *claims = find_claims(turn, request);
    return claims != NULL && claims->subject != NULL;
}

void turn_fail(struct turn *turn, const char *what, enum err err, struct slice why)
{
    turn->err = err;
    turn->what = what;
    turn->is_closed = true;
    buf_append_slice(&turn->why, why);
}

/* ---- one request ---- */

static enum err begin(struct turn *turn)
{
    if (turn->is_begun)
        return ERR_OK;
    enum err err = scope_file_begin(file_of(turn));
    turn->is_begun = err == ERR_OK;
    return err;
}

/* Whether a write of this session, before this one, was put off and has not come again. */
static bool overtakes(const struct turn *turn, const struct inbound *request)
{
    const struct session *session = channel_find(request->channel, request->session);
    if (session == NULL || session->put_off.len == 0)
        return false;
    LIST_FOREACH(link, &turn->requests) {
        const struct inbound *other = LIST_ITEM(link, struct inbound, link);
        if (other->channel == request->channel && other->session == request->session && inbound_is_write(other) &&
            slice_eq(other->frame.id, buf_slice(&session->put_off)))
            return false;
        if (other == request)
            break;
    }
    return true;
}

static enum err decide_write(struct turn *turn, struct inbound *request)
{
    const struct claims *claims = find_claims(turn, request);
    struct outcome *outcome = &request->outcome;
    if (!request->is_settled)
        outcome_release(outcome);
    request->verdict = claims == NULL ? VERDICT_NONE : VERDICT_DECIDED;
    if (claims == NULL)
        return ERR_OK;
    if (claims->subject == NULL) {
        outcome_reject(outcome, REJECT_FORBIDDEN, "an identity without 'sub' cannot write");
        return ERR_OK;
    }
    if (turn->is_full || overtakes(turn, request)) {
        request->verdict = VERDICT_REFUSED;
        return ERR_OK;
    }
    enum err err = begin(turn);
    return err == ERR_OK
               ? transaction_decide(file_of(turn), claims, &request->frame, turn->now_ms, turn->until_us, outcome)
               : err;
}

/* Whether `open` lets the caller in: the scope's, or that of an empty one of its kind. */
static enum err ask_open(struct turn *turn, const struct claims *claims, bool *ret_allowed)
{
    const struct actor *actor = turn->actor;
    if (actor->feed.file != NULL)
        return scope_file_allows(actor->feed.file, claims, turn->now_ms, turn->until_us, ret_allowed);
    *ret_allowed = actor->host->allows_blank(actor->host->shard, actor->feed.kind, &actor->name, claims, turn->now_ms);
    return ERR_OK;
}

static enum err decide_attach(struct turn *turn, struct inbound *request)
{
    bool allowed;
    if (!request->is_valid || request->is_settled)
        return ERR_OK;
    enum err err = ask_open(turn, &request->claims, &allowed);
    request->verdict = err != ERR_OK ? VERDICT_NONE : allowed ? VERDICT_LET_IN : VERDICT_DENIED;
    return err;
}

static enum err decide(struct turn *turn, struct inbound *request)
{
    if (request->type == ENVELOPE_ATTACH)
        return decide_attach(turn, request);
    return inbound_is_write(request) ? decide_write(turn, request) : ERR_OK;
}

/* ---- what does not go well ---- */

/* It and what is behind it are for later, in front of what was cut off before. What took long by itself is tried again
 * alone. */
static void cut_off(struct turn *turn, struct inbound *request)
{
    struct list front, *link = &request->link;
    request->is_long = clock_mono_us() - turn->started_us >= TURN_US / 2;
    list_init(&front);
    while (link != &turn->requests) {
        struct list *next = link->next;
        list_remove(link);
        list_append(&front, link);
        link = next;
    }
    list_move(&front, &turn->cut);
    list_move(&turn->cut, &front);
}

/* It had all the time there is. */
static void give_up(struct inbound *request)
{
    metric_add(METRIC_SHARD_OVERRUNS, 1);
    request->is_settled = true;
    request->verdict = VERDICT_NONE; /* of an attach, which may be tried again */
    if (inbound_is_write(request))
        outcome_reject(&request->outcome, REJECT_LIMIT_EXCEEDED, "took longer than %d s", TURN_LONG_MS / 1000);
}

static enum err roll_back(struct turn *turn)
{
    bool was_begun = turn->is_begun;
    turn->is_begun = false;
    return was_begun ? scope_file_rollback(file_of(turn)) : ERR_OK;
}

/* True if the turn goes on behind the request; else all of it has to be decided again. */
static bool cope(struct turn *turn, struct inbound *request, enum err err)
{
    turn->is_closed = true;
    if (err == ERR_ABORTED)
        request->is_settled = true;
    else if (err == ERR_FULL && !turn->is_full)
        turn->is_full = true;
    else if (err != ERR_TIMEOUT || atomic_load(&turn->actor->host->is_ending))
        turn_fail(turn, "transaction", err, slice_str(sqlite3_errmsg(file_of(turn)->database.db)));
    else if (turn->is_alone)
        give_up(request);
    else
        cut_off(turn, request);
    return err == ERR_TIMEOUT && !turn->is_alone && (!turn->is_begun || scope_file_is_in_transaction(file_of(turn)));
}

/* Decides from a request on. Deciding all again settles, cuts off or refuses one at least, so that it has an end. */
static void decide_from(struct turn *turn, struct list *link)
{
    while (link != &turn->requests && turn->err == ERR_OK) {
        struct inbound *request = LIST_ITEM(link, struct inbound, link);
        turn->started_us = clock_mono_us();
        enum err err = decide(turn, request);
        link = link->next;
        if (err == ERR_OK)
            continue;
        if (cope(turn, request, err)) /* what was behind it has been cut off too */
            break;
        enum err failed = roll_back(turn);
        if (failed != ERR_OK && turn->err == ERR_OK)
            turn_fail(turn, "rollback", failed, slice_str(sqlite3_errmsg(file_of(turn)->database.db)));
        metric_add(METRIC_SHARD_TURNS_REPEATED, 1);
        turn->until_us = clock_mono_us() + (turn->is_alone ? TURN_LONG_MS * 1000 : TURN_US);
        link = turn->requests.next;
    }
}

void turn_add(struct turn *turn, struct inbound *request)
{
    list_append(&turn->requests, &request->link);
    decide_from(turn, &request->link);
}

void turn_decide(struct turn *turn, int64_t time_us)
{
    turn->until_us = clock_mono_us() + time_us;
    decide_from(turn, turn->requests.next);
}

void turn_commit(struct turn *turn)
{
    if (!turn->is_begun)
        return;
    enum err err = scope_file_commit(file_of(turn));
    if (err == ERR_OK) {
        turn->is_begun = false;
        turn->is_committed = true;
        return;
    }
    struct buf why = {0};
    buf_printf(&why, "%s", sqlite3_errmsg(file_of(turn)->database.db));
    enum err failed = roll_back(turn);
    if (err != ERR_FULL || failed != ERR_OK) {
        turn_fail(turn, "commit", err, buf_slice(&why));
    } else {
        turn->is_full = true;
        decide_from(turn, turn->requests.next);
    }
    buf_release(&why);
}
