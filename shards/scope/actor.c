#include "shards/scope/actor.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "proto/websocket.h"
#include "shards/feed/session.h"
#include "shards/log/scoperecord.h"
#include "shards/scope/transaction.h"

/* One envelope that waits for a turn. */
struct request {
    struct list link;
    struct channel *channel;
    enum envelope_type type;
    uint32_t session;
    size_t len;
    char payload[];
};

struct actor *actor_new(const struct actor_host *host, const struct scope_name *name, const struct kind *kind)
{
    struct actor *actor = mem_zero(1, sizeof *actor);
    actor->host = host;
    scope_name_copy(&actor->name, name);
    actor->feed.kind = kind;
    list_init(&actor->dirty_link);
    list_init(&actor->unsaved_link);
    list_init(&actor->heavy_link);
    list_init(&actor->inbox);
    list_init(&actor->channels);
    list_init(&actor->sessions);
    metric_add(METRIC_SHARD_SCOPES, 1);
    return actor;
}

static void request_free(struct request *request)
{
    request->channel->n_requests--;
    free(request);
}

void actor_free(struct actor *actor)
{
    LIST_FOREACH_SAFE(link, &actor->inbox)
        request_free(LIST_ITEM(link, struct request, link));
    LIST_FOREACH_SAFE(link, &actor->sessions)
        session_free(LIST_ITEM(link, struct session, link));
    LIST_FOREACH_SAFE(link, &actor->channels)
        channel_free(LIST_ITEM(link, struct channel, link));
    list_remove(&actor->dirty_link);
    list_remove(&actor->unsaved_link);
    list_remove(&actor->heavy_link);
    scope_file_close(actor->feed.file);
    feed_release(&actor->feed);
    free(actor);
    metric_add(METRIC_SHARD_SCOPES, -1);
}

void actor_mark_dirty(struct actor *actor)
{
    if (list_is_empty(&actor->dirty_link))
        list_append(actor->host->dirty, &actor->dirty_link);
}

void actor_request(struct actor *actor, struct channel *channel, const struct envelope *envelope)
{
    struct request *request = mem_alloc(sizeof *request + envelope->payload.len);
    *request = (struct request){
        .channel = channel, .type = envelope->type, .session = envelope->session, .len = envelope->payload.len};
    if (request->len > 0)
        memcpy(request->payload, envelope->payload.data, request->len);
    channel->n_requests++;
    list_append(&actor->inbox, &request->link);
    actor_mark_dirty(actor);
}

void actor_channel_ended(struct actor *actor, struct channel *channel)
{
    (void)channel; /* its sessions go, and then itself, behind the requests that it still has */
    actor_mark_dirty(actor);
}

/* Closing and opening again: the one recovery. */

static void actor_fail(struct actor *actor, const char *what, enum err err, struct slice why)
{
    log_line(LOG_ERROR, "scope_closed scope=%s after=%s err=\"%s\" why=\"%.*s\"", actor->name.text, what, err_text(err),
             (int)why.len, why.len == 0 ? "" : why.data);
    metric_add(METRIC_SHARD_SCOPE_FAILURES, 1);
    LIST_FOREACH_SAFE(link, &actor->sessions)
        session_close(LIST_ITEM(link, struct session, link), WS_CODE_TRY_LATER, "the scope is not available");
    if (actor->in_transaction)
        scope_file_run(actor->feed.file, TRANSACTION_ROLLBACK);
    actor->in_transaction = false;
    scope_file_close(actor->feed.file);
    actor->feed.file = NULL;
    actor->is_opened = false;
}

/* Opens the file if there is one, or with `create` makes it. False if that failed: the actor has been closed. */
static bool open_file(struct actor *actor, bool create)
{
    if (actor->feed.file != NULL || (actor->is_opened && !create))
        return true;
    struct buf why = {0};
    char *path = scope_file_path(actor->host->data_dir, &actor->name);
    enum err err =
        scope_file_open(path, &actor->name, actor->feed.kind, create, actor->now_ms, &actor->feed.file, &why);
    free(path);
    actor->is_opened = err == ERR_OK || err == ERR_NOT_FOUND;
    if (err == ERR_OK)
        list_remove(&actor->unsaved_link); /* opening makes durable what a failure had left */
    actor->feed.before = feed_head(&actor->feed);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        actor_fail(actor, "open", err, buf_slice(&why));
    buf_release(&why);
    return actor->is_opened;
}

bool actor_open(struct actor *actor)
{
    actor->now_ms = clock_wall_ms();
    return open_file(actor, false);
}

void actor_hold(struct actor *actor)
{
    assert(!actor->is_held);
    actor->is_held = true;
}

void actor_let_go(struct actor *actor)
{
    actor->is_held = false;
    actor_mark_dirty(actor); /* the turn closes it if nobody is there */
}

/* Decide. */

