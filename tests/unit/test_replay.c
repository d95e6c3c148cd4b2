/*
 * Starting again after any kind of end: the scopes' files, as far as they had come, and the journal, as far as it goes,
 * give back every transaction that was durable, once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "tests/lib/world.h"

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)

/* ---- files that are behind, and ahead ---- */

static void test_an_empty_folder(void **state)
{
    struct world *world = *state;
    world_replay(world);
    assert_int_equal(dir_make(folder_at(&world->room.folder, "data/journal/0").text), ERR_OK);
    world_put_segment(world, "notes/000001.journal", SLICE("not a journal's folder"));
    world_put_segment(world, "0/read.me", SLICE("not a segment"));
    world_put_segment(world, "0/000001.journal", SLICE("never used"));
    world_replay(world);
    assert_true(world_has_segment(world, "notes/000001.journal"));
    assert_true(world_has_segment(world, "0/read.me"));
    assert_false(world_has_segment(world, "0/000001.journal"));
}

static void test_files_that_are_behind_by_any_number(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    for (size_t behind = 0; behind <= world->places[0].n; behind++) {
        world_put(world, behind);
        world_put_journal(world, world->n);
        world_replay(world);
        world_check(world, world->n);
        assert_false(world_has_segment(world, "0/000001.journal"));
    }
}

/* A commit whose append was lost. It stays: nobody was told of it, and it is durable now. */
static void test_a_file_that_is_ahead(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    for (size_t n = 0; n <= world->n; n++) {
        world_put(world, WORLD_TRANSACTIONS_MAX);
        world_put_journal(world, n);
        world_replay(world);
        world_check(world, world->n);
        for (size_t i = 0; i < WORLD_SCOPES; i++)
            assert_false(place_has(&world->places[i], "-wal"));
    }
}

static void keep(struct buf *image, const struct place *place, const char *ending)
{
    char path[300];
    snprintf(path, sizeof path, "%s%s", place->path, ending);
    assert_int_equal(file_read(path, 1 << 24, image), ERR_OK);
}

static void put_back(struct buf *image, const struct place *place, const char *ending)
{
    char path[300];
    snprintf(path, sizeof path, "%s%s", place->path, ending);
    assert_int_equal(file_write(path, buf_slice(image)), ERR_OK);
    buf_release(image);
}

/* A crash that was no power cut: everything is in the write-ahead logs, but none of it is durable yet. */
static void test_files_with_a_write_ahead_log(void **state)
{
    struct world *world = *state;
    struct buf images[WORLD_SCOPES] = {0}, wals[WORLD_SCOPES] = {0};
    world_write_some(world);
    for (size_t i = 0; i < WORLD_SCOPES; i++) {
        keep(&images[i], &world->places[i], "");
        keep(&wals[i], &world->places[i], "-wal");
    }
    world_stop(world);
    for (size_t i = 0; i < WORLD_SCOPES; i++) {
        put_back(&images[i], &world->places[i], "");
        put_back(&wals[i], &world->places[i], "-wal");
    }
    world_put_journal(world, 3);
    world_replay(world);
    for (size_t i = 0; i < 2; i++) /* the third is not in the journal, and is looked after when it is opened */
        assert_false(place_has(&world->places[i], "-wal"));
    world_check(world, world->n);
}

static void test_replaying_twice_changes_nothing(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    for (int i = 0; i < 3; i++) {
        world_put_journal(world, world->n);
        world_replay(world);
        world_check(world, world->n);
    }
}

static void test_a_crash_between_two_scopes(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    for (unsigned done = 0; done < 1u << WORLD_SCOPES; done++) {
        for (size_t i = 0; i < WORLD_SCOPES; i++)
            place_put(&world->places[i], (done >> i & 1) != 0 ? world->places[i].n : 0);
        world_put_journal(world, world->n);
        world_replay(world);
        world_check(world, world->n);
    }
}

/* Triggers and foreign keys would do again what the record holds anyway. */
static void test_triggers_do_not_run_again(void **state)
{
    struct world *world = *state;
    world_write(world, 0, "INSERT INTO notes VALUES('a', 'x', 1), ('b', 'y', 2)");
    world_write(world, 0, "INSERT INTO tags VALUES('t', 'a')");
    world_write(world, 0, "DELETE FROM notes");
    world_stop(world);
    world_put(world, 0);
    world_put_journal(world, world->n);
    world_replay(world);
    world_check(world, world->n);
}

