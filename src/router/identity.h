/*
 * identity - who makes this request: its verified claims, from a header, the query, a cookie or (dev) a name.
 */
#ifndef ROUTER_IDENTITY_H
#define ROUTER_IDENTITY_H

#include "src/router/connection.h"

/* Appends the claims (JSON text) and stores when they end (seconds since 1970; 0: never). False if there is no valid
 * identity. A token that came in a query reaches no log. */
bool identity_of(const struct connection *connection, const struct http_request *request, struct buf *ret_claims,
                 int64_t *ret_expires_s);

/* Whether a page of this origin may connect. A listed origin, or, with no list, any; but a cookie, which browsers send
 * along by themselves, counts from the server's own origin alone. */
bool identity_origin_is_allowed(const struct connection *connection, const struct http_request *request);

#endif
