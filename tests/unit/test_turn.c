/*
 * What SQL of an app can try on the others of its turn: to commit or roll back for them, to hold them up, to leave
 * behind what fails their commit, to fill the memory or the disk. The others are decided as if it had not been there.
 */
#include <errno.h>
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

/* `:n` rounds of nothing; -1 is for ever. */
#define ROUNDS "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i <> :n) SELECT count(*) FROM c"

static const char DEFINITION[] =
    "`open`:`claim('slow') IS NULL OR (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c"
    " WHERE i <> claim('slow')) SELECT count(*) FROM c) > 0`,"
    "`collections`:{`notes`:{`key`:`id`,`insert`:{`authorize`:`(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1"
    " FROM c WHERE :text = 'slow') SELECT count(*) FROM c)`},`update`:{},`delete`:{}}},"
    "`commands`:{"
    "`count`:{`args`:{`n`:`integer`},`execute`:[`INSERT INTO notes VALUES('counted', :n)`],`result`:`" ROUNDS "`},"
    "`write`:{`args`:{`n`:`integer`},`execute`:[`INSERT INTO notes WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL"
    " SELECT i + 1 FROM c WHERE i <> :n) SELECT 'w' || i, 'x' FROM c`]},"
    "`big`:{`args`:{`n`:`integer`},`execute`:[`INSERT INTO notes VALUES('big', hex(zeroblob(:n / 2)))`]}}";

static const char TABLES[] =
    "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);"
    "CREATE TABLE marks(id TEXT PRIMARY KEY, note TEXT REFERENCES notes DEFERRABLE INITIALLY DEFERRED);"
    "CREATE TRIGGER marked AFTER INSERT ON notes WHEN new.text = 'dangling' BEGIN"
    " INSERT INTO marks VALUES(new.id, 'nobody'); END;";

static int set_up(void **state)
{
    struct stage *stage = mem_zero(1, sizeof *stage);
    stage_look_us = stage_look_more_us = 0;
    stage_open(stage, DEFINITION, TABLES);
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_attach(stage, BEN, "{'sub':'ben'}");
    stage_turn(stage);
    stage_mut(stage, ANN, "t0", "+first=x");
    stage_turn(stage);
    stage_heard(stage, ANN);
    stage_heard(stage, BEN);
    stage->n_jobs = stage_n_records = 0;
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    stage_look_us = stage_look_more_us = 0;
    stage_close(*state);
    free(*state);
    return 0;
}

static void turns(struct stage *stage)
{
    do
        stage_turn(stage);
    while (!list_is_empty(&stage->dirty));
}

static void check(struct stage *stage, uint32_t session, const char *lines)
{
    assert_string_equal(stage_heard(stage, session), lines);
}

static struct database *database_of(struct stage *stage)
{
    return &stage->actor->feed.file->database;
}

/* What no migration that was checked would hold. */
static void slip_in(struct stage *stage, const char *sql)
{
    assert_int_equal(database_run(database_of(stage), SQL_OURS, sql, NULL), ERR_OK);
}

static int64_t read_number(struct stage *stage, const char *sql)
{
    sqlite3_stmt *read = database_prepare(database_of(stage), SQL_OURS, sql, NULL);
    assert_int_equal(sqlite3_step(read), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(read, 0);
    sqlite3_finalize(read);
    return number;
}

static void check_rows(struct stage *stage, const char *expected)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT group_concat(id, ' ') = '%s' FROM (SELECT id FROM notes ORDER BY id)", expected);
    assert_true(read_number(stage, sql));
}

/* The file holds what the clients were told, and the log has no hole and no more than that. */
static void check_log(struct stage *stage, int64_t head)
{
    assert_int_equal(stage->actor->feed.file->log.head - stage->base, head);
    assert_int_equal(read_number(stage, "SELECT max(seq) FROM _sync_log") - (int64_t)stage->base, head);
    assert_int_equal(stage->actor->feed.file->capture.n, 0);
}

static void call(struct stage *stage, uint32_t session, const char *tx, const char *name, int64_t n)
{
    char frame[200];
    snprintf(frame, sizeof frame, "{'t':'call','txId':'%s','name':'%s','args':{'n':%d}}", tx, name, (int)n);
    stage_send(stage, session, frame);
}

/* ---- rolling back ---- */

