#include "shards/scope/capture.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mp.h"
#include "shards/scope/row.h"

enum { BYTES_KEPT = 1 << 20, CHANGES_KEPT = 1 << 12 }; /* room that stays between turns */

static const struct collection *find_collection(const struct kind *kind, const char *table)
{
    for (size_t i = 0; i < kind->n_collections; i++)
        if (strcmp(kind->collections[i].def->name, table) == 0)
            return &kind->collections[i];
    return NULL;
}

static struct change *add(struct capture *capture, const struct collection *collection, enum op_type op,
                          sqlite3_value *key)
{
    if (capture->n == capture->capacity) {
        capture->capacity = capture->capacity == 0 ? 16 : capture->capacity * 2;
        capture->changes = mem_resize(capture->changes, capture->capacity * sizeof *capture->changes);
    }
    struct change *change = &capture->changes[capture->n++];
    *change = (struct change){.collection = collection, .op = op, .key_at = capture->bytes.len};
    if (sqlite3_value_type(key) != SQLITE_TEXT || sqlite3_value_bytes(key) == 0)
        capture->has_bad_key = true;
    buf_append(&capture->bytes, sqlite3_value_text(key), (size_t)sqlite3_value_bytes(key));
    change->key_len = capture->bytes.len - change->key_at;
    return change;
}

static void add_row(struct capture *capture, struct change *change, sqlite3 *db)
{
    const struct collection *collection = change->collection;
    change->row_at = capture->bytes.len;
    mp_write_map(&capture->bytes, (uint32_t)collection->n_columns);
    for (size_t i = 0; i < collection->n_columns; i++) {
        sqlite3_value *value = NULL;
        buf_append_slice(&capture->bytes, buf_slice(&collection->columns[i].encoded_name));
        if (sqlite3_preupdate_new(db, (int)i, &value) == SQLITE_OK)
            row_write_value(&capture->bytes, value);
        else
            mp_write_nil(&capture->bytes);
    }
    change->row_len = capture->bytes.len - change->row_at;
}

static bool same_text(sqlite3_value *a, sqlite3_value *b)
{
    struct slice x = slice_of(sqlite3_value_text(a), (size_t)sqlite3_value_bytes(a));
    struct slice y = slice_of(sqlite3_value_text(b), (size_t)sqlite3_value_bytes(b));
    return slice_eq(x, y);
}

static void on_change(void *arg, sqlite3 *db, int op, const char *schema, const char *table, sqlite3_int64 old_rowid,
                      sqlite3_int64 new_rowid)
{
    struct capture *capture = arg;
    sqlite3_value *old_key = NULL, *new_key = NULL;
    (void)schema;
    (void)old_rowid;
    (void)new_rowid;
    const struct collection *collection = find_collection(capture->kind, table);
    if (collection == NULL)
        return;
    if (op != SQLITE_INSERT)
        sqlite3_preupdate_old(db, (int)collection->key, &old_key);
    if (op != SQLITE_DELETE)
        sqlite3_preupdate_new(db, (int)collection->key, &new_key);
    bool moved = op == SQLITE_UPDATE && !same_text(old_key, new_key);
    if (op == SQLITE_DELETE || moved)
        add(capture, collection, OP_DELETE, old_key);
    if (op != SQLITE_DELETE)
        add_row(capture, add(capture, collection, op == SQLITE_UPDATE && !moved ? OP_UPDATE : OP_INSERT, new_key), db);
}

void capture_init(struct capture *capture, const struct kind *kind, sqlite3 *db)
{
    *capture = (struct capture){.kind = kind};
    sqlite3_preupdate_hook(db, on_change, capture);
}

void capture_release(struct capture *capture)
{
    free(capture->changes);
    buf_release(&capture->bytes);
}

struct capture_mark capture_mark(const struct capture *capture)
{
    return (struct capture_mark){capture->n, capture->bytes.len};
}

void capture_cut(struct capture *capture, struct capture_mark mark)
{
    capture->n = mark.n;
    capture->bytes.len = mark.bytes_len;
    capture->has_bad_key = false;
}

void capture_clear(struct capture *capture)
{
    capture_cut(capture, (struct capture_mark){0, 0});
    if (capture->bytes.capacity > BYTES_KEPT)
        buf_release(&capture->bytes);
    if (capture->capacity > CHANGES_KEPT) {
        free(capture->changes);
        capture->changes = NULL;
        capture->capacity = 0;
    }
}

struct slice change_key(const struct capture *capture, const struct change *change)
{
    return slice_of(capture->bytes.data + change->key_at, change->key_len);
}

struct slice change_row(const struct capture *capture, const struct change *change)
{
    return slice_of(capture->bytes.data + change->row_at, change->row_len);
}