static bool allows(struct actor *actor, const struct claims *claims)
{
    if (actor->feed.file != NULL)
        return scope_file_allows(actor->feed.file, claims, actor->now_ms);
    return actor->host->allows_blank(actor->host->shard, actor->feed.kind, &actor->name, claims, actor->now_ms);
}

static bool has_failed(const struct actor *actor)
{
    return actor->feed.file != NULL && actor->feed.file->failed != ERR_OK;
}

static void attach(struct actor *actor, struct request *request)
{
    struct channel *channel = request->channel;
    struct envelope envelope = {request->type, request->session, slice_of(request->payload, request->len)};
    enum dialect dialect;
    struct slice claims_text;
    struct claims claims;
    if (!open_file(actor, false)) {
        channel_send_close(channel, request->session, WS_CODE_TRY_LATER, "the scope is not available");
        return;
    }
    if (channel_find(channel, request->session) != NULL || !envelope_attach(&envelope, &dialect, &claims_text) ||
        !claims_init(&claims, claims_text)) {
        channel_send_close(channel, request->session, WS_CODE_PROTOCOL, "bad attach");
        return;
    }
    if (!allows(actor, &claims)) {
        claims_release(&claims);
        if (has_failed(actor)) /* it is no decision, and a denial would be final */
            channel_send_close(channel, request->session, WS_CODE_TRY_LATER, "the scope is not available");
        else
            channel_send(channel, ENVELOPE_DENIED, request->session, SLICE(""));
        return;
    }
    struct session *session = session_new(channel, request->session, dialect, &claims);
    list_append(&actor->sessions, &session->link);
    channel_send(channel, ENVELOPE_ATTACHED, request->session, SLICE(""));
}

static bool begin(struct actor *actor)
{
    if (!open_file(actor, true))
        return false;
    if (actor->in_transaction)
        return true;
    enum err err = scope_file_run(actor->feed.file, TRANSACTION_BEGIN);
    actor->in_transaction = err == ERR_OK;
    if (err != ERR_OK)
        actor_fail(actor, "begin", err, SLICE(""));
    return err == ERR_OK;
}

static void decide(struct actor *actor, struct session *session, const struct frame *frame, uint32_t cost)
{
    struct outcome outcome = {0};
    session_end_burst(session);
    if (session->claims.subject == NULL) {
        outcome_reject(&outcome, REJECT_FORBIDDEN, "an identity without 'sub' cannot write");
    } else {
        if (!begin(actor))
            return;
        enum err err = transaction_decide(actor->feed.file, &session->claims, frame, actor->now_ms, &outcome);
        if (err != ERR_OK) {
            outcome_release(&outcome);
            actor_fail(actor, "transaction", err, slice_str(sqlite3_errmsg(actor->feed.file->database.db)));
            return;
        }
    }
    session_answer(session, frame->id, &outcome, cost);
    outcome_release(&outcome);
}

static void on_sub(struct actor *actor, struct session *session, const struct frame *frame, uint32_t cost)
{
    session_on_sub(session, frame, &actor->feed, clock_mono_us(), cost);
    if (!session->is_holding || session->is_burst_over)
        return;
    list_remove(&session->burst_link);
    list_append(actor->host->bursts, &session->burst_link);
}

static void on_message(struct actor *actor, struct session *session, struct slice message)
{
    struct frame frame;
    uint32_t cost = ENVELOPE_HEADER + (uint32_t)message.len;
    if (!frame_decode(message, &frame)) {
        metric_add(METRIC_SHARD_FRAMES_DROPPED, 1);
        session_consume(session, cost);
        return;
    }
    switch (frame.type) {
    case FRAME_SUB:
        on_sub(actor, session, &frame, cost);
        break;
    case FRAME_UNSUB:
        session_end_burst(session);
        session_on_unsub(session, frame.id, cost);
        break;
    case FRAME_FETCH:
        session_end_burst(session);
        session_on_fetch(session, frame.id, cost);
        break;
    case FRAME_MUT:
    case FRAME_CALL:
        decide(actor, session, &frame, cost);
        break;
    }
}

static void on_credit(struct session *session, const struct envelope *envelope)
{
    uint32_t bytes;
    if (envelope_credit(envelope, &bytes))
        session->credit += bytes;
}

static void handle(struct actor *actor, struct request *request)
{
    struct envelope envelope = {request->type, request->session, slice_of(request->payload, request->len)};
    if (request->type == ENVELOPE_ATTACH) {
        attach(actor, request);
        return;
    }
    struct session *session = channel_find(request->channel, request->session);
    if (session == NULL) /* it was closed while this was under way */
        return;
    if (request->type == ENVELOPE_DETACH)
        session_free(session);
    else if (request->type == ENVELOPE_CREDIT)
        on_credit(session, &envelope);
    else if (request->type == ENVELOPE_MESSAGE)
        on_message(actor, session, envelope.payload);
}

