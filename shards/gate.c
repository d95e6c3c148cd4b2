#include "shards/gate.h"

#include <assert.h>
#include <stdlib.h>

#include "shards/channel.h"

struct output {
    struct list link;         /* in the gate */
    struct list channel_link; /* on the channel's outputs: they are dropped with it */
    struct gate *gate;
    struct channel *channel;
    uint64_t position;
    struct buf bytes;
    size_t len; /* of the bytes, also when they have left */
};

static void output_free(struct output *output)
{
    output->gate->bytes -= output->len;
    list_remove(&output->link);
    list_remove(&output->channel_link);
    buf_release(&output->bytes);
    free(output);
}

void gate_init(struct gate *gate)
{
    list_init(&gate->held);
    gate->durable = 0;
    gate->bytes = 0;
}

void gate_release(struct gate *gate)
{
    LIST_FOREACH_SAFE(link, &gate->held)
        output_free(LIST_ITEM(link, struct output, link));
}

void gate_hold(struct gate *gate, struct channel *channel, uint64_t position)
{
    if (channel->collected.len == 0)
        return;
    if (position <= gate->durable) { /* and so is everything that was held before it */
        assert(list_is_empty(&channel->outputs));
        channel_release(channel, &channel->collected);
        return;
    }
    struct output *output = mem_zero(1, sizeof *output);
    output->gate = gate;
    output->channel = channel;
    output->position = position;
    output->bytes = channel->collected;
    output->len = output->bytes.len;
    gate->bytes += output->len;
    channel->collected = (struct buf){0};
    list_append(&gate->held, &output->link);
    list_append(&channel->outputs, &output->channel_link);
}

void gate_drop(struct channel *channel)
{
    LIST_FOREACH_SAFE(link, &channel->outputs)
        output_free(LIST_ITEM(link, struct output, channel_link));
}

void gate_advance(struct gate *gate, uint64_t position)
{
    gate->durable = position;
    while (!list_is_empty(&gate->held)) {
        struct output *first = LIST_ITEM(gate->held.next, struct output, link);
        if (first->position > position)
            return;
        channel_release(first->channel, &first->bytes);
        output_free(first);
    }
}

void gate_break(struct gate *gate)
{
    while (!list_is_empty(&gate->held)) {
        struct channel *channel = LIST_ITEM(gate->held.next, struct output, link)->channel;
        gate_drop(channel);
        channel_abort(channel);
    }
}
