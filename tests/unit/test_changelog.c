/*
 * The change log: who gets which position, what is kept of it, and from where a reader can catch up.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/scope.h"

#define NOTES "`notes`:{`key`:`id`}"
#define TAGS  "`tags`:{`key`:`id`}"
#define BOTH  "`collections`:{" NOTES "," TAGS "}"

static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT);"
                             "CREATE TABLE tags(id TEXT PRIMARY KEY, text TEXT);";

static int set_up(void **state)
{
    struct scope *scope = mem_zero(1, sizeof *scope);
    scope_open(scope, BOTH, TABLES);
    *state = scope;
    return 0;
}

static int tear_down(void **state)
{
    scope_close(*state);
    free(*state);
    return 0;
}

static void append(struct scope *scope, const char *collection, const char *key, enum op_type op)
{
    const struct collection *found = kind_find_collection(scope->room.kind, slice_str(collection));
    assert_int_equal(changelog_append(&scope->file->log, found, slice_str(key), op, scope->now_ms), ERR_OK);
}

static void ack(struct scope *scope)
{
    assert_int_equal(changelog_ack(&scope->file->log, scope->now_ms), ERR_OK);
}

/* What is read behind that position: "1 insert notes a" or "2 nothing", separated by commas. */
static void check_walk(struct scope *scope, uint64_t after, const char *expected)
{
    static const char *const OPS[] = {"insert", "update", "delete"};
    struct changelog *log = &scope->file->log;
    struct changelog_entry entry;
    struct buf text = {0};
    buf_printf(&text, "%s", "");
    changelog_seek(log, scope->base + after);
    while (changelog_next(log, &entry)) {
        buf_printf(&text, "%s%" PRIu64, text.len == 0 ? "" : ", ", entry.seq - scope->base);
        if (entry.collection == NULL)
            buf_printf(&text, " nothing");
        else
            buf_printf(&text, " %s %s %.*s", OPS[entry.op], entry.collection->def->name, (int)entry.key.len,
                       entry.key.data);
    }
    assert_true(scope_file_end_read(scope->file, log->read));
    assert_string_equal(text.data, expected);
    buf_release(&text);
}

static uint64_t floor_of(const struct scope *scope, const char *collection)
{
    return scope->file->log.floors[kind_find_collection(scope->room.kind, slice_str(collection))->number] - scope->base;
}

static uint64_t head(const struct scope *scope)
{
    return scope->file->log.head - scope->base;
}

/* ---- the beginning ---- */

static void test_a_scope_starts_at_the_clock(void **state)
{
    (void)state;
    assert_int_equal(changelog_start(1767225600000 + 1000), 1 << 23);
    assert_int_equal(changelog_start(1767225600000 + 2999), 2 << 23);
    assert_int_equal(changelog_start(0), 1 << 23); /* a clock that is wrong */
    assert_in_range(changelog_start(INT64_C(34) * 365 * 86400 * 1000 + 1767225600000), 1, (UINT64_C(1) << 53) - 1);
}

static void test_a_new_scope_is_empty_and_its_floors_are_at_its_head(void **state)
{
    struct scope *scope = *state;
    assert_in_range(scope->base, changelog_start(scope->now_ms), changelog_start(scope->now_ms) + 10);
    assert_int_equal(head(scope), 0);
    assert_int_equal(floor_of(scope, "notes"), 0);
    assert_int_equal(floor_of(scope, "tags"), 0);
    check_walk(scope, 0, "");
    assert_string_equal(scope_query(scope, "SELECT count(*), max(op) FROM _sync_log"), "1,3");
}

static void test_the_rows_of_its_migrations_come_first(void **state)
{
    (void)state;
    struct scope scope;
    scope_open(&scope, BOTH,
               "CREATE TABLE notes(id TEXT PRIMARY KEY); CREATE TABLE tags(id TEXT PRIMARY KEY);"
               "INSERT INTO notes VALUES('b'), ('a'); INSERT INTO tags VALUES('t');");
    assert_int_equal(head(&scope) - floor_of(&scope, "notes"), 3);
    scope.base = scope.file->log.floors[0];
    check_walk(&scope, 0, "1 insert notes a, 2 insert notes b, 3 insert tags t");
    scope_reopen(&scope);
    assert_int_equal(head(&scope), 3);
    scope_close(&scope);
}

/* ---- entries ---- */

