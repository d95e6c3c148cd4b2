/*
 * timing - a monotonic clock, and a histogram of latencies.
 *
 * The histogram is log-linear: 128 buckets for each power of two, so a percentile is within 0.8 % of the truth
 * and millions of samples take 37 KB.
 */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include <stdint.h>

#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

#define HISTOGRAM_FINE    UINT64_C(128) /* buckets for each power of two */
#define HISTOGRAM_POWERS  UINT64_C(36)  /* up to 2^43 ns, over two hours */
#define HISTOGRAM_BUCKETS (HISTOGRAM_FINE * HISTOGRAM_POWERS)

struct histogram {
    uint64_t n;
    uint64_t max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

uint64_t now_ns(void);

/* A histogram of zeroes is empty. */
void histogram_add(struct histogram *histogram, uint64_t ns);

/* The latency that `percent` of the samples do not exceed, in ms; 0 when there is none. */
double histogram_ms(const struct histogram *histogram, double percent);

/* Print `"NAME":{"n":..,"p50":..,"p99":..,"max":..}`, in ms. */
void histogram_print(const struct histogram *histogram, const char *name);

#endif
