#include "tests/lib/utf8_naive.h"

/* The character that the first `n` bytes make, or -1. */
static int32_t compose(const uint8_t *at, size_t n)
{
    static const uint8_t LEADS[] = {0, 0x00, 0xc0, 0xe0, 0xf0}, LEAD_MASKS[] = {0, 0x80, 0xe0, 0xf0, 0xf8};
    static const int32_t LEASTS[] = {0, 0, 0x80, 0x800, 0x10000};
    if ((at[0] & LEAD_MASKS[n]) != LEADS[n])
        return -1;
    int32_t character = at[0] & ~LEAD_MASKS[n] & 0xff;
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return -1;
        character = character << 6 | (at[i] & 0x3f);
    }
    bool is_surrogate = character >= 0xd800 && character <= 0xdfff;
    return character < LEASTS[n] || character > 0x10ffff || is_surrogate ? -1 : character;
}

bool utf8_naive_is_valid(const uint8_t *at, size_t len)
{
    while (len > 0) {
        size_t n = 1;
        while (n <= 4 && (n > len || compose(at, n) < 0))
            n++;
        if (n > 4)
            return false;
        at += n;
        len -= n;
    }
    return true;
}
