#include "tests/bench/mp.h"

static void put(struct buffer *out, uint8_t tag, uint64_t value, int size)
{
    uint8_t *at = buffer_room(out, 1 + (size_t)size);
    *at++ = tag;
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) {
        *at++ = (uint8_t)(value >> shift);
    }
    buffer_grew(out, 1 + (size_t)size);
}

void mp_nil(struct buffer *out)
{
    buffer_append_byte(out, 0xc0);
}

void mp_map(struct buffer *out, uint32_t n)
{
    if (n < 16) {
        buffer_append_byte(out, (uint8_t)(0x80 | n));
    } else {
        put(out, 0xdf, n, 4);
    }
}

void mp_array(struct buffer *out, uint32_t n)
{
    if (n < 16) {
        buffer_append_byte(out, (uint8_t)(0x90 | n));
    } else {
        put(out, 0xdd, n, 4);
    }
}

void mp_text(struct buffer *out, struct text text)
{
    if (text.len < 32) {
        buffer_append_byte(out, (uint8_t)(0xa0 | text.len));
    } else if (text.len < 256) {
        put(out, 0xd9, text.len, 1);
    } else {
        put(out, 0xdb, text.len, 4);
    }
    buffer_append(out, text.at, text.len);
}

void mp_str(struct buffer *out, const char *text)
{
    mp_text(out, text_of(text));
}

static void put_float(struct buffer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put(out, 0xcb, bits, 8);
}

void mp_int(struct buffer *out, int64_t value)
{
    if (value < INT32_MIN || value > (int64_t)UINT32_MAX) {
        put_float(out, (double)value);
    } else if (value >= -32 && value < 128) {
        buffer_append_byte(out, (uint8_t)value);
    } else if (value >= 0) {
        int size = value < 256 ? 1 : value < 65536 ? 2 : 4;
        put(out, size == 1 ? 0xcc : size == 2 ? 0xcd : 0xce, (uint64_t)value, size);
    } else {
        int size = value >= INT8_MIN ? 1 : value >= INT16_MIN ? 2 : 4;
        put(out, size == 1 ? 0xd0 : size == 2 ? 0xd1 : 0xd2, (uint64_t)value, size);
    }
}

static bool get(struct mp_reader *reader, int size, uint64_t *ret)
{
    if (reader->end - reader->at < size) {
        return false;
    }
    uint64_t value = 0;
    for (int i = 0; i < size; i++) {
        value = value << 8 | *reader->at++;
    }
    *ret = value;
    return true;
}

/* A length field of `size` bytes. */
static bool get_len(struct mp_reader *reader, int size, uint32_t *ret)
{
    uint64_t len = 0;
    bool ok = get(reader, size, &len);
    *ret = (uint32_t)len;
    return ok;
}

static bool get_bytes(struct mp_reader *reader, uint32_t len, struct text *ret)
{
    if ((size_t)(reader->end - reader->at) < len) {
        return false;
    }
    *ret = (struct text){(const char *)reader->at, len};
    reader->at += len;
    return true;
}

/* Bytes after a length field of `size` bytes. */
static bool get_text(struct mp_reader *reader, int size, enum mp_type type, struct mp_value *value)
{
    uint32_t len = 0;
    value->type = type;
    return get_len(reader, size, &len) && get_bytes(reader, len, &value->text);
}

static bool get_items(struct mp_reader *reader, int size, enum mp_type type, struct mp_value *value)
{
    value->type = type;
    return get_len(reader, size, &value->n);
}

static bool get_unsigned(struct mp_reader *reader, int size, struct mp_value *value)
{
    uint64_t bits = 0;
    value->type = MP_INT;
    value->wide = size == 8;
    bool ok = get(reader, size, &bits);
    value->i = (int64_t)bits;
    return ok;
}

static bool get_signed(struct mp_reader *reader, int size, struct mp_value *value)
{
    if (!get_unsigned(reader, size, value)) {
        return false;
    }
    int unused = 64 - 8 * size;
    value->i = (int64_t)((uint64_t)value->i << unused) >> unused;
    return true;
}

static bool get_float(struct mp_reader *reader, int size, struct mp_value *value)
{
    uint64_t bits = 0;
    value->type = MP_FLOAT;
    if (!get(reader, size, &bits)) {
        return false;
    }
    if (size == 8) {
        memcpy(&value->f, &bits, sizeof(value->f));
    } else {
        uint32_t bits32 = (uint32_t)bits;
        float narrow;
        memcpy(&narrow, &bits32, sizeof(narrow));
        value->f = narrow;
    }
    return true;
}

static bool get_ext(struct mp_reader *reader, uint32_t len, struct mp_value *value)
{
    uint64_t type = 0;
    value->type = MP_EXT;
    if (!get(reader, 1, &type)) {
        return false;
    }
    value->i = (int8_t)type;
    return get_bytes(reader, len, &value->text);
}

/* The formats whose first byte is 0xc0 to 0xdf. */
static bool next_tagged(struct mp_reader *reader, uint8_t tag, struct mp_value *value)
{
    uint32_t len = 0;
    switch (tag) {
    case 0xc0:
        value->type = MP_NIL;
        return true;
    case 0xc2:
    case 0xc3:
        value->type = MP_BOOL;
        value->i = tag & 1;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return get_text(reader, 1 << (tag - 0xc4), MP_BIN, value);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return get_len(reader, 1 << (tag - 0xc7), &len) && get_ext(reader, len, value);
    case 0xca:
    case 0xcb:
        return get_float(reader, tag == 0xca ? 4 : 8, value);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return get_unsigned(reader, 1 << (tag - 0xcc), value);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return get_signed(reader, 1 << (tag - 0xd0), value);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return get_ext(reader, 1u << (tag - 0xd4), value);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return get_text(reader, 1 << (tag - 0xd9), MP_STR, value);
    case 0xdc:
    case 0xdd:
        return get_items(reader, tag == 0xdc ? 2 : 4, MP_ARRAY, value);
    case 0xde:
    case 0xdf:
        return get_items(reader, tag == 0xde ? 2 : 4, MP_MAP, value);
    default:
        return false;
    }
}

bool mp_next_any(struct mp_reader *reader, struct mp_value *ret_value)
{
    if (reader->at == reader->end) {
        return false;
    }
    uint8_t tag = *reader->at++;
    if (tag < 0x80 || tag >= 0xe0) {
        ret_value->type = MP_INT;
        ret_value->wide = false;
        ret_value->i = (int8_t)tag;
        return true;
    }
    if (tag >= 0xc0) {
        return next_tagged(reader, tag, ret_value);
    }
    if (tag >= 0xa0) {
        ret_value->type = MP_STR;
        return get_bytes(reader, tag & 0x1f, &ret_value->text);
    }
    ret_value->type = tag >= 0x90 ? MP_ARRAY : MP_MAP;
    ret_value->n = tag & 0x0f;
    return true;
}

static bool skip_at(struct mp_reader *reader, int depth)
{
    struct mp_value value;
    if (depth > MP_DEPTH || !mp_next(reader, &value)) {
        return false;
    }
    uint64_t n = value.type == MP_ARRAY ? value.n : value.type == MP_MAP ? 2 * (uint64_t)value.n : 0;
    for (uint64_t i = 0; i < n; i++) {
        if (!skip_at(reader, depth + 1)) {
            return false;
        }
    }
    return true;
}

bool mp_skip(struct mp_reader *reader)
{
    return skip_at(reader, 1);
}
