/*
 * claims - what a verified caller may say of itself: the JSON object of its token.
 *
 * An identity is the pair (`iss`, `sub`): receipts belong to it. Thread: its shard.
 */
#ifndef SHARDS_SCOPE_CLAIMS_H
#define SHARDS_SCOPE_CLAIMS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/bytes.h"

struct claims {
    cJSON *object;
    char *subject; /* `sub`, or NULL: an identity without it cannot write */
    char *issuer;  /* `iss`, or "" */
};

/* False if `json` is not an object. */
bool claims_init(struct claims *claims, struct slice json);
void claims_release(struct claims *claims);

/* The claim of that name, or NULL. */
const cJSON *claims_get(const struct claims *claims, const char *name);

#endif
