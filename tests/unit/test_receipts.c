/*
 * A receipt gives back what was decided, to the identity that it was decided for and to no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shards/scope/bookkeeping.h"
#include "shards/scope/receipts.h"

struct desk {
    struct database database;
    struct receipts receipts;
    struct claims ann;
};

static int set_up(void **state)
{
    struct desk *desk = mem_zero(1, sizeof *desk);
    struct buf why = {0};
    assert_int_equal(database_open(&desk->database, ":memory:", true, &why), ERR_OK);
    assert_int_equal(bookkeeping_create(&desk->database, &why), ERR_OK);
    assert_int_equal(receipts_open(&desk->receipts, &desk->database, &why), ERR_OK);
    assert_true(claims_init(&desk->ann, SLICE("{\"sub\":\"ann\"}")));
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;
    claims_release(&desk->ann);
    receipts_release(&desk->receipts);
    database_close(&desk->database);
    free(desk);
    return 0;
}

static void put(struct desk *desk, struct slice tx, const struct outcome *outcome)
{
    assert_int_equal(receipts_put(&desk->receipts, &desk->ann, tx, outcome, 1), ERR_OK);
}

static void check_same(struct desk *desk, struct slice tx, const struct outcome *expected)
{
    struct outcome found = {0};
    assert_int_equal(receipts_find(&desk->receipts, &desk->ann, tx, &found), ERR_OK);
    assert_int_equal(found.is_rejected, expected->is_rejected);
    assert_int_equal(found.seq, expected->seq);
    assert_string_equal(found.code == NULL ? "none" : found.code, expected->code == NULL ? "none" : expected->code);
    assert_true(slice_eq(buf_slice(&found.message), buf_slice(&expected->message)));
    assert_true(slice_eq(buf_slice(&found.result), buf_slice(&expected->result)));
    outcome_release(&found);
}

static void check_kept(struct desk *desk, struct slice tx, const struct outcome *outcome)
{
    put(desk, tx, outcome);
    check_same(desk, tx, outcome);
}

static void test_outcomes_of_every_sort_are_kept(void **state)
{
    struct desk *desk = *state;
    struct outcome committed = {.seq = 5}, with_result = {.seq = (uint64_t)1 << 52};
    struct outcome rejected = {.seq = 7}, without_code = {.seq = 8}, silent = {.seq = 9};
    buf_append_slice(&with_result.result, SLICE("\x93\x00\xc0\xff"));
    outcome_reject(&rejected, REJECT_CONSTRAINT, "CHECK constraint failed: %s", "n > 0");
    outcome_reject(&without_code, NULL, "no mutation handler for 'a:insert'");
    outcome_reject(&silent, REJECT_CONSTRAINT, "%s", "");
    check_kept(desk, SLICE("t1"), &committed);
    check_kept(desk, SLICE("t2"), &with_result);
    check_kept(desk, SLICE("t3"), &rejected);
    check_kept(desk, SLICE("t4"), &without_code);
    check_kept(desk, SLICE("t5"), &silent);
    outcome_release(&with_result);
    outcome_release(&rejected);
    outcome_release(&without_code);
    outcome_release(&silent);
}

static bool knows(struct desk *desk, const char *claims_json, struct slice tx)
{
    struct claims claims;
    struct outcome found = {0};
    assert_true(claims_init(&claims, slice_str(claims_json)));
    enum err err = receipts_find(&desk->receipts, &claims, tx, &found);
    assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
    claims_release(&claims);
    outcome_release(&found);
    return err == ERR_OK;
}

static void test_another_identity_has_its_own(void **state)
{
    struct desk *desk = *state;
    put(desk, SLICE("t1"), &(struct outcome){.seq = 5});
    assert_true(knows(desk, "{\"sub\":\"ann\",\"role\":\"admin\"}", SLICE("t1"))); /* a new token of the same Ann */
    assert_false(knows(desk, "{\"sub\":\"ben\"}", SLICE("t1")));
    assert_false(knows(desk, "{\"sub\":\"ann\",\"iss\":\"https://id.example\"}", SLICE("t1")));
    assert_false(knows(desk, "{\"sub\":\"ANN\"}", SLICE("t1")));
    assert_false(knows(desk, "{\"sub\":\"ann\"}", SLICE("t")));
    assert_false(knows(desk, "{\"sub\":\"ann\"}", SLICE("t1\0")));
    assert_false(knows(desk, "{\"sub\":\"ann\"}", SLICE("t11")));
}

static void test_a_transaction_is_decided_once(void **state)
{
    struct desk *desk = *state;
    put(desk, SLICE("t1"), &(struct outcome){.seq = 5});
    assert_int_not_equal(receipts_put(&desk->receipts, &desk->ann, SLICE("t1"), &(struct outcome){.seq = 6}, 1),
                         ERR_OK);
    check_same(desk, SLICE("t1"), &(struct outcome){.seq = 5});
}

/* A file that a later version has written. */
static void test_a_code_that_is_not_known_is_none(void **state)
{
    struct desk *desk = *state;
    struct outcome outcome = {0};
    outcome_reject(&outcome, "A_LATER_CODE", "later");
    put(desk, SLICE("t1"), &outcome);
    outcome.code = NULL;
    check_same(desk, SLICE("t1"), &outcome);
    outcome_release(&outcome);
}

static int stop(void *arg)
{
    (void)arg;
    return 1;
}

/* "Not found" would run the transaction a second time. */
static void test_a_failing_read_is_not_taken_for_none(void **state)
{
    struct desk *desk = *state;
    struct outcome outcome = {0};
    put(desk, SLICE("t1"), &(struct outcome){.seq = 5});
    sqlite3_progress_handler(desk->database.db, 1, stop, NULL);
    assert_int_equal(receipts_find(&desk->receipts, &desk->ann, SLICE("t1"), &outcome), ERR_TIMEOUT);
    sqlite3_progress_handler(desk->database.db, 0, NULL, NULL);
}

#define DESK_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(test_outcomes_of_every_sort_are_kept),      DESK_TEST(test_another_identity_has_its_own),
        DESK_TEST(test_a_transaction_is_decided_once),        DESK_TEST(test_a_code_that_is_not_known_is_none),
        DESK_TEST(test_a_failing_read_is_not_taken_for_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
