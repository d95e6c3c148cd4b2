#include "src/router/base64url.h"

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(struct slice bytes, struct buf *ret_text)
{
    char *out = buf_reserve(ret_text, bytes.len / 3 * 4 + 4);
    uint32_t bits = 0;
    unsigned n_bits = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.data[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            *out++ = LETTERS[bits >> (n_bits - 6) & 63];
    }
    if (n_bits > 0)
        *out++ = LETTERS[bits << (6 - n_bits) & 63];
    ret_text->len = (size_t)(out - ret_text->data);
}

/* What a letter stands for, or -1. */
static int letter_value(char letter)
{
    const char *found = letter == '\0' ? NULL : strchr(LETTERS, letter);
    return found == NULL ? -1 : (int)(found - LETTERS);
}

bool base64url_decode(struct slice text, struct buf *ret_bytes)
{
    char *out = buf_reserve(ret_bytes, text.len / 4 * 3 + 3);
    uint32_t bits = 0;
    unsigned n_bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = letter_value(text.data[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            *out++ = (char)(bits >> n_bits & 0xff);
        }
    }
    bool is_whole = n_bits < 6 && (bits & ((1U << n_bits) - 1)) == 0;
    if (is_whole)
        ret_bytes->len = (size_t)(out - ret_bytes->data);
    return is_whole;
}
