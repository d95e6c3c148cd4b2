#include "proto/envelope.h"

#include <assert.h>

#include "base/byteorder.h"

enum { AT_TYPE = 0, AT_ZERO = 1, AT_SESSION = 4, AT_LENGTH = 8 };
enum { MEMBER_HEADER = 5, HOLE = 4, SEQ = 8 };

static bool is_type(uint8_t type)
{
    return type >= ENVELOPE_ATTACH && type <= ENVELOPE_LAST;
}

enum envelope_status envelope_decode(struct slice *in, struct envelope *ret_envelope)
{
    if (in->len < ENVELOPE_HEADER)
        return ENVELOPE_MORE;
    const char *at = in->data;
    uint8_t type = byte_at(at, AT_TYPE);
    uint32_t len = le32_load(at + AT_LENGTH);
    if (!is_type(type) || memcmp(at + AT_ZERO, "\0\0", 3) != 0 || len > ENVELOPE_MAX)
        return ENVELOPE_BAD;
    if (in->len - ENVELOPE_HEADER < len)
        return ENVELOPE_MORE;
    ret_envelope->type = (enum envelope_type)type;
    ret_envelope->session = le32_load(at + AT_SESSION);
    ret_envelope->payload = slice_of(at + ENVELOPE_HEADER, len);
    *in = slice_of(at + ENVELOPE_HEADER + len, in->len - ENVELOPE_HEADER - len);
    return ENVELOPE_WHOLE;
}

/* Only what is kept is copied. */
bool envelope_receive(struct buf *partial, struct slice data, envelope_cb *take, void *arg)
{
    struct envelope envelope;
    enum envelope_status status;
    bool is_begun = partial->len > 0;
    if (is_begun) {
        buf_append_slice(partial, data);
        data = buf_slice(partial);
    }
    while ((status = envelope_decode(&data, &envelope)) == ENVELOPE_WHOLE)
        take(arg, &envelope);
    if (is_begun)
        buf_consume(partial, partial->len - data.len);
    else
        buf_append_slice(partial, data);
    if (partial->len == 0)
        buf_release(partial);
    return status != ENVELOPE_BAD;
}

size_t envelope_begin(struct buf *buf, enum envelope_type type, uint32_t session)
{
    size_t begun = buf->len;
    char *at = buf_reserve(buf, ENVELOPE_HEADER);
    at = le32_store(at, type); /* the three bytes of zero too */
    at = le32_store(at, session);
    le32_store(at, 0);
    buf->len += ENVELOPE_HEADER;
    return begun;
}

void envelope_end(struct buf *buf, size_t begun)
{
    assert(buf->len >= begun + ENVELOPE_HEADER);
    size_t len = buf->len - begun - ENVELOPE_HEADER;
    assert(len <= ENVELOPE_MAX);
    le32_store(buf->data + begun + AT_LENGTH, (uint32_t)len);
}

void envelope_append(struct buf *buf, enum envelope_type type, uint32_t session, struct slice payload)
{
    buf_reserve(buf, ENVELOPE_HEADER + payload.len);
    size_t begun = envelope_begin(buf, type, session);
    buf_append_slice(buf, payload);
    envelope_end(buf, begun);
}

void envelope_append_attach(struct buf *buf, uint32_t session, enum dialect dialect, struct slice claims)
{
    char payload = (char)dialect;
    size_t begun = envelope_begin(buf, ENVELOPE_ATTACH, session);
    buf_append(buf, &payload, 1);
    buf_append_slice(buf, claims);
    envelope_end(buf, begun);
}

void envelope_append_credit(struct buf *buf, uint32_t session, uint32_t bytes)
{
    char payload[4];
    le32_store(payload, bytes);
    envelope_append(buf, ENVELOPE_CREDIT, session, slice_of(payload, sizeof payload));
}

void envelope_append_close(struct buf *buf, uint32_t session, uint16_t code, const char *reason)
{
    char payload[2];
    le16_store(payload, code);
    size_t begun = envelope_begin(buf, ENVELOPE_CLOSE, session);
    buf_append(buf, payload, sizeof payload);
    buf_append_slice(buf, slice_str(reason));
    envelope_end(buf, begun);
}

static void append_seq(struct buf *buf, uint64_t seq)
{
    le64_store(buf_reserve(buf, SEQ), seq);
    buf->len += SEQ;
}

void envelope_append_lag(struct buf *buf, uint32_t session, uint64_t seq)
{
    size_t begun = envelope_begin(buf, ENVELOPE_LAG, session);
    append_seq(buf, seq);
    envelope_end(buf, begun);
}

