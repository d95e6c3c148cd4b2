#include "tests/bench/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/fail.h"

void buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

static void make_room(struct buffer *buffer, size_t len)
{
    size_t used = buffer_len(buffer);
    if (len > BUFFER_MAX - used) {
        fail("a buffer would exceed %zu bytes", BUFFER_MAX);
    }
    if (buffer->start > 0) {
        memmove(buffer->data, buffer_head(buffer), used);
        buffer->start = 0;
        buffer->end = used;
    }
    size_t capacity = buffer->capacity ? buffer->capacity : 512;
    while (capacity < used + len) {
        capacity *= 2;
    }
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data) {
        fail("out of memory");
    }
    buffer->data = data;
    buffer->capacity = capacity;
}

uint8_t *buffer_room(struct buffer *buffer, size_t len)
{
    if (buffer->capacity - buffer->end < len) {
        make_room(buffer, len);
    }
    return buffer->data + buffer->end;
}

void buffer_grew(struct buffer *buffer, size_t len)
{
    assert(len <= buffer->capacity - buffer->end);
    buffer->end += len;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
    memcpy(buffer_room(buffer, len), bytes, len);
    buffer->end += len;
}

void buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    *buffer_room(buffer, 1) = byte;
    buffer->end++;
}

void buffer_take(struct buffer *buffer, size_t len)
{
    assert(len <= buffer_len(buffer));
    buffer->start += len;
    if (buffer->start == buffer->end) {
        buffer->start = buffer->end = 0;
    }
}