static size_t turn_changes(const struct actor *actor)
{
    return actor->feed.file == NULL ? 0 : actor->feed.file->capture.n;
}

/* What the journal cannot carry is made durable in the file, and the journal says so. */
static enum err write_barrier(struct actor *actor, struct scoperecord *record)
{
    record->type = SCOPERECORD_BARRIER;
    record->changes = SLICE("");
    return scope_file_checkpoint(actor->feed.file);
}

static enum err write_record(struct actor *actor)
{
    struct scope_file *file = actor->feed.file;
    struct journal *journal = actor->host->journal;
    struct scoperecord record = {.type = SCOPERECORD_CHANGES,
                                 .scope = slice_of(actor->name.text, actor->name.len),
                                 .incarnation = file->incarnation,
                                 .tx = file->tx,
                                 .first_seq = file->first_seq,
                                 .last_seq = file->last_seq,
                                 .changes = buf_slice(&file->capture.journal)};
    enum err err = ERR_OK;
    if (record.changes.len > JOURNAL_RECORD_MAX - ROUTE_SCOPE_MAX - 64)
        err = write_barrier(actor, &record);
    if (err != ERR_OK)
        return err;
    if (list_is_empty(&actor->unsaved_link)) {
        actor->unsaved_from = journal_position(journal);
        list_append(actor->host->unsaved, &actor->unsaved_link);
    }
    scoperecord_write(journal_begin(journal), &record);
    journal_end(journal);
    return ERR_OK;
}

static void commit(struct actor *actor)
{
    if (!actor->in_transaction)
        return;
    enum err err = scope_file_commit(actor->feed.file);
    actor->in_transaction = !sqlite3_get_autocommit(actor->feed.file->database.db);
    if (err == ERR_OK)
        err = write_record(actor);
    if (err != ERR_OK)
        actor_fail(actor, "commit", err, slice_str(sqlite3_errmsg(actor->feed.file->database.db)));
}

static bool checkpoint(struct actor *actor)
{
    enum err err = scope_file_checkpoint(actor->feed.file);
    if (err == ERR_OK)
        list_remove(&actor->unsaved_link);
    else
        log_line(LOG_WARN, "checkpoint_failed scope=%s err=\"%s\"", actor->name.text, err_text(err));
    return err == ERR_OK;
}

bool actor_save(struct actor *actor)
{
    if (list_is_empty(&actor->unsaved_link))
        return true;
    bool ok = (actor->feed.file == NULL ? open_file(actor, false) : checkpoint(actor)) &&
              list_is_empty(&actor->unsaved_link); /* else the file is there no more */
    actor->save_after_us = ok ? 0 : clock_mono_us() + ACTOR_SAVE_AGAIN_MS * 1000;
    return ok;
}

bool actor_is_heavy(const struct actor *actor)
{
    return actor->feed.file != NULL && actor->feed.file->wal_pages >= ACTOR_HEAVY_PAGES;
}

void actor_decide(struct actor *actor)
{
    int64_t until = clock_mono_us() + ACTOR_TURN_US;
    struct list *link;
    actor->now_ms = clock_wall_ms();
    while (turn_changes(actor) < ACTOR_TURN_CHANGES && clock_mono_us() < until &&
           (link = list_pop(&actor->inbox)) != NULL) {
        struct request *request = LIST_ITEM(link, struct request, link);
        handle(actor, request);
        request_free(request);
    }
    commit(actor);
    feed_mark_latest(&actor->feed);
}

/* Release. */

static void free_sessions(struct channel *channel)
{
    struct table_node *node;
    while ((node = table_any(&channel->sessions)) != NULL)
        session_free(TABLE_ITEM(node, struct session, node));
}

static void free_ended_channels(struct actor *actor)
{
    LIST_FOREACH_SAFE(link, &actor->channels) {
        struct channel *channel = LIST_ITEM(link, struct channel, link);
        if (channel->stream != NULL || channel->n_requests > 0)
            continue;
        free_sessions(channel);
        channel_free(channel);
    }
}

bool actor_release(struct actor *actor)
{
    LIST_FOREACH(link, &actor->sessions) {
        struct session *session = LIST_ITEM(link, struct session, link);
        if (session->channel->stream != NULL) /* what goes nowhere takes no credit, so it would have no end */
            session_turn(session, &actor->feed);
    }
    if (has_failed(actor))
        actor_fail(actor, "read", actor->feed.file->failed, slice_str(sqlite3_errmsg(actor->feed.file->database.db)));
    feed_end_turn(&actor->feed);
    free_ended_channels(actor);
    return !list_is_empty(&actor->inbox);
}

bool actor_is_idle(const struct actor *actor)
{
    return !actor->is_held && list_is_empty(&actor->inbox) && list_is_empty(&actor->channels);
}
