#include "tests/lib/mpjson.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/byteorder.h"
#include "proto/mp.h"

enum { EXT_TIME = 0xff };

static const int64_t EXACT_MAX = INT64_C(1) << 53;

/* Every double beyond EXACT_MAX is whole. */
static bool is_whole(double number)
{
    return fabs(number) >= (double)EXACT_MAX || number == (double)(int64_t)number;
}

cJSON *mpjson_parse(const char *quoted)
{
    char *text = mem_dup(slice_str(quoted));
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    cJSON *json = cJSON_Parse(text);
    if (json == NULL)
        fprintf(stderr, "not JSON: %s\n", text);
    assert(json != NULL);
    free(text);
    return json;
}

void mpjson_bytes(const char *text, struct buf *buf)
{
    while (*text != '\0') {
        char digits[3] = {text[0], text[1], '\0'}, *end;
        if (text[0] == ' ') {
            text++;
            continue;
        }
        char byte = (char)strtoul(digits, &end, 16);
        assert(end == digits + 2);
        text += 2;
        size_t n = 1;
        if (*text == '*') {
            n = strtoul(text + 1, &end, 10);
            text = end;
        }
        memset(buf_reserve(buf, n), byte, n);
        buf->len += n;
    }
}

void mpjson_hex(struct slice bytes, struct buf *buf)
{
    for (size_t i = 0; i < bytes.len; i++)
        buf_printf(buf, "%02x", (unsigned char)bytes.data[i]);
}

/* ---- writing ---- */

static void write_real(const cJSON *json, struct buf *buf)
{
    mp_write_real(buf, cJSON_IsString(json) ? strtod(json->valuestring, NULL) : json->valuedouble);
}

static void write_bin(const cJSON *json, struct buf *buf)
{
    struct buf bytes = {0};
    mpjson_bytes(json->valuestring, &bytes);
    mp_write_bin(buf, buf_slice(&bytes));
    buf_release(&bytes);
}

/* The shortest of the three forms, as encoders choose it. */
static void write_time(const cJSON *json, struct buf *buf)
{
    int64_t ms = (int64_t)json->valuedouble, seconds = ms / 1000 - (ms % 1000 < 0);
    uint32_t nanoseconds = (uint32_t)(ms - seconds * 1000) * 1000000;
    char *out = buf_reserve(buf, 15);
    if (seconds >= 0 && seconds <= UINT32_MAX && nanoseconds == 0) {
        out = be16_store(out, 0xd6 << 8 | EXT_TIME);
        out = be32_store(out, (uint32_t)seconds);
    } else if (seconds >= 0 && seconds < INT64_C(1) << 34) {
        out = be16_store(out, 0xd7 << 8 | EXT_TIME);
        out = be64_store(out, (uint64_t)nanoseconds << 34 | (uint64_t)seconds);
    } else {
        *out++ = (char)0xc7;
        out = be16_store(out, 12 << 8 | EXT_TIME);
        out = be32_store(out, nanoseconds);
        out = be64_store(out, (uint64_t)seconds);
    }
    buf->len = (size_t)(out - buf->data);
}

static void write_repeat(const cJSON *json, struct buf *buf)
{
    struct buf text = {0};
    for (int n = cJSON_GetArrayItem(json, 1)->valueint; n > 0; n--)
        buf_append_slice(&text, slice_str(cJSON_GetArrayItem(json, 0)->valuestring));
    mp_write_str(buf, buf_slice(&text));
    buf_release(&text);
}

static void write_map(const cJSON *json, struct buf *buf)
{
    const cJSON *item, *first = json->child;
    const char *tag = first != NULL && first->next == NULL ? first->string : "";
    if (strcmp(tag, "$real") == 0) {
        write_real(first, buf);
    } else if (strcmp(tag, "$int") == 0) {
        mp_write_int(buf, strtoll(first->valuestring, NULL, 10));
    } else if (strcmp(tag, "$bin") == 0) {
        write_bin(first, buf);
    } else if (strcmp(tag, "$time") == 0) {
        write_time(first, buf);
    } else if (strcmp(tag, "$repeat") == 0) {
        write_repeat(first, buf);
    } else {
        assert(tag[0] != '$');
        mp_write_map(buf, (uint32_t)cJSON_GetArraySize(json));
        cJSON_ArrayForEach(item, json) {
            mp_write_str(buf, slice_str(item->string));
            mpjson_write(item, buf);
        }
    }
}

