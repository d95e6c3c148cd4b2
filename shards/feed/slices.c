#include "shards/feed/slices.h"

#include <stdlib.h>

#include "base/metrics.h"
#include "shards/feed/session.h"

/* Before each row of a slice. */
struct row_header {
    uint32_t key_len, row_len;
};

void slices_init(struct slices *slices)
{
    list_init(&slices->recent);
    slices->bytes = 0;
}

void herd_init(struct herd *herd, struct slices *slices)
{
    herd->slices = slices;
    list_init(&herd->subs);
    list_init(&herd->kept);
}

/* As SQLite orders keys: by their bytes. */
static int compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static struct slice last_key(const struct row_slice *slice)
{
    struct slice key = SLICE_NONE, row;
    size_t at = slice->last;
    row_slice_next(slice, &at, &key, &row);
    return key;
}

static bool is_another(const struct sub *other, const struct sub *sub)
{
    return other != sub && other->collection == sub->collection;
}

/* Whether anyone else has not come as far as the slice's end. */
static bool is_wanted(const struct herd *herd, const struct sub *sub, const struct row_slice *slice)
{
    struct slice last = last_key(slice);
    LIST_FOREACH(link, &herd->subs) {
        const struct sub *other = LIST_ITEM(link, struct sub, herd_link);
        if (is_another(other, sub) && compare(buf_slice(&other->key), last) < 0)
            return true;
    }
    return false;
}

static bool is_alone(const struct herd *herd, const struct sub *sub)
{
    LIST_FOREACH(link, &herd->subs)
        if (is_another(LIST_ITEM(link, struct sub, herd_link), sub))
            return false;
    return true;
}

static size_t cost(const struct row_slice *slice)
{
    size_t bytes = sizeof *slice + slice->after.capacity + slice->rows.capacity;
    return bytes < SLICE_COST_MIN ? SLICE_COST_MIN : bytes;
}

static void row_slice_free(struct row_slice *slice)
{
    buf_release(&slice->after);
    buf_release(&slice->rows);
    free(slice);
}

static void drop(struct slices *slices, struct row_slice *slice)
{
    slices->bytes -= cost(slice);
    metric_add(METRIC_SHARD_SLICES_BYTES, -(int64_t)cost(slice));
    list_remove(&slice->link);
    list_remove(&slice->recent_link);
    row_slice_free(slice);
}

void herd_clear(struct herd *herd)
{
    LIST_FOREACH_SAFE(link, &herd->kept)
        drop(herd->slices, LIST_ITEM(link, struct row_slice, link));
}

void herd_end_turn(struct herd *herd)
{
    if (list_is_empty(&herd->subs))
        herd_clear(herd);
}

void herd_join(struct herd *herd, struct sub *sub)
{
    list_append(&herd->subs, &sub->herd_link);
}

bool herd_is_sharing(const struct herd *herd)
{
    return !list_is_empty(&herd->kept);
}

/* ---- who comes later ---- */

static bool serves(const struct row_slice *slice, const struct sub *sub)
{
    struct slice key = buf_slice(&sub->key);
    return slice->collection == sub->collection && slice->head >= sub->from &&
           compare(buf_slice(&slice->after), key) <= 0 && (slice->is_end || compare(key, last_key(slice)) < 0);
}

struct row_slice *herd_find(struct herd *herd, const struct sub *sub)
{
    LIST_FOREACH(link, &herd->kept) {
        struct row_slice *slice = LIST_ITEM(link, struct row_slice, link);
        if (!serves(slice, sub))
            continue;
        list_remove(&slice->recent_link);
        list_append(&herd->slices->recent, &slice->recent_link);
        metric_add(METRIC_SHARD_SLICES_SHARED, 1);
        return slice;
    }
    return NULL;
}

bool row_slice_next(const struct row_slice *slice, size_t *at, struct slice *ret_key, struct slice *ret_row)
{
    struct row_header header;
    if (*at == slice->rows.len)
        return false;
    const char *key = slice->rows.data + *at + sizeof header;
    memcpy(&header, slice->rows.data + *at, sizeof header);
    *ret_key = slice_of(key, header.key_len);
    *ret_row = slice_of(key + header.key_len, header.row_len);
    *at += sizeof header + header.key_len + header.row_len;
    return true;
}

size_t row_slice_seek(const struct row_slice *slice, struct slice key)
{
    struct slice next, row;
    size_t at = 0, begun = 0;
    while (row_slice_next(slice, &at, &next, &row) && compare(next, key) <= 0)
        begun = at;
    return begun;
}

void herd_pass(struct herd *herd, const struct sub *sub, struct row_slice *slice)
{
    if (!is_wanted(herd, sub, slice))
        drop(herd->slices, slice);
}

/* ---- who comes first ---- */

struct row_slice *herd_begin(struct herd *herd, const struct sub *sub, uint64_t head)
{
    if (is_alone(herd, sub))
        return NULL;
    struct row_slice *slice = mem_zero(1, sizeof *slice);
    slice->collection = sub->collection;
    slice->head = head;
    buf_append_slice(&slice->after, buf_slice(&sub->key));
    return slice;
}

void row_slice_add(struct row_slice *slice, struct slice key, struct slice row)
{
    struct row_header header = {(uint32_t)key.len, (uint32_t)row.len};
    slice->last = slice->rows.len;
    buf_append(&slice->rows, &header, sizeof header);
    buf_append_slice(&slice->rows, key);
    buf_append_slice(&slice->rows, row);
}

void herd_keep(struct herd *herd, const struct sub *sub, struct row_slice *slice, bool is_end)
{
    struct slices *slices = herd->slices;
    slice->is_end = is_end;
    if (slice->rows.len == 0 || !is_wanted(herd, sub, slice)) {
        row_slice_free(slice);
        return;
    }
    list_append(&herd->kept, &slice->link);
    list_append(&slices->recent, &slice->recent_link);
    slices->bytes += cost(slice);
    metric_add(METRIC_SHARD_SLICES_BYTES, (int64_t)cost(slice));
    while (slices->bytes > SLICES_BYTES_MAX) {
        drop(slices, LIST_ITEM(slices->recent.next, struct row_slice, recent_link));
        metric_add(METRIC_SHARD_SLICES_DROPPED, 1);
    }
}
