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

static uint64_t hash_of(const struct scope_file *file, const char *what)
{
    uint64_t hash = table_hash_bytes(TABLE_HASH_START, file->kind->def->name, strlen(file->kind->def->name));
    return table_hash_bytes(hash, what, strlen(what));
}

void failure_log(const struct scope_file *file, const struct outcome *outcome, const char *what)
{
    metric_add(METRIC_SHARD_SQL_FAILURES, 1);
    size_t way = hash_of(file, what) % WAYS;
    long long now_ms = file->database.context.now_ms, said_ms = atomic_load(&ways[way].said_ms);
    bool is_due = now_ms < said_ms || now_ms - said_ms >= QUIET_MS; /* the clock may have been put back */
    if (!is_due || !atomic_compare_exchange_strong(&ways[way].said_ms, &said_ms, now_ms)) {
        atomic_fetch_add(&ways[way].unsaid, 1);
        return;
    }
    log_line(LOG_WARN, "sql_failed scope=%s %s why=\"%.*s\" unsaid=%u", file->name->text, what, (int)outcome->why.len,
             outcome->why.data, atomic_exchange(&ways[way].unsaid, 0));
}
