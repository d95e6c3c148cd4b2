/*
 * background - a thread beside a loop, for work that would hold the loop up: syncs, migrations, bulk transactions.
 *
 * The loop asks; the thread works; the loop is told. Asking while the work is under way has it done once more, so who
 * works takes everything that waits by then, under a lock of its own.
 *
 * For one piece of work that is asked for again and again, such as a sync; jobs that differ queue in a helper
 * (helper.h), which is built on this.
 *
 * Thread: the loop's, but for `work`.
 */
#ifndef BASE_BACKGROUND_H
#define BASE_BACKGROUND_H

#include "base/loop.h"

struct background;

/* `work` runs on the thread, `done` on the loop's afterwards: once for one or more rounds of work. */
struct background *background_new(struct loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* Does what was asked for, and ends; `done` is not called any more. NULL is fine. */
void background_free(struct background *background);

/* Has the work done, once at least from now. */
void background_ask(struct background *background);

#endif
