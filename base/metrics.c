#include "base/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

static atomic_uint_fast64_t values[METRIC_N];

static const struct {
    const char *name, *kind, *help;
} TABLE[METRIC_N] = {
#define METRICS_ROW(id, name, kind, help) {name, kind, help},
    METRICS_TABLE(METRICS_ROW)
#undef METRICS_ROW
};

void metric_add(enum metric metric, int64_t more)
{
    atomic_fetch_add_explicit(&values[metric], (uint64_t)more, memory_order_relaxed);
}

void metric_set(enum metric metric, uint64_t value)
{
    atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

uint64_t metric_get(enum metric metric)
{
    return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

void metrics_print(struct buf *buf, const char *prefix)
{
    for (int i = 0; i < METRIC_N; i++)
        if (strncmp(TABLE[i].name, prefix, strlen(prefix)) == 0)
            buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", TABLE[i].name, TABLE[i].help, TABLE[i].name,
                       TABLE[i].kind, TABLE[i].name, metric_get((enum metric)i));
}
