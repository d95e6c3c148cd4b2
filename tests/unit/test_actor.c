/*
 * The actor of a scope: who comes in, what one turn takes, and that after any failure it closes and begins again from
 * the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "shards/feed/session.h"
#include "tests/lib/stage.h"

enum { ANN = 1, BEN = 2, EVE = 3 };

static const char DEFINITION[] =
    "`open`:`claim('sub') <> 'eve' AND scope_id() = 'tea' AND (SELECT count(*) FROM notes) < 10000`,"
    "`collections`:{`notes`:{`key`:`id`,`insert`:{},`update`:{},`delete`:{}},"
    "`times`:{`key`:`id`,`insert`:{`set`:{`text`:`now_ms()`}}}}";
static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);"
                             "CREATE TABLE times(id TEXT PRIMARY KEY, text TEXT);";

static const char CLOSED[] = "close 1013 the scope is not available\n";

static int set_up(void **state)
{
    struct stage *stage = mem_zero(1, sizeof *stage);
    stage_open(stage, DEFINITION, TABLES);
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_attach(stage, BEN, "{'sub':'ben'}");
    stage_sub(stage, BEN, "notes", STAGE_NO_SINCE);
    stage_turn(stage);
    stage_heard(stage, ANN);
    stage_heard(stage, BEN);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    stage_close(*state);
    free(*state);
    return 0;
}

/* Takes a turn, and then this is what the session has heard. */
static void check(struct stage *stage, uint32_t session, const char *lines)
{
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, session), lines);
}

/* ---- who comes in ---- */

static void test_open_decides_who_comes_in(void **state)
{
    struct stage *stage = *state;
    stage_attach(stage, EVE, "{'sub':'eve'}"); /* nothing was written yet: there is no file to ask */
    check(stage, EVE, "denied\n");
    stage_mut(stage, ANN, "t1", "+a=x");
    stage_attach(stage, EVE, "{'sub':'eve'}");
    check(stage, EVE, "denied\n");
    stage_attach(stage, EVE, "{'sub':'not eve'}");
    check(stage, EVE, "attached\n");
}

static void test_who_was_denied_is_not_heard(void **state)
{
    struct stage *stage = *state;
    stage_attach(stage, EVE, "{'sub':'eve'}");
    stage_mut(stage, EVE, "t1", "+a=x");
    stage_sub(stage, EVE, "notes", STAGE_NO_SINCE);
    check(stage, EVE, "denied\n");
    assert_null(stage->actor->feed.file);
}

static void test_a_bad_attach_is_closed(void **state)
{
    struct stage *stage = *state;
    stage_attach(stage, ANN, "{'sub':'ann'}"); /* of a session that is there */
    check(stage, ANN, "close 1002 bad attach\n");
    stage_attach(stage, EVE, "[1]");
    check(stage, EVE, "close 1002 bad attach\n");
}

static void test_who_detached_is_gone(void **state)
{
    struct stage *stage = *state;
    stage_detach(stage, BEN);
    stage_sub(stage, BEN, "notes", STAGE_NO_SINCE);
    stage_mut(stage, BEN, "t1", "+a=x");
    check(stage, BEN, "");
    assert_null(channel_find(stage->channel, BEN));
    assert_non_null(channel_find(stage->channel, ANN));
}

/* ---- what arrives ---- */

static void test_undecodable_messages_are_dropped_and_counted(void **state)
{
    struct stage *stage = *state;
    uint64_t before = metric_get(METRIC_SHARD_FRAMES_DROPPED);
    stage_send(stage, ANN, "{'t':'mut','txId':'t1'}");
    stage_send(stage, ANN, "[1,2,3]");
    stage_mut(stage, ANN, "t2", "+a=x");
    check(stage, ANN, "committed t2 1\n");
    assert_int_equal(metric_get(METRIC_SHARD_FRAMES_DROPPED) - before, 2);
}

static void test_envelopes_may_arrive_in_pieces(void **state)
{
    struct stage *stage = *state;
    struct buf bytes = {0};
    envelope_append_attach(&bytes, EVE, DIALECT_BASE, SLICE("{\"sub\":\"adam\"}"));
    envelope_append(&bytes, ENVELOPE_MESSAGE, EVE, SLICE("not a frame"));
    envelope_append(&bytes, ENVELOPE_DETACH, BEN, SLICE(""));
    for (size_t i = 0; i < bytes.len; i++)
        assert_true(channel_receive(stage->channel, slice_of(bytes.data + i, 1)));
    assert_int_equal(stage->channel->n_requests, 3);
    check(stage, EVE, "attached\n");
    assert_null(channel_find(stage->channel, BEN));
    assert_false(channel_receive(stage->channel, SLICE("certainly no envelope")));
    buf_release(&bytes);
}

