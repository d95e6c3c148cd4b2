/* envelope: what is decoded is encoded to the same bytes, and what is not decoded is left alone. */
#include <assert.h>

#include "proto/envelope.h"

static void check_payload(const struct envelope *envelope)
{
    uint32_t bytes;
    uint64_t seq;
    uint16_t code;
    struct slice reason, claims;
    enum dialect dialect;
    bool is_attach = envelope_attach(envelope, &dialect, &claims);
    assert(!is_attach || (envelope->type == ENVELOPE_ATTACH && claims.len + 1 == envelope->payload.len));
    bool is_credit = envelope_credit(envelope, &bytes), is_close = envelope_close(envelope, &code, &reason);
    assert(!is_credit || envelope->type == ENVELOPE_CREDIT);
    assert(!is_close || envelope->type == ENVELOPE_CLOSE);
    bool is_lag = envelope_lag(envelope, &seq);
    assert(!is_lag || envelope->type == ENVELOPE_LAG);
    if (is_close)
        assert(reason.data + reason.len == envelope->payload.data + envelope->payload.len);
}

static void check_same(const struct envelope *envelope, struct slice bytes)
{
    struct buf buf = {0};
    envelope_append(&buf, envelope->type, envelope->session, envelope->payload);
    assert(slice_eq(buf_slice(&buf), bytes));
    buf_release(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice in = slice_of(data, len);
    for (;;) {
        struct slice before = in;
        struct envelope envelope;
        enum envelope_status status = envelope_decode(&in, &envelope);
        if (status != ENVELOPE_WHOLE) {
            assert(in.data == before.data && in.len == before.len);
            assert(status == ENVELOPE_MORE || before.len >= ENVELOPE_HEADER);
            return 0;
        }
        check_same(&envelope, slice_of(before.data, before.len - in.len));
        check_payload(&envelope);
    }
}
