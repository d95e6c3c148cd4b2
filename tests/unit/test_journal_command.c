/*
 * `skerry journal` as an operator runs it: what it says of a journal, and what a repair leaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/json.h"
#include "shards/log/kept.h"
#include "shards/log/repair.h"
#include "shards/log/replay.h"
#include "src/control/commands.h"
#include "tests/lib/output.h"
#include "tests/lib/world.h"

static const int64_t NOW_MS = 1900000000000;

/* ---- the command, run with its output caught ---- */

struct result {
    int status;
    struct output output;
};

static struct result run(const struct world *world, const char *action, const char *option)
{
    char *argv[] = {"journal", (char *)(uintptr_t)action, "--data", (char *)(uintptr_t)world->data.text,
                    (char *)(uintptr_t)option};
    struct result result;
    output_catch(&result.output);
    result.status = journal_command(option == NULL ? 4 : 5, argv);
    output_restore(&result.output);
    return result;
}

static void check_says(struct result result, int status, const char *said)
{
    assert_int_equal(result.status, status);
    if (strstr(result.output.out, said) == NULL && strstr(result.output.err, said) == NULL)
        fail_msg("%s%s", result.output.out, result.output.err);
}

/* ---- journals ---- */

/* Eight transactions, each a batch of its own. */
static void make_tape(struct world *world, struct tape *tape)
{
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    tape_begin(tape, 7, 1000);
    tape_add_all(tape, world, 0, world->n);
}

/* Where transaction `n` stands. */
static size_t offset_of(const struct world *world, size_t n)
{
    size_t at = SEGMENT_HEADER;
    for (size_t i = 0; i < n; i++)
        at += record_len(world->transactions[i].payload.len);
    return at;
}

/* The journal with a byte of transaction `n` changed. */
static void make_damaged(struct world *world, size_t n)
{
    struct tape tape;
    make_tape(world, &tape);
    tape.bytes.data[offset_of(world, n) + RECORD_HEADER] ^= 1;
    tape_end(&tape, world, "0/000001.journal");
}

static void test_a_whole_journal(void **state)
{
    struct world *world = *state;
    struct tape tape;
    make_tape(world, &tape);
    tape_end(&tape, world, "0/000001.journal");
    check_says(run(world, "verify", NULL), 0, "8 records in 1 segments");
    check_says(run(world, "verify", NULL), 0, ": whole\n");
    check_says(run(world, "repair", NULL), 0, "nothing was changed");
    assert_true(world_has_segment(world, "0/000001.journal"));
}

static void test_a_torn_tail_is_no_damage(void **state)
{
    struct world *world = *state;
    struct tape tape;
    make_tape(world, &tape);
    tape.bytes.data[tape.bytes.len - 20] ^= 1;
    tape_end(&tape, world, "0/000001.journal");
    check_says(run(world, "verify", NULL), 0, "7 records");
    check_says(run(world, "verify", NULL), 0, "whole; behind its end");
    check_says(run(world, "verify", "--json"), 0, "\"state\":\"torn\"");
}

static void test_damage_is_told(void **state)
{
    struct world *world = *state;
    make_damaged(world, 3);
    check_says(run(world, "verify", NULL), 1, "3 records");
    check_says(run(world, "verify", NULL), 1, "DAMAGED");
    check_says(run(world, "verify", "--json"), 1, "\"state\":\"damaged\"");
}

/* What it lists: the segment, each record that counts, and those that can still be read but do not. */
static void test_all_is_shown(void **state)
{
    struct world *world = *state;
    make_damaged(world, 3);
    check_says(run(world, "show", NULL), 1, "000001.journal");
    check_says(run(world, "show", NULL), 1, "  1000  changes  test/room/tea  incarnation ");
    check_says(run(world, "show", NULL), 1, "does not count: ");
}

