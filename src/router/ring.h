/*
 * ring - the recent frames of a channel that are for many sessions: the bytes as they came, by position.
 *
 * A position counts bytes since the channel began; who reads keeps one. What nobody wants any more is dropped, and so
 * is what is too old: who still wanted that finds that the ring does not reach back to it.
 *
 * Thread: the router's.
 */
#ifndef ROUTER_RING_H
#define ROUTER_RING_H

#include "proto/envelope.h"

struct ring {
    uint64_t id;      /* no other ring ever has it */
    struct buf bytes; /* envelopes */
    size_t gone;      /* bytes at the front that are not in the ring any more */
    uint64_t start;   /* position of what is */
};

void ring_init(struct ring *ring);
void ring_release(struct ring *ring);

uint64_t ring_end(const struct ring *ring);
void ring_append(struct ring *ring, const struct envelope *envelope);

/* Reads the envelope at a position that lies in the ring, before its end, and returns the position behind it. The
 * payload is borrowed until the ring changes. */
uint64_t ring_read(const struct ring *ring, uint64_t position, struct envelope *ret_envelope);

/* Drops what is before `wanted`, and whatever is more than `max` bytes. */
void ring_trim(struct ring *ring, uint64_t wanted, size_t max);

#endif
