/*
 * What does not fit: a journal that was damaged, scopes that its records do not fit, and disks that fail. It is told,
 * and nothing that was durable is lost over it.
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
#include "shards/log/kept.h"
#include "shards/scope/timeline.h"
#include "tests/lib/reads.h"
#include "tests/lib/rows.h"
#include "tests/lib/world.h"

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)

/* ---- damage ---- */

/* Each byte of what was durable but the padding, which says nothing; the last batch's are a torn tail's. */
static void test_damage_at_any_byte_is_told(void **state)
{
    struct world *world = *state;
    struct tape tape;
    world_write_short(world);
    tape_begin(&tape, 7, 1000);
    tape_add_all(&tape, world, 0, world->n);
    size_t first = world->transactions[0].payload.len;
    for (size_t at = 0; at < SEGMENT_HEADER + RECORD_HEADER + first; at++) {
        tape.bytes.data[at] ^= 0x10;
        place_put(&world->places[0], 0);
        world_put_segment(world, "0/000001.journal", buf_slice(&tape.bytes));
        world_refuse(world, at < SEGMENT_HEADER ? "0: damaged at position 0:" : "0: damaged at position 1000:");
        place_check(&world->places[0], 0);
        tape.bytes.data[at] ^= 0x10;
    }
    tape_end(&tape, world, "0/000001.journal");
    world_replay(world);
    place_check(&world->places[0], world->n);
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
    world_refuse(world, "0: damaged at position ");
    world_check(world, 0);
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
    world_put_journal(world, 1);
    world_replay(world);
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
            world_replay(world);
            place_check(&world->places[0], 0);
        }
}

/* Behind the end anything may lie: a copy of a record that belongs elsewhere, or half of one that never came. */
static void test_what_is_behind_the_end_is_no_damage(void **state)
{
    struct world *world = *state;
    struct tape tape;
    char half[RECORD_HEADER + 8] = {0};
    world_write_short(world);
    tape_begin(&tape, 7, 1000);
    tape_add_all(&tape, world, 0, 2);
    uint64_t position = tape_position(&tape);
    size_t len = record_len(world->transactions[0].payload.len);
    buf_reserve(&tape.bytes, len); /* so that it does not move while it is copied from itself */
    buf_append(&tape.bytes, tape.bytes.data + SEGMENT_HEADER, len);
    position += len;
    record_seal(half, 8, 7, position, position + 1);
    half[RECORD_HEADER] ^= 1;
    buf_append(&tape.bytes, half, sizeof half);
    place_put(&world->places[0], 0);
    tape_end(&tape, world, "0/000001.journal");
    world_replay(world);
    place_check(&world->places[0], 2);
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
    world_refuse(world, "is of a kind that this version does not know");
    world_check(world, 0);
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
    world_replay(world);
}

/* Only scope 0 is closed, for this reason, and its records are not lost: with a good file they are replayed. */
static void check_only_one_is_closed(struct world *world, const char *reason)
{
    world_put_journal(world, world->n);
    world_replay(world);
    world_check_closed(world, 0, reason);
    for (size_t i = 1; i < WORLD_SCOPES; i++)
        place_check(&world->places[i], world->places[i].n);
    assert_false(world_has_segment(world, "0/000001.journal"));
    place_put(&world->places[0], 1);
    replay_kept(world, 0);
    world_check(world, world->n);
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
    world_replay(world);
    world_check_closed(world, 0, "a transaction is missing between the file and the journal");
    place_check(&world->places[1], world->places[1].n);
    place_check(&world->places[2], world->places[2].n);
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
        world_put_journal(world, i == 0 ? world->n : 3);
        world_replay(world);
        world_check_closed(world, 0, "a transaction of the journal does not fit the file");
        rows_print_file(&after, world->places[0].path);
        if (i > 0) /* the others fail at the first transaction */
            assert_string_equal(after.data, before.data);
        buf_release(&before);
        buf_release(&after);
        place_put(&world->places[0], 1);
        replay_kept(world, 0);
        place_check(&world->places[0], i == 0 ? world->places[0].n : 2);
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
        world_put_journal(world, world->n);
        world_replay(world);
        place_check(&world->places[0], 3);
    }
    place_put(&world->places[0], 1);
    world_put_journal(world, world->n);
    world_replay(world);
    world_check_closed(world, 0, "the file is older than a point at which it was made durable");
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
    world_put_journal(world, world->n);
    world_replay(world);
    place_check(&world->places[0], 0);
    place_check(&world->places[1], world->places[1].n);
}

