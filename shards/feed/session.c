#include "shards/feed/session.h"

#include <assert.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "shards/feed/audience.h"
#include "shards/feed/deliver.h"
#include "shards/scope/actor.h"

enum item_type { ITEM_HELLO, ITEM_SUB, ITEM_REFUSAL, ITEM_ANSWER, ITEM_RECEIPT, ITEM_PAGE, ITEM_NOTHING };

enum { ANSWER_KEPT_MAX = 4096 }; /* bytes of a result; a larger one is read from its receipt when its turn comes */

/* What the client is owed, in order: one for each message of it, and the hello. */
struct item {
    struct list link;
    enum item_type what;
    struct sub *sub; /* ITEM_SUB */
    size_t len;
    char bytes[]; /* ITEM_ANSWER: the encoded frame; else the id that it is about */
};

/* The next turn looks at it. */
static void wake(struct session *session)
{
    if (list_is_empty(&session->busy_link))
        list_append(&session->channel->actor->busy, &session->busy_link);
}

static void owe(struct session *session, enum item_type what, struct sub *sub, struct slice bytes)
{
    struct item *item = mem_alloc(sizeof *item + bytes.len);
    *item = (struct item){.what = what, .sub = sub, .len = bytes.len};
    if (bytes.len > 0)
        memcpy(item->bytes, bytes.data, bytes.len);
    list_append(&session->todo, &item->link);
    wake(session);
}

static void drop(struct item *item)
{
    list_remove(&item->link);
    free(item);
}

static void finish(struct session *session, struct item *item)
{
    if (item->what != ITEM_HELLO)
        channel_send(session->channel, ENVELOPE_DONE, session->id);
    drop(item);
}

static void sub_free(struct session *session, struct sub *sub)
{
    list_remove(&sub->link);
    list_remove(&sub->herd_link);
    session->n_subs--;
    buf_release(&sub->key);
    free(sub);
}

struct session *session_new(struct channel *channel, uint32_t id, enum dialect dialect, struct claims *claims)
{
    struct session *session = mem_zero(1, sizeof *session);
    session->channel = channel;
    session->id = id;
    session->dialect = dialect;
    session->claims = *claims;
    *claims = (struct claims){0};
    list_init(&session->link);
    list_init(&session->busy_link);
    list_init(&session->burst_link);
    list_init(&session->subs);
    list_init(&session->todo);
    table_insert(&channel->sessions, &session->node, table_hash_number(id));
    metric_add(METRIC_SHARD_SESSIONS, 1);
    if (dialect == DIALECT_V1)
        owe(session, ITEM_HELLO, NULL, SLICE(""));
    return session;
}

void session_free(struct session *session)
{
    if (session->is_joined)
        audience_leave(session);
    LIST_FOREACH_SAFE(link, &session->todo)
        drop(LIST_ITEM(link, struct item, link));
    LIST_FOREACH_SAFE(link, &session->subs)
        sub_free(session, LIST_ITEM(link, struct sub, link));
    list_remove(&session->link);
    list_remove(&session->busy_link);
    list_remove(&session->burst_link);
    table_remove(&session->channel->sessions, &session->node);
    claims_release(&session->claims);
    buf_release(&session->put_off);
    free(session);
    metric_add(METRIC_SHARD_SESSIONS, -1);
}

/* It was given what its audiences got, the changes of this turn not yet: from now on it is looked after by itself. */
static void leave(struct session *session, const struct feed *feed)
{
    if (!session->is_joined)
        return;
    audience_leave(session);
    channel_send(session->channel, ENVELOPE_LEAVE, session->id);
    LIST_FOREACH(link, &session->subs)
        LIST_ITEM(link, struct sub, link)->from = feed->before;
    wake(session);
}

/* Subscriptions. */

static struct sub *find_sub(struct session *session, struct slice id)
{
    LIST_FOREACH(link, &session->subs) {
        struct sub *sub = LIST_ITEM(link, struct sub, link);
        if (slice_eq(sub->id, id))
            return sub;
    }
    return NULL;
}

static void drop_sub(struct session *session, struct slice id)
{
    struct sub *sub = find_sub(session, id);
    if (sub == NULL)
        return;
    LIST_FOREACH(link, &session->todo) {
        struct item *item = LIST_ITEM(link, struct item, link);
        if (item->what == ITEM_SUB && item->sub == sub)
            item->what = ITEM_NOTHING;
    }
    sub_free(session, sub);
}

static void note_burst(struct session *session, struct sub *sub, int64_t now_us)
{
    if (session->last_sub_us != 0 && now_us - session->last_sub_us > SESSION_BURST_MS * 1000)
        session_end_burst(session);
    session->last_sub_us = now_us;
    if (session->is_burst_over)
        return;
    sub->is_in_burst = true;
    if (!sub->has_since)
        return;
    if (!session->is_holding || sub->since < session->hold_seq)
        session->hold_seq = sub->since;
    session->is_holding = true;
    list_remove(&session->burst_link);
    list_append(session->channel->actor->host->bursts, &session->burst_link);
}

