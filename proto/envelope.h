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
 *                                                       DONE      (empty): the oldest MESSAGE of the client that was
 *                                                                 not done with is: it is not needed any more
 *   CREDIT   u32: so many bytes of MESSAGE envelopes    CLOSE     u16 WebSocket code, then a reason
 *            may be sent to this session again
 *   LAG      u64 seq: what came behind that was not     LAGGED    (empty): from here on it is again
 *            delivered
 *                                                       JOIN      u64 seq, then of each subscription: u32 audience,
 *                                                                 u8 length, its id as it stands in a message
 *                                                       LEAVE     (empty)
 *   of all who have joined:                             CHANGE    (for `session`: the audience) u64 seq, u32 hole,
 *                                                                 then a message, in which the subscription's id is
 *                                                                 missing
 *                                                       BOUNDARY  u64 seq, then a message; it is for those who got a
 *                                                                 change before it, or (`session` is 1) for all who
 *                                                                 have not got it
 *
 * Credit: a shard may send a session so many bytes of MESSAGE envelopes, with their headers, as the router has granted
 * it (one message may go over, so that a large one can travel at all): none after an ATTACH or a LAG. The router grants
 * more as the socket drains, so that one that does not drain holds at most that. It bounds in the same way what it
 * sends and what is not done with; so no number of empty messages costs nothing.
 *
 * Joining: a session that is at the head of its scope is not written to by itself any more: it joins those who get each
 * change in one copy, from `seq` on. The router takes these at once, always, and keeps the last of them; a session that
 * does not take them in time, it tells the shard, with the position up to which it has given it everything. The shard
 * then goes on from there as from any cursor; what the session had sent and what was not done with is sent again.
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
    ENVELOPE_MAX = 64 << 20, /* bytes of payload: a row is the largest thing that travels */
};

enum envelope_type {
    ENVELOPE_ATTACH = 1,
    ENVELOPE_ATTACHED,
    ENVELOPE_DENIED,
    ENVELOPE_DETACH,
    ENVELOPE_MESSAGE,
    ENVELOPE_DONE,
    ENVELOPE_CREDIT,
    ENVELOPE_CLOSE,
    ENVELOPE_LAG,
    ENVELOPE_LAGGED,
    ENVELOPE_JOIN,
    ENVELOPE_LEAVE,
    ENVELOPE_CHANGE,
    ENVELOPE_BOUNDARY,
    ENVELOPE_LAST = ENVELOPE_BOUNDARY,
};

struct envelope {
    enum envelope_type type;
    uint32_t session; /* minted by the router, unique on its channel; of what is for all: see above */
    struct slice payload;
};

enum envelope_status { ENVELOPE_WHOLE, ENVELOPE_MORE, ENVELOPE_BAD };

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
void envelope_append_lag(struct buf *buf, uint32_t session, uint64_t seq);

/* A join: begin, then add its subscriptions, then envelope_end. */
size_t envelope_begin_join(struct buf *buf, uint32_t session, uint64_t seq);
void envelope_add_audience(struct buf *buf, uint32_t audience, struct slice id);

/* A change or a boundary, whose message is written in place: begin, append it, then end; `hole` is where the id is
 * missing. */
size_t envelope_begin_change(struct buf *buf, uint32_t audience, uint64_t seq);
void envelope_end_change(struct buf *buf, size_t begun, size_t hole);
size_t envelope_begin_boundary(struct buf *buf, bool is_for_all, uint64_t seq);

/* False if the payload is not one of its type. Claims and reason are borrowed from the payload. */
bool envelope_attach(const struct envelope *envelope, enum dialect *ret_dialect, struct slice *ret_claims);
bool envelope_credit(const struct envelope *envelope, uint32_t *ret_bytes);
bool envelope_close(const struct envelope *envelope, uint16_t *ret_code, struct slice *ret_reason);
bool envelope_lag(const struct envelope *envelope, uint64_t *ret_seq);

/* The rest is what a shard sends, and is not checked. */

struct audience_member {
    uint32_t audience;
    struct slice id; /* encoded, as it stands in a message */
};

uint64_t envelope_join(const struct envelope *envelope, struct slice *ret_members);
/* The next one from the front of `members`, or false. */
bool envelope_next_member(struct slice *members, struct audience_member *ret_member);
/* And what stands before and behind the id. */
uint64_t envelope_change(const struct envelope *envelope, struct slice *ret_head, struct slice *ret_tail);
uint64_t envelope_boundary(const struct envelope *envelope, struct slice *ret_message);

#endif