static void test_positions_have_no_gaps_and_keys_their_latest(void **state)
{
    struct scope *scope = *state;
    append(scope, "notes", "a", OP_INSERT);
    append(scope, "tags", "a", OP_INSERT);
    append(scope, "notes", "b", OP_INSERT);
    append(scope, "notes", "a", OP_UPDATE);
    append(scope, "notes", "b", OP_DELETE);
    assert_int_equal(head(scope), 5);
    check_walk(scope, 0, "2 insert tags a, 4 update notes a, 5 delete notes b");
    check_walk(scope, 2, "4 update notes a, 5 delete notes b");
    check_walk(scope, 4, "5 delete notes b");
    check_walk(scope, 5, "");
}

static void test_only_the_latest_ack_is_kept(void **state)
{
    struct scope *scope = *state;
    ack(scope);
    append(scope, "notes", "a", OP_INSERT);
    ack(scope);
    check_walk(scope, 0, "2 insert notes a, 3 nothing");
    ack(scope);
    check_walk(scope, 0, "2 insert notes a, 4 nothing");
    assert_int_equal(head(scope), 4);
}

static void test_keys_are_any_text(void **state)
{
    struct scope *scope = *state;
    const struct collection *notes = kind_find_collection(scope->room.kind, SLICE("notes"));
    changelog_append(&scope->file->log, notes, SLICE("a\0b"), OP_INSERT, 1);
    changelog_append(&scope->file->log, notes, SLICE("a\0c"), OP_INSERT, 1);
    struct changelog_entry entry;
    changelog_seek(&scope->file->log, scope->base);
    assert_true(changelog_next(&scope->file->log, &entry));
    assert_true(slice_eq(entry.key, SLICE("a\0b")));
    assert_true(changelog_next(&scope->file->log, &entry));
    assert_true(slice_eq(entry.key, SLICE("a\0c")));
    scope_file_end_read(scope->file, scope->file->log.read);
}

static void test_time_never_goes_back(void **state)
{
    struct scope *scope = *state;
    scope->now_ms += 5000;
    append(scope, "notes", "a", OP_INSERT);
    scope->now_ms -= 60000;
    append(scope, "notes", "b", OP_INSERT);
    scope_reopen(scope);
    append(scope, "notes", "c", OP_INSERT);
    scope->now_ms += 60000;
    append(scope, "notes", "d", OP_INSERT);
    assert_string_equal(scope_query(scope, "SELECT at FROM _sync_log WHERE op = 0 ORDER BY seq"),
                        "1800000005000 1800000005000 1800000005000 1800000005000");
    scope->now_ms += 1;
    ack(scope);
    assert_int_equal(scope->file->log.at, 1800000005001);
}

static int stop(void *arg)
{
    (void)arg;
    return 1;
}

static void test_a_walk_that_fails_is_no_end(void **state)
{
    struct scope *scope = *state;
    struct changelog_entry entry;
    append(scope, "notes", "a", OP_INSERT);
    sqlite3_progress_handler(scope->file->database.db, 1, stop, NULL);
    changelog_seek(&scope->file->log, scope->base);
    assert_false(changelog_next(&scope->file->log, &entry));
    assert_false(scope_file_end_read(scope->file, scope->file->log.read));
    sqlite3_progress_handler(scope->file->database.db, 0, NULL, NULL);
}

/* ---- another life, another app ---- */

static void test_opening_again_changes_nothing(void **state)
{
    struct scope *scope = *state;
    append(scope, "notes", "a", OP_INSERT);
    scope->now_ms += 1000000;
    scope_reopen(scope);
    scope_upgrade(scope, "`collections`:{`tags`:{`key`:`id`,`insert`:{}}," NOTES "}"); /* order and rules are nothing */
    assert_int_equal(head(scope), 1);
    assert_int_equal(floor_of(scope, "notes"), 0);
    assert_int_equal(floor_of(scope, "tags"), 0);
    check_walk(scope, 0, "1 insert notes a");
    append(scope, "tags", "a", OP_INSERT);
    check_walk(scope, 0, "1 insert notes a, 2 insert tags a");
}

/* Who was at the old head may not go on from there, so the rise takes a position. */
static void test_another_look_of_a_collection_raises_its_floor(void **state)
{
    struct scope *scope = *state;
    append(scope, "notes", "a", OP_INSERT);
    scope_file_close(scope->file); /* as if an earlier version had written it */
    struct database database;
    assert_int_equal(database_open(&database, scope->path, false, NULL), ERR_OK);
    database_run(&database, SQL_OURS, "UPDATE _sync_collections SET fingerprint = 'other' WHERE name = 'notes'", NULL);
    database_close(&database);
    scope->file = NULL;
    scope_reopen(scope);
    assert_int_equal(head(scope), 2);
    assert_int_equal(floor_of(scope, "notes"), 2);
    assert_int_equal(floor_of(scope, "tags"), 0);
    scope_reopen(scope);
    assert_int_equal(head(scope), 2);
}