/* The first life of scope 0, without its last transaction, comes back in the place of the second: by hand. */
static void test_a_file_of_an_earlier_life(void **state)
{
    struct world *world = *state;
    struct scoperecord restore = {.type = SCOPERECORD_RESTORE, .incarnation = 77, .tx = 5};
    struct place *place = &world->places[0];
    struct tape tape;
    struct buf payload = {0};
    world_write_some(world);
    restore.scope = slice_of(place->name.text, place->name.len);
    restore.first_seq = restore.last_seq = place->file->log.head + 1;
    world_stop(world);
    world_put(world, place->n);
    scoperecord_write(&payload, &restore);
    tape_begin(&tape, 1, 0);
    tape_add_all(&tape, world, 0, world->n);
    tape_add(&tape, buf_slice(&payload), tape_position(&tape));
    tape_end(&tape, world, "0/000001.journal");
    buf_release(&payload);
    world_replay(world);
    world_check_closed(world, 0, "the file is older than one that took its place");
    place_check(&world->places[1], world->places[1].n);
}

/* Restored, with the record of that not written any more: nothing of before is applied. */
static void test_a_file_that_was_restored(void **state)
{
    struct world *world = *state;
    struct buf why = {0};
    uint64_t start;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    assert_int_equal(timeline_begin(world->places[0].path, 0, 1800000001000, &start, &why), ERR_OK);
    world_put_journal(world, world->n);
    world_replay(world);
    assert_false(place_has(&world->places[0], SCOPE_FILE_DAMAGED));
    change_file(&world->places[0], "INSERT INTO notes VALUES('a', 'x', 1)"); /* else it would be there */
    place_check(&world->places[1], world->places[1].n);
}

/* What another process does to a file is over when that ends, and no reason to close a scope until a person comes. */
static void test_a_file_that_another_has_open(void **state)
{
    struct world *world = *state;
    sqlite3 *other = NULL;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    world_put_journal(world, world->n);
    assert_int_equal(sqlite3_open(world->places[0].path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE; DELETE FROM notes", NULL, NULL, NULL), SQLITE_OK);
    world_refuse(world, "nothing is lost, start again when that is over");
    assert_false(place_has(&world->places[0], SCOPE_FILE_DAMAGED));
    sqlite3_close(other);
    world_replay(world);
    world_check(world, world->n);
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

/* Wherever that hits, it is no damage. */
static void test_a_file_that_cannot_be_read_once(void **state)
{
    struct world *world = *state;
    bool has_failed = true;
    int n = 0;
    world_write_some(world);
    world_stop(world);
    for (; has_failed; n++) {
        world_put(world, 0);
        world_put_journal(world, world->n);
        reads_fail(world->places[0].path, n);
        world_replay(world);
        has_failed = reads_mend();
        world_replay(world); /* mends it */
        world_check(world, world->n);
    }
    assert_true(n > 3);
}

/* The others are served, and its records wait: what it holds now nobody knows. */
static void test_a_file_that_cannot_be_written(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    world_put_journal(world, world->n);
    fail_writes(world->places[0].path, EIO);
    world_replay(world);
    fail_writes(NULL, 0);
    assert_int_equal(kept_find(world->data.text, &world->places[0].name), ERR_OK);
    for (size_t i = 1; i < WORLD_SCOPES; i++)
        place_check(&world->places[i], world->places[i].n);
    world_replay(world); /* mends it */
    assert_int_equal(kept_find(world->data.text, &world->places[0].name), ERR_NOT_FOUND);
    world_check(world, world->n);
}

/* A full disk closes no scope: the next start finds everything as it was. */
static void test_a_disk_that_is_full(void **state)
{
    struct world *world = *state;
    world_write_some(world);
    world_stop(world);
    world_put(world, 0);
    world_put_journal(world, world->n);
    fail_writes(world->places[0].path, ENOSPC);
    world_refuse(world, "database or disk is full; nothing is lost");
    fail_writes(NULL, 0);
    for (size_t i = 0; i < WORLD_SCOPES; i++)
        assert_false(place_has(&world->places[i], SCOPE_FILE_DAMAGED));
    world_replay(world);
    world_check(world, world->n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        WORLD_TEST(test_a_file_of_an_earlier_life),
        WORLD_TEST(test_a_file_that_was_restored),
        WORLD_TEST(test_a_file_that_another_has_open),
        WORLD_TEST(test_a_file_that_cannot_be_read_once),
        WORLD_TEST(test_a_file_that_cannot_be_written),
        WORLD_TEST(test_a_disk_that_is_full),
    };
    log_init("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
