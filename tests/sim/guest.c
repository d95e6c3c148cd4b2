#include "tests/sim/guest.h"

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

struct guest {
    struct history *history;
    unsigned number, user;
    struct habits habits;
    struct guest *friend;
    struct socket socket;
    struct timer tick, resume, reconnect, retry;
    unsigned n_left, n_unanswered, n_ids, back_off_ms;
    struct list unanswered;
    bool is_greeted; /* the socket has had its hello */
    uint64_t cursor;
    uint64_t since; /* of the socket's subscriptions */
    struct sub subs[GUEST_SUBS];
    struct sub *snapping; /* between its first row and its end */
    struct buf deltas;    /* struct delta, until a boundary */
};

#define FAIL(guest, format, ...)                                                                                       \
    sim_fail("%s: client %u: " format, (guest)->history->name.text, (guest)->number, __VA_ARGS__)

/* Sending. */

static void send_tx(struct guest *guest, size_t tx)
{
    char id[CODE_MAX];
    struct buf message = {0};
    work_encode(&guest->history->txs[tx].work, slice_str(history_tx_id(tx, id)), &message);
    socket_send(&guest->socket, buf_slice(&message));
    buf_release(&message);
}

static void send_sub(struct guest *guest, struct sub *sub)
{
    struct buf message = {0};
    mp_write_map(&message, sub->is_whole ? 4 : 3);
    mp_write_str(&message, SLICE("t"));
    mp_write_str(&message, SLICE("sub"));
    mp_write_str(&message, SLICE("subId"));
    mp_write_str(&message, slice_str(sub->id));
    mp_write_str(&message, SLICE("collection"));
    mp_write_str(&message, slice_str(COLLECTION_NAMES[sub->collection]));
    if (sub->is_whole) {
        char since[24];
        snprintf(since, sizeof since, "%llu", (unsigned long long)guest->cursor);
        mp_write_str(&message, SLICE("since"));
        mp_write_str(&message, slice_str(since));
    }
    sub->is_pending = true;
    socket_send(&guest->socket, buf_slice(&message));
    buf_release(&message);
}

static void subscribe(struct guest *guest, struct sub *sub)
{
    snprintf(sub->id, sizeof sub->id, "s%u", guest->n_ids++);
    sub->is_wanted = true;
    send_sub(guest, sub);
}

static void unsubscribe(struct guest *guest, struct sub *sub)
{
    struct buf message = {0};
    mp_write_map(&message, 2);
    mp_write_str(&message, SLICE("t"));
    mp_write_str(&message, SLICE("unsub"));
    mp_write_str(&message, SLICE("subId"));
    mp_write_str(&message, slice_str(sub->id));
    socket_send(&guest->socket, buf_slice(&message));
    buf_release(&message);
    if (guest->snapping == sub)
        guest->snapping = NULL;
    sub->is_wanted = sub->is_whole = sub->is_pending = sub->is_reset = false;
    sub->rows = sub->snapshot = (struct rows){0};
    sub->id[0] = '\0';
}

static void send_unanswered(void *arg)
{
    struct guest *guest = arg;
    LIST_FOREACH(link, &guest->unanswered)
        send_tx(guest, LIST_ITEM(link, struct unanswered, link)->tx);
}

/* The subscriptions that resume go first: from the first of them on, the server holds the cursor. */
static void on_open(void *arg)
{
    struct guest *guest = arg;
    guest->back_off_ms = BACK_OFF_MIN_MS;
    guest->since = guest->cursor;
    guest->is_greeted = !guest->habits.is_v1;
    for (size_t i = 0; i < GUEST_SUBS && guest->cursor == 0; i++)
        guest->subs[i].is_whole = false; /* the scope was empty: there is nothing to resume from */
    for (int whole = 1; whole >= 0; whole--)
        for (size_t i = 0; i < GUEST_SUBS; i++)
            if (guest->subs[i].is_wanted && guest->subs[i].is_whole == (whole == 1))
                send_sub(guest, &guest->subs[i]);
    send_unanswered(guest);
}

/* Reading. */