static void test_a_migration_raises_all_floors(void **state)
{
    struct scope *scope = *state;
    append(scope, "notes", "a", OP_INSERT);
    room_migrate(&scope->room, "0002_more.sql", "UPDATE notes SET text = upper(text);");
    scope_upgrade(scope, NULL);
    assert_int_equal(head(scope), 2);
    assert_int_equal(floor_of(scope, "notes"), 2);
    assert_int_equal(floor_of(scope, "tags"), 2);
}

/* The migration was committed, but the process died before it had raised the floors. */
static void test_a_migration_that_a_crash_followed_raises_them_too(void **state)
{
    struct scope *scope = *state;
    struct database database;
    append(scope, "notes", "a", OP_INSERT);
    scope_file_close(scope->file);
    scope->file = NULL;
    room_migrate(&scope->room, "0002_more.sql", "UPDATE notes SET text = upper(text);");
    room_load(&scope->room, NULL);
    assert_int_equal(database_open(&database, scope->path, false, NULL), ERR_OK);
    assert_int_equal(migrations_apply(&scope->room.kind->migrations, &database, 0, NULL), ERR_OK);
    database_close(&database);
    scope_reopen(scope);
    assert_int_equal(floor_of(scope, "notes"), 2);
    assert_int_equal(floor_of(scope, "tags"), 2);
    scope_reopen(scope);
    assert_int_equal(head(scope), 2);
}

static void test_a_new_collection_begins_at_the_head(void **state)
{
    struct scope *scope = *state;
    append(scope, "notes", "a", OP_INSERT);
    room_migrate(&scope->room, "0002_more.sql", "CREATE TABLE likes(id TEXT PRIMARY KEY);");
    scope_upgrade(scope, NULL);
    scope_upgrade(scope, "`collections`:{`likes`:{`key`:`id`}," NOTES "," TAGS "}");
    assert_int_equal(head(scope), 3);
    assert_int_equal(floor_of(scope, "likes"), 3);
    assert_int_equal(floor_of(scope, "notes"), 2);
    append(scope, "likes", "l", OP_INSERT);
    check_walk(scope, 0, "1 insert notes a, 3 nothing, 4 insert likes l");
}

/* Meanwhile its rows change without entries. */
static void test_a_collection_that_was_away_raises_its_floor(void **state)
{
    struct scope *scope = *state;
    append(scope, "notes", "a", OP_INSERT);
    scope_upgrade(scope, "`collections`:{" TAGS "}");
    assert_int_equal(head(scope), 1);
    check_walk(scope, 0, "1 nothing");
    scope_upgrade(scope, BOTH);
    assert_int_equal(floor_of(scope, "notes"), head(scope));
    assert_int_equal(head(scope), 2);
    assert_int_equal(floor_of(scope, "tags"), 0);
    scope_upgrade(scope, "");
    scope_upgrade(scope, BOTH);
    assert_int_equal(head(scope), 3);
    assert_int_equal(floor_of(scope, "tags"), 3);
}

#define SCOPE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_scope_starts_at_the_clock),
        SCOPE_TEST(test_a_new_scope_is_empty_and_its_floors_are_at_its_head),
        cmocka_unit_test(test_the_rows_of_its_migrations_come_first),
        SCOPE_TEST(test_positions_have_no_gaps_and_keys_their_latest),
        SCOPE_TEST(test_only_the_latest_ack_is_kept),
        SCOPE_TEST(test_keys_are_any_text),
        SCOPE_TEST(test_time_never_goes_back),
        SCOPE_TEST(test_a_walk_that_fails_is_no_end),
        SCOPE_TEST(test_opening_again_changes_nothing),
        SCOPE_TEST(test_another_look_of_a_collection_raises_its_floor),
        SCOPE_TEST(test_a_migration_raises_all_floors),
        SCOPE_TEST(test_a_migration_that_a_crash_followed_raises_them_too),
        SCOPE_TEST(test_a_new_collection_begins_at_the_head),
        SCOPE_TEST(test_a_collection_that_was_away_raises_its_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