/* Three writes, the one in the middle of which is `bad`: the others stand, and it is told why. */
static void check_only_it_is_rejected(struct stage *stage, const char *why)
{
    char lines[200];
    uint64_t before = metric_get(METRIC_SHARD_COMMITTED);
    stage_mut(stage, ANN, "t1", "+a=x");
    stage_mut(stage, BEN, "t2", "+b=x +bad=bad +c=x");
    stage_mut(stage, ANN, "t3", "+d=x");
    turns(stage);
    check(stage, ANN, "committed t1 2\ncommitted t3 4\n");
    snprintf(lines, sizeof lines, "rejected t2 %s\n", why);
    check(stage, BEN, lines);
    check_rows(stage, "a d first");
    check_log(stage, 4);
    assert_int_equal(metric_get(METRIC_SHARD_COMMITTED) - before, 2); /* each is counted once */
    stage_mut(stage, BEN, "t2", "+b=x");                              /* it has its receipt */
    turns(stage);
    check(stage, BEN, lines);
}

static void test_a_trigger_that_rolls_back_harms_only_its_own(void **state)
{
    slip_in(*state, "CREATE TRIGGER bad BEFORE INSERT ON notes WHEN new.text = 'bad' BEGIN"
                    " SELECT RAISE(ROLLBACK, 'never'); END");
    check_only_it_is_rejected(*state, "CONSTRAINT: never");
}

static void test_a_conflict_clause_that_rolls_back_harms_only_its_own(void **state)
{
    slip_in(*state, "CREATE TABLE once(text TEXT PRIMARY KEY ON CONFLICT ROLLBACK); INSERT INTO once VALUES('bad');"
                    "CREATE TRIGGER bad AFTER INSERT ON notes WHEN new.text = 'bad' BEGIN"
                    " INSERT INTO once VALUES(new.text); END");
    check_only_it_is_rejected(*state, "CONSTRAINT: UNIQUE constraint failed: once.text");
}

static void test_an_abort_within_a_trigger_harms_only_its_own(void **state)
{
    slip_in(*state, "CREATE TRIGGER bad AFTER INSERT ON notes WHEN new.text = 'bad' BEGIN"
                    " DELETE FROM notes; SELECT RAISE(FAIL, 'half'); END");
    check_only_it_is_rejected(*state, "CONSTRAINT: half");
}

static void test_a_deferred_foreign_key_harms_only_its_own(void **state)
{
    struct stage *stage = *state;
    stage_mut(stage, ANN, "t1", "+a=x");
    stage_mut(stage, BEN, "t2", "+b=dangling");
    stage_mut(stage, ANN, "t3", "+c=x");
    turns(stage);
    check(stage, ANN, "committed t1 2\ncommitted t3 4\n");
    check(stage, BEN, "rejected t2 CONSTRAINT: FOREIGN KEY constraint failed\n");
    check_rows(stage, "a c first");
}

/* Each of them makes the turn begin again; that does not grow with their number. */
static void test_many_that_roll_back_are_settled_one_by_one(void **state)
{
    struct stage *stage = *state;
    uint64_t before = metric_get(METRIC_SHARD_TURNS_REPEATED);
    slip_in(stage, "CREATE TRIGGER bad BEFORE INSERT ON notes WHEN new.text = 'bad' BEGIN"
                   " SELECT RAISE(ROLLBACK, 'never'); END");
    for (int i = 0; i < 50; i++) {
        char tx[20], op[20];
        snprintf(tx, sizeof tx, "u%d", i);
        snprintf(op, sizeof op, "+k%d=%s", i, i % 2 == 0 ? "x" : "bad");
        stage_mut(stage, ANN, tx, op);
    }
    turns(stage);
    assert_int_equal(metric_get(METRIC_SHARD_TURNS_REPEATED) - before, 25);
    assert_int_equal(read_number(stage, "SELECT count(*) FROM notes"), 26);
    check_log(stage, 51);
}

static void test_who_repeats_an_id_in_the_turn_gets_one_outcome(void **state)
{
    struct stage *stage = *state;
    slip_in(stage, "CREATE TRIGGER bad BEFORE INSERT ON notes WHEN new.text = 'bad' BEGIN"
                   " SELECT RAISE(ROLLBACK, 'never'); END");
    stage_mut(stage, ANN, "t1", "+a=bad");
    stage_mut(stage, ANN, "t1", "+a=bad");
    stage_mut(stage, ANN, "t2", "+b=x");
    stage_mut(stage, ANN, "t2", "+b=x");
    turns(stage);
    check(stage, ANN, "rejected t1 CONSTRAINT: never\nrejected t1 CONSTRAINT: never\ncommitted t2 3\ncommitted t2 3\n");
}