/* ---- a turn ---- */

static void test_a_turn_is_one_transaction_and_one_record(void **state)
{
    struct stage *stage = *state;
    unsigned before = stage_n_records;
    stage_mut(stage, ANN, "t1", "+a=x");
    stage_mut(stage, BEN, "t2", "+b=x");
    stage_mut(stage, ANN, "t3", "-a");
    check(stage, ANN, "committed t1 1\ncommitted t3 3\n");
    assert_int_equal(stage_n_records - before, 1);
    assert_int_equal(stage->actor->feed.file->tx, 1);
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_turn(stage);
    assert_int_equal(stage_n_records - before, 1); /* reading leaves none */
}

static void insert_time(struct stage *stage, const char *key)
{
    char frame[100];
    snprintf(frame, sizeof frame, "{'t':'mut','txId':'%s','collection':'times','ops':[{'type':'insert','key':'%s'}]}",
             key, key);
    stage_send(stage, ANN, frame);
}

/* Returns how many different times there are. */
static int count_times(struct stage *stage)
{
    sqlite3_stmt *count =
        database_prepare(&stage->actor->feed.file->database, SQL_OURS, "SELECT count(DISTINCT text) FROM times", NULL);
    assert_int_equal(sqlite3_step(count), SQLITE_ROW);
    int n = sqlite3_column_int(count, 0);
    sqlite3_finalize(count);
    return n;
}

static void test_what_is_decided_together_has_one_time(void **state)
{
    struct stage *stage = *state;
    insert_time(stage, "a");
    insert_time(stage, "b");
    stage_turn(stage);
    assert_int_equal(count_times(stage), 1);
    insert_time(stage, "c");
    stage_turn(stage);
    assert_int_equal(count_times(stage), 2);
}

static void mut_of_128(struct stage *stage, int n)
{
    struct buf ops = {0};
    char tx[20];
    for (int i = 0; i < 128; i++)
        buf_printf(&ops, "+k%d-%d=x ", n, i);
    snprintf(tx, sizeof tx, "t%d", n);
    stage_mut(stage, ANN, tx, ops.data);
    buf_release(&ops);
}

static void test_a_turn_takes_a_thousand_changes_and_yields(void **state)
{
    struct stage *stage = *state;
    for (int i = 1; i <= 10; i++)
        mut_of_128(stage, i);
    stage_turn(stage);
    assert_false(list_is_empty(&stage->dirty)); /* it comes again */
    assert_non_null(strstr(stage_heard(stage, ANN), "committed t8 1024\n"));
    check(stage, ANN, "committed t9 1152\ncommitted t10 1280\n");
    assert_true(list_is_empty(&stage->dirty));
}

/* ---- failures ---- */

static void run_raw(struct stage *stage, const char *sql)
{
    struct database database;
    char *path = scope_file_path(stage->data.text, &stage->actor->name);
    assert_int_equal(database_open(&database, path, false, NULL), ERR_OK);
    assert_int_equal(database_run(&database, SQL_OURS, sql, NULL), ERR_OK);
    database_close(&database);
    free(path);
}

/* Everybody was told to come back; the file is as it was before the turn. */
static void check_closed(struct stage *stage)
{
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, ANN), CLOSED);
    assert_string_equal(stage_heard(stage, BEN), CLOSED);
    assert_null(stage->actor->feed.file);
    assert_true(list_is_empty(&stage->actor->sessions));
}

static void come_back(struct stage *stage)
{
    stage_attach(stage, ANN, "{'sub':'ann'}");
    check(stage, ANN, "attached\n");
}

static void begin_with_a(struct stage *stage)
{
    stage_mut(stage, ANN, "t1", "+a=x");
    check(stage, ANN, "committed t1 1\n");
    stage_heard(stage, BEN);
}

static int refuse(void *arg)
{
    (void)arg;
    return 1;
}

