#include "tests/bench/buffer.h"

#include <stdlib.h>

#include "tests/bench/fail.h"

void buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_extend(struct buffer *buffer, size_t len)
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
