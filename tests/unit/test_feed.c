/*
 * Whatever the credit, the writes and the drops of its connection: what a client holds at a cursor is nowhere older
 * than that cursor says, and in the end it is what the tables hold.
 *
 * Ben writes at random to two collections. Ann's client and Eve's do what the wire contract tells them to do, resume at
 * their one cursor, and compare themselves with the history at every boundary. Now and then both begin anew at once, so
 * that they share what is read for their snapshots.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "tests/lib/stage.h"

enum {
    ANN = 1,
    BEN = 2,
    EVE = 3,
    CLIENTS = 2,
    ROUNDS = 40,
    STEPS = 200,
    COLLECTIONS = 2,
    KEYS = 8,
    SEQS = 4 * STEPS,
    NEVER = INT32_MIN
};

static const char DEFINITION[] = "`collections`:{`notes`:{`key`:`id`,`insert`:{},`update`:{},`delete`:{}},"
                                 "`tags`:{`key`:`id`,`insert`:{},`update`:{},`delete`:{}}}";
static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);"
                             "CREATE TABLE tags(id TEXT PRIMARY KEY, text TEXT);";
static const char *const NAMES[COLLECTIONS] = {"notes", "tags"};

/* A value by collection and key: a digit, or 0 where there is no row. */
struct tables {
    char rows[COLLECTIONS][KEYS];
};

struct client {
    uint32_t session;
    struct tables held, buffered; /* `buffered`: with what no boundary has committed yet */
    struct tables snapshot;
    int in_snapshot; /* the collection whose snapshot is under way, or -1 */
    bool has[COLLECTIONS];
    bool is_connected;
    int cursor;
};

struct world {
    struct stage stage;
    struct tables history[SEQS]; /* by seq */
    int head;
    struct client clients[CLIENTS];
    uint64_t random;
    unsigned n_tx, n_boundaries;
};

static unsigned below(struct world *world, unsigned n)
{
    world->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = world->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) % n);
}

/* ---- the writer ---- */

static void print_change(struct world *world, int collection, struct buf *ops)
{
    unsigned key = below(world, KEYS);
    struct tables next = world->history[world->head];
    char *row = &next.rows[collection][key], before = *row;
    *row = before != 0 && below(world, 3) == 0 ? 0 : (char)('0' + below(world, 10));
    buf_printf(ops, "%s{'type':'%s','key':'%c'", ops->len == 0 ? "" : ",",
               *row == 0     ? "delete"
               : before == 0 ? "insert"
                             : "update",
               'a' + key);
    if (*row != 0)
        buf_printf(ops, ",'cols':{'text':'%c'}", *row);
    buf_printf(ops, "}");
    world->history[++world->head] = next;
}

static void write_some(struct world *world, uint32_t session)
{
    struct buf ops = {0}, frame = {0};
    int collection = (int)below(world, COLLECTIONS);
    for (unsigned n = 1 + below(world, 3); n > 0; n--)
        print_change(world, collection, &ops);
    buf_printf(&frame, "{'t':'mut','txId':'t%u','collection':'%s','ops':[%s]}", world->n_tx++, NAMES[collection],
               ops.data);
    stage_send(&world->stage, session, frame.data);
    buf_release(&ops);
    buf_release(&frame);
}

/* ---- the client ---- */

static bool is_later_value(const struct world *world, const struct client *client, int collection, int key)
{
    for (int seq = client->cursor; seq <= world->head; seq++)
        if (world->history[seq].rows[collection][key] == client->held.rows[collection][key])
            return true;
    return false;
}

/* Everything at or below the cursor is there, or something later. */
static void check_held(const struct world *world, const struct client *client)
{
    for (int i = 0; i < COLLECTIONS; i++)
        for (int key = 0; key < KEYS && client->has[i]; key++)
            if (!is_later_value(world, client, i, key))
                fail_msg("at cursor %d, %s %c is older", client->cursor, NAMES[i], 'a' + key);
}

static void on_boundary(struct world *world, struct client *client, const char *seq)
{
    int position = strcmp(seq, "none") == 0 ? 0 : atoi(seq);
    assert_int_equal(client->in_snapshot, -1);
    assert_in_range(position, 0, world->head);
    client->held = client->buffered;
    if (position > client->cursor)
        client->cursor = position;
    world->n_boundaries++;
    check_held(world, client);
}

static int collection_of(const char *sub)
{
    return strcmp(sub, NAMES[0]) == 0 ? 0 : 1;
}

static void on_snap(struct client *client, int collection, char key, char value)
{
    assert_true(client->in_snapshot == -1 || client->in_snapshot == collection);
    if (client->in_snapshot == -1)
        memset(client->snapshot.rows[collection], 0, KEYS);
    client->in_snapshot = collection;
    client->snapshot.rows[collection][key - 'a'] = value;
}

static void on_snap_end(struct world *world, struct client *client, int collection, const char *seq)
{
    if (client->in_snapshot == -1) /* it has no rows */
        memset(client->snapshot.rows[collection], 0, KEYS);
    else
        assert_int_equal(client->in_snapshot, collection);
    memcpy(client->buffered.rows[collection], client->snapshot.rows[collection], KEYS);
    client->in_snapshot = -1;
    client->has[collection] = true;
    on_boundary(world, client, seq);
}

