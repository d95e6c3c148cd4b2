#include "tests/sim/history.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

/* Room doubles at 0, 1, 3, 7, ...: returns where the next one goes. */
static void *grow(void *items, size_t n, size_t len)
{
    return (n & (n + 1)) == 0 ? mem_resize(items, (2 * n + 1) * len) : items;
}

struct history *history_new(const char *scope)
{
    struct history *history = mem_zero(1, sizeof *history);
    bool ok = scope_name_parse(slice_str(scope), &history->name);
    assert(ok);
    return history;
}

size_t history_add(struct history *history, const struct work *work)
{
    history->txs = grow(history->txs, history->n_txs, sizeof *history->txs);
    history->txs[history->n_txs] = (struct tx){.work = *work};
    return history->n_txs++;
}

const char *history_tx_id(size_t number, char text[CODE_MAX])
{
    snprintf(text, CODE_MAX, "t%zu", number);
    return text;
}

bool history_find(const struct history *history, struct slice tx_id, size_t *ret_number)
{
    char text[CODE_MAX];
    if (tx_id.len < 2 || tx_id.len >= CODE_MAX || tx_id.data[0] != 't')
        return false;
    memcpy(text, tx_id.data, tx_id.len);
    text[tx_id.len] = '\0';
    *ret_number = strtoul(text + 1, NULL, 10);
    return *ret_number < history->n_txs;
}

static bool same(const struct ending *a, const struct ending *b)
{
    bool same_seq = a->seq == b->seq || a->seq == 0 || b->seq == 0;
    return a->is_rejected == b->is_rejected && same_seq && a->result == b->result && strcmp(a->code, b->code) == 0;
}

void history_end(struct history *history, size_t number, const struct ending *ending)
{
    struct tx *tx = &history->txs[number];
    sim_tally(SIM_CHECKS, 1);
    if (tx->is_answered && !same(&tx->ending, ending))
        sim_fail("%s: t%zu (%s) has two outcomes: %s %s %llu, then %s %s %llu", history->name.text, number,
                 work_name(&tx->work), tx->ending.is_rejected ? "rejected" : "committed", tx->ending.code,
                 (unsigned long long)tx->ending.seq, ending->is_rejected ? "rejected" : "committed", ending->code,
                 (unsigned long long)ending->seq);
    history->n_answered += !tx->is_answered;
    tx->is_answered = true;
    if (tx->ending.seq == 0)
        tx->ending = *ending;
}

void history_saw(struct history *history, const struct sight *sight)
{
    history->sights = grow(history->sights, history->n_sights, sizeof *history->sights);
    history->sights[history->n_sights++] = *sight;
}

void history_held(struct history *history, const struct view *view)
{
    history->views = grow(history->views, history->n_views, sizeof *history->views);
    history->views[history->n_views++] = *view;
}

void history_reset(struct history *history, const struct reset *reset)
{
    history->resets = grow(history->resets, history->n_resets, sizeof *history->resets);
    history->resets[history->n_resets++] = *reset;
}