static struct sub *find_sub(struct guest *guest, struct slice id)
{
    for (size_t i = 0; i < GUEST_SUBS; i++)
        if (guest->subs[i].is_wanted && slice_eq(slice_str(guest->subs[i].id), id))
            return &guest->subs[i];
    return NULL;
}

static void see(struct guest *guest, const struct sub *sub, const struct answer *answer, unsigned slot, uint64_t row)
{
    if (slot == SLOT_NONE)
        FAIL(guest, "a row of %s has the key '%.*s'", COLLECTION_NAMES[sub->collection], (int)answer->key.len,
             answer->key.data);
    history_saw(guest->history,
                &(struct sight){.seq = answer->seq,
                                .row = row,
                                .client = guest->number,
                                .collection = sub->collection,
                                .slot = slot,
                                .op = answer->type == ANSWER_SNAP ? SNAPSHOT_ROW : (unsigned)answer->op});
}

/* Nothing comes between the rows of a snapshot. */
static void check_between(struct guest *guest, const struct answer *answer, const struct sub *sub)
{
    if (guest->snapping != NULL && guest->snapping != sub)
        FAIL(guest, "'%.*s' came within the snapshot of %s", (int)answer->name.len, answer->name.data,
             COLLECTION_NAMES[guest->snapping->collection]);
}

/* Whatever it holds is the scope's as of the cursor now; but a snapshot that has just ended may be ahead of it. */
static void move_cursor(struct guest *guest, uint64_t seq, const struct sub *ahead)
{
    if (seq <= guest->cursor)
        return;
    guest->cursor = seq;
    for (size_t i = 0; i < GUEST_SUBS; i++) {
        struct sub *sub = &guest->subs[i];
        if (sub->is_reset)
            FAIL(guest, "the cursor moved to %llu while %s had been reset and had no snapshot yet",
                 (unsigned long long)seq, COLLECTION_NAMES[sub->collection]);
        if (sub->is_whole && sub != ahead)
            history_held(guest->history, &(struct view){seq, sub->rows.all, guest->number, sub->collection});
    }
}

static void apply_deltas(struct guest *guest)
{
    const struct delta *deltas = (const struct delta *)(const void *)guest->deltas.data;
    for (size_t i = 0; i < guest->deltas.len / sizeof *deltas; i++)
        if (deltas[i].sub->is_whole)
            rows_set(&deltas[i].sub->rows, deltas[i].slot, deltas[i].row);
    guest->deltas.len = 0;
}

static void on_snap(struct guest *guest, struct sub *sub, const struct answer *answer)
{
    if (guest->snapping == NULL) {
        sub->snapshot = (struct rows){0};
        sub->snapshot_seq = answer->seq;
        guest->snapping = sub;
    }
    if (sub->snapshot_seq != answer->seq)
        FAIL(guest, "the rows of a snapshot carry %llu and %llu", (unsigned long long)sub->snapshot_seq,
             (unsigned long long)answer->seq);
    unsigned slot = key_slot(sub->collection, answer->key);
    uint64_t row = row_hash(answer->row);
    see(guest, sub, answer, slot, row);
    rows_set(&sub->snapshot, slot, row);
}

static void on_snap_end(struct guest *guest, struct sub *sub, const struct answer *answer)
{
    sub->rows = guest->snapping == sub ? sub->snapshot : (struct rows){0};
    guest->snapping = NULL;
    sub->is_whole = true;
    sub->is_pending = sub->is_reset = false;
    move_cursor(guest, answer->seq, sub);
}

static void on_delta(struct guest *guest, struct sub *sub, const struct answer *answer)
{
    unsigned slot = key_slot(sub->collection, answer->key);
    uint64_t row = answer->op == OP_DELETE ? 0 : row_hash(answer->row);
    if (!sub->is_whole)
        FAIL(guest, "a change of %s came before its snapshot had ended", COLLECTION_NAMES[sub->collection]);
    if (answer->seq <= guest->cursor)
        FAIL(guest, "a change of %s at %llu came when the cursor was at %llu", COLLECTION_NAMES[sub->collection],
             (unsigned long long)answer->seq, (unsigned long long)guest->cursor);
    see(guest, sub, answer, slot, row);
    struct delta delta = {sub, slot, row};
    buf_append(&guest->deltas, &delta, sizeof delta);
}

