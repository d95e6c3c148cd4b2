#include "proto/envelope.h"

#include <assert.h>

#include "base/byteorder.h"

enum { AT_TYPE = 0, AT_ZERO = 1, AT_SESSION = 4, AT_LENGTH = 8 };

static bool is_type(uint8_t type)
{
    return type >= ENVELOPE_ATTACH && type <= ENVELOPE_CLOSE;
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
    return ENVELOPE_DONE;
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
    while ((status = envelope_decode(&data, &envelope)) == ENVELOPE_DONE)
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
