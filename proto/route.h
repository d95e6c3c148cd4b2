/*
 * route - where a scope lives: URL -> scope name -> slot -> shard.
 */
#ifndef PROTO_ROUTE_H
#define PROTO_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    ROUTE_SLOTS = 4096,
    ROUTE_ID_MAX = 512,  /* bytes of a decoded scope id */
    ROUTE_NAME_MAX = 64, /* bytes of an app's or kind's name: [a-z0-9_-], first a letter */
    ROUTE_SCOPE_MAX = 2 * ROUTE_NAME_MAX + ROUTE_ID_MAX + 3,
};

/* A scope's name, `app/kind/id`, with the id decoded: any bytes of UTF-8 but NUL, and at least one. */
struct scope_name {
    char text[ROUTE_SCOPE_MAX]; /* terminated */
    size_t len;
    struct slice app, kind, id; /* borrow from `text`: a copy of the struct must be made with scope_name_copy */
};

/* The front half of the name's SHA-256: clients choose ids, and no two may share a file. Its first 12 bits are the
 * slot, and the scope's file is named after the whole. */
struct scope_hash {
    uint8_t bytes[16];
};

/* Reads `/v1/{app}/{kind}/{id}/sync`, the id percent-encoded. False if `path` is not such a path. */
bool route_parse_sync(struct slice path, struct scope_name *ret_name);

/* Reads `/{app}/{kind}/{id}`, the id percent-encoded: the way of an operator's requests. */
bool route_parse_scope(struct slice path, struct scope_name *ret_name);

/* Reads `app/kind/id`, decoded. */
bool scope_name_parse(struct slice text, struct scope_name *ret_name);
void scope_name_copy(struct scope_name *to, const struct scope_name *from);

bool scope_name_eq(const struct scope_name *a, const struct scope_name *b);

struct scope_hash scope_hash(const struct scope_name *name);

/* Its first 8 bytes, for tables of scopes. */
uint64_t scope_name_hash(const struct scope_name *name);
unsigned scope_slot(const struct scope_hash *hash);

/* 32 hexadecimal digits, terminated. */
void scope_hash_text(const struct scope_hash *hash, char ret_text[33]);

/* Shard i of n owns the slots [route_first_slot(i, n), route_first_slot(i + 1, n)). */
unsigned route_shard(unsigned slot, unsigned n_shards);
unsigned route_first_slot(unsigned shard, unsigned n_shards);

/* Whether `name` may name an app, a kind, a collection's app-facing id or a command. */
bool route_name_is_valid(struct slice name);

#endif
