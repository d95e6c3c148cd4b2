#include "shards/scope/actor.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "proto/websocket.h"
#include "shards/feed/audience.h"
#include "shards/log/scoperecord.h"
#include "shards/scope/answer.h"

void actor_mark_dirty(struct actor *actor)
{
    if (list_is_empty(&actor->dirty_link))
        list_append(actor->host->dirty, &actor->dirty_link);
}

void actor_request(struct actor *actor, struct channel *channel, const struct envelope *envelope)
{
    struct inbound *request = inbound_new(channel, envelope);
    list_append(&actor->inbox, &request->link);
    actor_mark_dirty(actor);
}

void actor_channel_ended(struct actor *actor, struct channel *channel)
{
    (void)channel; /* its sessions go, and then itself, behind the requests that it still has */
    actor_mark_dirty(actor);
}

/* ---- closing: the one recovery ---- */

/* As a crash would leave it. */
static void abandon_file(struct actor *actor)
{
    herd_clear(&actor->herd);
    if (actor->feed.file != NULL)
        scope_file_abandon(actor->feed.file);
    actor->feed.file = NULL;
    actor->is_opened = false;
}

static bool is_shut(const struct actor *actor)
{
    return actor->is_suspended || actor->patient != NULL;
}

static void actor_fail(struct actor *actor, const char *what, enum err err, struct slice why)
{
    log_line(LOG_ERROR, "scope_closed scope=%s after=%s err=\"%s\" why=\"%.*s\"", actor->name.text, what, err_text(err),
             (int)why.len, why.len == 0 ? "" : why.data);
    metric_add(METRIC_SHARD_SCOPE_FAILURES, 1);
    LIST_FOREACH_SAFE(link, &actor->sessions)
        session_close(LIST_ITEM(link, struct session, link), WS_CODE_TRY_LATER, ACTOR_UNAVAILABLE);
    char *copy = mem_dup(why); /* it may be the file's */
    abandon_file(actor);       /* a checkpoint now would only hope that what failed before has worked */
    if ((err == ERR_IO || err == ERR_DAMAGED) && actor->host->on_failed_file != NULL)
        actor->host->on_failed_file(actor->host->shard, actor, what, err, slice_str(copy));
    free(copy);
}

/* ---- what is long goes to a helper thread ---- */

static struct helper *helper_for(const struct actor_host *host, enum chore chore)
{
    return chore == CHORE_DECIDE ? host->decider : chore == CHORE_SAVE ? host->saver : host->opener;
}

static void send_away(struct actor *actor, enum chore chore)
{
    if (chore == CHORE_SAVE)
        ++*actor->host->n_saving;
    else
        metric_add(METRIC_SHARD_LONG_JOBS, 1);
    actor->chore = chore;
    actor->is_away = true;
    helper_ask(helper_for(actor->host, chore), &actor->job);
}

static void note_opened(struct actor *actor, enum err err, struct slice why)
{
    actor->is_opened = err == ERR_OK || err == ERR_NOT_FOUND;
    actor->feed.before = feed_head(&actor->feed);
    if (actor->feed.file != NULL)
        actor->feed.file->database.is_cancelled = &actor->host->is_ending;
    if (!actor->is_opened)
        turn_fail(&actor->turn, "open", err, why);
}

/* Opens the file if there is one, or makes it. */
static void open_file(struct actor *actor, bool create)
{
    struct turn *turn = &actor->turn;
    struct buf why = {0};
    char *path = scope_file_path(actor->host->data_dir, &actor->name);
    enum err err = scope_file_open(path, &actor->name, actor->feed.kind, create, turn->now_ms, &actor->feed.file, &why);
    free(path);
    note_opened(actor, create && err == ERR_FULL ? ERR_NOT_FOUND : err, buf_slice(&why));
    turn->is_full = turn->is_full || (create && err == ERR_FULL);
    buf_release(&why);
}

static bool needs_barrier(const struct actor *actor)
{
    return actor->turn.is_committed &&
           actor->feed.file->capture.journal.len >
               journal_options(actor->host->journal)->record_bytes_max - ROUTE_SCOPE_MAX - 64;
}

