/*
 * memory - the allocator of the simulated processes, which fails once where it is asked to.
 *
 * Memory that runs out ends a process of Skerry by design (base/bytes.h): here that is a crash of the simulated one.
 * Sanitizers bring an allocator of their own, so that nothing fails with them.
 */
#include <assert.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/sim/world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif

#ifndef OWN_ALLOCATOR
/* glibc's own names. NOLINTBEGIN(bugprone-reserved-identifier) */
void *__libc_malloc(size_t len);
void *__libc_calloc(size_t n, size_t len);
void *__libc_realloc(void *old, size_t len);
/* NOLINTEND(bugprone-reserved-identifier) */

static bool fails(void)
{
    if (world.current == STORY || !world.is_begun || ++world.n_allocations != world.fail_allocation)
        return false;
    sim_note("there is no memory");
    return true;
}

void *malloc(size_t len)
{
    return fails() ? NULL : __libc_malloc(len);
}

void *calloc(size_t n, size_t len)
{
    return fails() ? NULL : __libc_calloc(n, len);
}

void *realloc(void *old, size_t len)
{
    return fails() ? NULL : __libc_realloc(old, len);
}
#endif

static bool has_failed(void)
{
    return world.current != STORY && world.fail_allocation != 0 && world.n_allocations >= world.fail_allocation;
}

static _Noreturn void die(void)
{
    if (has_failed())
        process_exit(134);
    syscall(SYS_kill, getpid(), SIGABRT);
    _exit(134);
}

/* What ends a process that has no memory is its crash; else it is the schedule's failure. */
void abort(void)
{
    die();
}

/* NOLINTNEXTLINE(bugprone-reserved-identifier) */
void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
    if (!has_failed())
        fprintf(stderr, "seed %llu: %s:%u: %s: %s\n", (unsigned long long)world.options.seed, file, line, function,
                what);
    die();
}