/* ---- overrunning ---- */

static void test_a_long_command_runs_alone(void **state)
{
    struct stage *stage = *state;
    stage_look_us = 10;
    stage->is_helper_held = true;
    stage_mut(stage, ANN, "t1", "+a=x");
    call(stage, BEN, "t2", "count", 1000000);
    stage_mut(stage, ANN, "t3", "+b=x");
    stage_sub(stage, ANN, "notes", STAGE_NO_SINCE);
    stage_turn(stage);
    check(stage, ANN, "committed t1 2\n"); /* what was in front of it is not held up */
    while (!stage->actor->is_away)
        stage_turn(stage);
    check(stage, BEN, "");
    stage_mut(stage, ANN, "t4", "+c=x");
    stage_turn(stage);
    check(stage, ANN, "");

    stage_help(stage);
    turns(stage);
    check(stage, BEN, "committed t2 3 result=1000000\n");
    check(stage, ANN,
          "committed t3 4\nsnap notes a=x\nsnap notes b=x\nsnap notes c=x\nsnap notes counted=1000000\n"
          "snap notes first=x\nsnap-end notes 5\ncommitted t4 5\n");
    assert_int_equal(stage->n_jobs, 1);
    check_log(stage, 5);
}

/* However it is written. */
static void check_never_ends(struct stage *stage, const char *tx)
{
    char lines[200];
    uint64_t before = metric_get(METRIC_SHARD_OVERRUNS);
    turns(stage);
    snprintf(lines, sizeof lines, "rejected %s LIMIT_EXCEEDED: took longer than 10 s\n", tx);
    check(stage, BEN, lines);
    check(stage, ANN, "committed t1 2\ncommitted t3 4\n");
    check_rows(stage, "a b first");
    check_log(stage, 4);
    assert_int_equal(metric_get(METRIC_SHARD_OVERRUNS) - before, 1);
    assert_int_equal(stage->n_jobs, 1);
}

static void test_a_command_that_never_ends_is_rejected(void **state)
{
    struct stage *stage = *state;
    stage_look_us = 100;
    stage_mut(stage, ANN, "t1", "+a=x");
    call(stage, BEN, "t2", "count", -1);
    stage_mut(stage, ANN, "t3", "+b=x");
    check_never_ends(stage, "t2");
}

/* SQLite takes back the whole turn when a write is interrupted. */
static void test_a_write_that_never_ends_is_rejected(void **state)
{
    struct stage *stage = *state;
    stage_look_us = 1000;
    stage_mut(stage, ANN, "t1", "+a=x");
    call(stage, BEN, "t2", "write", -1);
    stage_mut(stage, ANN, "t3", "+b=x");
    check_never_ends(stage, "t2");
}

static void test_a_rule_that_never_ends_is_rejected(void **state)
{
    struct stage *stage = *state;
    stage_look_us = 100;
    stage_mut(stage, ANN, "t1", "+a=x");
    stage_mut(stage, BEN, "t2", "+slow=slow");
    stage_mut(stage, ANN, "t3", "+b=x");
    check_never_ends(stage, "t2");
}

static void test_a_trigger_that_never_ends_is_rejected(void **state)
{
    struct stage *stage = *state;
    slip_in(stage, "CREATE TRIGGER loops AFTER UPDATE ON notes BEGIN UPDATE marks SET note = (WITH RECURSIVE c(i) AS"
                   " (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c);"
                   " END; INSERT INTO marks VALUES('m', 'first')");
    stage_look_us = 100;
    stage_mut(stage, ANN, "t1", "+a=x");
    stage_mut(stage, BEN, "t2", "~first=y");
    stage_mut(stage, ANN, "t3", "+b=x");
    check_never_ends(stage, "t2");
}

static void test_an_open_that_takes_long_lets_in(void **state)
{
    struct stage *stage = *state;
    stage_look_us = 10;
    stage_attach(stage, EVE, "{'sub':'eve','slow':1000000}");
    stage_mut(stage, ANN, "t1", "+a=x");
    turns(stage);
    check(stage, EVE, "attached\n");
    check(stage, ANN, "committed t1 2\n");
    assert_int_equal(stage->n_jobs, 1);
}