static void checkpoint(struct actor *actor)
{
    actor->saved_why.len = 0;
    actor->saved = database_checkpoint(&actor->feed.file->database, &actor->saved_why);
}

/* What the journal cannot carry is made durable in the file. */
static void checkpoint_turn(struct actor *actor)
{
    checkpoint(actor);
    if (actor->saved != ERR_OK)
        turn_fail(&actor->turn, "checkpoint", actor->saved, buf_slice(&actor->saved_why));
}

static void commit(struct actor *actor)
{
    turn_commit(&actor->turn);
    feed_mark_latest(&actor->feed);
}

static void work(struct job *job)
{
    struct actor *actor = LIST_ITEM(job, struct actor, job);
    switch (actor->chore) {
    case CHORE_OPEN:
    case CHORE_CREATE:
        open_file(actor, actor->chore == CHORE_CREATE);
        break;
    case CHORE_DECIDE:
        turn_decide(&actor->turn, TURN_LONG_MS * 1000);
        commit(actor);
        if (needs_barrier(actor))
            checkpoint_turn(actor);
        break;
    case CHORE_CHECKPOINT:
        checkpoint_turn(actor);
        break;
    case CHORE_SAVE:
        checkpoint(actor);
        break;
    case CHORE_NONE:
        assert(false);
    }
}

/* What the turn was about has no base any more. */
static void close_broken(struct actor *actor)
{
    actor->is_broken = false;
    actor->chore = CHORE_NONE;
    turn_drop(&actor->turn);
    abandon_file(actor);
}

static void set_next_save(struct actor *actor)
{
    bool ok = list_is_empty(&actor->unsaved_link);
    actor->save_after_us = ok ? 0 : clock_mono_us() + ACTOR_SAVE_AGAIN_MS * 1000;
}

/* Said once per change, not per try. */
static void say_saved(struct actor *actor, enum err err)
{
    if (err == actor->save_failed)
        return;
    if (err == ERR_OK)
        log_line(LOG_INFO, "checkpoint_succeeded scope=%s", actor->name.text);
    else
        log_line(LOG_WARN, "checkpoint_failed scope=%s err=\"%s\"", actor->name.text, err_text(err));
    actor->save_failed = err;
    actor->save_failing_ms = clock_wall_ms();
}

static void note_durable(struct actor *actor)
{
    list_remove(&actor->unsaved_link);
    say_saved(actor, ERR_OK);
}

static void note_saved(struct actor *actor)
{
    if (actor->saved == ERR_OK)
        note_durable(actor);
    else if (actor->saved == ERR_IO)
        actor_fail(actor, "checkpoint", actor->saved, buf_slice(&actor->saved_why));
    else
        say_saved(actor, actor->saved);
    set_next_save(actor);
}

/* ---- a disk without room for the file ---- */

static void note_room(struct actor *actor)
{
    const struct turn *turn = &actor->turn;
    bool is_refusing = actor->refusing_ms != 0;
    if (turn->err == ERR_FULL || (turn->is_full && journal_has_room(actor->host->journal))) {
        if (!is_refusing)
            log_line(LOG_WARN, "scope_full scope=%s", actor->name.text);
        actor->refusing_ms = is_refusing ? actor->refusing_ms : turn->now_ms;
    } else if (turn->is_committed && is_refusing) {
        log_line(LOG_INFO, "scope_has_room scope=%s", actor->name.text);
        actor->refusing_ms = 0;
    }
}

const char *actor_lacks_room(const struct actor *actor, int64_t *ret_since_ms)
{
    bool is_refusing = actor->refusing_ms != 0;
    if (!is_refusing && actor->save_failed != ERR_FULL)
        return NULL;
    *ret_since_ms = is_refusing ? actor->refusing_ms : actor->save_failing_ms;
    return is_refusing ? "the disk is full: writes are refused" : "the disk is full: its file cannot be saved";
}

