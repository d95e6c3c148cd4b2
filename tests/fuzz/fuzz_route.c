/* route: a path that is a scope's, is it again when it is written anew from the scope's name. */
#include <assert.h>

#include "proto/http.h"
#include "proto/route.h"
#include "proto/utf8.h"

static void check_same(const struct scope_name *a, const struct scope_name *b)
{
    assert(slice_eq(slice_of(a->text, a->len), slice_of(b->text, b->len)));
    assert(slice_eq(a->app, b->app) && slice_eq(a->kind, b->kind) && slice_eq(a->id, b->id));
}

static void check_name(const struct scope_name *name)
{
    assert(name->len < ROUTE_SCOPE_MAX && strlen(name->text) == name->len);
    assert(route_name_is_valid(name->app) && route_name_is_valid(name->kind));
    assert(name->id.len >= 1 && name->id.len <= ROUTE_ID_MAX && utf8_is_valid(name->id));
    assert(name->app.len + name->kind.len + name->id.len + 2 == name->len);

    struct scope_name again, copy;
    assert(scope_name_parse(slice_of(name->text, name->len), &again));
    check_same(name, &again);
    scope_name_copy(&copy, name);
    check_same(name, &copy);

    struct scope_hash hash = scope_hash(name);
    unsigned slot = scope_slot(&hash), shard = route_shard(slot, 7);
    assert(slot >= route_first_slot(shard, 7) && slot < route_first_slot(shard + 1, 7));
}

static void check_path(const struct scope_name *name)
{
    struct buf path = {0};
    struct scope_name again;
    buf_printf(&path, "/v1/%.*s/%.*s/", (int)name->app.len, name->app.data, (int)name->kind.len, name->kind.data);
    http_percent_encode(name->id, &path);
    buf_printf(&path, "/sync");
    assert(route_parse_sync(buf_slice(&path), &again));
    check_same(name, &again);
    buf_release(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct scope_name name;
    if (route_parse_sync(slice_of(data, len), &name)) {
        check_name(&name);
        check_path(&name);
    }
    if (route_parse_scope(slice_of(data, len), &name))
        check_name(&name);
    if (scope_name_parse(slice_of(data, len), &name)) {
        check_name(&name);
        check_path(&name);
    }
    return 0;
}