static void test_an_open_that_never_ends_keeps_out_nobody_else(void **state)
{
    struct stage *stage = *state;
    stage_look_us = 1000;
    stage_attach(stage, EVE, "{'sub':'eve','slow':-1}");
    stage_mut(stage, ANN, "t1", "+a=x");
    turns(stage);
    check(stage, EVE, "close 1013 the scope is not available\n");
    check(stage, ANN, "committed t1 2\n");
}

/* The write that does not end takes the turn back; when it is decided again, all is slower, and the one in front of it
 * is too long too. */
static void test_what_is_cut_off_keeps_its_order(void **state)
{
    struct stage *stage = *state;
    stage_look_us = 10;
    stage_look_more_us = 1;
    stage_mut(stage, ANN, "t1", "+a=x");
    call(stage, BEN, "t2", "count", 4000);
    call(stage, BEN, "t3", "write", -1);
    turns(stage);
    assert_int_equal(stage->n_jobs, 2);
    check(stage, ANN, "committed t1 2\n");
    check(stage, BEN, "committed t2 3 result=4000\nrejected t3 LIMIT_EXCEEDED: took longer than 10 s\n");
    check_rows(stage, "a counted first");
    check_log(stage, 4);
}

/* ---- while it is away ---- */

static void send_away(struct stage *stage)
{
    stage_look_us = 10;
    stage->is_helper_held = true;
    call(stage, BEN, "long", "count", 1000000);
    while (!stage->actor->is_away)
        stage_turn(stage);
}

static void test_who_leaves_meanwhile_is_let_go_when_it_is_back(void **state)
{
    struct stage *stage = *state;
    send_away(stage);
    stage_detach(stage, BEN);
    stage_turn(stage);
    assert_non_null(channel_find(stage->channel, BEN)); /* its claims are in use */
    assert_false(actor_is_idle(stage->actor));
    stage_help(stage);
    turns(stage);
    assert_null(channel_find(stage->channel, BEN));
    check_log(stage, 2); /* what it sent was decided */
}

static void test_a_router_that_goes_meanwhile_is_let_go_when_it_is_back(void **state)
{
    struct stage *stage = *state;
    send_away(stage);
    stage_mut(stage, ANN, "t1", "+a=x");
    channel_end(stage->channel);
    stage_turn(stage);
    assert_false(list_is_empty(&stage->actor->channels));
    stage_help(stage);
    turns(stage);
    assert_true(actor_is_idle(stage->actor));
    check_log(stage, 3);
}

static void test_it_is_not_checkpointed_meanwhile(void **state)
{
    struct stage *stage = *state;
    send_away(stage);
    assert_false(actor_save(stage->actor));
    stage_help(stage);
    turns(stage);
    assert_true(actor_save(stage->actor));
}

/* What it did stands behind what the journal lost: nobody hears of it before the file was opened again, durable. */
static void test_a_journal_that_breaks_meanwhile_closes_it_when_it_is_back(void **state)
{
    struct stage *stage = *state;
    struct h2_stream *stream = stage->channel->stream;
    send_away(stage);
    unsigned records = stage_n_records;
    stage->channel->stream = NULL; /* which is aborted */
    actor_break(stage->actor, 0);
    stage->channel->stream = stream;
    assert_non_null(stage->actor->feed.file);
    stage_help(stage);
    assert_int_equal(stage_n_records, records);
    assert_null(stage->actor->feed.file);
    check(stage, BEN, "");
    call(stage, BEN, "long", "count", 1000000); /* as a router does that has come back */
    stage->is_helper_held = false;
    turns(stage);
    check(stage, BEN, "committed long 2 result=1000000\n");
}

/* And does not decide what it did not let come to its end. */
static void test_a_shard_that_ends_meanwhile_gives_it_up(void **state)
{
    struct stage *stage = *state;
    send_away(stage);
    stage_mut(stage, ANN, "t1", "+a=x");
    atomic_store(&stage->host.is_ending, true);
    stage->actor->job.work(&stage->actor->job);
    assert_int_equal(stage->actor->turn.err, ERR_TIMEOUT);
    atomic_store(&stage->host.is_ending, false);
    check_log(stage, 1);
    assert_int_equal(read_number(stage, "SELECT count(*) FROM _sync_receipts"), 1);
}

/* ---- what is too large ---- */

static void test_a_transaction_may_change_many_rows(void **state)
{
    struct stage *stage = *state;
    call(stage, BEN, "t1", "write", 5000);
    stage_mut(stage, ANN, "t2", "+a=x");
    turns(stage);
    check(stage, BEN, "committed t1 5001\n");
    check(stage, ANN, "committed t2 5002\n");
}

