#include "shards/feed/deliver.h"

#include <assert.h>

#include "base/metrics.h"
#include "shards/feed/hello.h"
#include "shards/scope/row.h"

static struct buf *begin(struct session *session)
{
    return channel_begin_message(session->channel, session->id);
}

static void end(struct session *session)
{
    session->credit -= (int64_t)channel_end_message(session->channel);
}

/* Every seq that moves the client's cursor passes here. */
static uint64_t held(const struct session *session, uint64_t seq)
{
    return session->is_holding && session->hold_seq < seq ? session->hold_seq : seq;
}

void deliver_boundary(struct session *session, uint64_t seq, const struct sub *sub)
{
    frame_uptodate(begin(session), held(session, seq), sub == NULL ? NULL : &sub->id);
    end(session);
}

void deliver_hello(struct session *session, const struct feed *feed)
{
    hello_write(begin(session), session, feed);
    end(session);
}

void deliver_reset(struct session *session, struct slice sub_id)
{
    metric_add(METRIC_SHARD_RESETS, 1);
    frame_reset(begin(session), &sub_id);
    end(session);
}

void deliver_empty_page(struct session *session, struct slice fetch_id, uint64_t seq)
{
    frame_page(begin(session), fetch_id, 0, SLICE(""), seq);
    end(session);
}

void deliver_receipt(struct session *session, struct slice tx, const struct feed *feed)
{
    struct outcome outcome = {0};
    enum err err = receipts_find(&feed->file->receipts, &session->claims, tx, &outcome);
    if (err == ERR_OK) {
        frame_committed(begin(session), tx, outcome.seq, buf_slice(&outcome.result));
        end(session);
    } else {
        feed->file->failed = err;
    }
    outcome_release(&outcome);
}

void deliver_bytes(struct session *session, struct slice frame)
{
    buf_append_slice(begin(session), frame);
    end(session);
}

static bool takes(const struct sub *sub, const struct collection *collection, uint64_t seq)
{
    return sub->state == SUB_LIVE && sub->collection == collection && sub->from < seq;
}

static bool anyone_takes(const struct session *session, const struct collection *collection, uint64_t seq)
{
    LIST_FOREACH(link, &session->subs)
        if (takes(LIST_ITEM(link, struct sub, link), collection, seq))
            return true;
    return false;
}

/* False if the credit ran out: who has not got it is behind. */
static bool deliver_change(struct session *session, const struct collection *collection, struct slice key,
                           enum op_type op, struct slice row, uint64_t seq)
{
    LIST_FOREACH(link, &session->subs) {
        struct sub *sub = LIST_ITEM(link, struct sub, link);
        if (!takes(sub, collection, seq))
            continue;
        if (session->credit <= 0)
            return false;
        frame_delta(begin(session), sub->id, key, op, row, seq);
        end(session);
        sub->from = seq;
        session->owes_boundary = true;
    }
    return true;
}

/* Everything at or below `seq` was given to every live subscription. */
static void advance(struct session *session, uint64_t seq)
{
    LIST_FOREACH(link, &session->subs) {
        struct sub *sub = LIST_ITEM(link, struct sub, link);
        if (sub->state == SUB_LIVE && sub->from < seq)
            sub->from = seq;
    }
}

/* From the turn's own changes. False if the credit ran out. */
static bool deliver_turn(struct session *session, const struct feed *feed)
{
    const struct capture *capture = &feed->file->capture;
    for (size_t i = 0; i < capture->n; i++) {
        const struct change *change = &capture->changes[i];
        if (!feed->is_latest[i] || !anyone_takes(session, change->collection, change->seq))
            continue;
        if (!deliver_change(session, change->collection, change_key(capture, change), change->op,
                            change_row(capture, change), change->seq))
            return false;
        advance(session, change->seq);
    }
    return true;
}

/* False if the row could not be read. */
static bool deliver_entry(struct session *session, const struct feed *feed, const struct changelog_entry *entry,
                          struct buf *row)
{
    row->len = 0;
    bool exists = entry->op != OP_DELETE && scope_file_read_row(feed->file, entry->collection, entry->key, row);
    if (feed->file->failed != ERR_OK)
        return false;
    if (!deliver_change(session, entry->collection, entry->key, exists ? entry->op : OP_DELETE, buf_slice(row),
                        entry->seq))
        return false;
    advance(session, entry->seq);
    return true;
}

/* From the log, behind `after`. False if the credit ran out, or the file failed. */
static bool deliver_log(struct session *session, const struct feed *feed, uint64_t after)
{
    struct changelog *log = &feed->file->log;
    struct changelog_entry entry;
    struct buf row = {0};
    bool done = true;
    changelog_seek(log, after);
    while (changelog_next(log, &entry)) {
        if (entry.collection == NULL || !anyone_takes(session, entry.collection, entry.seq))
            continue;
        done = session->credit > 0 && deliver_entry(session, feed, &entry, &row);
        if (!done)
            break;
    }
    buf_release(&row);
    return scope_file_end_read(feed->file, log->read) && done;
}

