#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void *or_die(void *memory, size_t len)
{
    if (memory == NULL && len > 0) {
        fprintf(stderr, "skerry: out of memory (%zu bytes)\n", len);
        abort();
    }
    return memory;
}

void *mem_alloc(size_t len)
{
    return or_die(malloc(len), len);
}

void *mem_zero(size_t n, size_t len)
{
    return or_die(calloc(n, len), n * len);
}

void *mem_resize(void *old, size_t len)
{
    return or_die(realloc(old, len), len);
}

char *mem_dup(struct slice slice)
{
    char *copy = mem_alloc(slice.len + 1);
    if (slice.len > 0)
        memcpy(copy, slice.data, slice.len);
    copy[slice.len] = '\0';
    return copy;
}

void buf_release(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

char *buf_reserve(struct buf *buf, size_t more)
{
    size_t need = buf->len + more;
    assert(need >= more);
    if (need > buf->capacity || buf->data == NULL) {
        size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
        while (capacity < need)
            capacity += capacity / 2;
        buf->data = mem_resize(buf->data, capacity);
        buf->capacity = capacity;
    }
    return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(buf, len), data, len);
    buf->len += len;
}

void buf_append_slice(struct buf *buf, struct slice slice)
{
    buf_append(buf, slice.data, slice.len);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(len >= 0);
    vsnprintf(buf_reserve(buf, (size_t)len + 1), (size_t)len + 1, format, again);
    va_end(again);
    buf->len += (size_t)len;
}

void buf_append_lines(struct buf *buf, const char *text)
{
    for (const char *separator = ""; *text != '\0'; separator = "; ") {
        size_t len = strcspn(text, "\n");
        buf_printf(buf, "%s%.*s", separator, (int)len, text);
        text += len + strspn(text + len, "\n");
    }
}

void buf_consume(struct buf *buf, size_t len)
{
    assert(len <= buf->len);
    buf->len -= len;
    if (buf->len > 0 && len > 0)
        memmove(buf->data, buf->data + len, buf->len);
}

void buf_trim(struct buf *buf, size_t *done)
{
    if (*done < buf->len - *done)
        return;
    buf_consume(buf, *done);
    *done = 0;
}
