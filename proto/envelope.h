/*
 * envelope - what travels on a channel between a router and a shard: one scope's sessions, interleaved.
 *
 * An envelope is a 12-byte header (little endian: type, 3 bytes of zero, session, length) and a payload. Both sides
 * are ours, but a shard still bounds what it reads: a payload above ENVELOPE_MAX ends the channel.
 *
 *   router -> shard                                     shard -> router
 *   ATTACH   u8 dialect, then claims as JSON text       ATTACHED  (empty)
 *   DETACH   (empty)                                    DENIED    (empty): `open` said no
 *   MESSAGE  one message of the client                  MESSAGE   one message for the client
 *   CREDIT   u32: so many bytes of MESSAGE envelopes    CREDIT    the same, the other way round
 *            may be sent to this session again          CLOSE     u16 WebSocket code, then a reason
 *
 * Credit: each side may have at most ENVELOPE_WINDOW bytes of messages under way to a session, with their headers (one
 * message may go over, so that a large one can travel at all). A socket that does not drain therefore holds at most
 * that, and no number of empty messages costs nothing.
 */
#ifndef PROTO_ENVELOPE_H
#define PROTO_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "proto/dialect.h"

enum {
    ENVELOPE_HEADER = 12,
    ENVELOPE_MAX = 64 << 20,     /* bytes of payload: a row is the largest thing that travels */
    ENVELOPE_WINDOW = 128 << 10, /* bytes of MESSAGE envelopes under way per session and direction */
};

enum envelope_type {
    ENVELOPE_ATTACH = 1,
    ENVELOPE_ATTACHED,
    ENVELOPE_DENIED,
    ENVELOPE_DETACH,
    ENVELOPE_MESSAGE,
    ENVELOPE_CREDIT,
    ENVELOPE_CLOSE,
};

struct envelope {
    enum envelope_type type;
    uint32_t session; /* minted by the router, unique on its channel */
    struct slice payload;
};

enum envelope_status { ENVELOPE_DONE, ENVELOPE_MORE, ENVELOPE_BAD };

/* Takes one envelope from the front of `in`, borrowing its payload, and moves `in` behind it. */
enum envelope_status envelope_decode(struct slice *in, struct envelope *ret_envelope);

/* Takes bytes of a channel as they arrive: each whole envelope goes to `take`, and the beginning of the next one stays
 * in `partial`. False at what is ENVELOPE_BAD. */
typedef void envelope_cb(void *arg, const struct envelope *envelope);
bool envelope_receive(struct buf *partial, struct slice data, envelope_cb *take, void *arg);

void envelope_append(struct buf *buf, enum envelope_type type, uint32_t session, struct slice payload);

/* For a payload that is written in place: begin, append to `buf`, end. */
size_t envelope_begin(struct buf *buf, enum envelope_type type, uint32_t session);
void envelope_end(struct buf *buf, size_t begun);

void envelope_append_attach(struct buf *buf, uint32_t session, enum dialect dialect, struct slice claims);
void envelope_append_credit(struct buf *buf, uint32_t session, uint32_t bytes);
void envelope_append_close(struct buf *buf, uint32_t session, uint16_t code, const char *reason);

/* False if the payload is not one of its type. Claims and reason are borrowed from the payload. */
bool envelope_attach(const struct envelope *envelope, enum dialect *ret_dialect, struct slice *ret_claims);
bool envelope_credit(const struct envelope *envelope, uint32_t *ret_bytes);
bool envelope_close(const struct envelope *envelope, uint16_t *ret_code, struct slice *ret_reason);

#endif
