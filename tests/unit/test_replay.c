/*
 * Starting again after any kind of end: the scopes' files, as far as they had come, and the journal, as far as it goes,
 * give back every transaction that was durable, once; and what cannot be given back is told, never skipped.
 */
#include <errno.h>
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
#include "shards/log/replay.h"
#include "tests/lib/rows.h"
#include "tests/lib/world.h"

/* One segment with the first `n` transactions. */
static void put_journal(struct world *world, size_t n)
{
    struct tape tape;
    tape_begin(&tape, 7, 1000);
    tape_add_all(&tape, world, 0, n);
    tape_end(&tape, world, "0/000001.journal");
}

/* ---- what comes of it ---- */

static void check_replay(struct world *world)
{
    struct problems problems = {0};
    if (!replay_all(world->data.text, &problems) || problems.n > 0)
        fail_msg("%.*s", (int)problems.text.len, problems.text.data);
}

/* The journal cannot be replayed, for this reason, and is still there. */
static void check_refused(struct world *world, const char *why)
{
    struct problems problems = {0};
    assert_false(replay_all(world->data.text, &problems));
    assert_int_equal(problems.n, 1);
    buf_append(&problems.text, "", 1);
    if (strstr(problems.text.data, why) == NULL)
        fail_msg("%s", problems.text.data);
    problems_release(&problems);
    assert_true(world_has_segment(world, "0/000001.journal"));
}

static void check_file(const struct place *place, size_t number)
{
    struct buf rows = {0};
    rows_print_file(&rows, place->path);
    assert_string_equal(rows.data, place->states[number].rows.data);
    buf_release(&rows);
    assert_false(place_has(place, SCOPE_FILE_DAMAGED));
    assert_false(place_has(place, SCOPE_FILE_KEPT));
}

/* Each file holds its transactions among the first `n`, and no others. */
static void check_files(const struct world *world, size_t n)
{
    for (size_t i = 0; i < WORLD_SCOPES; i++)
        check_file(&world->places[i], world_count(world, i, n));
}