static void on_uptodate(struct guest *guest, const struct answer *answer)
{
    struct sub *sub = answer->has_sub ? find_sub(guest, answer->sub) : NULL;
    apply_deltas(guest);
    if (sub != NULL)
        sub->is_pending = false;
    move_cursor(guest, answer->seq, NULL);
}

static void on_reset(struct guest *guest, struct sub *sub)
{
    if (!sub->is_pending || !sub->is_whole)
        FAIL(guest, "the subscription of %s was reset out of the blue", COLLECTION_NAMES[sub->collection]);
    history_reset(guest->history, &(struct reset){guest->since, guest->number, sub->collection});
    sub->is_whole = false;
    sub->is_reset = true;
}

static void forget(struct guest *guest, size_t tx)
{
    LIST_FOREACH_SAFE(link, &guest->unanswered) {
        if (LIST_ITEM(link, struct unanswered, link)->tx != tx)
            continue;
        list_remove(link);
        guest->n_unanswered--;
    }
}

static void on_answered(struct guest *guest, const struct answer *answer)
{
    struct ending ending = {.is_rejected = answer->type == ANSWER_REJECTED};
    size_t tx;
    if (!history_find(guest->history, answer->tx, &tx))
        FAIL(guest, "'%.*s' was answered, which nobody sent", (int)answer->tx.len, answer->tx.data);
    if (answer->code.len >= CODE_MAX)
        FAIL(guest, "the code '%.*s'", (int)answer->code.len, answer->code.data);
    if (answer->code.len > 0)
        memcpy(ending.code, answer->code.data, answer->code.len);
    ending.seq = answer->seq;
    ending.result = answer->result.len == 0 ? 0 : row_hash(answer->result);
    history_end(guest->history, tx, &ending);
    forget(guest, tx);
    if (ending.is_rejected)
        return;
    if (guest->deltas.len > 0)
        FAIL(guest, "t%zu was committed between changes and their boundary", tx);
    move_cursor(guest, answer->seq, NULL);
}

/* No decision: the transaction stays where it is in the queue, and so do those behind it. */
static void on_put_off(struct guest *guest, const struct answer *answer)
{
    timer_start(&guest->retry, answer->retry_ms);
}

static void on_hello(struct guest *guest, const struct answer *answer)
{
    guest->is_greeted = true;
    if (answer->seq > 0)
        history_held(guest->history, &(struct view){answer->seq, 0, guest->number, COLLECTION_N});
}

static void check_greeting(struct guest *guest, const struct answer *answer)
{
    bool is_hello = answer->type == ANSWER_HELLO;
    if (guest->is_greeted == is_hello && answer->type != ANSWER_GONE)
        FAIL(guest, "'%.*s' came %s", (int)answer->name.len, answer->name.data,
             is_hello ? "to who did not expect it" : "before 'hello'");
}

static void trace(const struct guest *guest, const struct answer *answer)
{
    sim_note("client %u of %s is told: %.*s %.*s%.*s %.*s %llu", guest->number, guest->history->name.text,
             (int)answer->name.len, answer->name.data, (int)answer->sub.len, answer->sub.data, (int)answer->tx.len,
             answer->tx.data, (int)answer->key.len, answer->key.data, (unsigned long long)answer->seq);
}

/* What is about one subscription. */
static void on_rows(struct guest *guest, const struct answer *answer)
{
    struct sub *sub = find_sub(guest, answer->sub);
    if (!answer->has_sub)
        FAIL(guest, "'%.*s' is of no subscription", (int)answer->name.len, answer->name.data);
    if (sub == NULL)
        return; /* it has ended */
    check_between(guest, answer, answer->type == ANSWER_SNAP || answer->type == ANSWER_SNAP_END ? sub : NULL);
    if (answer->type == ANSWER_SNAP)
        on_snap(guest, sub, answer);
    else if (answer->type == ANSWER_SNAP_END)
        on_snap_end(guest, sub, answer);
    else if (answer->type == ANSWER_DELTA)
        on_delta(guest, sub, answer);
    else
        on_reset(guest, sub);
}