static void test_each_line_of_json_is_an_object(void **state)
{
    struct world *world = *state;
    make_damaged(world, 3);
    struct result result = run(world, "show", "--json");
    size_t n_counting = 0, n_rest = 0;
    for (char *line = strtok(result.output.out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        struct json_error error;
        cJSON *object = json_parse(slice_str(line), &error);
        assert_true(cJSON_IsObject(object));
        const cJSON *counts = cJSON_GetObjectItemCaseSensitive(object, "counts");
        n_counting += cJSON_IsTrue(counts) != 0;
        n_rest += cJSON_IsFalse(counts) != 0;
        cJSON_Delete(object);
    }
    assert_int_equal(n_counting, 3);
    assert_int_equal(n_rest, 4); /* all but the damaged one */
}

/* A wrong folder is left as it is. */
static void test_a_folder_without_journals(void **state)
{
    static const char *const ACTIONS[] = {"show", "verify", "repair"};
    struct world *world = *state;
    world_stop(world);
    world->data = folder_at(&world->room.folder, "other");
    assert_int_equal(mkdir(world->data.text, 0700), 0);
    for (size_t i = 0; i < 3; i++)
        check_says(run(world, ACTIONS[i], NULL), 1, "is it the right --data?");
    assert_int_equal(rmdir(world->data.text), 0); /* so it is empty */
    assert_int_equal(mkdir(world->data.text, 0700), 0);
    assert_int_equal(mkdir(folder_at(&world->room.folder, "other/journal").text, 0700), 0);
    check_says(run(world, "show", NULL), 0, "no journals: nothing to replay\n");
    check_says(run(world, "verify", NULL), 0, "no journals: nothing to replay\n");
    check_says(run(world, "repair", NULL), 0, "nothing was changed");
}

static void test_wrong_arguments(void **state)
{
    struct world *world = *state;
    check_says(run(world, "mend", NULL), 2, "skerry journal: mend: must be show, verify or repair");
    world->data = folder_at(&world->room.folder, "no");
    check_says(run(world, "verify", NULL), 1, "there is no such folder");
    check_says(run(world, "verify", "--what"), 2, "skerry journal: --what: no such option");
}

/* ---- repair ---- */

/* Opens the scope as a server does: its head, with every floor there. */
static uint64_t head_of(struct world *world, size_t i)
{
    struct place *place = &world->places[i];
    struct buf why = {0};
    assert_int_equal(scope_file_open(place->path, &place->name, world->room.kind, false, NOW_MS, &place->file, &why),
                     ERR_OK);
    uint64_t head = place->file->log.head;
    assert_int_equal(place->file->log.floors[0], head);
    scope_file_close(place->file);
    place->file = NULL;
    return head;
}

static bool has_note(struct world *world, size_t i, const char *id)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *read = NULL;
    assert_int_equal(sqlite3_open(world->places[i].path, &db), SQLITE_OK);
    sqlite3_prepare_v2(db, "SELECT 1 FROM notes WHERE id = ?", -1, &read, NULL);
    sqlite3_bind_text(read, 1, id, -1, SQLITE_STATIC);
    bool found = sqlite3_step(read) == SQLITE_ROW;
    sqlite3_finalize(read);
    sqlite3_close(db);
    return found;
}

static void repair(struct world *world, struct repair_result *result)
{
    struct problems problems = {0};
    if (!repair_journals(world->data.text, NOW_MS, result, &problems))
        fail_msg("%s", problems.text.data);
}

/* The first of scope 0 and that of scope 1 can be read; what follows is lost, and any client may have seen it. */
static void test_a_repair_keeps_what_can_be_read(void **state)
{
    struct world *world = *state;
    struct repair_result result;
    uint64_t before = changelog_start(NOW_MS);
    make_damaged(world, 2);
    world_refuse(world, "skerry journal repair");
    repair(world, &result);
    assert_int_equal(result.n_journals, 1);
    assert_int_equal(result.n_scopes, WORLD_SCOPES);
    assert_non_null(strstr(result.notes.text.data, "journal/0.damaged-1900000000"));
    problems_release(&result.notes);
    assert_true(has_note(world, 0, "a"));
    assert_true(has_note(world, 1, "a"));
    assert_false(has_note(world, 2, "c"));
    for (size_t i = 0; i < WORLD_SCOPES; i++)
        assert_in_range(head_of(world, i), before, UINT64_MAX);
    assert_true(world_has_segment(world, "0.damaged-1900000000/000001.journal"));
    world_replay(world);
    check_says(run(world, "repair", NULL), 0, "nothing was changed");
}

/* The clock cannot be trusted: what can still be read behind the damage says how far clients may be. */
static void test_a_repair_goes_above_all_that_was_seen(void **state)
{
    struct world *world = *state;
    struct repair_result result;
    struct tape tape;
    struct buf payload = {0};
    uint64_t seen = changelog_start(NOW_MS) * 2;
    make_tape(world, &tape);
    struct scoperecord last = {.type = SCOPERECORD_CHANGES, .scope = SLICE("test/room/garden"), .last_seq = seen};
    scoperecord_write(&payload, &last);
    tape_add(&tape, buf_slice(&payload), tape_position(&tape));
    buf_release(&payload);
    tape.bytes.data[offset_of(world, 2) + RECORD_HEADER] ^= 1;
    tape_end(&tape, world, "0/000001.journal");
    repair(world, &result);
    problems_release(&result.notes);
    for (size_t i = 0; i < WORLD_SCOPES; i++)
        assert_in_range(head_of(world, i), seen + 1, UINT64_MAX);
}

