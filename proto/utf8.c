#include "proto/utf8.h"

#include <stdint.h>

/* The high bits of 4 or 8 bytes. */
static inline uint64_t high_bits(const char *at, size_t n)
{
    uint64_t block = 0;
    memcpy(&block, at, n);
    return block & 0x8080808080808080u;
}

/* Most text is short and ASCII: blocks that overlap at its end spare it a loop over bytes. */
static bool is_ascii(struct slice text)
{
    uint64_t high = 0;
    if (text.len >= 8) {
        for (size_t at = 0; text.len - at > 8; at += 8)
            high |= high_bits(text.data + at, 8);
        high |= high_bits(text.data + text.len - 8, 8);
    } else if (text.len >= 4) {
        high = high_bits(text.data, 4) | high_bits(text.data + text.len - 4, 4);
    } else {
        for (size_t i = 0; i < text.len; i++)
            high |= (uint8_t)text.data[i] & 0x80;
    }
    return high == 0;
}

/* The length of the multi-byte character at the front, or 0 if it is none. Only the second byte's range depends on
 * the first: it is what shuts out overlong forms, surrogates and what lies above U+10FFFF. */
static size_t character_len(const uint8_t *at, size_t len)
{
    uint8_t lead = at[0], low = 0x80, high = 0xbf;
    size_t want;
    if (lead >= 0xc2 && lead <= 0xdf)
        want = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        want = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        want = 4;
    else
        return 0;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    if (len < want || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return want;
}

bool utf8_is_valid(struct slice text)
{
    if (is_ascii(text))
        return true;
    for (size_t at = 0; at < text.len;) {
        size_t len = (uint8_t)text.data[at] < 0x80 ? 1 : character_len((const uint8_t *)text.data + at, text.len - at);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}