static void write_number(double number, struct buf *buf)
{
    if (is_whole(number) && fabs(number) <= (double)EXACT_MAX)
        mp_write_int(buf, (int64_t)number);
    else
        mp_write_real(buf, number);
}

void mpjson_write(const cJSON *json, struct buf *buf)
{
    const cJSON *item;
    if (cJSON_IsNull(json)) {
        mp_write_nil(buf);
    } else if (cJSON_IsBool(json)) {
        mp_write_bool(buf, cJSON_IsTrue(json));
    } else if (cJSON_IsNumber(json)) {
        write_number(json->valuedouble, buf);
    } else if (cJSON_IsString(json)) {
        mp_write_str(buf, slice_str(json->valuestring));
    } else if (cJSON_IsObject(json)) {
        write_map(json, buf);
    } else {
        assert(cJSON_IsArray(json));
        mp_write_array(buf, (uint32_t)cJSON_GetArraySize(json));
        cJSON_ArrayForEach(item, json) {
            mpjson_write(item, buf);
        }
    }
}

/* ---- reading ---- */

static cJSON *tagged(const char *tag, cJSON *value)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddItemToObject(json, tag, value);
    return json;
}

cJSON *mpjson_text(struct slice text)
{
    char *copy = mem_dup(text);
    cJSON *json = cJSON_CreateString(copy);
    free(copy);
    return json;
}

static cJSON *hex_json(struct slice bytes)
{
    struct buf hex = {0};
    mpjson_hex(bytes, &hex);
    cJSON *json = mpjson_text(buf_slice(&hex));
    buf_release(&hex);
    return json;
}

cJSON *mpjson_int(int64_t value)
{
    if (value >= -EXACT_MAX && value <= EXACT_MAX)
        return cJSON_CreateNumber((double)value);
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    return tagged("$int", cJSON_CreateString(digits));
}

cJSON *mpjson_real(double value)
{
    if (isnan(value))
        return tagged("$real", cJSON_CreateString("NaN"));
    if (isinf(value))
        return tagged("$real", cJSON_CreateString(value < 0 ? "-Infinity" : "Infinity"));
    cJSON *json = cJSON_CreateNumber(value);
    return is_whole(value) ? tagged("$real", json) : json;
}

cJSON *mpjson_bin(struct slice bytes)
{
    return tagged("$bin", hex_json(bytes));
}

static cJSON *map_json(struct slice *in, uint32_t n)
{
    cJSON *map = cJSON_CreateObject();
    while (n-- > 0) {
        struct mp_token name;
        bool read = mp_read(in, &name);
        assert(read && name.type == MP_STR);
        char *key = mem_dup(name.bytes);
        cJSON_AddItemToObject(map, key, mpjson_read(in));
        free(key);
    }
    return map;
}

static cJSON *array_json(struct slice *in, uint32_t n)
{
    cJSON *array = cJSON_CreateArray();
    while (n-- > 0)
        cJSON_AddItemToArray(array, mpjson_read(in));
    return array;
}

static cJSON *ext_json(struct slice start, struct slice bytes)
{
    /* The kind stands right in front of the bytes. */
    assert(bytes.data > start.data);
    cJSON *pair = cJSON_CreateArray();
    cJSON_AddItemToArray(pair, cJSON_CreateNumber((signed char)bytes.data[-1]));
    cJSON_AddItemToArray(pair, hex_json(bytes));
    return tagged("$ext", pair);
}

cJSON *mpjson_read(struct slice *in)
{
    struct slice start = *in;
    struct mp_token token;
    bool read = mp_read(in, &token);
    assert(read);
    switch (token.type) {
    case MP_NIL:
        break;
    case MP_BOOL:
        return cJSON_CreateBool(token.integer != 0);
    case MP_INT:
        return mpjson_int(token.integer);
    case MP_REAL:
        return mpjson_real(token.real);
    case MP_STR:
        return mpjson_text(token.bytes);
    case MP_BIN:
        return mpjson_bin(token.bytes);
    case MP_TIME:
        return tagged("$time", cJSON_CreateNumber((double)token.integer));
    case MP_EXT:
        return ext_json(start, token.bytes);
    case MP_ARRAY:
        return array_json(in, token.n);
    case MP_MAP:
        return map_json(in, token.n);
    }
    return cJSON_CreateNull();
}