static void test_a_transaction_that_fails_closes_the_scope(void **state)
{
    struct stage *stage = *state;
    begin_with_a(stage);
    stage_mut(stage, BEN, "t2", "+b=x"); /* decided, but not committed when the next one fails */
    stage_turn(stage);
    stage_heard(stage, BEN);
    assert_int_equal(
        database_run(&stage->actor->feed.file->database, SQL_OURS, "ALTER TABLE _sync_receipts RENAME TO lost", NULL),
        ERR_OK);
    stage_mut(stage, ANN, "t3", "-a");
    check_closed(stage);

    stage_attach(stage, ANN, "{'sub':'ann'}"); /* nor can it be opened like that */
    check(stage, ANN, CLOSED);
    run_raw(stage, "ALTER TABLE lost RENAME TO _sync_receipts");
    come_back(stage);
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_mut(stage, ANN, "t3", "-a");
    check(stage, ANN, "snap notes b=x\nsnap-end notes 3\ncommitted t3 3\n");
}

static void test_a_commit_that_fails_closes_the_scope(void **state)
{
    struct stage *stage = *state;
    begin_with_a(stage);
    unsigned before = stage_n_records;
    sqlite3_commit_hook(stage->actor->feed.file->database.db, refuse, NULL);
    stage_mut(stage, ANN, "t2", "~a=y");
    stage_mut(stage, BEN, "t3", "+b=y");
    check_closed(stage);
    assert_int_equal(stage_n_records, before);

    come_back(stage);
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, ANN, "snap notes a=x\nsnap-end notes 1\n");
    stage_mut(stage, ANN, "t2", "~a=y");
    check(stage, ANN, "d notes update a=y 2\nuptodate 2\ncommitted t2 2\n");
}

/* What cannot be read is not passed off as nothing. */
static void test_a_read_that_fails_closes_the_scope(void **state)
{
    struct stage *stage = *state;
    begin_with_a(stage);
    sqlite3_progress_handler(stage->actor->feed.file->database.db, 1, refuse, NULL);
    stage_sub(stage, ANN, "notes", 0);
    check_closed(stage);
    come_back(stage);
    sqlite3_progress_handler(stage->actor->feed.file->database.db, 1, refuse, NULL);
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    check(stage, ANN, CLOSED);
}

static void test_a_file_that_cannot_be_opened_lets_nobody_in(void **state)
{
    struct stage *stage = *state;
    begin_with_a(stage);
    char *path = scope_file_path(stage->data.text, &stage->actor->name);
    sqlite3_commit_hook(stage->actor->feed.file->database.db, refuse, NULL);
    stage_mut(stage, ANN, "t2", "~a=y");
    check_closed(stage);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fputs("damaged", file);
    fclose(file);
    free(path);
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_attach(stage, BEN, "{'sub':'ben'}");
    stage_turn(stage);
    assert_string_equal(stage_heard(stage, ANN), CLOSED);
    assert_string_equal(stage_heard(stage, BEN), CLOSED);
}

/* ---- opening ---- */

/* The file is closed, as a clean end of the server would, or a crash. */
static void close_file(struct stage *stage, void (*close)(struct scope_file *file))
{
    close(stage->actor->feed.file);
    stage->actor->feed.file = NULL;
    stage->actor->is_opened = false;
    stage->n_jobs = 0;
}

static void test_a_file_that_was_closed_well_is_opened_in_the_turn(void **state)
{
    struct stage *stage = *state;
    begin_with_a(stage);
    assert_int_equal(stage->n_jobs, 1); /* it was made beside the loop */
    close_file(stage, scope_file_close);
    stage_mut(stage, ANN, "t2", "+b=x");
    check(stage, ANN, "committed t2 2\n");
    assert_int_equal(stage->n_jobs, 0);
}

static void test_a_file_that_a_crash_left_is_made_durable_beside_the_loop(void **state)
{
    struct stage *stage = *state;
    begin_with_a(stage);
    close_file(stage, scope_file_abandon);
    stage->is_helper_held = true;
    stage_mut(stage, ANN, "t2", "+b=x");
    check(stage, ANN, "");
    assert_true(stage->actor->is_away);
    stage_help(stage);
    check(stage, ANN, "committed t2 2\n");
}

/* The next version of the app, as a worker that starts finds it: no subscription is from before. */
static void load_next_version(struct stage *stage)
{
    stage_send(stage, BEN, "{'t':'unsub','subId':'notes'}");
    stage_turn(stage);
    close_file(stage, scope_file_close);
    room_load(&stage->room, NULL);
    stage->actor->feed.kind = stage->room.kind;
}

