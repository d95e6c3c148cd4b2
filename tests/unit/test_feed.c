/*
 * Whatever the credit, the writes and the drops of its connection: what a client holds at a cursor is nowhere older
 * than that cursor says, and in the end it is what the tables hold.
 *
 * Ben writes at random to two collections. Ann's client does what the wire contract tells it to do, resumes at its one
 * cursor, and compares itself with the history at every boundary.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/stage.h"

enum { ANN = 1, BEN = 2, ROUNDS = 40, STEPS = 200, COLLECTIONS = 2, KEYS = 8, SEQS = 4 * STEPS, NEVER = INT32_MIN };

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
    struct client ann;
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

static bool is_later_value(const struct world *world, int collection, int key, int since)
{
    for (int seq = since; seq <= world->head; seq++)
        if (world->history[seq].rows[collection][key] == world->ann.held.rows[collection][key])
            return true;
    return false;
}

/* Everything at or below the cursor is there, or something later. */
static void check_held(struct world *world)
{
    const struct client *ann = &world->ann;
    for (int i = 0; i < COLLECTIONS; i++)
        for (int key = 0; key < KEYS && ann->has[i]; key++)
            if (!is_later_value(world, i, key, ann->cursor))
                fail_msg("at cursor %d, %s %c is older", ann->cursor, NAMES[i], 'a' + key);
}

static void on_boundary(struct world *world, const char *seq)
{
    struct client *ann = &world->ann;
    int position = strcmp(seq, "none") == 0 ? 0 : atoi(seq);
    assert_int_equal(ann->in_snapshot, -1);
    assert_in_range(position, 0, world->head);
    ann->held = ann->buffered;
    if (position > ann->cursor)
        ann->cursor = position;
    world->n_boundaries++;
    check_held(world);
}

static int collection_of(const char *sub)
{
    return strcmp(sub, NAMES[0]) == 0 ? 0 : 1;
}

static void on_snap(struct client *ann, int collection, char key, char value)
{
    assert_true(ann->in_snapshot == -1 || ann->in_snapshot == collection);
    if (ann->in_snapshot == -1)
        memset(ann->snapshot.rows[collection], 0, KEYS);
    ann->in_snapshot = collection;
    ann->snapshot.rows[collection][key - 'a'] = value;
}

static void on_snap_end(struct world *world, int collection, const char *seq)
{
    struct client *ann = &world->ann;
    if (ann->in_snapshot == -1) /* it has no rows */
        memset(ann->snapshot.rows[collection], 0, KEYS);
    else
        assert_int_equal(ann->in_snapshot, collection);
    memcpy(ann->buffered.rows[collection], ann->snapshot.rows[collection], KEYS);
    ann->in_snapshot = -1;
    ann->has[collection] = true;
    on_boundary(world, seq);
}

static void on_line(struct world *world, const char *line)
{
    struct client *ann = &world->ann;
    char sub[16], seq[16], op[16], key, value;
    if (sscanf(line, "snap %15s %c=%c", sub, &key, &value) == 3) {
        on_snap(ann, collection_of(sub), key, value);
    } else if (sscanf(line, "snap-end %15s %15s", sub, seq) == 2) {
        on_snap_end(world, collection_of(sub), seq);
    } else if (sscanf(line, "d %15s delete %c %15s", sub, &key, seq) == 3) {
        assert_int_equal(ann->in_snapshot, -1);
        ann->buffered.rows[collection_of(sub)][key - 'a'] = 0;
    } else if (sscanf(line, "d %15s %15s %c=%c", sub, op, &key, &value) == 4) {
        assert_int_equal(ann->in_snapshot, -1);
        ann->buffered.rows[collection_of(sub)][key - 'a'] = value;
    } else if (sscanf(line, "uptodate %15s %15s", sub, seq) == 2 || sscanf(line, "uptodate %15s", seq) == 1 ||
               sscanf(line, "committed %15s %15s", sub, seq) == 2) {
        on_boundary(world, seq);
    } else {
        assert_string_equal(line, "attached"); /* with these cursors there is no reset */
    }
}

static void hear(struct world *world)
{
    const char *heard = stage_heard(&world->stage, ANN);
    for (size_t len; *heard != '\0'; heard += len + 1) {
        char line[80];
        len = strcspn(heard, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, heard);
        on_line(world, line);
    }
}

static void connect_ann(struct world *world)
{
    struct client *ann = &world->ann;
    stage_attach(&world->stage, ANN, "{'sub':'ann'}");
    ann->is_connected = true;
    ann->in_snapshot = -1;
    ann->buffered = ann->held;
    for (int i = 0; i < COLLECTIONS; i++)
        stage_sub(&world->stage, ANN, NAMES[i], ann->has[i] ? ann->cursor : STAGE_NO_SINCE);
}

static void drop_ann(struct world *world)
{
    stage_detach(&world->stage, ANN);
    world->ann.is_connected = false;
}

/* ---- the story ---- */

static void step(struct world *world)
{
    struct stage *stage = &world->stage;
    unsigned what = below(world, 12);
    bool was_connected = world->ann.is_connected;
    if (what < 4)
        write_some(world, BEN);
    else if (what == 4 && was_connected)
        write_some(world, ANN);
    else if (what == 5 && was_connected)
        stage_send(stage, ANN, "{'t':'unsub','subId':'none'}"); /* ends a burst */
    else if (what == 6 && was_connected)
        drop_ann(world);
    else if (what == 7 && !was_connected)
        connect_ann(world);
    if (what < 10 && channel_find(stage->channel, ANN) != NULL)
        stage_set_credit(stage, ANN, below(world, 4) * 60);
    if (below(world, 3) > 0) {
        stage_turn(stage);
        hear(world);
    }
}

static void catch_up(struct world *world)
{
    struct stage *stage = &world->stage;
    stage_turn(stage);
    hear(world);
    if (!world->ann.is_connected)
        connect_ann(world);
    stage_send(stage, ANN, "{'t':'unsub','subId':'none'}");
    stage_turn(stage);
    stage_set_credit(stage, ANN, 1 << 20);
    stage_turn(stage);
    hear(world);
}

static void play(uint64_t seed)
{
    struct world *world = mem_zero(1, sizeof *world);
    world->random = seed;
    world->ann.in_snapshot = -1;
    world->ann.cursor = NEVER;
    stage_open(&world->stage, DEFINITION, TABLES);
    stage_attach(&world->stage, BEN, "{'sub':'ben'}");
    write_some(world, BEN);
    stage_turn(&world->stage);
    connect_ann(world);
    stage_turn(&world->stage);
    for (int i = 0; i < STEPS; i++)
        step(world);
    catch_up(world);
    assert_int_equal(world->ann.cursor, world->head);
    assert_memory_equal(&world->ann.held, &world->history[world->head], sizeof world->ann.held);
    assert_in_range(world->n_boundaries, 10, 100 * STEPS);
    stage_close(&world->stage);
    free(world);
}

static unsigned seed;

static void test_a_client_ends_with_what_the_tables_hold(void **state)
{
    (void)state;
    for (seed = 1; seed <= ROUNDS; seed++)
        play(seed);
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