static void test_journals_of_several_shards(void **state)
{
    struct world *world = *state;
    struct tape tapes[2];
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    for (size_t i = 0; i < 2; i++)
        tape_begin(&tapes[i], 1, 0);
    for (size_t i = 0; i < world->n; i++) {
        struct tape *tape = &tapes[world->transactions[i].place % 2];
        tape_add(tape, buf_slice(&world->transactions[i].payload), tape_position(tape));
    }
    tape_end(&tapes[0], world, "0/000001.journal");
    tape_end(&tapes[1], world, "13/000004.journal"); /* of a time with more shards */
    world_replay(world);
    world_check(world, world->n);
    assert_false(world_has_segment(world, "13/000004.journal"));
}

/* ---- a journal that ends anywhere ---- */

/* How many of the transactions from `first` on stand whole in `bytes`, as they do in `whole`. */
static size_t count_whole(const struct world *world, const struct buf *whole, const struct buf *bytes, size_t first,
                          size_t at)
{
    size_t n = first;
    for (; n < world->n; n++) {
        size_t len = world->transactions[n].payload.len;
        if (memcmp(bytes->data + at, whole->data + at, RECORD_HEADER + len) != 0)
            break;
        at += record_len(len);
    }
    return n;
}

/* A power cut within the last batch, which holds the transactions from `first` on: of what was written only the part in
 * front of `cut` has come to the disk, and behind it is what was there before. */
static void check_cut(struct world *world, const struct buf *whole, size_t batch, size_t first, size_t cut,
                      const struct buf *before)
{
    struct buf torn = {0};
    buf_append(&torn, whole->data, cut);
    buf_append(&torn, before->data + cut, before->len - cut);
    place_put(&world->places[0], 0);
    world_put_segment(world, "0/000001.journal", buf_slice(&torn));
    world_replay(world);
    place_check(&world->places[0], count_whole(world, whole, &torn, first, batch));
    buf_release(&torn);
}

static void check_torn_batch(struct world *world, size_t first, const struct buf *before)
{
    struct tape tape;
    tape_begin(&tape, 7, 1000);
    tape_add_all(&tape, world, 0, first);
    size_t batch = tape.bytes.len;
    uint64_t durable = tape_position(&tape);
    for (size_t i = first; i < world->n; i++)
        tape_add(&tape, buf_slice(&world->transactions[i].payload), durable);
    assert_in_range(before->len, tape.bytes.len, SIZE_MAX);
    for (size_t cut = batch; cut <= tape.bytes.len; cut++)
        check_cut(world, &tape.bytes, batch, first, cut, before);
    buf_release(&tape.bytes);
}

static void test_a_tail_torn_at_any_byte(void **state)
{
    struct world *world = *state;
    struct buf zeros = {0};
    world_write_short(world);
    memset(buf_reserve(&zeros, 4096), 0, 4096);
    zeros.len = 4096;
    check_torn_batch(world, 1, &zeros);
    buf_release(&zeros);
}

/* The segment was used before, and what it held then is behind the cut: whole records at the same places. */
static void test_a_tail_torn_over_old_records(void **state)
{
    struct world *world = *state;
    struct tape old;
    world_write_short(world);
    tape_begin(&old, 3, 1000);
    for (int i = 0; i < 4; i++)
        tape_add_all(&old, world, 0, world->n);
    check_torn_batch(world, 1, &old.bytes);
    buf_release(&old.bytes);
}

/* Of the last batch the middle is missing: its end was never durable either. */
static void test_a_hole_in_the_last_batch(void **state)
{
    struct world *world = *state;
    struct tape tape;
    world_write_some(world);
    world_stop(world);
    tape_begin(&tape, 1, 0);
    for (size_t i = 0; i < world->n; i++)
        tape_add(&tape, buf_slice(&world->transactions[i].payload), 0);
    memset(tape.bytes.data + SEGMENT_HEADER + record_len(world->transactions[0].payload.len), 0, RECORD_HEADER);
    world_put(world, 0);
    tape_end(&tape, world, "0/000001.journal");
    world_replay(world);
    world_check(world, 1);
}

/* ---- several segments ---- */

