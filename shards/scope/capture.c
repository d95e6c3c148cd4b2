#include "shards/scope/capture.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mp.h"
#include "shards/scope/row.h"

enum { BYTES_KEPT = 1 << 16, CHANGES_KEPT = 1 << 10 }; /* room that stays between turns */

/* SQLite hands out the same name each time, so that the pointer mostly tells. */
static const struct kind_table *find_table(struct capture *capture, const char *name)
{
    const struct kind *kind = capture->kind;
    if (capture->last_name == name && strcmp(capture->last->table.name, name) == 0)
        return capture->last;
    for (size_t i = 0; i < kind->n_tables; i++) {
        if (strcmp(kind->tables[i].table.name, name) != 0)
            continue;
        capture->last = &kind->tables[i];
        capture->last_name = name;
        return capture->last;
    }
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
    capture->has_bad_text |= !row_value_is_readable(key);
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
        capture->failed = sqlite3_preupdate_new(db, (int)i, &value);
        if (capture->failed != SQLITE_OK)
            return;
        capture->has_bad_text |= !row_value_is_readable(value);
        row_write_value(&capture->bytes, value);
    }
    change->row_len = capture->bytes.len - change->row_at;
}

static bool same_text(sqlite3_value *a, sqlite3_value *b)
{
    struct slice x = slice_of(sqlite3_value_text(a), (size_t)sqlite3_value_bytes(a));
    struct slice y = slice_of(sqlite3_value_text(b), (size_t)sqlite3_value_bytes(b));
    return slice_eq(x, y);
}

static void add_changes(struct capture *capture, const struct collection *collection, sqlite3 *db, int op)
{
    sqlite3_value *old_key = NULL, *new_key = NULL;
    if (op != SQLITE_INSERT)
        capture->failed = sqlite3_preupdate_old(db, (int)collection->key, &old_key);
    if (op != SQLITE_DELETE && capture->failed == SQLITE_OK)
        capture->failed = sqlite3_preupdate_new(db, (int)collection->key, &new_key);
    if (capture->failed != SQLITE_OK)
        return;
    bool moved = op == SQLITE_UPDATE && !same_text(old_key, new_key);
    if (op == SQLITE_DELETE || moved)
        add(capture, collection, OP_DELETE, old_key);
    if (op != SQLITE_DELETE)
        add_row(capture, add(capture, collection, op == SQLITE_UPDATE && !moved ? OP_UPDATE : OP_INSERT, new_key), db);
}

static void on_change(void *arg, sqlite3 *db, int op, const char *schema, const char *name, sqlite3_int64 old_rowid,
                      sqlite3_int64 new_rowid)
{
    struct capture *capture = arg;
    (void)schema;
    (void)old_rowid;
    (void)new_rowid;
    const struct kind_table *table = find_table(capture, name);
    if (table == NULL || capture->failed != SQLITE_OK || capture->is_too_large)
        return; /* a table of SQLite's own, or in vain */
    int code = rowchange_write(&capture->journal, &table->table, db, op);
    if (code == SQLITE_CONSTRAINT_NOTNULL)
        capture->has_bad_key = true;
    else if (code != SQLITE_OK)
        capture->failed = code;
    else if (table->collection != NULL)
        add_changes(capture, table->collection, db, op);
    capture->is_too_large = capture_bytes(capture) > capture->bytes_max;
    if (capture->is_too_large)
        sqlite3_interrupt(db);
}

size_t capture_bytes(const struct capture *capture)
{
    return capture->bytes.len + capture->journal.len + capture->n * sizeof *capture->changes;
}

void capture_init(struct capture *capture, const struct kind *kind, sqlite3 *db)
{
    *capture = (struct capture){.kind = kind, .bytes_max = CAPTURE_BYTES_MAX};
    sqlite3_preupdate_hook(db, on_change, capture);
}

void capture_release(struct capture *capture)
{
    free(capture->changes);
    buf_release(&capture->bytes);
    buf_release(&capture->journal);
}

struct capture_mark capture_mark(const struct capture *capture)
{
    return (struct capture_mark){capture->n, capture->bytes.len, capture->journal.len};
}

void capture_cut(struct capture *capture, struct capture_mark mark)
{
    capture->n = mark.n;
    capture->bytes.len = mark.bytes_len;
    capture->journal.len = mark.journal_len;
    capture->has_bad_key = capture->has_bad_text = capture->is_too_large = false;
}

void capture_clear(struct capture *capture)
{
    capture_cut(capture, (struct capture_mark){0});
    capture->failed = SQLITE_OK;
    if (capture->bytes.capacity > BYTES_KEPT)
        buf_release(&capture->bytes);
    if (capture->capacity > CHANGES_KEPT) {
        free(capture->changes);
        capture->changes = NULL;
        capture->capacity = 0;
    }
    if (capture->journal.capacity > BYTES_KEPT)
        buf_release(&capture->journal);
}

struct slice change_key(const struct capture *capture, const struct change *change)
{
    return slice_of(capture->bytes.data + change->key_at, change->key_len);
}

struct slice change_row(const struct capture *capture, const struct change *change)
{
    return slice_of(capture->bytes.data + change->row_at, change->row_len);
}
