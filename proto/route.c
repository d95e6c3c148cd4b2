#include "proto/route.h"

#include <assert.h>

#include "base/digest.h"
#include "proto/http.h"
#include "proto/utf8.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

bool route_name_is_valid(struct slice name)
{
    if (name.len == 0 || name.len > ROUTE_NAME_MAX || !is_lower(name.data[0]))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!is_lower(c) && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return true;
}

/* Takes what is in front of the next '/', which goes too. */
static bool take_segment(struct slice *in, struct slice *ret_segment)
{
    const char *slash = in->len == 0 ? NULL : memchr(in->data, '/', in->len);
    if (slash == NULL)
        return false;
    size_t len = (size_t)(slash - in->data);
    *ret_segment = slice_of(in->data, len);
    *in = slice_of(slash + 1, in->len - len - 1);
    return true;
}

static void point(struct scope_name *name, size_t app_len, size_t kind_len)
{
    name->app = slice_of(name->text, app_len);
    name->kind = slice_of(name->text + app_len + 1, kind_len);
    name->id = slice_of(name->text + app_len + kind_len + 2, name->len - app_len - kind_len - 2);
}

static bool make_name(struct slice app, struct slice kind, struct slice id, struct scope_name *ret_name)
{
    if (!route_name_is_valid(app) || !route_name_is_valid(kind))
        return false;
    if (id.len == 0 || id.len > ROUTE_ID_MAX || memchr(id.data, '\0', id.len) != NULL || !utf8_is_valid(id))
        return false;
    char *out = ret_name->text;
    memcpy(out, app.data, app.len);
    out += app.len;
    *out++ = '/';
    memcpy(out, kind.data, kind.len);
    out += kind.len;
    *out++ = '/';
    memcpy(out, id.data, id.len);
    out += id.len;
    *out = '\0';
    ret_name->len = (size_t)(out - ret_name->text);
    point(ret_name, app.len, kind.len);
    return true;
}

static bool decode_name(struct slice app, struct slice kind, struct slice id, struct scope_name *ret_name)
{
    struct buf decoded = {0};
    bool done = http_percent_decode(id, false, &decoded) && make_name(app, kind, buf_slice(&decoded), ret_name);
    buf_release(&decoded);
    return done;
}

bool route_parse_sync(struct slice path, struct scope_name *ret_name)
{
    struct slice root, version, app, kind, id;
    if (!take_segment(&path, &root) || !take_segment(&path, &version) || !take_segment(&path, &app) ||
        !take_segment(&path, &kind) || !take_segment(&path, &id))
        return false;
    if (root.len > 0 || !slice_eq(version, SLICE("v1")) || !slice_eq(path, SLICE("sync")))
        return false;
    return decode_name(app, kind, id, ret_name);
}

bool route_parse_scope(struct slice path, struct scope_name *ret_name)
{
    struct slice root, app, kind;
    return take_segment(&path, &root) && root.len == 0 && take_segment(&path, &app) && take_segment(&path, &kind) &&
           memchr(path.data, '/', path.len) == NULL && decode_name(app, kind, path, ret_name);
}

bool scope_name_parse(struct slice text, struct scope_name *ret_name)
{
    struct slice app, kind;
    return take_segment(&text, &app) && take_segment(&text, &kind) && make_name(app, kind, text, ret_name);
}

void scope_name_copy(struct scope_name *to, const struct scope_name *from)
{
    memcpy(to->text, from->text, from->len + 1);
    to->len = from->len;
    point(to, from->app.len, from->kind.len);
}

struct scope_hash scope_hash(const struct scope_name *name)
{
    unsigned char digest[SHA256_BYTES];
    sha256(slice_of(name->text, name->len), digest);
    struct scope_hash hash;
    memcpy(hash.bytes, digest, sizeof hash.bytes);
    return hash;
}

unsigned scope_slot(const struct scope_hash *hash)
{
    return (unsigned)hash->bytes[0] << 4 | hash->bytes[1] >> 4;
}

void scope_hash_text(const struct scope_hash *hash, char ret_text[33])
{
    static const char HEX[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof hash->bytes; i++) {
        ret_text[2 * i] = HEX[hash->bytes[i] >> 4];
        ret_text[2 * i + 1] = HEX[hash->bytes[i] & 15];
    }
    ret_text[32] = '\0';
}

unsigned route_shard(unsigned slot, unsigned n_shards)
{
    assert(slot < ROUTE_SLOTS && n_shards >= 1 && n_shards <= ROUTE_SLOTS);
    return slot * n_shards / ROUTE_SLOTS;
}

unsigned route_first_slot(unsigned shard, unsigned n_shards)
{
    assert(shard <= n_shards && n_shards >= 1 && n_shards <= ROUTE_SLOTS);
    return (shard * ROUTE_SLOTS + n_shards - 1) / n_shards;
}

bool scope_name_eq(const struct scope_name *a, const struct scope_name *b)
{
    return slice_eq(slice_of(a->text, a->len), slice_of(b->text, b->len));
}

uint64_t scope_name_hash(const struct scope_name *name)
{
    struct scope_hash hash = scope_hash(name);
    uint64_t number;
    memcpy(&number, hash.bytes, sizeof number);
    return number;
}