static void on_answer(struct guest *guest, const struct answer *answer)
{
    switch (answer->type) {
    case ANSWER_SNAP:
    case ANSWER_SNAP_END:
    case ANSWER_DELTA:
    case ANSWER_RESET:
        on_rows(guest, answer);
        break;
    case ANSWER_UPTODATE:
        check_between(guest, answer, NULL);
        on_uptodate(guest, answer);
        break;
    case ANSWER_COMMITTED:
        check_between(guest, answer, NULL);
        on_answered(guest, answer);
        break;
    case ANSWER_REJECTED:
        if (answer->retry_ms > 0)
            on_put_off(guest, answer);
        else
            on_answered(guest, answer);
        break;
    case ANSWER_HELLO:
        on_hello(guest, answer);
        break;
    case ANSWER_GONE: /* the close follows */
        break;
    case ANSWER_OTHER:
        FAIL(guest, "the server sent a '%.*s'", (int)answer->name.len, answer->name.data);
    }
}

static void on_message(void *arg, struct slice message)
{
    struct guest *guest = arg;
    struct answer answer;
    if (!answer_read(message, &answer))
        FAIL(guest, "a message of %zu bytes is no frame", message.len);
    if (sim_is_traced())
        trace(guest, &answer);
    sim_tally(SIM_CHECKS, 1);
    check_greeting(guest, &answer);
    on_answer(guest, &answer);
}

/* Coming and going. */

static void connect_now(void *arg)
{
    struct guest *guest = arg;
    struct buf path = {0};
    buf_printf(&path, "/v1/%s/sync?user=u%u", guest->history->name.text, guest->user);
    socket_open(&guest->socket, path.data, guest->habits.is_v1 ? "skerry.v1" : NULL);
    buf_release(&path);
}

/* What was buffered and not committed is gone with the socket. */
static void on_closed(void *arg, unsigned code)
{
    struct guest *guest = arg;
    if (code != 0 && code != WS_CODE_GOING_AWAY && code != WS_CODE_RESTART && code != WS_CODE_TRY_LATER)
        FAIL(guest, "the server closed with %u", code);
    guest->snapping = NULL;
    guest->deltas.len = 0;
    for (size_t i = 0; i < GUEST_SUBS; i++)
        guest->subs[i].is_pending = guest->subs[i].is_reset = false;
    timer_stop(&guest->resume);
    timer_stop(&guest->retry);
    timer_start(&guest->reconnect, guest->back_off_ms / 2 + sim_random(guest->back_off_ms));
    guest->back_off_ms = guest->back_off_ms * 2 < BACK_OFF_MAX_MS ? guest->back_off_ms * 2 : BACK_OFF_MAX_MS;
}

static void resume_reading(void *arg)
{
    struct guest *guest = arg;
    socket_pause(&guest->socket, false);
}

/* Habits. */

static bool happens(uint32_t out_of_1000)
{
    return sim_random(1000) < out_of_1000;
}

static void transact(struct guest *guest)
{
    struct unanswered *unanswered = mem_zero(1, sizeof *unanswered);
    struct work work = work_random(guest->user, guest->habits.large_one_in, guest->habits.len_max);
    unanswered->tx = history_add(guest->history, &work);
    list_append(&guest->unanswered, &unanswered->link);
    guest->n_unanswered++;
    guest->n_left--;
    sim_tally(SIM_OPERATIONS, 1);
    send_tx(guest, unanswered->tx);
    if (happens(guest->habits.twice))
        send_tx(guest->friend == NULL || sim_random(2) == 0 ? guest : guest->friend, unanswered->tx);
}

/* Some transaction of its user's, however old: the outcome must be the same. */
static void send_again(struct guest *guest)
{
    size_t tx = sim_random((uint32_t)guest->history->n_txs);
    if (guest->history->txs[tx].work.user == guest->user)
        send_tx(guest, tx);
}

