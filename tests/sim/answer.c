#include "tests/sim/answer.h"

#include "proto/mp.h"

static const struct {
    const char *name;
    enum answer_type type;
} TYPES[] = {
    {"snap", ANSWER_SNAP},         {"snap-end", ANSWER_SNAP_END},   {"d", ANSWER_DELTA},
    {"uptodate", ANSWER_UPTODATE}, {"committed", ANSWER_COMMITTED}, {"rejected", ANSWER_REJECTED},
    {"reset", ANSWER_RESET},       {"hello", ANSWER_HELLO},         {"gone", ANSWER_GONE},
};

static const char *const OPS[] = {[OP_INSERT] = "insert", [OP_UPDATE] = "update", [OP_DELETE] = "delete"};

static bool is(struct slice text, const char *name)
{
    return slice_eq(text, slice_str(name));
}

static enum answer_type type_of(struct slice name)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (is(name, TYPES[i].name))
            return TYPES[i].type;
    return ANSWER_OTHER;
}

static bool op_of(struct slice name, enum op_type *ret_op)
{
    for (enum op_type op = OP_INSERT; op <= OP_DELETE; op++) {
        if (!is(name, OPS[op]))
            continue;
        *ret_op = op;
        return true;
    }
    return false;
}

/* Takes one value off `in`: its encoding, and its text if it is one. */
static bool take(struct slice *in, struct slice *ret_encoded, struct slice *ret_text)
{
    struct slice start = *in, rest = *in;
    struct mp_token token;
    if (!mp_skip(in, MP_DEPTH_MAX) || !mp_read(&rest, &token))
        return false;
    *ret_encoded = token.type == MP_NIL ? SLICE("") : slice_of(start.data, start.len - in->len);
    *ret_text = token.type == MP_STR ? token.bytes : SLICE("");
    return true;
}

static bool read_error(struct slice encoded, struct answer *answer)
{
    struct mp_token map, name;
    bool ok = mp_read(&encoded, &map) && map.type == MP_MAP;
    for (uint32_t i = 0; ok && i < map.n; i++) {
        struct slice value, text;
        ok = mp_read(&encoded, &name) && name.type == MP_STR && take(&encoded, &value, &text);
        if (ok && is(name.bytes, "code"))
            answer->code = text;
    }
    return ok;
}

static bool read_number(struct slice encoded, int64_t *ret_number)
{
    struct mp_token token;
    bool ok = mp_read(&encoded, &token) && token.type == MP_INT;
    if (ok)
        *ret_number = token.integer;
    return ok;
}

static bool read_field(struct slice name, struct slice encoded, struct slice text, struct answer *answer)
{
    if (is(name, "t"))
        answer->type = type_of(answer->name = text);
    else if (is(name, "sub"))
        answer->has_sub = (answer->sub = text).len > 0;
    else if (is(name, "key"))
        answer->key = text;
    else if (is(name, "txId"))
        answer->tx = text;
    else if (is(name, "row") || is(name, "cols"))
        answer->row = encoded;
    else if (is(name, "result"))
        answer->result = encoded;
    else if (is(name, "op"))
        return op_of(text, &answer->op);
    else if (is(name, "retryMs"))
        return read_number(encoded, &answer->retry_ms);
    else if (is(name, "seq") || is(name, "head"))
        return seq_parse(text, &answer->seq);
    else if (is(name, "error"))
        return read_error(encoded, answer);
    return true;
}

bool answer_read(struct slice message, struct answer *ret_answer)
{
    struct mp_token map, name;
    *ret_answer = (struct answer){.type = ANSWER_OTHER};
    bool ok = mp_read(&message, &map) && map.type == MP_MAP;
    for (uint32_t i = 0; ok && i < map.n; i++) {
        struct slice encoded, text;
        ok = mp_read(&message, &name) && name.type == MP_STR && take(&message, &encoded, &text) &&
             read_field(name.bytes, encoded, text, ret_answer);
    }
    return ok && message.len == 0;
}
