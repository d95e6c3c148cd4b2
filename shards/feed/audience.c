#include "shards/feed/audience.h"

#include <assert.h>

#include "proto/mp.h"
#include "shards/scope/actor.h"

static void add_member(struct buf *buf, const struct sub *sub)
{
    struct buf id = {0};
    mp_write_str(&id, sub->id);
    envelope_add_audience(buf, (uint32_t)sub->collection->number, buf_slice(&id));
    buf_release(&id);
}

/* Between a join and a leave no subscription comes or goes. */
static void count(struct session *session, int more)
{
    unsigned *audiences = session->channel->audiences;
    LIST_FOREACH(link, &session->subs)
        audiences[LIST_ITEM(link, struct sub, link)->collection->number] += (unsigned)more;
    session->channel->n_joined += (unsigned)more;
    session->is_joined = more > 0;
}

void audience_join(struct session *session, uint64_t head)
{
    struct channel *channel = session->channel;
    struct buf *buf = channel_collect(channel);
    size_t begun = envelope_begin_join(buf, session->id, head);
    LIST_FOREACH(link, &session->subs) {
        const struct sub *sub = LIST_ITEM(link, struct sub, link);
        assert(sub->state == SUB_LIVE && sub->from == head);
        add_member(buf, sub);
    }
    envelope_end(buf, begun);
    if (channel->n_joined == 0)
        channel->boundary = head;
    if (channel->audiences == NULL)
        channel->audiences = mem_zero(channel->actor->feed.kind->n_collections, sizeof *channel->audiences);
    count(session, 1);
}

void audience_leave(struct session *session)
{
    count(session, -1);
}

static void deliver_change(struct channel *channel, const struct capture *capture, const struct change *change)
{
    struct buf *buf = channel_collect(channel);
    size_t begun = envelope_begin_change(buf, (uint32_t)change->collection->number, change->seq);
    size_t hole =
        frame_delta_for_all(buf, change_key(capture, change), change->op, change_row(capture, change), change->seq);
    envelope_end_change(buf, begun, hole);
}

static bool deliver_changes(struct channel *channel, const struct feed *feed)
{
    const struct capture *capture = &feed->file->capture;
    bool any = false;
    for (size_t i = 0; i < capture->n; i++) {
        const struct change *change = &capture->changes[i];
        if (!feed->is_latest[i] || channel->audiences[change->collection->number] == 0)
            continue;
        deliver_change(channel, capture, change);
        any = true;
    }
    return any;
}

static void deliver_boundary(struct channel *channel, bool is_for_all, uint64_t head)
{
    struct buf *buf = channel_collect(channel);
    size_t begun = envelope_begin_boundary(buf, is_for_all, head);
    frame_uptodate(buf, head, NULL);
    envelope_end(buf, begun);
}

/* Those whom the changes did not concern are told now and then. */
void audience_deliver(struct channel *channel, const struct feed *feed)
{
    uint64_t head = feed_head(feed);
    if (channel->n_joined == 0 || head == channel->boundary)
        return;
    bool any = deliver_changes(channel, feed), is_for_all = channel->is_reminder_due;
    if (any || is_for_all)
        deliver_boundary(channel, is_for_all, head);
    if (is_for_all) {
        channel->boundary = head;
        channel->is_reminder_due = false;
    } else if (list_is_empty(&channel->reminder_link)) {
        list_append(channel->actor->host->reminders, &channel->reminder_link);
    }
}
