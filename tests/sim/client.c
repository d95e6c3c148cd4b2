#include "tests/sim/client.h"

#include <assert.h>
#include <stdio.h>

#include "base/list.h"
#include "proto/mp.h"
#include "proto/websocket.h"
#include "tests/sim/answer.h"
#include "tests/sim/rows.h"
#include "tests/sim/sim.h"
#include "tests/sim/socket.h"

enum { BACK_OFF_MIN_MS = 50, BACK_OFF_MAX_MS = 4000, PAUSE_MS = 400, ID_MAX = 16 };

/* One collection's subscription. */
struct sub {
    char id[ID_MAX];
    enum collection collection;
    bool is_wanted;   /* else the client has unsubscribed, and holds nothing */
    bool is_whole;    /* it holds all rows, as of some position at or below what it was given: resumes with `since` */
    bool is_pending;  /* sent, and its end has not come */
    bool is_reset;    /* it was whole, and no snapshot has ended since: no cursor may move */
    struct rows rows; /* as of the last boundary */
    struct rows snapshot;
    uint64_t snapshot_seq;
};

struct delta {
    struct sub *sub;
    unsigned slot;
    uint64_t row;
};

struct unanswered {
    struct list link;
    size_t tx;
};

struct client {
    struct history *history;
    unsigned number, user;
    struct habits habits;
    struct client *friend;
    struct socket socket;
    struct timer tick, resume, reconnect;
    unsigned n_left, n_unanswered, n_ids, back_off_ms;
    struct list unanswered;
    uint64_t cursor;
    uint64_t since; /* of the socket's subscriptions */
    struct sub subs[COLLECTION_N];
    struct sub *snapping; /* between its first row and its end */
    struct buf deltas;    /* struct delta, until a boundary */
};

#define FAIL(client, format, ...)                                                                                      \
    sim_fail("%s: client %u: " format, (client)->history->name.text, (client)->number, __VA_ARGS__)

/* Sending. */

static void send_tx(struct client *client, size_t tx)
{
    char id[CODE_MAX];
    struct buf message = {0};
    work_encode(&client->history->txs[tx].work, slice_str(history_tx_id(tx, id)), &message);
    socket_send(&client->socket, buf_slice(&message));
    buf_release(&message);
}

static void send_sub(struct client *client, struct sub *sub)
{
    struct buf message = {0};
    mp_write_map(&message, sub->is_whole && client->cursor > 0 ? 4 : 3);
    mp_write_str(&message, SLICE("t"));
    mp_write_str(&message, SLICE("sub"));
    mp_write_str(&message, SLICE("subId"));
    mp_write_str(&message, slice_str(sub->id));
    mp_write_str(&message, SLICE("collection"));
    mp_write_str(&message, slice_str(COLLECTION_NAMES[sub->collection]));
    if (sub->is_whole && client->cursor > 0) {
        char since[24];
        snprintf(since, sizeof since, "%llu", (unsigned long long)client->cursor);
        mp_write_str(&message, SLICE("since"));
        mp_write_str(&message, slice_str(since));
    } else {
        sub->is_whole = false;
    }
    sub->is_pending = true;
    socket_send(&client->socket, buf_slice(&message));
    buf_release(&message);
}

static void subscribe(struct client *client, struct sub *sub)
{
    snprintf(sub->id, sizeof sub->id, "s%u", client->n_ids++);
    sub->is_wanted = true;
    send_sub(client, sub);
}

static void unsubscribe(struct client *client, struct sub *sub)
{
    struct buf message = {0};
    mp_write_map(&message, 2);
    mp_write_str(&message, SLICE("t"));
    mp_write_str(&message, SLICE("unsub"));
    mp_write_str(&message, SLICE("subId"));
    mp_write_str(&message, slice_str(sub->id));
    socket_send(&client->socket, buf_slice(&message));
    buf_release(&message);
    if (client->snapping == sub)
        client->snapping = NULL;
    sub->is_wanted = sub->is_whole = sub->is_pending = sub->is_reset = false;
    sub->rows = sub->snapshot = (struct rows){0};
    sub->id[0] = '\0';
}

/* The subscriptions that resume go first: from the first of them on, the server holds the cursor. */
static void on_open(void *arg)
{
    struct client *client = arg;
    client->back_off_ms = BACK_OFF_MIN_MS;
    client->since = client->cursor;
    for (int whole = 1; whole >= 0; whole--)
        for (size_t i = 0; i < COLLECTION_N; i++)
            if (client->subs[i].is_wanted && client->subs[i].is_whole == (whole == 1))
                send_sub(client, &client->subs[i]);
    LIST_FOREACH(link, &client->unanswered)
        send_tx(client, LIST_ITEM(link, struct unanswered, link)->tx);
}

