#include "tests/sim/work.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/mp.h"
#include "tests/sim/sim.h"

const char *const COLLECTION_NAMES[COLLECTION_N] = {"lists", "items", "totals"};

static const char *const NAMES[WORK_KIND_N] = {"insert", "update", "delete", "pair", "list",  "retitle",   "drop",
                                               "adopt",  "dangle", "fill",   "bump", "clear", "forbidden", "unknown"};

enum { FILL_KEYS = KEYS - ITEM_KEYS, FILL_ROWS_MAX = 90, FILL_LEN_MAX = 1200 };

/* Keys. */

unsigned key_slot(enum collection collection, struct slice key)
{
    if (key.len < 1 || key.len >= KEY_TEXT_MAX)
        return SLOT_NONE;
    char text[KEY_TEXT_MAX] = "";
    memcpy(text, key.data, key.len);
    unsigned number = (unsigned)strtoul(text + 1, NULL, 10);
    if (collection == ITEMS)
        number += text[0] == 'f' ? ITEM_KEYS : 0;
    else
        number = text[0] == '-' ? LIST_KEYS : number;
    return number < KEYS ? number : SLOT_NONE;
}

const char *key_text(enum collection collection, unsigned slot, char text[KEY_TEXT_MAX])
{
    if (collection != ITEMS)
        snprintf(text, KEY_TEXT_MAX, slot == LIST_KEYS ? "-" : "l%u", slot % KEYS);
    else if (slot < ITEM_KEYS)
        snprintf(text, KEY_TEXT_MAX, "i%02u", slot);
    else
        snprintf(text, KEY_TEXT_MAX, "f%03u", (slot - ITEM_KEYS) % KEYS);
    return text;
}

/* Choice. */

static enum work_kind random_kind(unsigned large_one_in)
{
    static const struct {
        unsigned upto;
        enum work_kind kind;
    } SHARES[] = {{30, WORK_INSERT},  {52, WORK_UPDATE},  {64, WORK_DELETE},    {70, WORK_PAIR},   {78, WORK_LIST},
                  {82, WORK_RETITLE}, {86, WORK_DROP},    {90, WORK_ADOPT},     {94, WORK_DANGLE}, {96, WORK_BUMP},
                  {97, WORK_CLEAR},   {98, WORK_UNKNOWN}, {100, WORK_FORBIDDEN}};
    if (sim_random(large_one_in) == 0)
        return WORK_FILL;
    uint32_t share = sim_random(100);
    size_t i = 0;
    while (share >= SHARES[i].upto)
        i++;
    return SHARES[i].kind;
}

struct work work_random(unsigned user, unsigned large_one_in, unsigned len_max)
{
    struct work work = {.kind = random_kind(large_one_in), .user = user};
    work.key = sim_random(ITEM_KEYS);
    work.other = sim_random(ITEM_KEYS);
    work.list = sim_random(LIST_KEYS + 1);
    if (work.kind != WORK_INSERT && work.kind != WORK_PAIR)
        work.list %= LIST_KEYS;
    work.value = sim_random(1000);
    work.len = sim_random(len_max);
    if (work.kind == WORK_FILL) {
        work.n = 1 + sim_random(FILL_ROWS_MAX);
        work.len = sim_random(FILL_LEN_MAX);
        work.key = sim_random(FILL_KEYS - work.n);
    }
    return work;
}

/* Messages. */

static void write_text(struct buf *buf, const char *text)
{
    mp_write_str(buf, slice_str(text));
}

static void write_key(struct buf *buf, enum collection collection, unsigned slot)
{
    char text[KEY_TEXT_MAX];
    write_text(buf, key_text(collection, slot, text));
}

void work_body(const struct work *work, struct buf *buf)
{
    if (work->kind == WORK_LIST && work->value % 8 == 0)
        return;
    buf_printf(buf, "%d:", (int)work->value);
    memset(buf_reserve(buf, work->len), 'x', work->len);
    buf->len += work->len;
}

