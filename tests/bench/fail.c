#include "tests/bench/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name = "bench";

void fail_as(const char *program)
{
    name = program;
}

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

void fail_errno(const char *format, ...)
{
    int saved = errno;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", name);
    vfprintf(stderr, format, args);
    fprintf(stderr, ": %s\n", strerror(saved));
    va_end(args);
    exit(EXIT_FAILURE);
}
