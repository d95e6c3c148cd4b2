#include "src/router/ring.h"

#include <assert.h>

enum { KEPT = 16 << 10 }; /* bytes of room that stay when the ring is empty */

void ring_init(struct ring *ring)
{
    static uint64_t last_id;
    *ring = (struct ring){.id = ++last_id};
}

void ring_release(struct ring *ring)
{
    buf_release(&ring->bytes);
}

static struct slice from(const struct ring *ring, uint64_t position)
{
    size_t at = ring->gone + (size_t)(position - ring->start);
    assert(position >= ring->start && at <= ring->bytes.len);
    return slice_of(ring->bytes.data + at, ring->bytes.len - at);
}

uint64_t ring_end(const struct ring *ring)
{
    return ring->start + (ring->bytes.len - ring->gone);
}

void ring_append(struct ring *ring, const struct envelope *envelope)
{
    envelope_append(&ring->bytes, envelope->type, envelope->session, envelope->payload);
}

uint64_t ring_read(const struct ring *ring, uint64_t position, struct envelope *ret_envelope)
{
    struct slice rest = from(ring, position);
    enum envelope_status status = envelope_decode(&rest, ret_envelope);
    assert(status == ENVELOPE_WHOLE);
    (void)status;
    return ring_end(ring) - rest.len;
}

void ring_trim(struct ring *ring, uint64_t wanted, size_t max)
{
    uint64_t end = ring_end(ring), start = ring->start;
    struct envelope envelope;
    if (wanted == end)
        start = end;
    while (start < wanted || end - start > max)
        start = ring_read(ring, start, &envelope);
    ring->gone += (size_t)(start - ring->start);
    ring->start = start;
    buf_trim(&ring->bytes, &ring->gone);
    if (ring->bytes.len == 0 && ring->bytes.capacity > KEPT)
        buf_release(&ring->bytes);
}