/* Another shard's journal is whole: nothing of it is lost, though its scopes start over, too. */
static void test_whole_journals_are_replayed_first(void **state)
{
    struct world *world = *state;
    struct repair_result result;
    struct tape tapes[2];
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    for (size_t i = 0; i < 2; i++)
        tape_begin(&tapes[i], 1, 0);
    for (size_t i = 0; i < world->n; i++) {
        struct tape *tape = &tapes[world->transactions[i].place == 1];
        tape_add(tape, buf_slice(&world->transactions[i].payload), tape_position(tape));
    }
    tapes[0].bytes.data[SEGMENT_HEADER + RECORD_HEADER] ^= 1;
    tape_end(&tapes[0], world, "0/000001.journal");
    tape_end(&tapes[1], world, "1/000001.journal");
    repair(world, &result);
    assert_int_equal(result.n_journals, 1);
    problems_release(&result.notes);
    assert_true(has_note(world, 1, "moved"));
    assert_false(has_note(world, 0, "b"));
}

/* A start names each, and what to do. */
static void test_all_damaged_journals_are_named(void **state)
{
    struct world *world = *state;
    struct tape tape;
    struct problems problems = {0};
    char advice[600];
    make_damaged(world, 2);
    tape_begin(&tape, 7, 1000);
    tape_add_all(&tape, world, 0, world->n);
    tape.bytes.data[offset_of(world, 3) + RECORD_HEADER] ^= 1;
    tape_end(&tape, world, "1/000001.journal");
    assert_false(replay_all(world->data.text, &problems));
    assert_int_equal(problems.n, 2);
    snprintf(advice, sizeof advice, "skerry journal repair --data %s`", world->data.text);
    assert_non_null(strstr(problems.text.data, "journal/0: damaged at"));
    assert_non_null(strstr(problems.text.data, "journal/1: damaged at"));
    assert_non_null(strstr(problems.text.data, advice));
    problems_release(&problems);
}

/* It ended after some scopes had their timelines: the journal is still there, and nothing of it is applied to them. */
static void test_a_repair_that_was_interrupted(void **state)
{
    struct world *world = *state;
    struct repair_result result;
    make_damaged(world, 2);
    folder_write(&world->room.folder, "data/journal/0.damaged-1900000000", SLICE("in the way"));
    struct problems problems = {0};
    assert_false(repair_journals(world->data.text, NOW_MS, &result, &problems));
    assert_non_null(strstr(problems.text.data, "cannot be moved aside"));
    problems_release(&problems);
    problems_release(&result.notes);
    world_refuse(world, "skerry journal repair");
    folder_delete(&world->room.folder, "data/journal/0.damaged-1900000000");
    repair(world, &result);
    assert_int_equal(result.n_scopes, WORLD_SCOPES);
    problems_release(&result.notes);
    assert_true(has_note(world, 0, "a"));
    world_replay(world);
}

/* Records that wait for a file to be mended come first: those of a new timeline's file could never be applied. */
static void test_records_that_were_kept_are_not_given_up(void **state)
{
    struct world *world = *state;
    struct repair_result result;
    struct scoperecord record;
    make_damaged(world, 2);
    assert_true(scoperecord_read(buf_slice(&world->transactions[0].payload), &record));
    assert_int_equal(kept_write(world->data.text, &world->places[0].name, &(struct scoperecords){&record, 1}), ERR_OK);
    repair(world, &result);
    problems_release(&result.notes);
    assert_int_equal(kept_find(world->data.text, &world->places[0].name), ERR_NOT_FOUND);
    assert_true(has_note(world, 0, "a"));
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_a_whole_journal),
        WORLD_TEST(test_a_torn_tail_is_no_damage),
        WORLD_TEST(test_damage_is_told),
        WORLD_TEST(test_all_is_shown),
        WORLD_TEST(test_each_line_of_json_is_an_object),
        WORLD_TEST(test_a_folder_without_journals),
        WORLD_TEST(test_wrong_arguments),
        WORLD_TEST(test_a_repair_keeps_what_can_be_read),
        WORLD_TEST(test_a_repair_goes_above_all_that_was_seen),
        WORLD_TEST(test_whole_journals_are_replayed_first),
        WORLD_TEST(test_all_damaged_journals_are_named),
        WORLD_TEST(test_a_repair_that_was_interrupted),
        WORLD_TEST(test_records_that_were_kept_are_not_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