/* The scope stays closed, for this reason, until someone has looked. */
static void check_closed(struct world *world, size_t i, const char *reason)
{
    struct place *place = &world->places[i];
    struct buf why = {0}, marker = {0};
    char path[300];
    snprintf(path, sizeof path, "%s" SCOPE_FILE_DAMAGED, place->path);
    assert_int_equal(
        scope_file_open(place->path, &place->name, world->room.kind, true, 1800000000000, &place->file, &why),
        ERR_DAMAGED);
    assert_non_null(strstr(why.data, path));
    assert_int_equal(file_read(path, 10000, &marker), ERR_OK);
    buf_append(&marker, "", 1);
    if (strstr(marker.data, reason) == NULL || strstr(marker.data, place->name.text) == NULL)
        fail_msg("%s", marker.data);
    buf_release(&why);
    buf_release(&marker);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static int set_up(void **state)
{
    struct world *world = mem_zero(1, sizeof *world);
    world_open(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

/* ---- files that are behind, and ahead ---- */

static void test_an_empty_folder(void **state)
{
    struct world *world = *state;
    check_replay(world);
    assert_int_equal(dir_make(folder_at(&world->room.folder, "data/journal/0").text), ERR_OK);
    world_put_segment(world, "notes/000001.journal", SLICE("not a journal's folder"));
    world_put_segment(world, "0/read.me", SLICE("not a segment"));
    world_put_segment(world, "0/000001.journal", SLICE("never used"));
    check_replay(world);
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
        put_journal(world, world->n);
        check_replay(world);
        check_files(world, world->n);
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
        put_journal(world, n);
        check_replay(world);
        check_files(world, world->n);
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
    put_journal(world, 3);
    check_replay(world);
    for (size_t i = 0; i < 2; i++) /* the third is not in the journal, and is looked after when it is opened */
        assert_false(place_has(&world->places[i], "-wal"));
    check_files(world, world->n);
}

static void test_replaying_twice_changes_nothing(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    for (int i = 0; i < 3; i++) {
        put_journal(world, world->n);
        check_replay(world);
        check_files(world, world->n);
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
        put_journal(world, world->n);
        check_replay(world);
        check_files(world, world->n);
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
    put_journal(world, world->n);
    check_replay(world);
    check_files(world, world->n);
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
    check_replay(world);
    check_files(world, world->n);
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
    check_replay(world);
    check_file(&world->places[0], count_whole(world, whole, &torn, first, batch));
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

static void write_short(struct world *world)
{
    world_write(world, 0, "INSERT INTO tags VALUES('a', NULL)");
    world_write(world, 0, "UPDATE tags SET id = 'b'");
    world_write(world, 0, "DELETE FROM tags");
    world_stop(world);
}

static void test_a_tail_torn_at_any_byte(void **state)
{
    struct world *world = *state;
    struct buf zeros = {0};
    write_short(world);
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
    write_short(world);
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
    check_replay(world);
    check_files(world, 1);
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
    check_replay(world);
    check_files(world, world->n);
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
        check_replay(world);
        check_files(world, world->n);
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
        check_refused(world, "0: damaged at position ");
        check_files(world, 0);
    }
}

/* ---- damage ---- */

/* Each byte of what was durable but the padding, which says nothing; the last batch's are a torn tail's. */
static void test_damage_at_any_byte_is_told(void **state)
{
    struct world *world = *state;
    struct tape tape;
    write_short(world);
    tape_begin(&tape, 7, 1000);
    tape_add_all(&tape, world, 0, world->n);
    size_t first = world->transactions[0].payload.len;
    for (size_t at = 0; at < SEGMENT_HEADER + RECORD_HEADER + first; at++) {
        tape.bytes.data[at] ^= 0x10;
        place_put(&world->places[0], 0);
        world_put_segment(world, "0/000001.journal", buf_slice(&tape.bytes));
        check_refused(world, at < SEGMENT_HEADER ? "0: damaged at position 0:" : "0: damaged at position 1000:");
        check_file(&world->places[0], 0);
        tape.bytes.data[at] ^= 0x10;
    }
    tape_end(&tape, world, "0/000001.journal");
    check_replay(world);
    check_file(&world->places[0], world->n);
}

static void test_a_damaged_header_of_the_last_segment_is_told(void **state)
{
    struct world *world = *state;
    struct tape tapes[2];
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    tape_begin(&tapes[0], 1, 0);
    tape_add_all(&tapes[0], world, 0, world->n - 1);
    tape_begin(&tapes[1], 2, tape_position(&tapes[0]));
    tape_add_all(&tapes[1], world, world->n - 1, world->n);
    tapes[1].bytes.data[20] ^= 1;
    tape_end(&tapes[0], world, "0/000001.journal");
    tape_end(&tapes[1], world, "0/000002.journal");
    check_refused(world, "0: damaged at position ");
    check_files(world, 0);
}

/* A client may write into a row what looks like a record that was durable far behind the end: of any generation and at
 * any place, and as luck may have it, of the right ones. */
static void write_forgery(struct world *world)
{
    world_write(world, 0, "INSERT INTO notes(id, text) VALUES('a', zeroblob(100))");
    struct buf *payload = &world->transactions[world->n - 1].payload;
    size_t at = 0;
    while (at + 100 <= payload->len && memcmp(payload->data + at, (char[100]){0}, 100) != 0)
        at++;
    assert_true(at + 100 <= payload->len);
    at += 8; /* the zeros begin with those of the length */
    at += 7 - (SEGMENT_HEADER + RECORD_HEADER + at + 7) % 8;
    record_seal(payload->data + at, 20, 7, 1000 + RECORD_HEADER + at, UINT64_MAX);
    world_stop(world);
}

static void test_a_row_cannot_pretend_damage(void **state)
{
    struct world *world = *state;
    struct buf rows = {0};
    write_forgery(world);
    place_put(&world->places[0], 0);
    put_journal(world, 1);
    check_replay(world);
    rows_print_file(&rows, world->places[0].path);
    assert_non_null(strstr(rows.data, "534b4a52")); /* it is a row */
    buf_release(&rows);
}

/* When the record around it is torn, it must still be of the right generation and place. */
static void test_a_row_cannot_pretend_damage_behind_the_end(void **state)
{
    struct world *world = *state;
    write_forgery(world);
    for (uint64_t generation = 6; generation <= 8; generation++)
        for (uint64_t position = 992; position <= 1008; position += 8) {
            struct tape tape;
            if (generation == 7 && position == 1000)
                continue;
            tape_begin(&tape, generation, position);
            tape_add_all(&tape, world, 0, 1);
            memset(tape.bytes.data + SEGMENT_HEADER, 0, RECORD_HEADER);
            place_put(&world->places[0], 0);
            tape_end(&tape, world, "0/000001.journal");
            check_replay(world);
            check_file(&world->places[0], 0);
        }
}

/* Behind the end anything may lie: a copy of a record that belongs elsewhere, or half of one that never came. */
static void test_what_is_behind_the_end_is_no_damage(void **state)
{
    struct world *world = *state;
    struct tape tape;
    char half[RECORD_HEADER + 8] = {0};
    write_short(world);
    tape_begin(&tape, 7, 1000);
    tape_add_all(&tape, world, 0, 2);
    uint64_t position = tape_position(&tape);
    buf_append(&tape.bytes, tape.bytes.data + SEGMENT_HEADER, record_len(world->transactions[0].payload.len));
    position += record_len(world->transactions[0].payload.len);
    record_seal(half, 8, 7, position, position + 1);
    half[RECORD_HEADER] ^= 1;
    buf_append(&tape.bytes, half, sizeof half);
    place_put(&world->places[0], 0);
    tape_end(&tape, world, "0/000001.journal");
    check_replay(world);
    check_file(&world->places[0], 2);
}

static void test_a_record_of_a_later_version_is_told(void **state)
{
    struct world *world = *state;
    struct tape tape;
    world_write_some(world);
    world_stop(world);
    world->transactions[3].payload.data[0] = 9;
    world_put(world, 0);
    tape_begin(&tape, 1, 0);
    tape_add_all(&tape, world, 0, world->n);
    tape_end(&tape, world, "0/000001.journal");
    check_refused(world, "is of a kind that this version does not know");
    check_files(world, 0);
}

/* ---- scopes that their records do not fit ---- */

static void replay_kept(struct world *world, size_t i)
{
    struct buf kept = {0};
    char path[300];
    snprintf(path, sizeof path, "%s" SCOPE_FILE_KEPT, world->places[i].path);
    assert_int_equal(file_read(path, 1 << 20, &kept), ERR_OK);
    world_put_segment(world, "99/kept.journal", buf_slice(&kept));
    buf_release(&kept);
    place_remove(&world->places[i], SCOPE_FILE_KEPT);
    place_remove(&world->places[i], SCOPE_FILE_DAMAGED);
    check_replay(world);
}

/* Only scope 0 is closed, for this reason, and its records are not lost: with a good file they are replayed. */
static void check_only_one_is_closed(struct world *world, const char *reason)
{
    put_journal(world, world->n);
    check_replay(world);
    check_closed(world, 0, reason);
    for (size_t i = 1; i < WORLD_SCOPES; i++)
        check_file(&world->places[i], world->places[i].n);
    assert_false(world_has_segment(world, "0/000001.journal"));
    place_put(&world->places[0], 1);
    replay_kept(world, 0);
    check_files(world, world->n);
}

static void test_a_file_that_is_missing(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    place_remove(&world->places[0], "");
    check_only_one_is_closed(world, "the file is missing");
}

static void test_a_folder_that_is_missing(void **state)
{
    struct world *world = *state;
    char dir[300];
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    place_remove(&world->places[0], "");
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(world->places[0].path, '/') - world->places[0].path),
             world->places[0].path);
    assert_int_equal(rmdir(dir), 0);
    check_only_one_is_closed(world, "the file is missing");
}

static void write_over(const struct place *place, const char *text)
{
    assert_int_equal(file_write(place->path, slice_str(text)), ERR_OK);
    place_remove(place, "-wal");
}

static void test_a_file_that_is_no_database(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    write_over(&world->places[0], "this is something else, and long enough to have the header of a database in it, were"
                                  " it one: a hundred bytes");
    check_only_one_is_closed(world, "the file cannot be opened");
}

/* Put in its place by someone: with the records' transactions in front of it missing. */
static void test_a_gap_between_file_and_journal(void **state)
{
    struct world *world = *state;
    struct tape tape;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    tape_begin(&tape, 1, 0);
    tape_add_all(&tape, world, 1, world->n);
    tape_end(&tape, world, "0/000001.journal");
    check_replay(world);
    check_closed(world, 0, "a transaction is missing between the file and the journal");
    check_file(&world->places[1], world->places[1].n);
    check_file(&world->places[2], world->places[2].n);
}

static void change_file(const struct place *place, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Nothing of a transaction is applied that does not fit. */
static void test_a_row_that_does_not_fit(void **state)
{
    static const char *const CHANGES[] = {"DELETE FROM notes; DELETE FROM tags", "INSERT INTO tags VALUES('u', NULL)",
                                          "DROP TABLE tags"};
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++) {
        struct buf before = {0}, after = {0};
        world_put(world, 1);
        change_file(&world->places[0], CHANGES[i]);
        rows_print_file(&before, world->places[0].path);
        put_journal(world, i == 0 ? world->n : 3);
        check_replay(world);
        check_closed(world, 0, "a transaction of the journal does not fit the file");
        rows_print_file(&after, world->places[0].path);
        if (i > 0) /* the others fail at the first transaction */
            assert_string_equal(after.data, before.data);
        buf_release(&before);
        buf_release(&after);
        place_put(&world->places[0], 1);
        replay_kept(world, 0);
        check_file(&world->places[0], i == 0 ? world->places[0].n : 2);
    }
}

static void test_a_file_older_than_a_barrier(void **state)
{
    struct world *world = *state;
    world_write(world, 0, "INSERT INTO notes VALUES('a', 'x', 1)");
    world_write_barrier(world, 0, "UPDATE notes SET n = 2");
    world_write(world, 0, "UPDATE notes SET n = 3");
    world_stop(world);
    for (size_t number = 2; number <= 3; number++) {
        place_put(&world->places[0], number);
        put_journal(world, world->n);
        check_replay(world);
        check_file(&world->places[0], 3);
    }
    place_put(&world->places[0], 1);
    put_journal(world, world->n);
    check_replay(world);
    check_closed(world, 0, "the file is older than a point at which it was made durable");
}

/* A scope that was made again under its name takes nothing from its earlier life. */
static void test_records_of_another_incarnation_are_passed_over(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    for (size_t i = 0; i < world->n; i++)
        if (world->transactions[i].place == 0) {
            struct buf *payload = &world->transactions[i].payload;
            payload->data[3 + world->places[0].name.len] ^= 1; /* the first byte of its number */
        }
    world_put(world, 0);
    put_journal(world, world->n);
    check_replay(world);
    check_file(&world->places[0], 0);
    check_file(&world->places[1], world->places[1].n);
}

/* What another process does to a file is over when that ends, and no reason to close a scope until a person comes. */
static void test_a_file_that_another_has_open(void **state)
{
    struct world *world = *state;
    sqlite3 *other = NULL;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    put_journal(world, world->n);
    assert_int_equal(sqlite3_open(world->places[0].path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE; DELETE FROM notes", NULL, NULL, NULL), SQLITE_OK);
    check_refused(world, "nothing is lost, start again when that is over");
    assert_false(place_has(&world->places[0], SCOPE_FILE_DAMAGED));
    sqlite3_close(other);
    check_replay(world);
    check_files(world, world->n);
}

/* ---- a disk that fails ---- */

/* Where SQLite's writes fail, and how; everything else goes through. */
static struct {
    const char *path;
    int error;
} failing;

static bool fails(int fd)
{
    char link[64], path[400];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len < 0 ? 0 : len] = '\0';
    errno = failing.error;
    return failing.path != NULL && strcmp(path, failing.path) == 0;
}

static ssize_t pwrite_or_fail(int fd, const void *data, size_t len, off_t at)
{
    return fails(fd) ? -1 : pwrite(fd, data, len, at);
}

static ssize_t write_or_fail(int fd, const void *data, size_t len)
{
    return fails(fd) ? -1 : write(fd, data, len);
}

static void fail_writes(const char *path, int error)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    failing.path = path;
    failing.error = error;
    vfs->xSetSystemCall(vfs, "write", path == NULL ? NULL : (sqlite3_syscall_ptr)write_or_fail);
    vfs->xSetSystemCall(vfs, "pwrite", path == NULL ? NULL : (sqlite3_syscall_ptr)pwrite_or_fail);
    vfs->xSetSystemCall(vfs, "pwrite64", path == NULL ? NULL : (sqlite3_syscall_ptr)pwrite_or_fail);
}

static void test_a_file_that_cannot_be_written(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    put_journal(world, world->n);
    fail_writes(world->places[0].path, EIO);
    check_replay(world);
    fail_writes(NULL, 0);
    check_closed(world, 0, "the file cannot be made durable");
    for (size_t i = 1; i < WORLD_SCOPES; i++)
        check_file(&world->places[i], world->places[i].n);
    place_put(&world->places[0], 0);
    replay_kept(world, 0);
    check_files(world, world->n);
}

/* A full disk closes no scope: the next start finds everything as it was. */
static void test_a_disk_that_is_full(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    put_journal(world, world->n);
    fail_writes(world->places[0].path, ENOSPC);
    check_refused(world, "database or disk is full; nothing is lost");
    fail_writes(NULL, 0);
    for (size_t i = 0; i < WORLD_SCOPES; i++)
        assert_false(place_has(&world->places[i], SCOPE_FILE_DAMAGED));
    check_replay(world);
    check_files(world, world->n);
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
        check_replay(world);
        for (size_t j = 0; j < WORLD_SCOPES; j++) {
            size_t durable = world_count(world, j, end);
            check_file(&world->places[j], durable > put[j] ? durable : put[j]);
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
        WORLD_TEST(test_damage_at_any_byte_is_told),
        WORLD_TEST(test_a_damaged_header_of_the_last_segment_is_told),
        WORLD_TEST(test_a_row_cannot_pretend_damage),
        WORLD_TEST(test_a_row_cannot_pretend_damage_behind_the_end),
        WORLD_TEST(test_what_is_behind_the_end_is_no_damage),
        WORLD_TEST(test_a_record_of_a_later_version_is_told),
        WORLD_TEST(test_a_file_that_is_missing),
        WORLD_TEST(test_a_folder_that_is_missing),
        WORLD_TEST(test_a_file_that_is_no_database),
        WORLD_TEST(test_a_gap_between_file_and_journal),
        WORLD_TEST(test_a_row_that_does_not_fit),
        WORLD_TEST(test_a_file_older_than_a_barrier),
        WORLD_TEST(test_records_of_another_incarnation_are_passed_over),
        WORLD_TEST(test_a_file_that_another_has_open),
        WORLD_TEST(test_a_file_that_cannot_be_written),
        WORLD_TEST(test_a_disk_that_is_full),
        WORLD_TEST(test_random_ends),
    };
    log_init("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
