/*
 * fail - how the bench's programs give up: one line on stderr, exit status 1.
 *
 * A load generator that meets a wrong answer has nothing to clean up and nothing to save.
 */
#ifndef BENCH_FAIL_H
#define BENCH_FAIL_H

/* The name that each message begins with; borrowed. */
void fail_as(const char *program);

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, followed by what errno says. */
_Noreturn void fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