size_t envelope_begin_join(struct buf *buf, uint32_t session, uint64_t seq)
{
    size_t begun = envelope_begin(buf, ENVELOPE_JOIN, session);
    append_seq(buf, seq);
    return begun;
}

void envelope_add_audience(struct buf *buf, uint32_t audience, struct slice id)
{
    assert(id.len <= UINT8_MAX);
    char *at = le32_store(buf_reserve(buf, MEMBER_HEADER + id.len), audience);
    *at++ = (char)id.len;
    memcpy(at, id.data, id.len);
    buf->len += MEMBER_HEADER + id.len;
}

size_t envelope_begin_change(struct buf *buf, uint32_t audience, uint64_t seq)
{
    size_t begun = envelope_begin(buf, ENVELOPE_CHANGE, audience);
    append_seq(buf, seq);
    le32_store(buf_reserve(buf, HOLE), 0);
    buf->len += HOLE;
    return begun;
}

void envelope_end_change(struct buf *buf, size_t begun, size_t hole)
{
    le32_store(buf->data + begun + ENVELOPE_HEADER + SEQ, (uint32_t)hole);
    envelope_end(buf, begun);
}

size_t envelope_begin_boundary(struct buf *buf, bool is_for_all, uint64_t seq)
{
    size_t begun = envelope_begin(buf, ENVELOPE_BOUNDARY, is_for_all);
    append_seq(buf, seq);
    return begun;
}

bool envelope_attach(const struct envelope *envelope, enum dialect *ret_dialect, struct slice *ret_claims)
{
    if (envelope->type != ENVELOPE_ATTACH || envelope->payload.len < 1)
        return false;
    uint8_t dialect = byte_at(envelope->payload.data, 0);
    if (dialect >= N_DIALECTS)
        return false;
    *ret_dialect = (enum dialect)dialect;
    *ret_claims = slice_of(envelope->payload.data + 1, envelope->payload.len - 1);
    return true;
}

bool envelope_credit(const struct envelope *envelope, uint32_t *ret_bytes)
{
    if (envelope->type != ENVELOPE_CREDIT || envelope->payload.len != 4)
        return false;
    *ret_bytes = le32_load(envelope->payload.data);
    return true;
}

bool envelope_close(const struct envelope *envelope, uint16_t *ret_code, struct slice *ret_reason)
{
    if (envelope->type != ENVELOPE_CLOSE || envelope->payload.len < 2)
        return false;
    *ret_code = le16_load(envelope->payload.data);
    *ret_reason = slice_of(envelope->payload.data + 2, envelope->payload.len - 2);
    return true;
}

bool envelope_lag(const struct envelope *envelope, uint64_t *ret_seq)
{
    if (envelope->type != ENVELOPE_LAG || envelope->payload.len != SEQ)
        return false;
    *ret_seq = le64_load(envelope->payload.data);
    return true;
}

/* The number in front, and what follows it. */
static uint64_t split_seq(const struct envelope *envelope, struct slice *ret_rest)
{
    assert(envelope->payload.len >= SEQ);
    *ret_rest = slice_of(envelope->payload.data + SEQ, envelope->payload.len - SEQ);
    return le64_load(envelope->payload.data);
}

uint64_t envelope_join(const struct envelope *envelope, struct slice *ret_members)
{
    return split_seq(envelope, ret_members);
}

bool envelope_next_member(struct slice *members, struct audience_member *ret_member)
{
    if (members->len == 0)
        return false;
    assert(members->len >= MEMBER_HEADER);
    size_t id_len = byte_at(members->data, MEMBER_HEADER - 1);
    assert(members->len - MEMBER_HEADER >= id_len);
    ret_member->audience = le32_load(members->data);
    ret_member->id = slice_of(members->data + MEMBER_HEADER, id_len);
    *members = slice_of(members->data + MEMBER_HEADER + id_len, members->len - MEMBER_HEADER - id_len);
    return true;
}

uint64_t envelope_change(const struct envelope *envelope, struct slice *ret_head, struct slice *ret_tail)
{
    struct slice rest;
    uint64_t seq = split_seq(envelope, &rest);
    assert(rest.len >= HOLE);
    size_t hole = le32_load(rest.data);
    assert(hole <= rest.len - HOLE);
    *ret_head = slice_of(rest.data + HOLE, hole);
    *ret_tail = slice_of(rest.data + HOLE + hole, rest.len - HOLE - hole);
    return seq;
}

uint64_t envelope_boundary(const struct envelope *envelope, struct slice *ret_message)
{
    return split_seq(envelope, ret_message);
}