static void come_back(struct job *job)
{
    struct actor *actor = LIST_ITEM(job, struct actor, job);
    actor->is_away = false;
    if (actor->abandoned != NULL) {
        scope_file_end_copy(actor->feed.file);
        sqlite3_close(actor->abandoned);
        actor->abandoned = NULL;
    }
    bool is_saved = actor->chore == CHORE_SAVE;
    if (is_saved) {
        --*actor->host->n_saving;
        actor->chore = CHORE_NONE;
    }
    if (actor->is_broken)
        close_broken(actor);
    else if (is_saved)
        note_saved(actor);
    actor_mark_dirty(actor);
}

/* ---- the beginning and the end ---- */

struct actor *actor_new(const struct actor_host *host, const struct scope_name *name, const struct kind *kind)
{
    struct actor *actor = mem_zero(1, sizeof *actor);
    actor->host = host;
    scope_name_copy(&actor->name, name);
    actor->feed.kind = kind;
    actor->feed.herd = &actor->herd;
    herd_init(&actor->herd, host->slices);
    list_init(&actor->dirty_link);
    list_init(&actor->unsaved_link);
    list_init(&actor->due_link);
    actor->job = (struct job){.work = work, .done = come_back};
    list_init(&actor->job.link);
    turn_init(&actor->turn, actor);
    list_init(&actor->inbox);
    list_init(&actor->channels);
    list_init(&actor->sessions);
    list_init(&actor->busy);
    metric_add(METRIC_SHARD_SCOPES, 1);
    return actor;
}

void actor_free(struct actor *actor)
{
    turn_release(&actor->turn);
    LIST_FOREACH_SAFE(link, &actor->inbox)
        inbound_free(LIST_ITEM(link, struct inbound, link));
    LIST_FOREACH_SAFE(link, &actor->sessions)
        session_free(LIST_ITEM(link, struct session, link));
    LIST_FOREACH_SAFE(link, &actor->channels)
        channel_free(LIST_ITEM(link, struct channel, link));
    list_remove(&actor->dirty_link);
    list_remove(&actor->unsaved_link);
    list_remove(&actor->due_link);
    herd_clear(&actor->herd);
    scope_file_close(actor->feed.file);
    sqlite3_close(actor->abandoned);
    buf_release(&actor->saved_why);
    feed_release(&actor->feed);
    free(actor);
    metric_add(METRIC_SHARD_SCOPES, -1);
}

/* ---- closing and opening again ---- */

void actor_break(struct actor *actor, uint64_t position)
{
    if (actor->unsaved_to <= position)
        return;
    LIST_FOREACH(link, &actor->channels)
        channel_abort(LIST_ITEM(link, struct channel, link));
    if (actor->unsaved_from > position)
        actor->unsaved_from = position; /* it is still unsaved: opening the file makes it durable */
    actor->unsaved_to = position;
    actor->is_broken = true;
    if (!actor->is_away)
        close_broken(actor);
}

bool actor_open(struct actor *actor)
{
    assert(!actor->is_away);
    if (actor->feed.file != NULL)
        return true;
    if (is_shut(actor))
        return false;
    turn_begin(&actor->turn);
    open_file(actor, false);
    if (actor->turn.err != ERR_OK)
        actor_fail(actor, actor->turn.what, actor->turn.err, buf_slice(&actor->turn.why));
    if (actor->feed.file != NULL)
        note_durable(actor);
    return actor->is_opened;
}

void actor_resume(struct actor *actor)
{
    actor->is_suspended = false;
}

void actor_hold(struct actor *actor)
{
    assert(!actor->is_held);
    actor->is_held = true;
}

void actor_end_copy(struct actor *actor, sqlite3 **copy)
{
    if (!actor->is_away) {
        scope_file_end_copy(actor->feed.file);
        return;
    }
    actor->abandoned = *copy;
    *copy = NULL;
}

void actor_let_go(struct actor *actor)
{
    actor->is_held = false;
    actor_mark_dirty(actor); /* the turn closes it if nobody is there */
}

/* Looks for the file. False if it takes long to open. */
static bool find_file(struct actor *actor)
{
    struct turn *turn = &actor->turn;
    struct buf why = {0};
    char *path = scope_file_path(actor->host->data_dir, &actor->name);
    enum err err = scope_file_open_quickly(path, &actor->name, actor->feed.kind, turn->now_ms, &actor->feed.file, &why);
    free(path);
    if (err != ERR_TIMEOUT)
        note_opened(actor, err, buf_slice(&why));
    buf_release(&why);
    return err != ERR_TIMEOUT;
}

