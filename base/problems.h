/*
 * problems - what is wrong with something that a person wrote, all of it in one go.
 *
 * One mistake is one line: `FILE: PATH: what is wrong; what to do`. A file that is nothing but mistakes fills no
 * memory: the first PROBLEMS_MAX are kept, the others only counted.
 */
#ifndef BASE_PROBLEMS_H
#define BASE_PROBLEMS_H

#include "base/bytes.h"

enum { PROBLEMS_MAX = 100 };

/* Zeroed is empty. */
struct problems {
    struct buf text; /* lines, each ended by '\n' */
    size_t n;
};

/* Adds a line, cut at 1000 bytes. Control characters in it become '?', so that no name can forge a line. */
void problems_add(struct problems *problems, const char *format, ...) __attribute__((format(printf, 2, 3)));
void problems_release(struct problems *problems);

#endif
