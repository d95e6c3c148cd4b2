/*
 * The list: order is kept, and removing is harmless at any time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int payload; /* so that the link is not at the front */
    struct list link;
    char name;
};

static struct item items[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};

enum { N = sizeof items / sizeof items[0] };

/* The names in order, forwards; backwards must be the same. */
static const char *names(const struct list *head)
{
    static char text[N + 1];
    size_t n = 0;
    for (struct list *link = head->next; link != head; link = link->next)
        text[n++] = LIST_ITEM(link, struct item, link)->name;
    text[n] = '\0';
    for (struct list *link = head->prev; link != head; link = link->prev)
        assert_int_equal(text[--n], LIST_ITEM(link, struct item, link)->name);
    assert_int_equal(n, 0);
    return text;
}

static void fill(struct list *head, int from, int end)
{
    list_init(head);
    for (int i = from; i < end; i++)
        list_append(head, &items[i].link);
}

static void test_order_is_kept(void **state)
{
    (void)state;
    struct list head;
    fill(&head, 0, N);
    assert_string_equal(names(&head), "abcd");
    list_remove(&items[1].link);
    list_append(&head, &items[1].link);
    assert_string_equal(names(&head), "acdb");
}

static void test_popping_empties_from_the_front(void **state)
{
    (void)state;
    struct list head;
    fill(&head, 0, 2);
    assert_ptr_equal(list_pop(&head), &items[0].link);
    assert_ptr_equal(list_pop(&head), &items[1].link);
    assert_true(list_is_empty(&head));
    assert_null(list_pop(&head));
}

static void test_removing_twice_is_harmless(void **state)
{
    (void)state;
    struct list head;
    fill(&head, 0, 3);
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    assert_string_equal(names(&head), "ac");
    assert_true(list_is_empty(&items[1].link)); /* it is on no list */
}

static void test_a_walk_may_remove(void **state)
{
    (void)state;
    struct list head;
    fill(&head, 0, N);
    LIST_FOREACH_SAFE(link, &head)
        if (LIST_ITEM(link, struct item, link)->name != 'c')
            list_remove(link);
    assert_string_equal(names(&head), "c");
}

static void test_a_list_moves_behind_another(void **state)
{
    (void)state;
    struct list head, other, none;
    fill(&head, 0, 2);
    fill(&other, 2, N);
    list_init(&none);
    list_move(&head, &other);
    assert_string_equal(names(&head), "abcd");
    assert_true(list_is_empty(&other));
    list_move(&head, &none);
    assert_string_equal(names(&head), "abcd");
    list_move(&none, &head);
    assert_string_equal(names(&none), "abcd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_is_kept),
        cmocka_unit_test(test_popping_empties_from_the_front),
        cmocka_unit_test(test_removing_twice_is_harmless),
        cmocka_unit_test(test_a_walk_may_remove),
        cmocka_unit_test(test_a_list_moves_behind_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