static bool is_whole_collection(const struct shape *shape)
{
    return shape->where.len == 0 && shape->order_by.len == 0 && shape->limit.len == 0 && shape->offset.len == 0;
}

static struct sub *sub_new(struct session *session, const struct frame *frame, const struct collection *collection)
{
    struct sub *sub = mem_zero(1, sizeof *sub + frame->id.len);
    memcpy(sub->id_bytes, frame->id.data, frame->id.len);
    sub->id = slice_of(sub->id_bytes, frame->id.len);
    sub->collection = collection;
    sub->has_since = frame->sub.has_since;
    if (sub->has_since && seq_parse(frame->sub.since, &sub->since))
        sub->has_since = sub->since != 0; /* "0" asks for a snapshot, as none does */
    list_append(&session->subs, &sub->link);
    session->n_subs++;
    return sub;
}

void session_on_sub(struct session *session, const struct frame *frame, const struct feed *feed, int64_t now_us)
{
    const struct collection *collection = kind_find_collection(feed->kind, frame->sub.collection);
    leave(session, feed);
    drop_sub(session, frame->id);
    if (collection == NULL || !is_whole_collection(&frame->sub.shape) || session->n_subs >= SESSION_SUBS_MAX) {
        owe(session, ITEM_REFUSAL, NULL, frame->id);
        return;
    }
    struct sub *sub = sub_new(session, frame, collection);
    herd_join(feed->herd, sub);
    note_burst(session, sub, now_us);
    owe(session, ITEM_SUB, sub, SLICE(""));
}

void session_on_unsub(struct session *session, struct slice id, const struct feed *feed)
{
    if (find_sub(session, id) != NULL) {
        leave(session, feed);
        drop_sub(session, id);
    }
    owe(session, ITEM_NOTHING, NULL, SLICE(""));
}

void session_on_fetch(struct session *session, struct slice id)
{
    owe(session, ITEM_PAGE, NULL, id);
}

void session_on_nonsense(struct session *session)
{
    metric_add(METRIC_SHARD_FRAMES_DROPPED, 1);
    owe(session, ITEM_NOTHING, NULL, SLICE(""));
}

void session_on_credit(struct session *session, uint32_t bytes)
{
    session->credit += bytes;
    wake(session);
}

void session_end_burst(struct session *session)
{
    session->is_burst_over = true;
    list_remove(&session->burst_link);
}

void session_answer(struct session *session, struct slice tx, const struct outcome *outcome)
{
    struct buf frame = {0};
    if (slice_eq(buf_slice(&session->put_off), tx))
        buf_release(&session->put_off);
    if (outcome->result.len > ANSWER_KEPT_MAX) {
        owe(session, ITEM_RECEIPT, NULL, tx);
        return;
    }
    if (outcome->is_rejected)
        frame_rejected(&frame, tx, outcome->code, buf_slice(&outcome->message),
                       session->dialect == DIALECT_V1 ? outcome->seq : 0, 0);
    else
        frame_committed(&frame, tx, outcome->seq, buf_slice(&outcome->result));
    owe(session, ITEM_ANSWER, NULL, buf_slice(&frame));
    buf_release(&frame);
}

void session_refuse(struct session *session, struct slice tx, const char *code, const char *message, uint32_t retry_ms)
{
    metric_add(METRIC_SHARD_REFUSED, 1);
    if (session->dialect == DIALECT_BASE) {
        session_close(session, WS_CODE_TRY_LATER, message);
        return;
    }
    struct buf frame = {0};
    if (session->put_off.len == 0)
        buf_append_slice(&session->put_off, tx);
    frame_rejected(&frame, tx, code, slice_str(message), 0, retry_ms);
    owe(session, ITEM_ANSWER, NULL, buf_slice(&frame));
    buf_release(&frame);
}

void session_close(struct session *session, enum ws_code code, const char *reason)
{
    channel_send_close(session->channel, session->id, (uint16_t)code, reason);
    session_free(session);
}

/* Lagging behind. */

static void drop_pending_subs(struct session *session)
{
    LIST_FOREACH_SAFE(link, &session->subs) {
        struct sub *sub = LIST_ITEM(link, struct sub, link);
        if (sub->state != SUB_LIVE)
            sub_free(session, sub);
    }
}

/* False if it cannot be caught up from there: what is behind is in the log no more. */
static bool go_back(struct session *session, uint64_t seq, const struct feed *feed)
{
    LIST_FOREACH(link, &session->subs) {
        struct sub *sub = LIST_ITEM(link, struct sub, link);
        sub->from = seq < sub->from ? seq : sub->from;
        sub->is_catching_up = false;
        if (feed->file != NULL && sub->from < feed->file->log.floors[sub->collection->number])
            return false;
    }
    return true;
}