static void test_migrations_run_beside_the_loop(void **state)
{
    struct stage *stage = *state;
    begin_with_a(stage);
    room_migrate(&stage->room, "0002_more.sql", "ALTER TABLE notes ADD COLUMN more TEXT DEFAULT 'm';");
    load_next_version(stage);
    stage->is_helper_held = true;
    stage_attach(stage, EVE, "{'sub':'adam'}");
    check(stage, EVE, "");
    assert_true(stage->actor->is_away);
    stage_help(stage);
    check(stage, EVE, "attached\n");
}

static void test_migrations_that_fail_close_the_scope(void **state)
{
    struct stage *stage = *state;
    begin_with_a(stage);
    room_migrate(&stage->room, "0002_more.sql", "CREATE UNIQUE INDEX texts ON notes(text);");
    stage_mut(stage, ANN, "t2", "+b=x");
    check(stage, ANN, "committed t2 2\n");
    stage_heard(stage, BEN);
    load_next_version(stage);
    stage_mut(stage, ANN, "t3", "+c=x");
    check_closed(stage);
    assert_true(list_is_empty(&stage->actor->inbox)); /* it is not tried for ever */
}

/* ---- checkpoints beside the loop ---- */

/* There is something to save, and nothing is done about it yet. */
static void begin_save(struct stage *stage)
{
    begin_with_a(stage);
    close_file(stage, scope_file_close);
    stage_mut(stage, ANN, "t2", "+b=x");
    check(stage, ANN, "committed t2 2\n");
    stage_heard(stage, BEN);
    stage->is_helper_held = true;
    actor_begin_save(stage->actor);
    assert_int_equal(stage->n_saving, 1);
}

static void test_what_comes_during_a_checkpoint_is_decided_after_it(void **state)
{
    struct stage *stage = *state;
    begin_save(stage);
    stage_mut(stage, ANN, "t3", "+c=x");
    check(stage, ANN, "");
    channel_end(stage->channel);
    stage_turn(stage);
    assert_false(actor_is_idle(stage->actor));
    assert_false(actor_save(stage->actor));
    stage->actor->job.work(&stage->actor->job);
    stage->actor->job.done(&stage->actor->job);
    assert_true(list_is_empty(&stage->actor->unsaved_link));
    assert_int_equal(stage->n_saving, 0);
    stage_turn(stage);
    assert_int_equal(stage->actor->feed.file->tx, 3);
    assert_false(list_is_empty(&stage->actor->unsaved_link));
    assert_true(actor_is_idle(stage->actor));
}

/* It saves what the journal lost: that is read only when the file was opened again, and the journal is kept until then.
 */
static void test_a_journal_that_breaks_during_a_checkpoint_closes_the_scope(void **state)
{
    struct stage *stage = *state;
    begin_save(stage);
    channel_end(stage->channel); /* as breaking ends it */
    actor_break(stage->actor, 0);
    assert_non_null(stage->actor->feed.file);
    stage_help(stage);
    assert_null(stage->actor->feed.file);
    assert_int_equal(stage->n_saving, 0);
    assert_false(list_is_empty(&stage->actor->unsaved_link));
    assert_true(actor_save(stage->actor));
    assert_true(list_is_empty(&stage->actor->unsaved_link));
}

static void test_a_checkpoint_that_fails_beside_the_loop_closes_the_scope(void **state)
{
    struct stage *stage = *state;
    begin_save(stage);
    char *path = scope_file_path(stage->data.text, &stage->actor->name);
    *strrchr(path, '/') = '\0';
    struct folder_path elsewhere = folder_at(&stage->room.folder, "elsewhere");
    assert_int_equal(rename(path, elsewhere.text), 0);
    stage_help(stage);
    check_closed(stage);
    assert_false(list_is_empty(&stage->actor->unsaved_link));
    assert_int_equal(rename(elsewhere.text, path), 0);
    stage->is_helper_held = false;
    come_back(stage);
    assert_int_equal(stage->actor->feed.file->tx, 2);
    free(path);
}

/* ---- the router goes ---- */

