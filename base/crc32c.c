#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

enum { LANES = 8 };

static const uint32_t POLYNOMIAL = 0x82f63b78; /* reflected */

/* TABLE[lane][byte]: the checksum of `byte` followed by `lane` zero bytes. */
static uint32_t table[LANES][256];

static void fill_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (POLYNOMIAL & (0u - (crc & 1)));
        table[0][byte] = crc;
    }
    for (int lane = 1; lane < LANES; lane++)
        for (int byte = 0; byte < 256; byte++)
            table[lane][byte] = table[lane - 1][byte] >> 8 ^ table[0][table[lane - 1][byte] & 0xff];
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_table);
    const unsigned char *bytes = data;
    crc = ~crc;
    for (; len >= LANES; len -= LANES, bytes += LANES) {
        uint32_t low, high;
        memcpy(&low, bytes, 4);
        memcpy(&high, bytes + 4, 4);
        low ^= crc; /* little endian, as everything that Skerry writes */
        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
              table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^ table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
    }
    for (; len > 0; len--, bytes++)
        crc = crc >> 8 ^ table[0][(crc ^ *bytes) & 0xff];
    return ~crc;
}
