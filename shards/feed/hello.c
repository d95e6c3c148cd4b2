#include "shards/feed/hello.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/mp.h"
#include "shards/scope/mutation.h"
#include "shards/scope/receipts.h"

/* The map from collections to maps from their columns to types. */
static void write_types(struct buf *buf, const struct kind *kind)
{
    mp_write_map(buf, (uint32_t)kind->n_collections);
    for (size_t i = 0; i < kind->n_collections; i++) {
        const struct collection *collection = &kind->collections[i];
        mp_write_str(buf, slice_str(collection->def->name));
        mp_write_map(buf, (uint32_t)collection->n_columns);
        for (size_t j = 0; j < collection->n_columns; j++) {
            buf_append_slice(buf, buf_slice(&collection->columns[j].encoded_name));
            mp_write_str(buf, slice_str(collection->columns[j].type));
        }
    }
}

/* From which cursor on every collection can be caught up. */
static uint64_t highest_floor(const struct feed *feed)
{
    uint64_t floor = 0;
    for (size_t i = 0; feed->file != NULL && i < feed->kind->n_collections; i++)
        if (feed->file->log.floors[i] > floor)
            floor = feed->file->log.floors[i];
    return floor;
}

void hello_write(struct buf *buf, const struct session *session, const struct feed *feed)
{
    char name[16];
    struct buf types = {0};
    write_types(&types, feed->kind);
    snprintf(name, sizeof name, "%" PRIu32, session->id);
    frame_hello(buf, &(struct hello){.server = SLICE(PACKAGE_VERSION),
                                     .session = slice_str(name),
                                     .head = feed_head(feed),
                                     .floor = highest_floor(feed),
                                     .schema = (uint32_t)feed->kind->migrations.n,
                                     .types = buf_slice(&types),
                                     .ops = MUTATION_OPS_MAX,
                                     .subs = SESSION_SUBS_MAX,
                                     .frames_per_second = feed->kind->def->frames_per_second,
                                     .receipts_s = RECEIPTS_KEPT_S});
    buf_release(&types);
}
