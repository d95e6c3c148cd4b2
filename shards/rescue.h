/*
 * rescue - what becomes of a scope whose file fails while the worker runs.
 *
 * The scope alone is closed. Its records are copied out of the journal (kept.h), so that it does not hold up the
 * others, and its file is mended (mend.h): tried again after a second, then less and less often, up to once a minute.
 * A file that is found damaged three times in a row is marked as such, and left alone until a person has looked.
 * Until that is done, or a restore has put another file in its place, nothing opens it and who comes is told to try
 * later.
 *
 * Thread: its shard; the work on the files is done on a helper thread, one scope after the other.
 */
#ifndef SHARDS_RESCUE_H
#define SHARDS_RESCUE_H

#include "base/err.h"
#include "base/helper.h"
#include "proto/route.h"

struct actor;
struct actor_host;
struct rescue;

enum patient_state {
    PATIENT_HURT,    /* its records have yet to be kept */
    PATIENT_KEPT,    /* they are; the file has yet to be mended */
    PATIENT_DAMAGED, /* its file is marked (marker.h): only a restore, or a person, can help */
};

/* A scope that is in trouble. */
struct patient {
    struct list link;
    struct job job;
    struct rescue *rescue;
    struct actor *actor;
    enum patient_state state;
    bool is_working;  /* the helper has it */
    bool is_released; /* another file took the place meanwhile */
    enum err err;     /* what the helper's work came to */
    char *what;       /* failed first */
    struct buf why;   /* for which reason; the latest one */
    struct buf next_why;
    bool is_marked; /* by now */
    int n_damaged;  /* tries in a row that found it damaged */
    size_t n_kept;
    uint64_t from, to; /* of the journal, where its records are */
    int64_t since_ms, next_ms, pause_ms;
};

/* `host` is borrowed, `helper` too: it does what else works on files that are not open. */
struct rescue *rescue_new(const struct actor_host *host, struct loop *loop, unsigned shard, struct helper *helper);

/* After the helper has ended, before the actors go. NULL is fine. */
void rescue_free(struct rescue *rescue);

/* The actor's file has failed, and was closed. */
void rescue_admit(struct rescue *rescue, struct actor *actor, const char *what, enum err err, struct slice why);

/* A start has found that the actor's records are kept. */
void rescue_readmit(struct rescue *rescue, struct actor *actor);

/* Looks, beside the loop, for the scopes of these slots that are marked damaged, so that they are known without anyone
 * having opened them. `get_actor` gives each one's actor, or NULL if it is not this shard's. Once. */
void rescue_find_damaged(struct rescue *rescue, unsigned first_slot, unsigned end_slot,
                         struct actor *(*get_actor)(void *arg, const struct scope_name *name), void *arg);

/* A file that is good took the place of the actor's. */
void rescue_release(struct actor *actor);

/* Part of the shard's turn. */
void rescue_turn(struct rescue *rescue);

const struct list *rescue_patients(const struct rescue *rescue);

#endif