/* Reading. */

static struct sub *find_sub(struct client *client, struct slice id)
{
    for (size_t i = 0; i < COLLECTION_N; i++)
        if (client->subs[i].is_wanted && slice_eq(slice_str(client->subs[i].id), id))
            return &client->subs[i];
    return NULL;
}

static void see(struct client *client, const struct sub *sub, const struct answer *answer, unsigned slot, uint64_t row)
{
    if (slot == SLOT_NONE)
        FAIL(client, "a row of %s has the key '%.*s'", COLLECTION_NAMES[sub->collection], (int)answer->key.len,
             answer->key.data);
    history_saw(client->history,
                &(struct sight){.seq = answer->seq,
                                .row = row,
                                .client = client->number,
                                .collection = sub->collection,
                                .slot = slot,
                                .op = answer->type == ANSWER_SNAP ? SNAPSHOT_ROW : (unsigned)answer->op});
}

/* Nothing comes between the rows of a snapshot. */
static void check_between(struct client *client, const struct answer *answer, const struct sub *sub)
{
    if (client->snapping != NULL && client->snapping != sub)
        FAIL(client, "'%.*s' came within the snapshot of %s", (int)answer->name.len, answer->name.data,
             COLLECTION_NAMES[client->snapping->collection]);
}

/* Whatever it holds is the scope's as of the cursor now; but a snapshot that has just ended may be ahead of it. */
static void move_cursor(struct client *client, uint64_t seq, const struct sub *ahead)
{
    if (seq <= client->cursor)
        return;
    client->cursor = seq;
    for (size_t i = 0; i < COLLECTION_N; i++) {
        struct sub *sub = &client->subs[i];
        if (sub->is_reset)
            FAIL(client, "the cursor moved to %llu while %s had been reset and had no snapshot yet",
                 (unsigned long long)seq, COLLECTION_NAMES[i]);
        if (sub->is_whole && sub != ahead)
            history_held(client->history, &(struct view){seq, sub->rows.all, client->number, sub->collection});
    }
}

static void apply_deltas(struct client *client)
{
    const struct delta *deltas = (const struct delta *)(const void *)client->deltas.data;
    for (size_t i = 0; i < client->deltas.len / sizeof *deltas; i++)
        if (deltas[i].sub->is_whole)
            rows_set(&deltas[i].sub->rows, deltas[i].slot, deltas[i].row);
    client->deltas.len = 0;
}

static void on_snap(struct client *client, struct sub *sub, const struct answer *answer)
{
    if (client->snapping == NULL) {
        sub->snapshot = (struct rows){0};
        sub->snapshot_seq = answer->seq;
        client->snapping = sub;
    }
    if (sub->snapshot_seq != answer->seq)
        FAIL(client, "the rows of a snapshot carry %llu and %llu", (unsigned long long)sub->snapshot_seq,
             (unsigned long long)answer->seq);
    unsigned slot = key_slot(sub->collection, answer->key);
    uint64_t row = row_hash(answer->row);
    see(client, sub, answer, slot, row);
    rows_set(&sub->snapshot, slot, row);
}

static void on_snap_end(struct client *client, struct sub *sub, const struct answer *answer)
{
    sub->rows = client->snapping == sub ? sub->snapshot : (struct rows){0};
    client->snapping = NULL;
    sub->is_whole = true;
    sub->is_pending = sub->is_reset = false;
    move_cursor(client, answer->seq, sub);
}

static void on_delta(struct client *client, struct sub *sub, const struct answer *answer)
{
    unsigned slot = key_slot(sub->collection, answer->key);
    uint64_t row = answer->op == OP_DELETE ? 0 : row_hash(answer->row);
    if (!sub->is_whole)
        FAIL(client, "a change of %s came before its snapshot had ended", COLLECTION_NAMES[sub->collection]);
    if (answer->seq <= client->cursor)
        FAIL(client, "a change of %s at %llu came when the cursor was at %llu", COLLECTION_NAMES[sub->collection],
             (unsigned long long)answer->seq, (unsigned long long)client->cursor);
    see(client, sub, answer, slot, row);
    struct delta delta = {sub, slot, row};
    buf_append(&client->deltas, &delta, sizeof delta);
}

