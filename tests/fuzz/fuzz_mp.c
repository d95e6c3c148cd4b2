/*
 * mp: skipping a value takes what reading it token by token takes, nothing points outside the input, and what is read
 * and written again is read the same.
 */
#include <assert.h>
#include <math.h>

#include "proto/mp.h"
#include "proto/utf8.h"

static bool is_within(struct slice inner, struct slice outer)
{
    return inner.data >= outer.data && inner.data + inner.len <= outer.data + outer.len;
}

static void write_token(const struct mp_token *token, struct buf *buf)
{
    switch (token->type) {
    case MP_NIL:
    case MP_EXT:
        mp_write_nil(buf);
        break;
    case MP_BOOL:
        mp_write_bool(buf, token->integer != 0);
        break;
    case MP_INT:
    case MP_TIME:
        mp_write_int(buf, token->integer);
        break;
    case MP_REAL:
        mp_write_real(buf, token->real);
        break;
    case MP_STR:
        mp_write_str(buf, token->bytes);
        break;
    case MP_BIN:
        mp_write_bin(buf, token->bytes);
        break;
    case MP_ARRAY:
        mp_write_array(buf, token->n);
        break;
    case MP_MAP:
        mp_write_map(buf, token->n);
        break;
    }
}

static double number_of(const struct mp_token *token)
{
    return token->type == MP_REAL ? token->real : (double)token->integer;
}

static void check_same(const struct mp_token *token, const struct mp_token *again)
{
    switch (token->type) {
    case MP_NIL:
    case MP_EXT:
        assert(again->type == MP_NIL);
        break;
    case MP_BOOL:
        assert(again->type == MP_BOOL && again->integer == token->integer);
        break;
    case MP_INT:
    case MP_TIME:
    case MP_REAL:
        assert(again->type == MP_INT || again->type == MP_REAL);
        assert(number_of(again) == number_of(token) || isnan(number_of(token)));
        break;
    case MP_STR:
    case MP_BIN:
        assert(again->type == token->type && slice_eq(again->bytes, token->bytes));
        break;
    case MP_ARRAY:
    case MP_MAP:
        assert(again->type == token->type && again->n == token->n);
        break;
    }
}

static void check_token(const struct mp_token *token, struct slice input)
{
    bool is_bytes = token->type == MP_STR || token->type == MP_BIN || token->type == MP_EXT;
    assert(!is_bytes || is_within(token->bytes, input));
    assert(token->type != MP_STR || utf8_is_valid(token->bytes));

    struct buf buf = {0};
    write_token(token, &buf);
    struct slice in = buf_slice(&buf);
    struct mp_token again;
    assert(mp_read(&in, &again) && in.len == 0);
    check_same(token, &again);
    buf_release(&buf);
}

/* Reads one value with whatever it holds; false if it is broken. Containers within each other are not counted, so
 * this takes what mp_skip refuses for its depth alone. */
static bool walk(struct slice *in, struct slice input)
{
    for (uint64_t left = 1; left > 0; left--) {
        struct mp_token token;
        struct slice before = *in;
        if (!mp_read(in, &token)) {
            assert(in->data == before.data && in->len == before.len);
            return false;
        }
        assert(in->len < before.len && in->data + in->len == before.data + before.len);
        check_token(&token, input);
        if (token.type == MP_ARRAY)
            left += token.n;
        else if (token.type == MP_MAP)
            left += 2 * (uint64_t)token.n;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice input = slice_of(data, len), walked = input, skipped = input, shallow = input;
    bool is_whole = walk(&walked, input);
    bool is_skipped = mp_skip(&skipped, MP_DEPTH_MAX);
    assert(!is_skipped || (is_whole && skipped.data == walked.data));
    assert(is_skipped || skipped.len == len);
    /* What is deep enough to be refused opens a container a byte, at least. */
    assert(is_skipped || !is_whole || len > MP_DEPTH_MAX);
    if (mp_skip(&shallow, 2))
        assert(is_skipped && shallow.data == skipped.data);
    return 0;
}
