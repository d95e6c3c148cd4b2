/*
 * carrier - what a stream of a shard's link is for: a scope's channel, or an operator's request.
 *
 * It is the first member of what it stands for, and the argument of its stream.
 */
#ifndef SHARDS_CARRIER_H
#define SHARDS_CARRIER_H

#include "base/bytes.h"

struct carrier {
    void (*on_data)(struct carrier *carrier, struct slice data);
    void (*on_end)(struct carrier *carrier); /* the stream is no more */
};

#endif