static void test_what_a_router_sent_before_it_went_is_decided(void **state)
{
    struct stage *stage = *state;
    for (int i = 1; i <= 10; i++)
        mut_of_128(stage, i);
    channel_end(stage->channel);
    stage_turn(stage); /* of which it takes two */
    assert_false(actor_is_idle(stage->actor));
    stage_turn(stage); /* and now the channel is freed, with its sessions */
    assert_int_equal(stage->actor->feed.file->log.head - stage->base, 1280);
    assert_true(list_is_empty(&stage->actor->sessions));
    assert_true(actor_is_idle(stage->actor));
}

/* ---- the journal breaks ---- */

static void test_what_the_journal_kept_is_not_touched(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, ANN, "t1", "+a=x");
    check(stage, ANN, "committed t1 1\n");
    actor_break(stage->actor, stage_n_records);
    assert_non_null(stage->actor->feed.file);
    stage_mut(stage, ANN, "t2", "+b=y");
    check(stage, ANN, "committed t2 2\n");
}

/* The first of two transactions lasts. The file holds both, so it is closed; it is durable when it is open again, and
 * keeps the journal until then. */
static void test_what_the_journal_lost_closes_the_scope(void **state)
{
    struct stage *stage = *state;
    unsigned before = stage_n_records;
    stage_mut(stage, ANN, "t1", "+a=x");
    stage_turn(stage);
    stage_mut(stage, ANN, "t2", "+b=y");
    stage_turn(stage);
    uint64_t head = stage->actor->feed.file->log.head;
    channel_end(stage->channel); /* as breaking ends it */
    actor_break(stage->actor, before + 1);
    assert_null(stage->actor->feed.file);
    assert_int_equal(stage->actor->unsaved_from, before);
    assert_false(list_is_empty(&stage->actor->unsaved_link));
    stage_turn(stage);
    assert_true(list_is_empty(&stage->actor->sessions));
    assert_true(actor_save(stage->actor));
    assert_true(list_is_empty(&stage->actor->unsaved_link));
    assert_int_equal(stage->actor->feed.file->log.head, head);
}

/* What it lost was used again, as positions, and released: nothing of the scope may be behind that. */
static void test_what_the_journal_lost_is_kept_where_it_goes_on(void **state)
{
    struct stage *stage = *state;
    unsigned position = stage_n_records;
    stage_mut(stage, ANN, "t1", "+a=x");
    stage_turn(stage);
    stage->actor->unsaved_from = position + 1;
    channel_end(stage->channel);
    actor_break(stage->actor, position);
    assert_int_equal(stage->actor->unsaved_from, position);
    assert_int_equal(stage->actor->unsaved_to, position);
}

#define STAGE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_open_decides_who_comes_in),
        STAGE_TEST(test_who_was_denied_is_not_heard),
        STAGE_TEST(test_a_bad_attach_is_closed),
        STAGE_TEST(test_who_detached_is_gone),
        STAGE_TEST(test_undecodable_messages_are_dropped_and_counted),
        STAGE_TEST(test_envelopes_may_arrive_in_pieces),
        STAGE_TEST(test_a_turn_is_one_transaction_and_one_record),
        STAGE_TEST(test_what_is_decided_together_has_one_time),
        STAGE_TEST(test_a_turn_takes_a_thousand_changes_and_yields),
        STAGE_TEST(test_a_transaction_that_fails_closes_the_scope),
        STAGE_TEST(test_a_commit_that_fails_closes_the_scope),
        STAGE_TEST(test_a_read_that_fails_closes_the_scope),
        STAGE_TEST(test_a_file_that_cannot_be_opened_lets_nobody_in),
        STAGE_TEST(test_a_file_that_was_closed_well_is_opened_in_the_turn),
        STAGE_TEST(test_a_file_that_a_crash_left_is_made_durable_beside_the_loop),
        STAGE_TEST(test_migrations_run_beside_the_loop),
        STAGE_TEST(test_migrations_that_fail_close_the_scope),
        STAGE_TEST(test_what_comes_during_a_checkpoint_is_decided_after_it),
        STAGE_TEST(test_a_journal_that_breaks_during_a_checkpoint_closes_the_scope),
        STAGE_TEST(test_a_checkpoint_that_fails_beside_the_loop_closes_the_scope),
        STAGE_TEST(test_what_a_router_sent_before_it_went_is_decided),
        STAGE_TEST(test_what_the_journal_kept_is_not_touched),
        STAGE_TEST(test_what_the_journal_lost_closes_the_scope),
        STAGE_TEST(test_what_the_journal_lost_is_kept_where_it_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
