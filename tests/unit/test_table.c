/*
 * The hash table: whatever the hashes are, what was put in is found until it is taken out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/table.h"

enum { N = 1000 };

struct item {
    struct table_node node;
    int number;
};

static struct item *find(const struct table *table, int number, uint64_t hash)
{
    for (struct table_node *node = table_find(table, hash); node != NULL; node = table_next(node)) {
        struct item *item = TABLE_ITEM(node, struct item, node);
        if (item->number == number)
            return item;
    }
    return NULL;
}

static void fill(struct table *table, struct item *items, uint64_t (*hash)(int number))
{
    for (int i = 0; i < N; i++) {
        items[i].number = i;
        table_insert(table, &items[i].node, hash(i));
    }
    assert_int_equal(table->n, N);
    assert_in_range(table->n_heads, N, 4 * N); /* so a chain is short unless hashes are the same */
}

/* Every third item goes; the others must stay where they can be found, and the lost ones must not. */
static void check_with(uint64_t (*hash)(int number))
{
    struct table table = {0};
    struct item *items = mem_zero(N, sizeof *items);
    fill(&table, items, hash);
    for (int i = 0; i < N; i += 3)
        table_remove(&table, &items[i].node);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(find(&table, i, hash(i)), i % 3 == 0 ? NULL : &items[i]);

    size_t n = 0;
    for (struct table_node *node; (node = table_any(&table)) != NULL; n++)
        table_remove(&table, node);
    assert_int_equal(n, N - (N + 2) / 3);
    assert_int_equal(table.n, 0);
    table_release(&table);
    free(items);
}

static uint64_t hash_spread(int number)
{
    return table_hash_number((uint64_t)number);
}

/* All in one chain. */
static uint64_t hash_same(int number)
{
    (void)number;
    return 42;
}

/* Differ only in the bits that no small table looks at. */
static uint64_t hash_high(int number)
{
    return (uint64_t)number << 40;
}

static void test_what_was_put_in_is_found(void **state)
{
    (void)state;
    check_with(hash_spread);
    check_with(hash_same);
    check_with(hash_high);
}

static void test_an_empty_table_finds_nothing(void **state)
{
    (void)state;
    struct table table = {0};
    assert_null(table_find(&table, 0));
    assert_null(table_any(&table));
    table_release(&table);
}

/* Ids that count up, as sessions' do, must not meet in few chains. */
static void test_counting_numbers_are_spread(void **state)
{
    (void)state;
    int in_chain[1024] = {0}, longest = 0;
    for (uint64_t i = 0; i < 1024; i++) {
        int n = ++in_chain[table_hash_number(i * 16) & 1023];
        longest = n > longest ? n : longest;
    }
    assert_in_range(longest, 1, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_put_in_is_found),
        cmocka_unit_test(test_an_empty_table_finds_nothing),
        cmocka_unit_test(test_counting_numbers_are_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