/* ---- decide ---- */

/* The next request of the turn, unless it cannot be one: what is long takes a turn of its own, on the helper thread,
 * where the file is made, too. */
static struct inbound *next_request(struct actor *actor)
{
    struct turn *turn = &actor->turn;
    if (list_is_empty(&actor->inbox) || !turn_has_room(turn))
        return NULL;
    struct inbound *request = LIST_ITEM(actor->inbox.next, struct inbound, link);
    inbound_read(request);
    if (turn_needs_file(turn, request)) {
        send_away(actor, CHORE_CREATE);
        return NULL;
    }
    if (!request->is_long)
        return request;
    if (list_is_empty(&turn->requests)) {
        list_remove(&request->link);
        list_append(&turn->requests, &request->link);
        turn->is_alone = true;
        send_away(actor, CHORE_DECIDE);
    }
    return NULL;
}

static void decide(struct actor *actor)
{
    struct turn *turn = &actor->turn;
    struct inbound *request;
    while ((request = next_request(actor)) != NULL) {
        list_remove(&request->link);
        turn_add(turn, request);
    }
    list_move(&turn->cut, &actor->inbox);
    list_move(&actor->inbox, &turn->cut);
    if (actor->is_away)
        return;
    commit(actor);
    if (needs_barrier(actor))
        send_away(actor, CHORE_CHECKPOINT);
}

/* Nothing can be decided: who wants to come in is told. */
static void take_all(struct actor *actor)
{
    list_move(&actor->turn.requests, &actor->inbox);
}

/* The file is there, or was made: what was decided without it is decided with it. */
static void decide_opened(struct actor *actor)
{
    if (actor->turn.err != ERR_OK)
        take_all(actor);
    if (actor->feed.file != NULL)
        note_durable(actor); /* opening makes durable what a failure had left */
    turn_decide(&actor->turn, TURN_US);
    decide(actor);
}

static void begin_turn(struct actor *actor)
{
    turn_begin(&actor->turn);
    actor->turn.is_full = !journal_has_room(actor->host->journal);
    if (list_is_empty(&actor->inbox))
        return;
    if (is_shut(actor))
        take_all(actor);
    else if (actor->is_opened)
        decide(actor);
    else if (find_file(actor))
        decide_opened(actor);
    else
        send_away(actor, CHORE_OPEN);
}

/* ---- and what comes of it ---- */

static void write_record(struct actor *actor)
{
    struct scope_file *file = actor->feed.file;
    struct journal *journal = actor->host->journal;
    bool is_barrier = needs_barrier(actor);
    struct scoperecord record = {.type = is_barrier ? SCOPERECORD_BARRIER : SCOPERECORD_CHANGES,
                                 .scope = slice_of(actor->name.text, actor->name.len),
                                 .incarnation = file->incarnation,
                                 .tx = file->tx,
                                 .first_seq = file->first_seq,
                                 .last_seq = file->last_seq,
                                 .changes = is_barrier ? SLICE("") : buf_slice(&file->capture.journal)};
    if (list_is_empty(&actor->unsaved_link)) {
        actor->unsaved_from = journal_position(journal);
        list_append(actor->host->unsaved, &actor->unsaved_link);
    }
    scoperecord_write(journal_begin(journal), &record);
    journal_end(journal);
    actor->unsaved_to = journal_position(journal);
}

static void end_turn(struct actor *actor)
{
    struct turn *turn = &actor->turn;
    struct list *link;
    note_room(actor);
    if (turn->err != ERR_OK)
        actor_fail(actor, turn->what, turn->err, buf_slice(&turn->why));
    else if (turn->is_committed)
        write_record(actor);
    while ((link = list_pop(&turn->requests)) != NULL) {
        struct inbound *request = LIST_ITEM(link, struct inbound, link);
        inbound_read(request);
        answer_request(actor, request);
        inbound_free(request);
    }
}

