#include "shards/channel.h"

#include <assert.h>
#include <stdlib.h>

#include "shards/feed/session.h"
#include "shards/gate.h"
#include "shards/scope/actor.h"

static void on_data(struct carrier *carrier, struct slice data)
{
    struct channel *channel = (struct channel *)carrier;
    if (!channel_receive(channel, data))
        h2_stream_abort(channel->stream);
}

static void on_end(struct carrier *carrier)
{
    channel_end((struct channel *)carrier);
}

struct channel *channel_new(struct actor *actor, struct h2_stream *stream)
{
    struct channel *channel = mem_zero(1, sizeof *channel);
    channel->carrier = (struct carrier){on_data, on_end};
    channel->actor = actor;
    channel->stream = stream;
    list_init(&channel->link);
    list_init(&channel->collecting_link);
    list_init(&channel->outputs);
    list_init(&channel->reminder_link);
    if (actor != NULL)
        list_append(&actor->channels, &channel->link);
    return channel;
}

void channel_free(struct channel *channel)
{
    assert(channel->n_requests == 0);
    gate_drop(channel);
    list_remove(&channel->link);
    list_remove(&channel->collecting_link);
    list_remove(&channel->reminder_link);
    free(channel->audiences);
    buf_release(&channel->collected);
    table_release(&channel->sessions);
    buf_release(&channel->in);
    free(channel);
}

static void take(void *arg, const struct envelope *envelope)
{
    struct channel *channel = arg;
    actor_request(channel->actor, channel, envelope);
}

bool channel_receive(struct channel *channel, struct slice data)
{
    return envelope_receive(&channel->in, data, take, channel);
}

void channel_end(struct channel *channel)
{
    channel->stream = NULL;
    actor_channel_ended(channel->actor, channel);
}

void channel_abort(struct channel *channel)
{
    if (channel->stream != NULL)
        h2_stream_abort(channel->stream); /* which comes back as channel_end */
}

struct session *channel_find(const struct channel *channel, uint32_t id)
{
    struct table_node *node = table_find(&channel->sessions, table_hash_number(id));
    for (; node != NULL; node = table_next(node)) {
        struct session *session = TABLE_ITEM(node, struct session, node);
        if (session->id == id)
            return session;
    }
    return NULL;
}

/* Where output goes. What a router that has gone would have got is dropped when the turn ends. */
struct buf *channel_collect(struct channel *channel)
{
    if (list_is_empty(&channel->collecting_link))
        list_append(channel->actor->host->collecting, &channel->collecting_link);
    return &channel->collected;
}

struct buf *channel_begin_message(struct channel *channel, uint32_t session)
{
    struct buf *buf = channel_collect(channel);
    channel->begun = envelope_begin(buf, ENVELOPE_MESSAGE, session);
    return buf;
}

size_t channel_end_message(struct channel *channel)
{
    envelope_end(&channel->collected, channel->begun);
    return channel->collected.len - channel->begun;
}

void channel_send(struct channel *channel, enum envelope_type type, uint32_t session)
{
    envelope_append(channel_collect(channel), type, session, SLICE(""));
}

void channel_send_close(struct channel *channel, uint32_t session, uint16_t code, const char *reason)
{
    envelope_append_close(channel_collect(channel), session, code, reason);
}

void channel_release(struct channel *channel, struct buf *bytes)
{
    if (channel->stream == NULL)
        bytes->len = 0;
    else
        h2_stream_write(channel->stream, bytes);
}
