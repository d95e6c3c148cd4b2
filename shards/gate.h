/*
 * gate - holds outputs back until what they reveal is durable.
 *
 * An output is stamped with the journal position that it depends on, and leaves, in order, once that position is on
 * disk. An output whose channel ends meanwhile is dropped: nobody is there to see it. Breaking the gate drops all that
 * it holds, because what it depends on is lost: nobody ever saw it.
 *
 * Thread: the shard that owns it.
 */
#ifndef SHARDS_GATE_H
#define SHARDS_GATE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"

struct channel;

struct gate {
    struct list held; /* outputs, by position */
    uint64_t durable; /* as told by gate_advance */
    size_t bytes;     /* that it holds */
};

void gate_init(struct gate *gate);
void gate_release(struct gate *gate);

/* Holds what the channel has collected until `position` is durable; lets it go at once if it is. */
void gate_hold(struct gate *gate, struct channel *channel, uint64_t position);

/* The channel has ended: drops what is held for it. */
void gate_drop(struct channel *channel);

/* Everything up to `position` is durable: what waited for it leaves. */
void gate_advance(struct gate *gate, uint64_t position);

/* What is held depends on what was lost: drops it, and ends the channels that it was for, whose sessions come back at
 * their cursors. */
void gate_break(struct gate *gate);

#endif
