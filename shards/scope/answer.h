/*
 * answer - what a request comes to for its session, once the turn has decided it.
 *
 * Thread: its shard.
 */
#ifndef SHARDS_SCOPE_ANSWER_H
#define SHARDS_SCOPE_ANSWER_H

#include "shards/scope/turn.h"

struct actor;

void answer_request(struct actor *actor, struct inbound *request);

#endif