static void on_uptodate(struct client *client, const struct answer *answer)
{
    struct sub *sub = answer->has_sub ? find_sub(client, answer->sub) : NULL;
    apply_deltas(client);
    if (sub != NULL)
        sub->is_pending = false;
    move_cursor(client, answer->seq, NULL);
}

static void on_reset(struct client *client, struct sub *sub)
{
    if (!sub->is_pending || !sub->is_whole)
        FAIL(client, "the subscription of %s was reset out of the blue", COLLECTION_NAMES[sub->collection]);
    history_reset(client->history, &(struct reset){client->since, client->number, sub->collection});
    sub->is_whole = false;
    sub->is_reset = true;
}

static void forget(struct client *client, size_t tx)
{
    LIST_FOREACH_SAFE(link, &client->unanswered) {
        if (LIST_ITEM(link, struct unanswered, link)->tx != tx)
            continue;
        list_remove(link);
        client->n_unanswered--;
    }
}

static void on_answered(struct client *client, const struct answer *answer)
{
    struct ending ending = {.is_rejected = answer->type == ANSWER_REJECTED};
    size_t tx;
    if (!history_find(client->history, answer->tx, &tx))
        FAIL(client, "'%.*s' was answered, which nobody sent", (int)answer->tx.len, answer->tx.data);
    if (answer->code.len >= CODE_MAX)
        FAIL(client, "the code '%.*s'", (int)answer->code.len, answer->code.data);
    memcpy(ending.code, answer->code.data, answer->code.len);
    ending.seq = ending.is_rejected ? 0 : answer->seq;
    ending.result = answer->result.len == 0 ? 0 : row_hash(answer->result);
    history_end(client->history, tx, &ending);
    forget(client, tx);
    if (ending.is_rejected)
        return;
    if (client->deltas.len > 0)
        FAIL(client, "t%zu was committed between changes and their boundary", tx);
    move_cursor(client, answer->seq, NULL);
}

static void on_message(void *arg, struct slice message)
{
    struct client *client = arg;
    struct answer answer;
    if (!answer_read(message, &answer))
        FAIL(client, "a message of %zu bytes is no frame", message.len);
    struct sub *sub = answer.has_sub ? find_sub(client, answer.sub) : NULL;
    if (answer.has_sub && sub == NULL && answer.type != ANSWER_UPTODATE)
        return; /* a subscription that has ended */
    sim_tally(SIM_CHECKS, 1);
    if (answer.type != ANSWER_REJECTED)
        check_between(client, &answer, answer.type == ANSWER_SNAP || answer.type == ANSWER_SNAP_END ? sub : NULL);
    if (answer.type == ANSWER_SNAP)
        on_snap(client, sub, &answer);
    else if (answer.type == ANSWER_SNAP_END)
        on_snap_end(client, sub, &answer);
    else if (answer.type == ANSWER_DELTA)
        on_delta(client, sub, &answer);
    else if (answer.type == ANSWER_UPTODATE)
        on_uptodate(client, &answer);
    else if (answer.type == ANSWER_RESET && sub != NULL)
        on_reset(client, sub);
    else if (answer.type == ANSWER_COMMITTED || answer.type == ANSWER_REJECTED)
        on_answered(client, &answer);
    else
        FAIL(client, "the server sent a '%.*s'", (int)answer.name.len, answer.name.data);
}

/* Coming and going. */

static void connect_now(void *arg)
{
    struct client *client = arg;
    struct buf path = {0};
    buf_printf(&path, "/v1/%s/sync?user=u%u", client->history->name.text, client->user);
    socket_open(&client->socket, path.data);
    buf_release(&path);
}

/* What was buffered and not committed is gone with the socket. */
static void on_closed(void *arg, unsigned code)
{
    struct client *client = arg;
    if (code != 0 && code != WS_CODE_GOING_AWAY && code != WS_CODE_RESTART && code != WS_CODE_TRY_LATER)
        FAIL(client, "the server closed with %u", code);
    client->snapping = NULL;
    client->deltas.len = 0;
    for (size_t i = 0; i < COLLECTION_N; i++)
        client->subs[i].is_pending = client->subs[i].is_reset = false;
    timer_stop(&client->resume);
    timer_start(&client->reconnect, client->back_off_ms / 2 + sim_random(client->back_off_ms));
    client->back_off_ms = client->back_off_ms * 2 < BACK_OFF_MAX_MS ? client->back_off_ms * 2 : BACK_OFF_MAX_MS;
}

