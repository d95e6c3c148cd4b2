#include "shards/channel.h"

#include <assert.h>
#include <stdlib.h>

#include "shards/feed/session.h"
#include "shards/scope/actor.h"

struct channel *channel_new(struct actor *actor, struct h2_stream *stream)
{
    struct channel *channel = mem_zero(1, sizeof *channel);
    channel->actor = actor;
    channel->stream = stream;
    list_init(&channel->link);
    if (actor != NULL)
        list_append(&actor->channels, &channel->link);
    return channel;
}

void channel_free(struct channel *channel)
{
    assert(channel->n_requests == 0);
    list_remove(&channel->link);
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

struct buf *channel_begin_message(struct channel *channel, uint32_t session)
{
    struct buf *buf = h2_stream_out(channel->stream);
    channel->begun = envelope_begin(buf, ENVELOPE_MESSAGE, session);
    return buf;
}

size_t channel_end_message(struct channel *channel)
{
    struct buf *buf = h2_stream_out(channel->stream);
    envelope_end(buf, channel->begun);
    h2_stream_wake(channel->stream);
    return buf->len - channel->begun;
}

void channel_send(struct channel *channel, enum envelope_type type, uint32_t session, struct slice payload)
{
    if (channel->stream == NULL)
        return;
    envelope_append(h2_stream_out(channel->stream), type, session, payload);
    h2_stream_wake(channel->stream);
}

void channel_send_credit(struct channel *channel, uint32_t session, uint32_t bytes)
{
    if (channel->stream == NULL)
        return;
    envelope_append_credit(h2_stream_out(channel->stream), session, bytes);
    h2_stream_wake(channel->stream);
}

void channel_send_close(struct channel *channel, uint32_t session, uint16_t code, const char *reason)
{
    if (channel->stream == NULL)
        return;
    envelope_append_close(h2_stream_out(channel->stream), session, code, reason);
    h2_stream_wake(channel->stream);
}
