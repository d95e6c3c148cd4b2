/*
 * Routes: which URL is which scope, and where a scope lives. The hash and the slot name files on disk: they may never
 * change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/route.h"

static struct scope_name sync_path(const char *path)
{
    struct scope_name name;
    if (!route_parse_sync(slice_str(path), &name))
        fail_msg("no scope: %s", path);
    assert_int_equal(strlen(name.text), name.len);
    return name;
}

static void assert_no_scope(const char *path)
{
    struct scope_name name;
    if (route_parse_sync(slice_str(path), &name))
        fail_msg("%s became %s", path, name.text);
}

static void test_a_path_names_a_scope(void **state)
{
    (void)state;
    struct scope_name parsed = sync_path("/v1/chat/room/lobby/sync"), name;
    scope_name_copy(&name, &parsed);
    assert_string_equal(name.text, "chat/room/lobby");
    assert_true(slice_eq(name.app, SLICE("chat")));
    assert_true(slice_eq(name.kind, SLICE("room")));
    assert_true(slice_eq(name.id, SLICE("lobby")));
}

static void test_an_operators_path_names_a_scope(void **state)
{
    (void)state;
    static const char *const WRONG[] = {"",
                                        "/",
                                        "/chat/room",
                                        "/chat/room/",
                                        "chat/room/lobby",
                                        "/chat/room/a/b",
                                        "/chat/Room/lobby",
                                        "/chat/room/%zz",
                                        "/v1/chat/room/lobby"};
    struct scope_name name;
    assert_true(route_parse_scope(SLICE("/chat/room/a%2Fb"), &name));
    assert_string_equal(name.text, "chat/room/a/b");
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        if (route_parse_scope(slice_str(WRONG[i]), &name))
            fail_msg("%s became %s", WRONG[i], name.text);
}

static void test_a_copy_borrows_from_itself(void **state)
{
    (void)state;
    struct scope_name *name = mem_alloc(sizeof *name), copy;
    assert_true(scope_name_parse(SLICE("chat/room/lobby"), name));
    scope_name_copy(&copy, name);
    memset(name, 'x', sizeof *name);
    free(name);
    assert_true(copy.id.data >= copy.text && copy.id.data + copy.id.len == copy.text + copy.len);
    assert_true(slice_eq(copy.app, SLICE("chat")));
    assert_true(slice_eq(copy.kind, SLICE("room")));
    assert_true(slice_eq(copy.id, SLICE("lobby")));
}

static void test_an_id_may_hold_any_text(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"/v1/chat/room/a%2Fb%2fc/sync", "chat/room/a/b/c"},
        {"/v1/chat/room/a%20b+c/sync", "chat/room/a b+c"},
        {"/v1/chat/room/%C3%A4%F0%9F%98%80/sync", "chat/room/\xc3\xa4\xf0\x9f\x98\x80"},
        {"/v1/chat/room/%25/sync", "chat/room/%"},
        {"/v1/chat/room/%2E%2E/sync", "chat/room/.."},
        {"/v1/chat/room/%0A%01/sync", "chat/room/\n\1"},
        {"/v1/a/b/sync/sync", "a/b/sync"},
        {"/v1/a-_9/b/c/sync", "a-_9/b/c"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct scope_name name = sync_path(CASES[i][0]), same;
        assert_string_equal(name.text, CASES[i][1]);
        assert_true(scope_name_parse(slice_str(CASES[i][1]), &same));
        assert_string_equal(same.text, CASES[i][1]);
    }
}

static void test_other_paths_are_no_scope(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "",
        "/",
        "/v1",
        "/v1/chat/room/lobby",
        "/v1/chat/room/lobby/",
        "/v1/chat/room/lobby/sync/",
        "/v1/chat/room/lobby/sync/x",
        "/v1/chat/room/a/b/sync",
        "/v1/chat/room//sync",
        "/v1//room/lobby/sync",
        "/v1/chat//lobby/sync",
        "/v2/chat/room/lobby/sync",
        "v1/chat/room/lobby/sync",
        "x/v1/chat/room/lobby/sync",
        "//v1/chat/room/lobby/sync",
        "/v1/Chat/room/lobby/sync",
        "/v1/chat/9room/lobby/sync",
        "/v1/chat/ro%6fm/lobby/sync", /* one scope has one path but for its id */
        "/v1/chat/room/lobby/SYNC",
        "/v1/chat/room/%/sync",
        "/v1/chat/room/%4/sync",
        "/v1/chat/room/%zz/sync",
        "/v1/chat/room/%00/sync",
        "/v1/chat/room/%ff/sync",
        "/v1/chat/room/%C0%AF/sync",
        "/v1/chat/room/%ED%A0%80/sync",
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_no_scope(CASES[i]);
}