/* The lowest position of a live subscription; the head if there is none. */
static uint64_t lowest(const struct session *session, uint64_t head)
{
    uint64_t from = head;
    LIST_FOREACH(link, &session->subs) {
        const struct sub *sub = LIST_ITEM(link, struct sub, link);
        if (sub->state == SUB_LIVE && sub->from < from)
            from = sub->from;
    }
    return from;
}

/* The session is at the head: says so, to each subscription that caught up, or else once. False if the credit ran out.
 */
static bool deliver_boundaries(struct session *session, uint64_t head)
{
    LIST_FOREACH(link, &session->subs) {
        struct sub *sub = LIST_ITEM(link, struct sub, link);
        if (!sub->is_catching_up)
            continue;
        if (session->credit <= 0)
            return false;
        sub->is_catching_up = session->owes_boundary = false;
        deliver_boundary(session, head, sub);
    }
    if (!session->owes_boundary)
        return true;
    if (session->credit <= 0)
        return false;
    session->owes_boundary = false;
    deliver_boundary(session, head, NULL);
    return true;
}

bool deliver_changes(struct session *session, const struct feed *feed)
{
    uint64_t head = feed_head(feed), from = lowest(session, head);
    bool done = true;
    if (from < head)
        done = from >= feed->before ? deliver_turn(session, feed) : deliver_log(session, feed, from);
    if (!done)
        return false;
    advance(session, head);
    return deliver_boundaries(session, head);
}

/* Positions the statement behind the last row that was sent. */
static sqlite3_stmt *seek_slice(const struct sub *sub, const struct feed *feed)
{
    sqlite3_stmt *slice = scope_file_statement(feed->file, sub->collection, COLLECTION_SLICE);
    sqlite3_bind_text64(slice, 1, sub->key.len == 0 ? "" : sub->key.data, sub->key.len, SQLITE_STATIC, SQLITE_UTF8);
    return slice;
}

static void deliver_row(struct session *session, const struct snap_frame *snap, struct slice key, struct slice row)
{
    frame_snap(begin(session), snap, key, row);
    end(session);
}

static void stand_behind(struct sub *sub, struct slice key)
{
    sub->key.len = 0;
    buf_append_slice(&sub->key, key);
}

/* Reads and sends rows as far as the credit goes; no more than a slice where others' may follow. True behind the last
 * row. */
static bool read_rows(struct session *session, struct sub *sub, const struct feed *feed, const struct snap_frame *snap)
{
    sqlite3_stmt *read = seek_slice(sub, feed);
    struct row_slice *kept = herd_begin(feed->herd, sub, feed_head(feed));
    size_t len = 0, most = kept != NULL || herd_is_sharing(feed->herd) ? SLICE_BYTES : SIZE_MAX;
    struct buf row = {0};
    bool more = true;
    while (session->credit > 0 && len < most && (more = sqlite3_step(read) == SQLITE_ROW)) {
        struct slice key = column_slice(read, (int)sub->collection->key);
        row.len = 0;
        row_write(&row, sub->collection, read);
        deliver_row(session, snap, key, buf_slice(&row));
        if (kept != NULL)
            row_slice_add(kept, key, buf_slice(&row));
        len += key.len + row.len;
    }
    buf_release(&row);
    if (more)
        stand_behind(sub, column_slice(read, (int)sub->collection->key));
    bool is_end = read != NULL && scope_file_end_read(feed->file, read) && !more;
    if (kept != NULL)
        herd_keep(feed->herd, sub, kept, is_end);
    metric_add(METRIC_SHARD_SLICES_READ, 1);
    return is_end;
}

/* The same from what was read for another. */
static bool share_rows(struct session *session, struct sub *sub, const struct feed *feed, const struct snap_frame *snap,
                       struct row_slice *slice)
{
    struct slice key, row, last = SLICE_NONE;
    size_t at = row_slice_seek(slice, buf_slice(&sub->key));
    while (session->credit > 0 && row_slice_next(slice, &at, &key, &row)) {
        deliver_row(session, snap, key, row);
        last = key;
    }
    if (last.len > 0)
        stand_behind(sub, last);
    if (at < slice->rows.len)
        return false;
    bool is_end = slice->is_end && session->credit > 0; /* else `snap-end` waits, too */
    herd_pass(feed->herd, sub, slice);
    return is_end;
}

/* Sends rows as far as the credit goes. True behind the last row. */
static bool deliver_rows(struct session *session, struct sub *sub, const struct feed *feed)
{
    struct snap_frame snap;
    bool is_end = false;
    snap_frame_init(&snap, sub->id, sub->from);
    while (!is_end && session->credit > 0 && feed->file->failed == ERR_OK) {
        struct row_slice *slice = herd_find(feed->herd, sub);
        is_end = slice == NULL ? read_rows(session, sub, feed, &snap) : share_rows(session, sub, feed, &snap, slice);
    }
    return is_end;
}

bool deliver_snapshot(struct session *session, struct sub *sub, const struct feed *feed)
{
    if (session->credit <= 0)
        return false;
    if (feed->file != NULL && sub->from != 0 && !deliver_rows(session, sub, feed))
        return false;
    frame_snap_end(begin(session), sub->id, held(session, sub->from));
    end(session);
    sub->state = SUB_LIVE;
    list_remove(&sub->herd_link);
    buf_release(&sub->key);
    return true;
}
