/*
 * crc32c - the Castagnoli checksum, for what is written to disk.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 at the start) over `data`. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
