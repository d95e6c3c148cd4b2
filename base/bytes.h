/*
 * bytes - a slice borrows bytes, a buf owns a growing run of them.
 *
 * Memory that runs out ends the process: the supervisor starts it again, and everything acknowledged is on disk.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes: valid as long as what they point into. Not terminated. */
struct slice {
    const char *data;
    size_t len;
};

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
#define SLICE_NONE     ((struct slice){NULL, 0})

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){data, len};
}

static inline struct slice slice_str(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Zeroed is empty and valid. */
struct buf {
    char *data;
    size_t len, capacity;
};

void buf_release(struct buf *buf);

/* Makes room for `more` bytes behind the end and returns where they go. The caller adds to `len` what it wrote. */
char *buf_reserve(struct buf *buf, size_t more);

void buf_append(struct buf *buf, const void *data, size_t len);
void buf_append_slice(struct buf *buf, struct slice slice);

/* Also terminates what it wrote, behind the end, so that `data` can be used as a string until the next append. */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the lines of a text as one, with "; " between them; terminates it, too. */
void buf_append_lines(struct buf *buf, const char *text);

/* Drops the first `len` bytes. */
void buf_consume(struct buf *buf, size_t len);

/* The same for who reads from the front in small steps: `*done` bytes are done with. They are dropped, and `*done` is 0
 * again, once what has to be moved for it is less. So a queue that is never quite empty does not grow for ever. */
void buf_trim(struct buf *buf, size_t *done);

static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){buf->data, buf->len};
}

/* malloc, calloc and strdup that do not return NULL. */
void *mem_alloc(size_t len);
void *mem_zero(size_t n, size_t len);
void *mem_resize(void *old, size_t len);
char *mem_dup(struct slice slice); /* terminated */

#endif
