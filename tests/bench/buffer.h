/*
 * buffer - bytes that are appended at the end and taken from the front, in one growing block.
 *
 * Growing past `BUFFER_MAX` ends the program: nothing that the bench sends or receives is that large.
 * A buffer of zeroes is empty. The caller owns it; buffer_release() frees the block. Inline, because every byte of a
 * frame passes through here.
 */
#ifndef BENCH_BUFFER_H
#define BENCH_BUFFER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BUFFER_MAX ((size_t)64 << 20)

struct buffer {
    uint8_t *data;
    size_t start, end, capacity;
};

void buffer_release(struct buffer *buffer);

static inline size_t buffer_len(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline uint8_t *buffer_head(const struct buffer *buffer)
{
    return buffer->data + buffer->start;
}

/* Grow the block; for buffer_room(). */
void buffer_extend(struct buffer *buffer, size_t len);

/* Room for `len` more bytes at the end; the bytes count once buffer_grew() says how many were written. */
static inline uint8_t *buffer_room(struct buffer *buffer, size_t len)
{
    if (buffer->capacity - buffer->end < len) {
        buffer_extend(buffer, len);
    }
    return buffer->data + buffer->end;
}

static inline void buffer_grew(struct buffer *buffer, size_t len)
{
    assert(len <= buffer->capacity - buffer->end);
    buffer->end += len;
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
    memcpy(buffer_room(buffer, len), bytes, len);
    buffer->end += len;
}

static inline void buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    *buffer_room(buffer, 1) = byte;
    buffer->end++;
}

/* Drop `len` bytes from the front. */
static inline void buffer_take(struct buffer *buffer, size_t len)
{
    assert(len <= buffer_len(buffer));
    buffer->start += len;
    if (buffer->start == buffer->end) {
        buffer->start = buffer->end = 0;
    }
}

#endif
