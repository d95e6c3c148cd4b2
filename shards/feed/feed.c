#include "shards/feed/feed.h"

#include <stdlib.h>

#include "base/table.h"

enum { MARKS_KEPT = 1 << 12 }; /* between turns */

uint64_t feed_head(const struct feed *feed)
{
    return feed->file == NULL ? 0 : feed->file->log.head;
}

static uint64_t hash_key(const struct collection *collection, struct slice key)
{
    uint64_t hash = table_hash_bytes(TABLE_HASH_START ^ collection->number, key.data, key.len);
    return hash ^ hash >> 32;
}

static bool same_key(const struct capture *capture, const struct change *a, const struct change *b)
{
    return a->collection == b->collection && slice_eq(change_key(capture, a), change_key(capture, b));
}

/* Puts change `i` into a set of changes by key. False if one of its key is there. */
static bool add_to_set(const struct capture *capture, size_t *set, size_t mask, size_t i)
{
    const struct change *change = &capture->changes[i];
    size_t at = hash_key(change->collection, change_key(capture, change)) & mask;
    for (; set[at] != 0; at = (at + 1) & mask)
        if (same_key(capture, &capture->changes[set[at] - 1], change))
            return false;
    set[at] = i + 1;
    return true;
}

void feed_mark_latest(struct feed *feed)
{
    size_t n = feed->file == NULL ? 0 : feed->file->capture.n;
    if (n == 0)
        return;
    if (n > feed->is_latest_n) {
        feed->is_latest = mem_resize(feed->is_latest, n * sizeof *feed->is_latest);
        feed->is_latest_n = n;
    }
    if (n == 1) {
        feed->is_latest[0] = true;
        return;
    }
    size_t size = 4;
    while (size < 2 * n)
        size *= 2;
    size_t *set = mem_zero(size, sizeof *set);
    for (size_t i = n; i-- > 0;)
        feed->is_latest[i] = add_to_set(&feed->file->capture, set, size - 1, i);
    free(set);
}

void feed_end_turn(struct feed *feed)
{
    feed->before = feed_head(feed);
    herd_end_turn(feed->herd);
    if (feed->file != NULL)
        capture_clear(&feed->file->capture);
    if (feed->is_latest_n > MARKS_KEPT) {
        free(feed->is_latest);
        feed->is_latest = NULL;
        feed->is_latest_n = 0;
    }
}

void feed_release(struct feed *feed)
{
    free(feed->is_latest);
    *feed = (struct feed){0};
}