/* A segment for each of the transactions, the oldest with generation `first`. */
static void put_segments(struct world *world, uint64_t first)
{
    uint64_t position = 500;
    for (size_t i = 0; i < world->n; i++) {
        struct tape tape;
        char name[32];
        tape_begin(&tape, first + i, position);
        tape_add(&tape, buf_slice(&world->transactions[i].payload), position);
        position = tape_position(&tape);
        snprintf(name, sizeof name, "0/%06zu.journal", (i * 5) % world->n + 1); /* files are used in any order */
        tape_end(&tape, world, name);
    }
}

static void remove_segment(const struct world *world, size_t transaction)
{
    char name[64];
    snprintf(name, sizeof name, "data/journal/0/%06zu.journal", (transaction * 5) % world->n + 1);
    folder_delete(&world->room.folder, name);
}

static void test_segments_are_read_in_their_order(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    put_segments(world, 255);
    world_put_segment(world, "0/000009.journal", SLICE("")); /* a crash while it was made */
    world_replay(world);
    world_check(world, world->n);
}

static void test_a_crash_while_segments_are_removed(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    for (size_t gone = 0; gone <= world->n; gone++) {
        put_segments(world, 1);
        for (size_t i = 0; i < gone; i++)
            remove_segment(world, i);
        world_replay(world);
        world_check(world, world->n);
    }
}

static void test_a_segment_that_is_missing_is_told(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    for (size_t i = 1; i + 1 < world->n; i++) {
        world_put(world, 0);
        put_segments(world, 1);
        remove_segment(world, i);
        world_refuse(world, "0: damaged at position ");
        world_check(world, 0);
    }
}

/* ---- segments that were abandoned, because the disk failed ---- */

/* What stands behind the beginning of the next segment is whole, and was lost all the same: it was not told to anyone,
 * and since then other transactions took its place. */
static void test_what_was_abandoned_does_not_count(void **state)
{
    struct world *world = *state;
    world_write_short(world);
    for (size_t durable = 0; durable < world->n; durable++) {
        struct tape first, second;
        tape_begin(&first, 7, 1000);
        tape_add_all(&first, world, 0, durable);
        uint64_t position = tape_position(&first);
        for (size_t i = durable; i < world->n; i++)
            tape_add(&first, buf_slice(&world->transactions[i].payload), position);
        tape_end(&first, world, "0/000001.journal");
        tape_begin(&second, 9, position);
        tape_end(&second, world, "0/000002.journal");
        place_put(&world->places[0], 0);
        world_replay(world);
        place_check(&world->places[0], durable);
    }
}

/* The same with transactions of another scope in the new segment, and a second break there. */
static void test_a_journal_that_went_on_twice(void **state)
{
    struct world *world = *state;
    struct tape tapes[3];
    world_write(world, 0, "INSERT INTO notes VALUES('a', 'x', 1)");
    world_write(world, 1, "INSERT INTO notes VALUES('b', 'y', 2)");
    world_write(world, 2, "INSERT INTO notes VALUES('c', 'z', 3)");
    world_write(world, 0, "DELETE FROM notes");
    world_stop(world);
    world_put(world, 0);
    tape_begin(&tapes[0], 7, 0);
    tape_add_all(&tapes[0], world, 0, 1);
    uint64_t position = tape_position(&tapes[0]);
    tape_add(&tapes[0], buf_slice(&world->transactions[3].payload), position); /* lost */
    tape_begin(&tapes[1], 8, position);
    tape_add(&tapes[1], buf_slice(&world->transactions[1].payload), position);
    uint64_t next = tape_position(&tapes[1]);
    tape_add(&tapes[1], buf_slice(&world->transactions[3].payload), next); /* lost */
    tape_begin(&tapes[2], 11, next);
    tape_add(&tapes[2], buf_slice(&world->transactions[2].payload), next);
    tape_end(&tapes[0], world, "0/000001.journal");
    tape_end(&tapes[1], world, "0/000002.journal");
    tape_end(&tapes[2], world, "0/000003.journal");
    world_replay(world);
    world_check(world, 3);
}