static void resume_reading(void *arg)
{
    struct client *client = arg;
    socket_pause(&client->socket, false);
}

/* Habits. */

static bool happens(uint32_t out_of_1000)
{
    return sim_random(1000) < out_of_1000;
}

static void transact(struct client *client)
{
    struct unanswered *unanswered = mem_zero(1, sizeof *unanswered);
    struct work work = work_random(client->user, client->habits.large_one_in);
    unanswered->tx = history_add(client->history, &work);
    list_append(&client->unanswered, &unanswered->link);
    client->n_unanswered++;
    client->n_left--;
    sim_tally(SIM_OPERATIONS, 1);
    send_tx(client, unanswered->tx);
    if (happens(client->habits.twice))
        send_tx(client->friend == NULL || sim_random(2) == 0 ? client : client->friend, unanswered->tx);
}

/* Some transaction of its user's, however old: the outcome must be the same. */
static void send_again(struct client *client)
{
    size_t tx = sim_random((uint32_t)client->history->n_txs);
    if (client->history->txs[tx].work.user == client->user)
        send_tx(client, tx);
}

static void change_subscription(struct client *client)
{
    struct sub *sub = &client->subs[sim_random(COLLECTION_N)];
    sim_tally(SIM_OPERATIONS, 1);
    if (sub->is_wanted)
        unsubscribe(client, sub);
    else
        subscribe(client, sub);
}

static void drop(struct client *client)
{
    socket_drop(&client->socket);
    on_closed(client, 0);
}

static void act(struct client *client)
{
    const struct habits *habits = &client->habits;
    if (client->n_unanswered < habits->in_flight)
        transact(client);
    if (client->history->n_txs > 0 && happens(habits->again))
        send_again(client);
    if (happens(habits->resubscribes))
        change_subscription(client);
    if (happens(habits->pauses)) {
        socket_pause(&client->socket, true);
        timer_start(&client->resume, 1 + sim_random(PAUSE_MS));
    }
    if (happens(habits->drops))
        drop(client);
}

static void settle(struct client *client)
{
    for (size_t i = 0; i < COLLECTION_N; i++)
        if (!client->subs[i].is_wanted)
            subscribe(client, &client->subs[i]);
}

static void on_tick(void *arg)
{
    struct client *client = arg;
    if (client->socket.is_open && client->n_left > 0)
        act(client);
    else if (client->socket.is_open)
        settle(client);
    if (client->n_left > 0 || !client_is_done(client))
        timer_start(&client->tick, 1 + sim_random(2 * client->habits.tick_ms));
}

static const struct socket_handlers HANDLERS = {on_open, on_message, on_closed};

struct client *client_new(struct loop *loop, struct history *history, unsigned number, unsigned user,
                          const struct habits *habits)
{
    struct client *client = mem_zero(1, sizeof *client);
    *client = (struct client){
        .history = history, .number = number, .user = user, .habits = *habits, .back_off_ms = BACK_OFF_MIN_MS};
    list_init(&client->unanswered);
    socket_init(&client->socket, loop, &HANDLERS, client);
    timer_init(&client->tick, loop, on_tick, client);
    timer_init(&client->resume, loop, resume_reading, client);
    timer_init(&client->reconnect, loop, connect_now, client);
    for (size_t i = 0; i < COLLECTION_N; i++) {
        struct sub *sub = &client->subs[i];
        sub->collection = (enum collection)i;
        sub->is_wanted = sim_random(4) > 0;
        snprintf(sub->id, sizeof sub->id, "s%u", client->n_ids++);
    }
    timer_start(&client->reconnect, sim_random(100));
    return client;
}

void client_befriend(struct client *client, struct client *other)
{
    client->friend = other;
}

void client_give(struct client *client, unsigned n_transactions)
{
    client->n_left += n_transactions;
    if (!timer_is_running(&client->tick))
        timer_start(&client->tick, 1);
}

bool client_is_done(const struct client *client)
{
    bool done = client->n_left == 0 && client->n_unanswered == 0 && client->socket.is_open;
    for (size_t i = 0; i < COLLECTION_N; i++)
        done = done && client->subs[i].is_whole && !client->subs[i].is_pending;
    return done;
}

const struct rows *client_rows(const struct client *client, enum collection collection)
{
    return &client->subs[collection].rows;
}

uint64_t client_cursor(const struct client *client)
{
    return client->cursor;
}

unsigned client_number(const struct client *client)
{
    return client->number;
}