static void write_body(struct buf *buf, const struct work *work)
{
    struct buf body = {0};
    work_body(work, &body);
    mp_write_str(buf, body.len == 0 ? SLICE("") : buf_slice(&body));
    buf_release(&body);
}

static void begin_op(struct buf *buf, const char *type, enum collection collection, unsigned slot, uint32_t n_columns)
{
    mp_write_map(buf, n_columns > 0 ? 3 : 2);
    write_text(buf, "type");
    write_text(buf, type);
    write_text(buf, "key");
    write_key(buf, collection, slot);
    if (n_columns == 0)
        return;
    write_text(buf, "cols");
    mp_write_map(buf, n_columns);
}

static void write_number(struct buf *buf, const char *name, int64_t value)
{
    write_text(buf, name);
    mp_write_int(buf, value);
}

static void write_insert(struct buf *buf, const struct work *work)
{
    begin_op(buf, "insert", ITEMS, work->key, 3);
    write_text(buf, "list");
    if (work->list == LIST_KEYS)
        mp_write_nil(buf);
    else
        write_key(buf, LISTS, work->list);
    write_number(buf, "n", work->value);
    write_text(buf, "body");
    write_body(buf, work);
}

static void write_update(struct buf *buf, const struct work *work, unsigned slot)
{
    begin_op(buf, "update", ITEMS, slot, 2);
    write_number(buf, "n", work->value);
    write_text(buf, "body");
    write_body(buf, work);
}

static void write_list(struct buf *buf, const struct work *work, const char *type)
{
    begin_op(buf, type, LISTS, work->list, 1);
    write_text(buf, "title");
    write_body(buf, work);
}

static void write_ops(struct buf *buf, const struct work *work)
{
    write_text(buf, "ops");
    mp_write_array(buf, work->kind == WORK_PAIR ? 2 : 1);
    if (work->kind == WORK_INSERT || work->kind == WORK_PAIR)
        write_insert(buf, work);
    if (work->kind == WORK_UPDATE || work->kind == WORK_PAIR)
        write_update(buf, work, work->kind == WORK_PAIR ? work->other : work->key);
    if (work->kind == WORK_DELETE)
        begin_op(buf, "delete", ITEMS, work->key, 0);
    if (work->kind == WORK_LIST || work->kind == WORK_RETITLE)
        write_list(buf, work, work->kind == WORK_LIST ? "insert" : "update");
    if (work->kind == WORK_DROP)
        begin_op(buf, "delete", LISTS, work->list, 0);
}

static void write_args(struct buf *buf, const struct work *work)
{
    write_text(buf, "args");
    if (work->kind == WORK_FILL) {
        mp_write_map(buf, 3);
        write_number(buf, "first", work->key);
        write_number(buf, "n", work->n);
        write_number(buf, "len", work->len);
    } else if (work->kind == WORK_ADOPT || work->kind == WORK_DANGLE) {
        mp_write_map(buf, work->kind == WORK_ADOPT ? 2 : 1);
        write_text(buf, "key");
        write_key(buf, ITEMS, work->key);
        if (work->kind == WORK_DANGLE)
            return;
        write_text(buf, "list");
        write_key(buf, LISTS, work->list);
    } else {
        mp_write_map(buf, 0);
    }
}

static enum collection collection_of(const struct work *work)
{
    return work->kind == WORK_LIST || work->kind == WORK_RETITLE || work->kind == WORK_DROP ? LISTS : ITEMS;
}

void work_encode(const struct work *work, struct slice tx_id, struct buf *buf)
{
    bool is_call = work->kind >= WORK_ADOPT;
    mp_write_map(buf, 4);
    write_text(buf, "t");
    write_text(buf, is_call ? "call" : "mut");
    write_text(buf, "txId");
    mp_write_str(buf, tx_id);
    write_text(buf, is_call ? "name" : "collection");
    write_text(buf, is_call ? work_name(work) : COLLECTION_NAMES[collection_of(work)]);
    if (is_call)
        write_args(buf, work);
    else
        write_ops(buf, work);
}

const char *work_name(const struct work *work)
{
    return NAMES[work->kind];
}