static void on_line(struct world *world, struct client *client, const char *line)
{
    char sub[16], seq[16], op[16], key, value;
    if (sscanf(line, "snap %15s %c=%c", sub, &key, &value) == 3) {
        on_snap(client, collection_of(sub), key, value);
    } else if (sscanf(line, "snap-end %15s %15s", sub, seq) == 2) {
        on_snap_end(world, client, collection_of(sub), seq);
    } else if (sscanf(line, "d %15s delete %c %15s", sub, &key, seq) == 3) {
        assert_int_equal(client->in_snapshot, -1);
        client->buffered.rows[collection_of(sub)][key - 'a'] = 0;
    } else if (sscanf(line, "d %15s %15s %c=%c", sub, op, &key, &value) == 4) {
        assert_int_equal(client->in_snapshot, -1);
        client->buffered.rows[collection_of(sub)][key - 'a'] = value;
    } else if (sscanf(line, "uptodate %15s %15s", sub, seq) == 2 || sscanf(line, "uptodate %15s", seq) == 1 ||
               sscanf(line, "committed %15s %15s", sub, seq) == 2) {
        on_boundary(world, client, seq);
    } else {
        assert_string_equal(line, "attached"); /* with these cursors there is no reset */
    }
}

static void hear(struct world *world, struct client *client)
{
    const char *heard = stage_heard(&world->stage, client->session);
    for (size_t len; *heard != '\0'; heard += len + 1) {
        char line[80];
        len = strcspn(heard, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, heard);
        on_line(world, client, line);
    }
}

static void attach(struct world *world, struct client *client)
{
    stage_attach(&world->stage, client->session, client->session == ANN ? "{'sub':'ann'}" : "{'sub':'eve'}");
    client->is_connected = true;
    client->in_snapshot = -1;
    client->buffered = client->held;
}

static void subscribe(struct world *world, const struct client *client)
{
    for (int i = 0; i < COLLECTIONS; i++)
        stage_sub(&world->stage, client->session, NAMES[i], client->has[i] ? client->cursor : STAGE_NO_SINCE);
}

static void come_back(struct world *world, struct client *client)
{
    attach(world, client);
    subscribe(world, client);
}

static void drop(struct world *world, struct client *client)
{
    stage_detach(&world->stage, client->session);
    client->is_connected = false;
}

static void give_credit(struct world *world, const struct client *client)
{
    if (channel_find(world->stage.channel, client->session) != NULL)
        stage_set_credit(&world->stage, client->session, below(world, 4) * 60);
}

static void turn(struct world *world)
{
    stage_turn(&world->stage);
    for (int i = 0; i < CLIENTS; i++)
        hear(world, &world->clients[i]);
}

/* All come with nothing, and hardly read. */
static void begin_anew(struct world *world)
{
    for (struct client *client = world->clients; client < world->clients + CLIENTS; client++) {
        if (client->is_connected)
            drop(world, client);
        *client = (struct client){.session = client->session, .cursor = NEVER};
        attach(world, client);
    }
    turn(world);
    for (int i = 0; i < CLIENTS; i++) {
        give_credit(world, &world->clients[i]);
        subscribe(world, &world->clients[i]);
    }
}

/* ---- the story ---- */

static void step(struct world *world)
{
    struct stage *stage = &world->stage;
    struct client *client = &world->clients[below(world, CLIENTS)];
    unsigned what = below(world, 40);
    bool was_connected = client->is_connected;
    if (what < 13)
        write_some(world, BEN);
    else if (what < 17 && was_connected)
        write_some(world, client->session);
    else if (what < 21 && was_connected)
        stage_send(stage, client->session, "{'t':'unsub','subId':'none'}"); /* ends a burst */
    else if (what < 24 && was_connected)
        drop(world, client);
    else if (what < 27 && !was_connected)
        come_back(world, client);
    else if (what == 39)
        begin_anew(world);
    for (int i = 0; i < CLIENTS && what < 33; i++)
        give_credit(world, &world->clients[i]);
    if (below(world, 3) > 0)
        turn(world);
}

static void catch_up(struct world *world, struct client *client)
{
    struct stage *stage = &world->stage;
    turn(world);
    if (!client->is_connected)
        come_back(world, client);
    stage_send(stage, client->session, "{'t':'unsub','subId':'none'}");
    turn(world);
    stage_set_credit(stage, client->session, 1 << 20);
    turn(world);
    assert_int_equal(client->cursor, world->head);
    assert_memory_equal(&client->held, &world->history[world->head], sizeof client->held);
}

static void play(uint64_t seed)
{
    static const uint32_t SESSIONS[CLIENTS] = {ANN, EVE};
    struct world *world = mem_zero(1, sizeof *world);
    world->random = seed;
    stage_open(&world->stage, DEFINITION, TABLES);
    stage_attach(&world->stage, BEN, "{'sub':'ben'}");
    write_some(world, BEN);
    stage_turn(&world->stage);
    for (int i = 0; i < CLIENTS; i++)
        world->clients[i].session = SESSIONS[i];
    begin_anew(world);
    for (int i = 0; i < STEPS; i++)
        step(world);
    for (int i = 0; i < CLIENTS; i++)
        catch_up(world, &world->clients[i]);
    assert_in_range(world->n_boundaries, 10, 100 * STEPS);
    assert_int_equal(world->stage.slices.bytes, 0);
    stage_close(&world->stage);
    free(world);
}

static unsigned seed;

static void test_a_client_ends_with_what_the_tables_hold(void **state)
{
    (void)state;
    for (seed = 1; seed <= ROUNDS; seed++)
        play(seed);
    assert_true(metric_get(METRIC_SHARD_SLICES_SHARED) > ROUNDS);
}

static int tell_seed(void **state)
{
    (void)state;
    if (seed <= ROUNDS)
        print_error("with seed %u\n", seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_client_ends_with_what_the_tables_hold, tell_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