void session_on_lag(struct session *session, uint64_t seq, const struct feed *feed)
{
    metric_add(METRIC_SHARD_LAGS, 1);
    leave(session, feed);
    channel_send(session->channel, ENVELOPE_LAGGED, session->id);
    LIST_FOREACH_SAFE(link, &session->todo)
        drop(LIST_ITEM(link, struct item, link));
    drop_pending_subs(session);
    session->credit = 0;
    session->owes_boundary = true; /* it may have got some of the changes behind `seq` */
    if (session->is_holding) {     /* by a burst that comes again */
        session->is_holding = session->is_burst_over = false;
        session->last_sub_us = 0;
        list_remove(&session->burst_link);
    }
    wake(session);
    if (!go_back(session, seq, feed))
        session_close(session, WS_CODE_RESTART, "the changes that it missed are not in the log any more");
}

/* The turn. */

static bool is_burst_pending(const struct session *session)
{
    LIST_FOREACH(link, &session->subs) {
        const struct sub *sub = LIST_ITEM(link, struct sub, link);
        if (sub->is_in_burst && (sub->state != SUB_LIVE || sub->is_catching_up))
            return true;
    }
    return false;
}

/* The session is at the head: does the resume end here? */
static void settle(struct session *session, const struct feed *feed)
{
    if (!session->is_holding || !session->is_burst_over || is_burst_pending(session) || session->credit <= 0)
        return;
    session->is_holding = false;
    deliver_boundary(session, feed_head(feed), NULL);
}

static bool can_catch_up(const struct sub *sub, const struct feed *feed)
{
    return feed->file != NULL && sub->since >= feed->file->log.floors[sub->collection->number] &&
           sub->since <= feed->file->log.head;
}

/* True once the item is done with; a snapshot stays. */
static bool start_sub(struct session *session, struct sub *sub, const struct feed *feed)
{
    if (sub->has_since && can_catch_up(sub, feed)) {
        sub->state = SUB_LIVE;
        sub->from = sub->since;
        sub->is_catching_up = true;
        list_remove(&sub->herd_link);
        return true;
    }
    if (sub->has_since)
        deliver_reset(session, sub->id);
    sub->state = SUB_SNAPSHOT;
    sub->from = feed_head(feed);
    return false;
}

static void deliver_item(struct session *session, struct item *item, const struct feed *feed)
{
    struct slice bytes = slice_of(item->bytes, item->len);
    switch (item->what) {
    case ITEM_HELLO:
        deliver_hello(session, feed);
        break;
    case ITEM_SUB:
        if (!start_sub(session, item->sub, feed))
            return;
        break;
    case ITEM_REFUSAL:
        metric_add(METRIC_SHARD_SUBS_REFUSED, 1);
        deliver_reset(session, bytes);
        break;
    case ITEM_ANSWER:
        assert(!session->is_holding); /* it came behind the burst, and the burst has settled */
        deliver_bytes(session, bytes);
        break;
    case ITEM_RECEIPT:
        assert(!session->is_holding);
        deliver_receipt(session, bytes, feed);
        break;
    case ITEM_PAGE:
        deliver_empty_page(session, bytes, feed_head(feed));
        break;
    case ITEM_NOTHING:
        break;
    }
    finish(session, item);
}

static bool is_in_snapshot(const struct item *item)
{
    return item != NULL && item->what == ITEM_SUB && item->sub->state == SUB_SNAPSHOT;
}

/* Gives it all that it is owed. False if the credit ran out before, or the file failed. */
static bool deliver(struct session *session, const struct feed *feed)
{
    for (;;) {
        struct item *item = list_is_empty(&session->todo) ? NULL : LIST_ITEM(session->todo.next, struct item, link);
        if (is_in_snapshot(item)) {
            if (!deliver_snapshot(session, item->sub, feed))
                return false;
            finish(session, item);
            continue;
        }
        if (!session->is_joined) {
            if (!deliver_changes(session, feed))
                return false;
            settle(session, feed);
        }
        if (item == NULL)
            return true;
        if (session->credit <= 0)
            return false;
        deliver_item(session, item, feed);
    }
}

bool session_is_behind(const struct session *session)
{
    return !session->is_joined && session->n_subs > 0;
}

void session_turn(struct session *session, const struct feed *feed)
{
    bool is_done = session->credit > 0 && deliver(session, feed);
    if (!is_done && session->credit <= 0)
        list_remove(&session->busy_link); /* until there is more */
    if (!is_done || session->is_holding || feed->file == NULL)
        return;
    if (session_is_behind(session))
        audience_join(session, feed_head(feed));
    list_remove(&session->busy_link);
}
