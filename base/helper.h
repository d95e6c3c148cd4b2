/*
 * helper - a queue of jobs for one thread beside a loop: what would hold the loop up is done there, one after the
 * other.
 *
 * It is a background (background.h) with a queue. A job embeds its link, so asking does not allocate. While it is under
 * way, what it works on is the thread's alone.
 *
 * Thread: the loop's, but for `work`.
 */
#ifndef BASE_HELPER_H
#define BASE_HELPER_H

#include "base/list.h"
#include "base/loop.h"

struct helper;

struct job {
    struct list link;
    void (*work)(struct job *job); /* on the thread */
    void (*done)(struct job *job); /* on the loop's, afterwards: the job is its owner's again */
};

struct helper *helper_new(struct loop *loop);

/* Ends with all jobs done; `done` is not called any more. NULL is fine. */
void helper_free(struct helper *helper);

void helper_ask(struct helper *helper, struct job *job);

#endif