void actor_decide(struct actor *actor)
{
    enum chore chore = actor->chore;
    if (actor->is_away)
        return;
    actor->chore = CHORE_NONE;
    if (chore == CHORE_NONE)
        begin_turn(actor);
    else if (chore == CHORE_OPEN || chore == CHORE_CREATE)
        decide_opened(actor);
    if (!actor->is_away)
        end_turn(actor);
}

/* ---- checkpoints ---- */

bool actor_save(struct actor *actor)
{
    if (list_is_empty(&actor->unsaved_link))
        return true;
    if (actor->is_away)
        return false;
    if (actor->feed.file == NULL) { /* opening it makes durable what a failure has left, unless it is there no more */
        actor_open(actor);
        set_next_save(actor);
    } else {
        checkpoint(actor);
        note_saved(actor);
    }
    return list_is_empty(&actor->unsaved_link);
}

bool actor_is_busy(const struct actor *actor)
{
    return actor->is_away || actor->chore != CHORE_NONE;
}

void actor_begin_save(struct actor *actor)
{
    assert(!actor_is_busy(actor) && actor->feed.file != NULL);
    send_away(actor, CHORE_SAVE);
}

bool actor_is_heavy(const struct actor *actor)
{
    return !actor->is_away && actor->feed.file != NULL &&
           (actor->feed.file->database.wal_bytes >= ACTOR_HEAVY_BYTES || actor->save_failed != ERR_OK);
}

uint64_t actor_suspend(struct actor *actor)
{
    actor_open(actor);
    uint64_t head = feed_head(&actor->feed);
    actor_save(actor); /* so that it leaves no WAL; what cannot be saved, the journal has */
    LIST_FOREACH_SAFE(link, &actor->sessions)
        session_close(LIST_ITEM(link, struct session, link), WS_CODE_RESTART, "the scope is being restored");
    herd_clear(&actor->herd);
    scope_file_close(actor->feed.file);
    actor->feed.file = NULL;
    actor->is_opened = false;
    actor->is_suspended = true;
    actor_mark_dirty(actor); /* the turn lets the closes go */
    return head;
}

/* ---- release ---- */

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

static bool has_failed(const struct actor *actor)
{
    return actor->feed.file != NULL && actor->feed.file->failed != ERR_OK;
}

/* A turn gives those who catch up so much and no more, however many they are: what is on its way to them does not fill
 * the memory, and the others of the shard do not wait for them. False if some have to wait: they are the first then. */
static bool deliver_to_busy(struct actor *actor)
{
    struct list waiting, postponed, *link;
    list_init(&waiting);
    list_init(&postponed);
    list_move(&waiting, &actor->busy);
    while ((link = list_pop(&waiting)) != NULL) {
        struct session *session = LIST_ITEM(link, struct session, busy_link);
        bool is_gone =
            session->channel->stream == NULL; /* what goes nowhere takes no credit, so it would have no end */
        bool has_room = !session_is_behind(session) || session->channel->collected.len < ACTOR_RELEASE_BYTES;
        list_append(has_room || is_gone ? &actor->busy : &postponed, link);
        if (has_room && !is_gone)
            session_turn(session, &actor->feed);
    }
    bool is_all = list_is_empty(&postponed);
    list_move(&postponed, &actor->busy);
    list_move(&actor->busy, &postponed);
    metric_add(METRIC_SHARD_POSTPONED, !is_all);
    return is_all;
}

bool actor_release(struct actor *actor)
{
    if (actor->is_away)
        return false;
    LIST_FOREACH(link, &actor->channels) {
        struct channel *channel = LIST_ITEM(link, struct channel, link);
        if (channel->stream != NULL)
            audience_deliver(channel, &actor->feed);
    }
    bool is_short = !deliver_to_busy(actor);
    if (has_failed(actor))
        actor_fail(actor, "read", actor->feed.file->failed, slice_str(sqlite3_errmsg(actor->feed.file->database.db)));
    feed_end_turn(&actor->feed);
    free_ended_channels(actor);
    return is_short || !list_is_empty(&actor->inbox);
}

bool actor_is_idle(const struct actor *actor)
{
    return !actor->is_away && !actor->is_held && !is_shut(actor) && list_is_empty(&actor->inbox) &&
           list_is_empty(&actor->channels);
}
