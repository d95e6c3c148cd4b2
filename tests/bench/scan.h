/*
 * scan - the ceiling of rows e and f: SQLite scan and encode, through an h2 and a WebSocket hop to the driver.
 *
 *     driver <--WebSocket-- router <--h2-- worker, which steps through the rows of the bench app's table
 *
 * The driver cannot tell it from a server: each `sub` becomes an h2 request, the worker answers with length-prefixed
 * `snap` frames, and the router puts them into WebSocket messages. One client at a time, nothing is live.
 */
#ifndef BENCH_SCAN_H
#define BENCH_SCAN_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

#include "tests/bench/buffer.h"

/* The worker's whole life: make `rows` rows in `dir`, then answer requests on `fd` until it ends. */
void scan_worker(int fd, const char *dir, long rows);

/* The router's: one driver after the other from `listener`, its `sub`s to the worker on `fd`. */
void scan_router(int fd, int listener);

/* ---- h2 over a blocking descriptor, for both ---- */

#define SCAN_WINDOW (4 << 20)
#define SCAN_PIECE  (64 << 10)

/* Announce large windows and frames. */
void scan_h2_start(nghttp2_session *session);

/* Read once and feed the session; false at the stream's end. */
bool scan_h2_read(nghttp2_session *session, int fd);

/* Write all that the session wants to send. */
void scan_h2_write(nghttp2_session *session, int fd);

#endif
