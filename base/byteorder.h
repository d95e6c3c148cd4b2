/* byteorder - integers as bytes, big- and little-endian, at any alignment. Compilers turn each into one instruction. */
#ifndef BASE_BYTEORDER_H
#define BASE_BYTEORDER_H

#include <stdint.h>

static inline uint8_t byte_at(const char *at, unsigned i)
{
    return (uint8_t)at[i];
}

static inline uint16_t be16_load(const char *at)
{
    return (uint16_t)(byte_at(at, 0) << 8 | byte_at(at, 1));
}

static inline uint32_t be32_load(const char *at)
{
    return (uint32_t)be16_load(at) << 16 | be16_load(at + 2);
}

static inline uint64_t be64_load(const char *at)
{
    return (uint64_t)be32_load(at) << 32 | be32_load(at + 4);
}

static inline uint16_t le16_load(const char *at)
{
    return (uint16_t)(byte_at(at, 1) << 8 | byte_at(at, 0));
}

static inline uint32_t le32_load(const char *at)
{
    return (uint32_t)le16_load(at + 2) << 16 | le16_load(at);
}

static inline uint64_t le64_load(const char *at)
{
    return (uint64_t)le32_load(at + 4) << 32 | le32_load(at);
}

/* The stores return the byte behind what they wrote. */
static inline char *be16_store(char *at, uint16_t value)
{
    at[0] = (char)(value >> 8);
    at[1] = (char)value;
    return at + 2;
}

static inline char *be32_store(char *at, uint32_t value)
{
    return be16_store(be16_store(at, (uint16_t)(value >> 16)), (uint16_t)value);
}

static inline char *be64_store(char *at, uint64_t value)
{
    return be32_store(be32_store(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

static inline char *le16_store(char *at, uint16_t value)
{
    at[0] = (char)value;
    at[1] = (char)(value >> 8);
    return at + 2;
}

static inline char *le32_store(char *at, uint32_t value)
{
    return le16_store(le16_store(at, (uint16_t)value), (uint16_t)(value >> 16));
}

static inline char *le64_store(char *at, uint64_t value)
{
    return le32_store(le32_store(at, (uint32_t)value), (uint32_t)(value >> 32));
}

#endif
