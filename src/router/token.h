/*
 * token - who is it? JSON Web Tokens with HS256, and the keys they are checked with.
 *
 * Only the algorithm that the key says is accepted, never the one that a token asks for.
 */
#ifndef ROUTER_TOKEN_H
#define ROUTER_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "proto/app.h"

struct keyset;

/* Reads a JWK set (RFC 7517) with `oct` keys of at least 32 bytes. NULL, with problems added, if anything is wrong. */
struct keyset *keyset_load(const char *path, struct problems *problems);
/* The keys that an app names. NULL without a problem if it names none. */
struct keyset *keyset_load_for(const struct app *app, struct problems *problems);

/* Logs that others on this machine can read an app's keys, if they can. */
void keyset_warn_if_exposed(const struct app *app);

void keyset_free(struct keyset *keyset);

/* What a token must say. NULL members are not checked. */
struct token_policy {
    const char *audience, *issuer;
};

enum { TOKEN_MAX = 8192 };

/* Verifies a compact JWS: signature, `exp` (required), `nbf`, `aud`, `iss`, with 30 s of leeway for clocks.
 * On success appends the claims, JSON text as the token carried it, and stores when they end (seconds since 1970).
 * On failure returns a short reason for the log, which names no secret; on success NULL. */
const char *token_verify(const struct keyset *keyset, const struct token_policy *policy, struct slice token,
                         int64_t now_s, struct buf *ret_claims, int64_t *ret_expires_s);

/* Appends a token with these claims (JSON text of an object), signed with the first key. */
void token_mint(const struct keyset *keyset, struct slice claims, struct buf *ret_token);

#endif
