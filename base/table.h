/*
 * table - an intrusive hash table.
 *
 * What is stored embeds a `struct table_node` and carries its own key; the caller brings the hash, and compares.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_node {
    struct table_node *next;
    uint64_t hash;
};

/* Zeroed is empty and valid. */
struct table {
    struct table_node **heads;
    size_t n_heads; /* a power of two, or 0 */
    size_t n;
};

#define TABLE_ITEM(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* The first node of this hash; table_next gives further ones. */
struct table_node *table_find(const struct table *table, uint64_t hash);
struct table_node *table_next(const struct table_node *node);

void table_insert(struct table *table, struct table_node *node, uint64_t hash);
void table_remove(struct table *table, struct table_node *node);

/* Any node, or NULL when the table is empty: for emptying it. */
struct table_node *table_any(const struct table *table);

/* Frees the table's own memory. It must be empty. */
void table_release(struct table *table);

/* Spreads the bits of a number that counts up. */
uint64_t table_hash_number(uint64_t number);

/* FNV-1a over bytes, from TABLE_HASH_START or from a hash of what precedes them. Not for names that peers choose freely
 * to collide. */
#define TABLE_HASH_START 0xcbf29ce484222325u
uint64_t table_hash_bytes(uint64_t hash, const void *data, size_t len);

#endif