/* A header says that all in front of it was durable. */
static void test_a_record_that_is_missing_in_front_of_a_header_is_told(void **state)
{
    struct world *world = *state;
    struct tape first, second;
    world_write_short(world);
    tape_begin(&first, 7, 1000);
    tape_add_all(&first, world, 0, world->n);
    tape_begin(&second, 8, tape_position(&first));
    first.bytes.data[first.bytes.len - 10] ^= 1;
    tape_end(&first, world, "0/000001.journal");
    tape_end(&second, world, "0/000002.journal");
    place_put(&world->places[0], 0);
    world_refuse(world, "0: damaged at position ");
}

static void test_segments_of_two_journals_in_one_folder_are_told(void **state)
{
    struct world *world = *state;
    struct tape tape;
    world_write_short(world);
    world_put_journal(world, world->n);
    tape_begin(&tape, 7, 0);
    tape_end(&tape, world, "0/000002.journal");
    world_refuse(world, "each needs a folder of its own");
}

/* ---- any of it ---- */

static unsigned below(uint64_t *random, size_t n)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((*random >> 33) % n);
}

static void write_random(struct world *world, uint64_t *random)
{
    static const char *const STATEMENTS[] = {
        "INSERT OR REPLACE INTO notes VALUES('%u', hex(zeroblob(%u)), %u)",
        "UPDATE notes SET text = '%u', n = n + %u WHERE n %% 7 < %u",
        "DELETE FROM notes WHERE id = '%u' OR n IN (%u, %u)",
        "INSERT OR IGNORE INTO tags SELECT id || '%u', id FROM notes LIMIT %u; DELETE FROM tags WHERE id = '%u'",
    };
    char sql[200];
    const char *format = STATEMENTS[below(random, 4)];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(sql, sizeof sql, format, below(random, 10), below(random, 10), below(random, 10));
#pragma GCC diagnostic pop
    world_write(world, below(random, WORLD_SCOPES), sql);
}

/* The journal is cut behind any record, and each file is as old as it may be: not older than the journal's beginning.
 * Each becomes as new as the newer of the two. */
static void test_random_ends(void **state)
{
    enum { WRITES = 100, ENDS = 100 };
    struct world *world = *state;
    uint64_t random = 1;
    for (int i = 0; i < WRITES; i++)
        write_random(world, &random);
    world_stop(world);
    for (int i = 0; i < ENDS; i++) {
        struct tape tape;
        size_t first = below(&random, world->n), end = first + below(&random, world->n - first + 1), put[WORLD_SCOPES];
        tape_begin(&tape, 1 + below(&random, 1000), below(&random, 1000) * 8);
        tape_add_all(&tape, world, first, end);
        tape_end(&tape, world, "0/000001.journal");
        for (size_t j = 0; j < WORLD_SCOPES; j++) {
            size_t oldest = world_count(world, j, first);
            put[j] = oldest + below(&random, world->places[j].n - oldest + 1);
            place_put(&world->places[j], put[j]);
        }
        world_replay(world);
        for (size_t j = 0; j < WORLD_SCOPES; j++) {
            size_t durable = world_count(world, j, end);
            place_check(&world->places[j], durable > put[j] ? durable : put[j]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_an_empty_folder),
        WORLD_TEST(test_files_that_are_behind_by_any_number),
        WORLD_TEST(test_a_file_that_is_ahead),
        WORLD_TEST(test_files_with_a_write_ahead_log),
        WORLD_TEST(test_replaying_twice_changes_nothing),
        WORLD_TEST(test_a_crash_between_two_scopes),
        WORLD_TEST(test_triggers_do_not_run_again),
        WORLD_TEST(test_journals_of_several_shards),
        WORLD_TEST(test_a_tail_torn_at_any_byte),
        WORLD_TEST(test_a_tail_torn_over_old_records),
        WORLD_TEST(test_a_hole_in_the_last_batch),
        WORLD_TEST(test_segments_are_read_in_their_order),
        WORLD_TEST(test_a_crash_while_segments_are_removed),
        WORLD_TEST(test_a_segment_that_is_missing_is_told),
        WORLD_TEST(test_what_was_abandoned_does_not_count),
        WORLD_TEST(test_a_journal_that_went_on_twice),
        WORLD_TEST(test_a_record_that_is_missing_in_front_of_a_header_is_told),
        WORLD_TEST(test_segments_of_two_journals_in_one_folder_are_told),
        WORLD_TEST(test_random_ends),
    };
    log_init("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
