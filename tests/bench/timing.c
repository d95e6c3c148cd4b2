#include "tests/bench/timing.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Values below HISTOGRAM_FINE have a bucket each; above, the top 8 bits select one. */
static uint64_t bucket_of(uint64_t ns)
{
    uint64_t shift = 0;
    while ((ns >> shift) >= 2 * HISTOGRAM_FINE) {
        shift++;
    }
    uint64_t bucket = shift * HISTOGRAM_FINE + (ns >> shift);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t bucket_top(uint64_t bucket)
{
    if (bucket < 2 * HISTOGRAM_FINE) {
        return bucket;
    }
    uint64_t shift = bucket / HISTOGRAM_FINE - 1;
    uint64_t top = bucket - shift * HISTOGRAM_FINE;
    return ((top + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->n++;
    histogram->buckets[bucket_of(ns)]++;
    if (ns > histogram->max_ns) {
        histogram->max_ns = ns;
    }
}

double histogram_ms(const struct histogram *histogram, double percent)
{
    double wanted = (double)histogram->n * percent / 100.0;
    uint64_t seen = 0;
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t top = bucket_top(i);
            return (double)(top < histogram->max_ns ? top : histogram->max_ns) / (double)NS_PER_MS;
        }
    }
    return 0;
}

void histogram_print(const struct histogram *histogram, const char *name)
{
    printf("\"%s\":{\"n\":%" PRIu64 ",\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f}", name, histogram->n,
           histogram_ms(histogram, 50), histogram_ms(histogram, 99), (double)histogram->max_ns / (double)NS_PER_MS);
}
