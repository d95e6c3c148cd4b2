/*
 * A scope's file that failed: its records are kept apart from the journal, and a good file is made of what can be read,
 * whatever was in the middle of it when all ended.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "shards/log/kept.h"
#include "shards/log/marker.h"
#include "shards/log/mend.h"
#include "tests/lib/reads.h"
#include "tests/lib/world.h"

static int set_up(void **state)
{
    struct world *world = mem_zero(1, sizeof *world);
    world_open(world);
    world_write_some(world);
    world_stop(world);
    world_put(world, WORLD_TRANSACTIONS_MAX);
    *state = world;
    return 0;
}

/* Keeps the records of scope 0 from number `first` on, as a worker does: out of a journal. */
static void keep_from(struct world *world, size_t first)
{
    struct problems problems = {0};
    size_t n, skipped = 0, i = 0;
    struct tape tape;
    tape_begin(&tape, 1, 0);
    for (; skipped < first; i++)
        skipped += world->transactions[i].place == 0;
    tape_add_all(&tape, world, i, world->n);
    uint64_t to = tape_position(&tape);
    tape_end(&tape, world, "0/000001.journal");
    assert_true(kept_collect(world->data.text, 0, &world->places[0].name, 0, to, &n, &problems));
    assert_int_equal(n, world->places[0].n - first);
}

static void keep_all(struct world *world)
{
    keep_from(world, 0);
}

static bool is_kept(struct world *world)
{
    return kept_find(world->data.text, &world->places[0].name) == ERR_OK;
}

static void mend(struct world *world)
{
    struct buf why = {0};
    enum err err = mend_file(world->data.text, &world->places[0].name, false, &why);
    if (err != ERR_OK)
        fail_msg("%s: %s", err_text(err), why.data);
    assert_false(is_kept(world));
    buf_release(&why);
}

/* It must be given up, for this reason, with its records beside it. */
static void give_up(struct world *world, const char *reason)
{
    struct buf why = {0};
    assert_int_equal(mend_file(world->data.text, &world->places[0].name, true, &why), ERR_DAMAGED);
    assert_non_null(strstr(why.data, reason));
    assert_true(place_has(&world->places[0], ".damaged"));
    assert_true(place_has(&world->places[0], ".journal"));
    assert_false(is_kept(world));
    buf_release(&why);
}

static struct buf with(const struct place *place, const char *tail)
{
    struct buf path = {0};
    buf_printf(&path, "%s%s", place->path, tail);
    return path;
}

static void test_a_file_that_is_behind_by_any_number(void **state)
{
    struct world *world = *state;
    for (size_t number = 0; number <= world->places[0].n; number++) {
        place_put(&world->places[0], number);
        keep_all(world);
        mend(world);
        place_check(&world->places[0], world->places[0].n);
    }
}

static void test_a_file_that_nothing_is_kept_of(void **state)
{
    struct world *world = *state;
    place_put(&world->places[0], 2);
    mend(world);
    place_check(&world->places[0], 2);
}

static void test_mending_again_changes_nothing(void **state)
{
    struct world *world = *state;
    place_put(&world->places[0], 1);
    for (int i = 0; i < 3; i++) {
        keep_all(world);
        mend(world);
    }
    place_check(&world->places[0], world->places[0].n);
}

/* The old file is worth nothing any more, but the copy is whole. */
static void test_an_end_before_the_copy_has_the_files_place(void **state)
{
    struct world *world = *state;
    struct place *place = &world->places[0];
    struct buf fresh = with(place, ".fresh"), wal = with(place, "-wal");
    place_put(place, place->n);
    keep_all(world);
    assert_int_equal(rename(place->path, fresh.data), 0);
    assert_int_equal(file_write(place->path, SLICE("half of a checkpoint")), ERR_OK);
    assert_int_equal(file_write(wal.data, SLICE("of the old file")), ERR_OK);
    mend(world);
    assert_false(place_has(place, ".fresh"));
    assert_false(place_has(place, "-wal"));
    place_check(place, place->n);
    buf_release(&fresh);
    buf_release(&wal);
}

