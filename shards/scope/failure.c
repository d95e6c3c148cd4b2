#include "shards/scope/failure.h"

#include <stdatomic.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/table.h"

enum { WAYS = 64, QUIET_MS = 1000 };

/* What fails in one way, of whatever scope. Two may share a place: then one of them may go unsaid for a while. */
static struct {
    atomic_llong said_ms;
    atomic_uint unsaid;
} ways[WAYS];

static uint64_t hash_of(const struct scope_name *name, const char *what)
{
    uint64_t hash = table_hash_bytes(TABLE_HASH_START, name->kind.data, name->kind.len);
    return table_hash_bytes(hash, what, strlen(what));
}

void failure_log(const struct scope_name *name, int64_t now_ms, const char *what, const char *why)
{
    size_t way = hash_of(name, what) % WAYS;
    long long said_ms = atomic_load(&ways[way].said_ms);
    bool is_due = now_ms < said_ms || now_ms - said_ms >= QUIET_MS; /* the clock may have been put back */
    metric_add(METRIC_SHARD_SQL_FAILURES, 1);
    if (is_due && atomic_compare_exchange_strong(&ways[way].said_ms, &said_ms, now_ms))
        log_line(LOG_WARN, "sql_failed scope=%s %s why=\"%s\" unsaid=%u", name->text, what, why,
                 atomic_exchange(&ways[way].unsaid, 0));
    else
        atomic_fetch_add(&ways[way].unsaid, 1);
}
