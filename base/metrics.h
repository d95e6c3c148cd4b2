/*
 * metrics - what this process counts, as one table: a name, a kind and a help text each.
 *
 * The text is Prometheus' exposition format. Thread: any (relaxed atomics; a number is exact, a set of them is not).
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdint.h>

#include "base/bytes.h"

#define METRICS_TABLE(X)                                                                                               \
    X(ROUTER_CONNECTIONS, "skerry_router_connections", "gauge", "open client sockets")                                 \
    X(ROUTER_SESSIONS, "skerry_router_sessions", "gauge", "attached sessions")                                         \
    X(ROUTER_BAD_REQUESTS, "skerry_router_bad_requests_total", "counter", "requests that were not HTTP")               \
    X(ROUTER_REFUSED_IDENTITY, "skerry_router_refused_identity_total", "counter", "upgrades without an identity")      \
    X(ROUTER_REFUSED_OPEN, "skerry_router_refused_open_total", "counter", "upgrades that the rule `open` refused")     \
    X(ROUTER_REFUSED_ORIGIN, "skerry_router_refused_origin_total", "counter", "upgrades from a foreign origin")        \
    X(ROUTER_PROTOCOL_ERRORS, "skerry_router_protocol_errors_total", "counter", "sockets closed for broken framing")   \
    X(ROUTER_OVERSIZED_FRAMES, "skerry_router_oversized_frames_total", "counter", "messages above the frame limit")    \
    X(ROUTER_TEXT_DROPPED, "skerry_router_text_dropped_total", "counter", "text messages that were not `ping`")        \
    X(ROUTER_THROTTLED, "skerry_router_throttled_total", "counter", "times a socket was not read for its frame rate")  \
    X(ROUTER_SILENT, "skerry_router_silent_total", "counter", "sockets closed because the peer was silent")            \
    X(ROUTER_STALLED, "skerry_router_stalled_total", "counter", "sockets closed because the peer did not read")        \
    X(ROUTER_FALLEN, "skerry_router_fallen_total", "counter", "times a session was too slow for the recent frames")    \
    X(ROUTER_BEHIND, "skerry_router_sessions_behind", "gauge", "sessions that are not given the latest frames")        \
    X(ROUTER_BEHIND_MOST, "skerry_router_behind_changes_max", "gauge",                                                 \
      "positions by which the slowest session is behind its scope")                                                    \
    X(ROUTER_ACCEPT_PAUSES, "skerry_router_accept_pauses_total", "counter", "times no descriptor was left to accept")  \
    X(ROUTER_LINKS_LOST, "skerry_router_links_lost_total", "counter", "connections to shards that broke")              \
    X(SHARD_SESSIONS, "skerry_shard_sessions", "gauge", "attached sessions")                                           \
    X(SHARD_SCOPES, "skerry_shard_scopes", "gauge", "scopes in memory")                                                \
    X(SHARD_TURNS, "skerry_shard_turns_total", "counter", "turns that did work")                                       \
    X(SHARD_TURNS_REPEATED, "skerry_shard_turns_repeated_total", "counter", "turns of a scope decided again")          \
    X(SHARD_LONG_JOBS, "skerry_shard_long_jobs_total", "counter", "jobs done on the helper thread")                    \
    X(SHARD_OVERRUNS, "skerry_shard_overruns_total", "counter", "requests given up because they took too long")        \
    X(SHARD_FRAMES_DROPPED, "skerry_shard_frames_dropped_total", "counter", "undecodable frames of clients")           \
    X(SHARD_COMMITTED, "skerry_shard_committed_total", "counter", "transactions committed")                            \
    X(SHARD_REJECTED, "skerry_shard_rejected_total", "counter", "transactions rejected")                               \
    X(SHARD_SQL_FAILURES, "skerry_shard_sql_failures_total", "counter", "times that SQL of the app failed")            \
    X(SHARD_REFUSED, "skerry_shard_refused_total", "counter", "transactions put off undecided: no room, no journal")   \
    X(SHARD_REPLAYED, "skerry_shard_replayed_total", "counter", "receipts sent again")                                 \
    X(SHARD_LAGS, "skerry_shard_lags_total", "counter", "sessions that were too slow and go on from the log")          \
    X(SHARD_RESETS, "skerry_shard_resets_total", "counter", "resets sent, refusals included")                          \
    X(SHARD_SUBS_REFUSED, "skerry_shard_subs_refused_total", "counter", "subscriptions refused")                       \
    X(SHARD_SLICES_READ, "skerry_shard_slices_read_total", "counter",                                                  \
      "times rows of a snapshot were read and encoded")                                                                \
    X(SHARD_SLICES_SHARED, "skerry_shard_slices_shared_total", "counter", "times they were taken from another's read") \
    X(SHARD_SLICES_BYTES, "skerry_shard_slices_bytes", "gauge", "bytes of rows kept for snapshots that share them")    \
    X(SHARD_SLICES_DROPPED, "skerry_shard_slices_dropped_total", "counter", "slices let go for want of memory")        \
    X(SHARD_POSTPONED, "skerry_shard_postponed_total", "counter", "turns in which not all who catch up had theirs")    \
    X(SHARD_JOURNAL_BREAKS, "skerry_shard_journal_breaks_total", "counter",                                            \
      "writes and syncs of journals that failed")                                                                      \
    X(SHARD_JOURNALS_BROKEN, "skerry_shard_journals_broken", "gauge", "journals that wait for a disk that takes them") \
    X(SHARD_JOURNALS_SHORT, "skerry_shard_journals_short", "gauge", "journals that the disk has no more room for")     \
    X(SHARD_JOURNAL_SEGMENTS, "skerry_shard_journal_segments", "gauge", "files of the journals")                       \
    X(SHARD_SCOPE_FAILURES, "skerry_shard_scope_failures_total", "counter", "scopes closed because a commit failed")   \
    X(SHARD_SCOPES_IN_TROUBLE, "skerry_shard_scopes_in_trouble", "gauge",                                              \
      "scopes that are closed because of their file")                                                                  \
    X(SHARD_BACKUPS, "skerry_shard_backups_total", "counter", "backups of a scope that were sent")                     \
    X(SHARD_RESTORES, "skerry_shard_restores_total", "counter", "scopes that were restored from a file")

enum metric {
#define METRICS_ENUM(id, name, kind, help) METRIC_##id,
    METRICS_TABLE(METRICS_ENUM)
#undef METRICS_ENUM
        METRIC_N
};

void metric_add(enum metric metric, int64_t more);
void metric_set(enum metric metric, uint64_t value);
uint64_t metric_get(enum metric metric);

/* Appends the metrics whose names start with `prefix`. */
void metrics_print(struct buf *buf, const char *prefix);

#endif