static void test_an_end_while_the_copy_is_made(void **state)
{
    struct world *world = *state;
    struct place *place = &world->places[0];
    struct buf part = with(place, ".part"), part_wal = with(place, ".part-wal");
    place_put(place, 1);
    keep_all(world);
    assert_int_equal(file_write(part.data, SLICE("half a copy")), ERR_OK);
    assert_int_equal(file_write(part_wal.data, SLICE("half a log")), ERR_OK);
    mend(world);
    assert_false(place_has(place, ".part"));
    place_check(place, place->n);
    buf_release(&part);
    buf_release(&part_wal);
}

static void test_a_start_mends_before_it_replays(void **state)
{
    struct world *world = *state;
    place_put(&world->places[0], 0);
    keep_all(world);
    struct tape tape; /* the journal that went on: the beginning of what is kept is not in it any more */
    tape_begin(&tape, 7, 4096);
    tape_add_all(&tape, world, world->n / 2, world->n);
    tape_end(&tape, world, "0/000001.journal");
    world_replay(world);
    assert_false(is_kept(world));
    assert_false(place_has(&world->places[0], ".damaged"));
    world_check(world, world->n);
}

static void test_a_gap_in_front_of_the_records(void **state)
{
    struct world *world = *state;
    place_put(&world->places[0], 0);
    keep_from(world, 2);
    give_up(world, "a transaction is missing");
}

static void test_a_file_that_is_missing(void **state)
{
    struct world *world = *state;
    place_put(&world->places[0], 0);
    unlink(world->places[0].path);
    keep_all(world);
    give_up(world, "missing");
}

static void test_a_file_that_is_no_database(void **state)
{
    struct world *world = *state;
    static const char JUNK[8192] = "junk";
    place_put(&world->places[0], 0);
    assert_int_equal(file_write(world->places[0].path, slice_of(JUNK, sizeof JUNK)), ERR_OK);
    keep_all(world);
    give_up(world, "not a database");
}

/* A marker is for people: only they take it away. */
static void test_a_file_that_is_marked_is_left_alone(void **state)
{
    struct world *world = *state;
    struct buf why = {0};
    place_put(&world->places[0], 1);
    assert_int_equal(marker_write(world->places[0].path, &world->places[0].name, "looked odd"), ERR_OK);
    assert_int_equal(mend_file(world->data.text, &world->places[0].name, true, &why), ERR_DAMAGED);
    place_remove(&world->places[0], ".damaged");
    place_check(&world->places[0], 1);
    buf_release(&why);
}

/* A disk that fails for a moment is no damage, wherever that hits. */
static void test_a_file_that_cannot_be_read_is_tried_again(void **state)
{
    struct world *world = *state;
    enum err err = ERR_IO;
    int n = 0;
    place_put(&world->places[0], 1);
    for (; err != ERR_OK; n++) {
        struct buf why = {0};
        keep_all(world);
        reads_fail(".db", n);
        err = mend_file(world->data.text, &world->places[0].name, false, &why);
        reads_mend();
        assert_true(err == ERR_OK || err == ERR_IO);
        buf_release(&why);
    }
    assert_true(n > 10);
    place_check(&world->places[0], world->places[0].n);
}

static void count(void *arg, const struct scope_name *name)
{
    (void)name;
    ++*(int *)arg;
}

/* Somebody may have used the file since. */
static void test_a_copy_while_nothing_is_kept_is_not_trusted(void **state)
{
    struct world *world = *state;
    struct place *place = &world->places[0];
    struct buf fresh = with(place, ".fresh");
    place_put(place, 1);
    assert_int_equal(rename(place->path, fresh.data), 0);
    place_put(place, 3);
    mend(world);
    place_check(place, 3);
    assert_false(place_has(place, ".fresh"));
    buf_release(&fresh);
}

/* A file that failed is not used again, however often the making of a good one is interrupted. */
static void test_a_start_goes_on_mending_a_file_of_which_nothing_is_kept(void **state)
{
    struct world *world = *state;
    struct buf why = {0}, part = with(&world->places[0], ".part");
    place_put(&world->places[0], 2);
    assert_int_equal(mkdir(part.data, 0700), 0); /* in the way */
    assert_int_equal(mend_file(world->data.text, &world->places[0].name, false, &why), ERR_IO);
    assert_true(is_kept(world));
    assert_int_equal(rmdir(part.data), 0);
    mend(world);
    place_check(&world->places[0], 2);
    buf_release(&part);
    buf_release(&why);
}