static void test_changes_beyond_the_memory_for_them_are_rejected(void **state)
{
    struct stage *stage = *state;
    stage->actor->feed.file->capture.bytes_max = 100000;
    stage_mut(stage, ANN, "t1", "+a=x");
    call(stage, BEN, "t2", "write", 5000); /* interrupted */
    call(stage, BEN, "t3", "big", 100000); /* done before it could be */
    stage_mut(stage, ANN, "t4", "+b=x");
    turns(stage);
    check(stage, BEN,
          "rejected t2 LIMIT_EXCEEDED: its changes take more than 100000 bytes\n"
          "rejected t3 LIMIT_EXCEEDED: its changes take more than 100000 bytes\n");
    check(stage, ANN, "committed t1 2\ncommitted t4 5\n");
    check_rows(stage, "a b first");
    check_log(stage, 5);
}

static void test_what_no_record_can_carry_is_a_barrier(void **state)
{
    struct stage *stage = *state;
    stage->is_helper_held = true;
    call(stage, BEN, "t1", "big", 9 << 20);
    stage_turn(stage);
    assert_int_equal(stage->actor->chore, CHORE_CHECKPOINT);
    assert_int_equal(stage_n_records, 0);
    check(stage, BEN, "");
    stage_help(stage);
    assert_int_equal(stage_n_records, 1);
    turns(stage);
    check(stage, BEN, "committed t1 2\n");
}

/* ---- no space ---- */

static ssize_t write_in_vain(void)
{
    errno = ENOSPC;
    return -1;
}

static void disk_fills(bool is_full)
{
    static const char *const CALLS[] = {"write", "pwrite", "pwrite64"};
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    for (size_t i = 0; i < 3; i++)
        vfs->xSetSystemCall(vfs, CALLS[i], is_full ? (sqlite3_syscall_ptr)write_in_vain : NULL);
}

/* From now on the file may grow by so many pages. */
static void limit_growth(struct stage *stage, int pages)
{
    char sql[100];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %d", (int)read_number(stage, "PRAGMA page_count") + pages);
    slip_in(stage, sql);
}

static void test_writes_are_refused_while_the_disk_is_full(void **state)
{
    struct stage *stage = *state;
    stage_attach(stage, EVE, "{'sub':'eve'}");
    turns(stage);
    limit_growth(stage, 2);
    stage_mut(stage, ANN, "t1", "+a=x"); /* there would be room for this one, but they are one transaction */
    call(stage, BEN, "t2", "big", 100000);
    stage_sub(stage, EVE, "notes", STAGE_NO_SINCE);
    turns(stage);
    check(stage, ANN, "close 1013 there is no space for it now\n");
    check(stage, BEN, "close 1013 there is no space for it now\n");
    check(stage, EVE, "attached\nsnap notes first=x\nsnap-end notes 1\n"); /* who reads has not noticed */
    assert_int_equal(stage_n_records, 0);
    check_log(stage, 1);
    int64_t since_ms = 0;
    assert_string_equal(actor_lacks_room(stage->actor, &since_ms), "the disk is full: writes are refused");
    assert_true(since_ms > 0);
    slip_in(stage, "PRAGMA max_page_count = 1000000");
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_mut(stage, ANN, "t1", "+a=x");
    turns(stage);
    assert_null(actor_lacks_room(stage->actor, &since_ms));
}

static void test_writes_are_refused_while_the_journal_has_no_room(void **state)
{
    struct stage *stage = *state;
    stage_has_room = false;
    stage_attach_v1(stage, EVE, "{'sub':'eve'}");
    turns(stage);
    stage_heard(stage, EVE);
    stage_mut(stage, EVE, "t1", "+a=x");
    stage_sub(stage, EVE, "notes", STAGE_NO_SINCE);
    turns(stage);
    check(stage, EVE,
          "rejected t1 after 1000 STORAGE_FULL: there is no space for it now\n"
          "snap notes first=x\nsnap-end notes 1\n");
    stage_has_room = true;
    stage_mut(stage, EVE, "t1", "+a=x");
    turns(stage);
    check(stage, EVE, "d notes insert a=x 2\nuptodate 2\ncommitted t1 2\n");
}

