/*
 * The checksum is Castagnoli's, wherever its input lies and however it is cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"

enum { BYTES = 300 };

/* A bit at a time, as the polynomial is defined. */
static uint32_t naive(const unsigned char *data, size_t len)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

static void fill(unsigned char *data)
{
    uint32_t random = 1;
    for (size_t i = 0; i < BYTES; i++) {
        random = random * 1664525 + 1013904223;
        data[i] = (unsigned char)(random >> 24);
    }
}

/* RFC 3720, B.4, and the customary one. */
static void test_known_checksums(void **state)
{
    (void)state;
    unsigned char zeros[32] = {0}, ones[32], rising[32], falling[32];
    for (unsigned char i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = i;
        falling[i] = (unsigned char)(31 - i);
    }
    assert_int_equal(crc32c(0, zeros, sizeof zeros), 0x8a9136aa);
    assert_int_equal(crc32c(0, ones, sizeof ones), 0x62a8ab43);
    assert_int_equal(crc32c(0, rising, sizeof rising), 0x46dd794e);
    assert_int_equal(crc32c(0, falling, sizeof falling), 0x113fdb5c);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0x12345678, NULL, 0), 0x12345678);
}

static void test_any_length_at_any_place(void **state)
{
    (void)state;
    unsigned char data[BYTES];
    fill(data);
    for (size_t start = 0; start < 16; start++)
        for (size_t len = 0; start + len <= BYTES; len++)
            assert_int_equal(crc32c(0, data + start, len), naive(data + start, len));
}

static void test_in_two_parts_it_is_the_same(void **state)
{
    (void)state;
    unsigned char data[BYTES];
    fill(data);
    for (size_t cut = 0; cut <= BYTES; cut++)
        assert_int_equal(crc32c(crc32c(0, data, cut), data + cut, BYTES - cut), naive(data, BYTES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_checksums),
        cmocka_unit_test(test_any_length_at_any_place),
        cmocka_unit_test(test_in_two_parts_it_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
