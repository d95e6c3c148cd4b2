#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

static struct table_node **head_of(const struct table *table, uint64_t hash)
{
    return &table->heads[hash & (table->n_heads - 1)];
}

static struct table_node *first_of(struct table_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

struct table_node *table_find(const struct table *table, uint64_t hash)
{
    return table->n_heads == 0 ? NULL : first_of(*head_of(table, hash), hash);
}

struct table_node *table_next(const struct table_node *node)
{
    return first_of(node->next, node->hash);
}

static void grow(struct table *table)
{
    struct table larger = {.n_heads = table->n_heads == 0 ? 8 : table->n_heads * 2, .n = table->n};
    larger.heads = mem_zero(larger.n_heads, sizeof *larger.heads);
    for (size_t i = 0; i < table->n_heads; i++) {
        for (struct table_node *node = table->heads[i], *next; node != NULL; node = next) {
            next = node->next;
            struct table_node **head = head_of(&larger, node->hash);
            node->next = *head;
            *head = node;
        }
    }
    free(table->heads);
    *table = larger;
}

void table_insert(struct table *table, struct table_node *node, uint64_t hash)
{
    if (table->n >= table->n_heads)
        grow(table);
    struct table_node **head = head_of(table, hash);
    node->hash = hash;
    node->next = *head;
    *head = node;
    table->n++;
}

void table_remove(struct table *table, struct table_node *node)
{
    struct table_node **link = head_of(table, node->hash);
    while (*link != node) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = node->next;
    table->n--;
}

struct table_node *table_any(const struct table *table)
{
    for (size_t i = 0; i < table->n_heads; i++)
        if (table->heads[i] != NULL)
            return table->heads[i];
    return NULL;
}

void table_release(struct table *table)
{
    assert(table->n == 0);
    free(table->heads);
    *table = (struct table){0};
}

uint64_t table_hash_number(uint64_t number)
{
    number *= 0x9e3779b97f4a7c15u;
    return number ^ number >> 32;
}

uint64_t table_hash_bytes(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}