/* SQLite may say so only when all is to be written. */
static void test_a_commit_without_space_is_refused(void **state)
{
    struct stage *stage = *state;
    disk_fills(true);
    stage_mut(stage, ANN, "t1", "+a=x");
    turns(stage);
    check(stage, ANN, "close 1013 there is no space for it now\n");
    assert_non_null(stage->actor->feed.file);
    check_log(stage, 1);
    disk_fills(false);
    stage_attach(stage, ANN, "{'sub':'ann'}");
    turns(stage);
    stage_mut(stage, ANN, "t1", "+a=x");
    turns(stage);
    check(stage, ANN, "attached\ncommitted t1 2\n");
}

/* Writes go on into what room the WAL has: an operator is told all the same. */
static void test_a_file_that_cannot_be_saved_for_want_of_space_is_named(void **state)
{
    struct stage *stage = *state;
    int64_t since_ms = 0;
    stage_mut(stage, ANN, "t1", "+a=x");
    turns(stage);
    assert_null(actor_lacks_room(stage->actor, &since_ms));
    disk_fills(true);
    assert_false(actor_save(stage->actor));
    disk_fills(false);
    assert_string_equal(actor_lacks_room(stage->actor, &since_ms), "the disk is full: its file cannot be saved");
    assert_true(since_ms > 0);
    assert_true(actor_save(stage->actor));
    assert_null(actor_lacks_room(stage->actor, &since_ms));
}

static void test_a_file_that_cannot_be_made_for_want_of_space_is_made_later(void **state)
{
    struct stage *stage = mem_zero(1, sizeof *stage);
    (void)state;
    stage_open(stage, DEFINITION, TABLES);
    stage_attach(stage, ANN, "{'sub':'ann'}");
    stage_attach(stage, BEN, "{'sub':'ben'}");
    turns(stage);
    stage_heard(stage, ANN);
    disk_fills(true);
    stage_mut(stage, ANN, "t1", "+a=x");
    turns(stage);
    check(stage, ANN, "close 1013 there is no space for it now\n");
    check(stage, BEN, "attached\n");
    disk_fills(false);
    stage_mut(stage, BEN, "t1", "+a=x");
    turns(stage);
    check(stage, BEN, "committed t1 1\n");
    stage_close(stage);
    free(stage);
}

#define STAGE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_a_trigger_that_rolls_back_harms_only_its_own),
        STAGE_TEST(test_a_conflict_clause_that_rolls_back_harms_only_its_own),
        STAGE_TEST(test_an_abort_within_a_trigger_harms_only_its_own),
        STAGE_TEST(test_a_deferred_foreign_key_harms_only_its_own),
        STAGE_TEST(test_many_that_roll_back_are_settled_one_by_one),
        STAGE_TEST(test_who_repeats_an_id_in_the_turn_gets_one_outcome),
        STAGE_TEST(test_a_long_command_runs_alone),
        STAGE_TEST(test_a_command_that_never_ends_is_rejected),
        STAGE_TEST(test_a_write_that_never_ends_is_rejected),
        STAGE_TEST(test_a_rule_that_never_ends_is_rejected),
        STAGE_TEST(test_a_trigger_that_never_ends_is_rejected),
        STAGE_TEST(test_an_open_that_takes_long_lets_in),
        STAGE_TEST(test_an_open_that_never_ends_keeps_out_nobody_else),
        STAGE_TEST(test_what_is_cut_off_keeps_its_order),
        STAGE_TEST(test_who_leaves_meanwhile_is_let_go_when_it_is_back),
        STAGE_TEST(test_a_router_that_goes_meanwhile_is_let_go_when_it_is_back),
        STAGE_TEST(test_it_is_not_checkpointed_meanwhile),
        STAGE_TEST(test_a_journal_that_breaks_meanwhile_closes_it_when_it_is_back),
        STAGE_TEST(test_a_shard_that_ends_meanwhile_gives_it_up),
        STAGE_TEST(test_a_transaction_may_change_many_rows),
        STAGE_TEST(test_changes_beyond_the_memory_for_them_are_rejected),
        STAGE_TEST(test_what_no_record_can_carry_is_a_barrier),
        STAGE_TEST(test_writes_are_refused_while_the_disk_is_full),
        STAGE_TEST(test_writes_are_refused_while_the_journal_has_no_room),
        STAGE_TEST(test_a_commit_without_space_is_refused),
        STAGE_TEST(test_a_file_that_cannot_be_saved_for_want_of_space_is_named),
        cmocka_unit_test(test_a_file_that_cannot_be_made_for_want_of_space_is_made_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
