/*
 * tally - which numbers of a sequence came: each exactly once, none left out.
 *
 * Numbers may come out of order within a window of TALLY_WINDOW, which is also the most that a writer may have in
 * flight. A tally of zeroes has seen none. Inline: it runs for every row that the driver receives.
 */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#define TALLY_WINDOW 1024u

struct tally {
    uint64_t next;                     /* everything below came */
    uint64_t ahead[TALLY_WINDOW / 64]; /* bit n % TALLY_WINDOW: n came before its turn */
};

static inline uint64_t tally_bit(uint64_t n)
{
    return (uint64_t)1 << n % 64;
}

static inline uint64_t *tally_word(struct tally *tally, uint64_t n)
{
    return &tally->ahead[n % TALLY_WINDOW / 64];
}

static inline bool tally_has(struct tally *tally, uint64_t n)
{
    return n < tally->next || (n < tally->next + TALLY_WINDOW && (*tally_word(tally, n) & tally_bit(n)));
}

/* False when `n` came before, or so early that an older one must be lost. */
static inline bool tally_add(struct tally *tally, uint64_t n)
{
    if (tally_has(tally, n) || n >= tally->next + TALLY_WINDOW) {
        return false;
    }
    *tally_word(tally, n) |= tally_bit(n);
    while (*tally_word(tally, tally->next) & tally_bit(tally->next)) {
        *tally_word(tally, tally->next) &= ~tally_bit(tally->next);
        tally->next++;
    }
    return true;
}

#endif