static void test_the_length_of_a_scopes_name_is_bounded(void **state)
{
    (void)state;
    struct buf path = {0};
    struct scope_name name;
    for (int len = ROUTE_ID_MAX - 1; len <= ROUTE_ID_MAX + 1; len++) {
        path.len = 0;
        buf_printf(&path, "%0*d/%0*d/%0*d", ROUTE_NAME_MAX, 0, ROUTE_NAME_MAX, 0, len, 0);
        path.data[0] = path.data[ROUTE_NAME_MAX + 1] = 'a';
        assert_int_equal(scope_name_parse(buf_slice(&path), &name), len <= ROUTE_ID_MAX);
    }
    buf_release(&path);
    /* Decoded bytes count, not those of the path. */
    buf_printf(&path, "/v1/a/b/");
    for (int i = 0; i < ROUTE_ID_MAX; i++)
        buf_printf(&path, "%%2F");
    buf_printf(&path, "/sync");
    assert_true(route_parse_sync(buf_slice(&path), &name));
    assert_int_equal(name.id.len, ROUTE_ID_MAX);
    buf_release(&path);
}

static void test_names_are_short_and_lower_case(void **state)
{
    (void)state;
    char name[ROUTE_NAME_MAX + 1];
    memset(name, 'a', sizeof name);
    assert_true(route_name_is_valid(slice_of(name, ROUTE_NAME_MAX)));
    assert_false(route_name_is_valid(slice_of(name, ROUTE_NAME_MAX + 1)));
    assert_true(route_name_is_valid(SLICE("z")));
    assert_true(route_name_is_valid(SLICE("a-b_c9")));
    static const char *const BAD[] = {"", "9a", "_a", "-a", "aB", "a b", "a.b", "a/b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(route_name_is_valid(slice_str(BAD[i])));
}

static void test_a_scope_hashes_to_the_front_of_its_sha256(void **state)
{
    (void)state;
    struct scope_name name;
    char text[33];
    assert_true(scope_name_parse(SLICE("chat/room/lobby"), &name));
    struct scope_hash hash = scope_hash(&name);
    scope_hash_text(&hash, text);
    assert_string_equal(text, "5480bd03898a4aee303aeb9c96307e28");
    assert_int_equal(scope_slot(&hash), 1352);
}

static void test_every_slot_has_one_shard_and_shards_share_them_evenly(void **state)
{
    (void)state;
    static const unsigned COUNTS[] = {1, 2, 3, 4, 5, 7, 16, 100, 1000, 4095, 4096};
    for (size_t i = 0; i < sizeof COUNTS / sizeof *COUNTS; i++) {
        unsigned n = COUNTS[i];
        assert_int_equal(route_first_slot(0, n), 0);
        assert_int_equal(route_first_slot(n, n), ROUTE_SLOTS);
        for (unsigned shard = 0; shard < n; shard++) {
            unsigned first = route_first_slot(shard, n), end = route_first_slot(shard + 1, n);
            assert_in_range(end - first, ROUTE_SLOTS / n, ROUTE_SLOTS / n + 1);
            for (unsigned slot = first; slot < end; slot++)
                assert_int_equal(route_shard(slot, n), shard);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path_names_a_scope),
        cmocka_unit_test(test_an_operators_path_names_a_scope),
        cmocka_unit_test(test_a_copy_borrows_from_itself),
        cmocka_unit_test(test_an_id_may_hold_any_text),
        cmocka_unit_test(test_other_paths_are_no_scope),
        cmocka_unit_test(test_the_length_of_a_scopes_name_is_bounded),
        cmocka_unit_test(test_names_are_short_and_lower_case),
        cmocka_unit_test(test_a_scope_hashes_to_the_front_of_its_sha256),
        cmocka_unit_test(test_every_slot_has_one_shard_and_shards_share_them_evenly),
    };
    return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