static void change_subscription(struct guest *guest)
{
    struct sub *sub = &guest->subs[sim_random(GUEST_SUBS)];
    sim_tally(SIM_OPERATIONS, 1);
    if (sub->is_wanted)
        unsubscribe(guest, sub);
    else
        subscribe(guest, sub);
}

static void drop(struct guest *guest)
{
    socket_drop(&guest->socket);
    on_closed(guest, 0);
}

static void act(struct guest *guest)
{
    const struct habits *habits = &guest->habits;
    while (guest->n_left > 0 && guest->n_unanswered < habits->in_flight) {
        transact(guest);
        if (sim_random(2) == 0)
            break;
    }
    if (guest->history->n_txs > 0 && happens(habits->again))
        send_again(guest);
    if (happens(habits->resubscribes))
        change_subscription(guest);
    if (happens(habits->pauses)) {
        socket_pause(&guest->socket, true);
        timer_start(&guest->resume, 1 + sim_random(PAUSE_MS));
    }
    if (happens(habits->drops))
        drop(guest);
}

static void settle(struct guest *guest)
{
    for (size_t i = 0; i < GUEST_SUBS; i++)
        if (!guest->subs[i].is_wanted)
            subscribe(guest, &guest->subs[i]);
}

static void on_tick(void *arg)
{
    struct guest *guest = arg;
    if (guest->socket.is_open && guest->n_left > 0)
        act(guest);
    else if (guest->socket.is_open)
        settle(guest);
    if (guest->n_left > 0 || !guest_is_done(guest))
        timer_start(&guest->tick, 1 + sim_random(2 * guest->habits.tick_ms));
}

static const struct socket_handlers HANDLERS = {on_open, on_message, on_closed};

struct guest *guest_new(struct loop *loop, struct history *history, unsigned number, unsigned user,
                        const struct habits *habits)
{
    struct guest *guest = mem_zero(1, sizeof *guest);
    *guest = (struct guest){
        .history = history, .number = number, .user = user, .habits = *habits, .back_off_ms = BACK_OFF_MIN_MS};
    list_init(&guest->unanswered);
    socket_init(&guest->socket, loop, &HANDLERS, guest);
    timer_init(&guest->tick, loop, on_tick, guest);
    timer_init(&guest->resume, loop, resume_reading, guest);
    timer_init(&guest->reconnect, loop, connect_now, guest);
    timer_init(&guest->retry, loop, send_unanswered, guest);
    for (size_t i = 0; i < GUEST_SUBS; i++) {
        struct sub *sub = &guest->subs[i];
        sub->collection = guest_collection(i);
        sub->is_wanted = sim_random(4) > 0;
        snprintf(sub->id, sizeof sub->id, "s%u", guest->n_ids++);
    }
    timer_start(&guest->reconnect, sim_random(100));
    return guest;
}

void guest_befriend(struct guest *guest, struct guest *other)
{
    guest->friend = other;
}

void guest_give(struct guest *guest, unsigned n_transactions)
{
    guest->n_left += n_transactions;
    if (!timer_is_running(&guest->tick))
        timer_start(&guest->tick, 1);
}

bool guest_is_connected(const struct guest *guest)
{
    return guest->socket.is_open;
}

bool guest_is_done(const struct guest *guest)
{
    bool done = guest->n_left == 0 && guest->n_unanswered == 0 && guest->socket.is_open;
    for (size_t i = 0; i < GUEST_SUBS; i++)
        done = done && guest->subs[i].is_whole && !guest->subs[i].is_pending;
    return done;
}

enum collection guest_collection(size_t sub)
{
    return (enum collection)(sub % COLLECTION_N);
}

const struct rows *guest_rows(const struct guest *guest, size_t sub)
{
    return &guest->subs[sub].rows;
}

uint64_t guest_cursor(const struct guest *guest)
{
    return guest->cursor;
}

unsigned guest_number(const struct guest *guest)
{
    return guest->number;
}
