/*
 * UTF-8: every sequence of up to three bytes, and every character, against the definition.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "proto/utf8.h"
#include "tests/lib/utf8_naive.h"

static void check(const uint8_t *bytes, size_t len)
{
    if (utf8_is_valid(slice_of(bytes, len)) != utf8_naive_is_valid(bytes, len))
        fail_msg("%02x %02x %02x %02x (%zu)", bytes[0], bytes[1], bytes[2], bytes[3], len);
}

static void test_every_sequence_of_up_to_three_bytes(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1 << 24; i++) {
        uint8_t bytes[4] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        check(bytes, 3);
        if ((i & 0xff) == 0)
            check(bytes, 2);
        if ((i & 0xffff) == 0)
            check(bytes, 1);
    }
}

static void test_every_lead_of_four_bytes_with_the_edges_of_what_may_follow(void **state)
{
    (void)state;
    static const uint8_t EDGES[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    const size_t n = sizeof EDGES;
    for (unsigned lead = 0xe0; lead <= 0xff; lead++)
        for (size_t i = 0; i < n * n * n; i++) {
            uint8_t bytes[4] = {(uint8_t)lead, EDGES[i / n / n], EDGES[i / n % n], EDGES[i % n]};
            check(bytes, 4);
        }
}

static void test_a_wrong_byte_is_found_wherever_it_stands(void **state)
{
    (void)state;
    char text[40];
    for (size_t len = 1; len <= sizeof text; len++)
        for (size_t at = 0; at < len; at++) {
            memset(text, 'a', sizeof text);
            assert_true(utf8_is_valid(slice_of(text, len)));
            text[at] = (char)0x80;
            assert_false(utf8_is_valid(slice_of(text, len)));
            text[at] = (char)0xc3;
            assert_false(utf8_is_valid(slice_of(text, len)));
            if (at + 1 == len)
                continue;
            text[at + 1] = (char)0xa4;
            assert_true(utf8_is_valid(slice_of(text, len)));
        }
}

static void test_nothing_is_text(void **state)
{
    (void)state;
    assert_true(utf8_is_valid((struct slice){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_sequence_of_up_to_three_bytes),
        cmocka_unit_test(test_every_lead_of_four_bytes_with_the_edges_of_what_may_follow),
        cmocka_unit_test(test_a_wrong_byte_is_found_wherever_it_stands),
        cmocka_unit_test(test_nothing_is_text),
    };
    return cmocka_run_group_tests_name("UTF-8", tests, NULL, NULL);
}