/* The first two of its records were kept, the file was used again, and then a power cut brought them back. */
static void test_what_the_journal_holds_is_kept_with_what_was_kept_before(void **state)
{
    struct world *world = *state;
    struct scoperecord records[2];
    struct buf part = with(&world->places[0], ".part");
    size_t n = 0;
    for (size_t i = 0; n < 2; i++)
        if (world->transactions[i].place == 0)
            assert_true(scoperecord_read(buf_slice(&world->transactions[i].payload), &records[n++]));
    world_put(world, 1);
    assert_int_equal(kept_write(world->data.text, &world->places[0].name, &(struct scoperecords){records, n}), ERR_OK);
    world_put_journal(world, world->n);
    assert_int_equal(mkdir(part.data, 0700), 0); /* in the way of mending */
    world_replay(world);
    assert_int_equal(rmdir(part.data), 0);
    mend(world);
    place_check(&world->places[0], world->places[0].n);
    buf_release(&part);
}

/* Of records that may be there, the file is not to be made without. */
static void test_whether_any_are_kept_must_be_known(void **state)
{
    struct world *world = *state;
    struct problems problems = {0};
    struct buf why = {0};
    int n = 0;
    char *dir = kept_dir(world->data.text, &world->places[0].name);
    place_put(&world->places[0], 1);
    assert_int_equal(file_write(dir, SLICE("no folder")), ERR_OK);
    assert_int_equal(kept_find(world->data.text, &world->places[0].name), ERR_IO);
    assert_int_equal(mend_file(world->data.text, &world->places[0].name, true, &why), ERR_IO);
    assert_non_null(strstr(why.data, "its records: Not a directory"));
    assert_false(kept_each(world->data.text, count, &n, &problems));
    assert_int_equal(problems.n, 1);
    unlink(dir);
    mend(world);
    problems_release(&problems);
    buf_release(&why);
    free(dir);
}

static void test_what_was_not_kept_whole_is_not_there(void **state)
{
    struct world *world = *state;
    struct problems problems = {0};
    int n = 0;
    keep_all(world);
    assert_true(kept_each(world->data.text, count, &n, &problems));
    assert_int_equal(n, 1);
    char *dir = kept_dir(world->data.text, &world->places[0].name);
    struct buf segment = {0}, part = {0};
    buf_printf(&segment, "%s/000001.journal", dir);
    buf_printf(&part, "%s/part", dir);
    assert_int_equal(rename(segment.data, part.data), 0);
    assert_false(is_kept(world));
    assert_true(kept_each(world->data.text, count, &n, &problems));
    assert_int_equal(n, 1);
    assert_int_equal(kept_end(world->data.text, &world->places[0].name, NULL), ERR_OK);
    assert_int_not_equal(access(dir, F_OK), 0);
    buf_release(&segment);
    buf_release(&part);
    free(dir);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_a_file_that_is_behind_by_any_number),
        WORLD_TEST(test_a_file_that_nothing_is_kept_of),
        WORLD_TEST(test_mending_again_changes_nothing),
        WORLD_TEST(test_an_end_before_the_copy_has_the_files_place),
        WORLD_TEST(test_an_end_while_the_copy_is_made),
        WORLD_TEST(test_a_start_mends_before_it_replays),
        WORLD_TEST(test_a_gap_in_front_of_the_records),
        WORLD_TEST(test_a_file_that_is_missing),
        WORLD_TEST(test_a_file_that_is_no_database),
        WORLD_TEST(test_a_file_that_is_marked_is_left_alone),
        WORLD_TEST(test_a_file_that_cannot_be_read_is_tried_again),
        WORLD_TEST(test_a_copy_while_nothing_is_kept_is_not_trusted),
        WORLD_TEST(test_a_start_goes_on_mending_a_file_of_which_nothing_is_kept),
        WORLD_TEST(test_what_the_journal_holds_is_kept_with_what_was_kept_before),
        WORLD_TEST(test_whether_any_are_kept_must_be_known),
        WORLD_TEST(test_what_was_not_kept_whole_is_not_there),
    };
    log_init("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
