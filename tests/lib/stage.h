/*
 * stage - the scope `test/room/tea` with its actor, and sessions on one channel of a router; a turn is taken when the
 * test says so.
 *
 * The stage stands in for the shard, for its journal and for the clock: time stands still, but for a millisecond each
 * time that somebody looks. The file is real, in the temporary folder of a room; the first transaction creates it.
 *
 * What a session hears is told as text, a line each, with seqs relative to the head that the file had when it was
 * created (`none` is 0), and of a row only the column `text`:
 *
 *   attached                   snap notes a=hello         uptodate 3           committed t1 3 result=5
 *   denied                     snap-end notes 2           uptodate notes 3     rejected t1 FORBIDDEN: why
 *   close 1013 why             d notes insert a=hello 3   reset notes          page f1 3
 *   hello 4                    d notes delete a 4
 *
 * It does not matter whether a frame was for this session alone or for all who have joined; the stage
 * tells that, too, when `is_raw` is set: `joined 3`, `left`, `lagged`, `done` stand between, and what was for all is
 * marked with a `*`.
 *
 * An extended session hears of a rejection's position and time too: `rejected t1 3 FORBIDDEN: why`,
 * `rejected t1 after 1000 STORAGE_FULL: why`.
 */
#ifndef TESTS_LIB_STAGE_H
#define TESTS_LIB_STAGE_H

#include "shards/scope/actor.h"
#include "tests/lib/room.h"

enum { STAGE_SESSIONS = 8, STAGE_CREDIT = 128 << 10, STAGE_NO_SINCE = INT32_MIN };

struct stage {
    struct room room;
    struct folder_path data;
    struct list dirty, unsaved, collecting, reminders, bursts; /* the shard's */
    struct actor_host host;
    struct slices slices;
    struct actor *actor;
    struct channel *channel;
    uint64_t base;
    bool is_helper_held; /* jobs for the helper thread wait for stage_help; else they are done in the turn */
    unsigned n_jobs;     /* that it has done */
    unsigned n_saving;
    struct buf heard[STAGE_SESSIONS];   /* since it was last asked for */
    struct buf members[STAGE_SESSIONS]; /* of those who have joined: what they get; else empty */
    bool owes_boundary[STAGE_SESSIONS];
    uint64_t told[STAGE_SESSIONS]; /* the last boundary */
    bool is_raw;                   /* all that is sent is told */
    unsigned n_for_all;            /* changes that were sent for all */
};

extern int64_t stage_wall_ms, stage_mono_us; /* the time */
extern int64_t stage_look_us;                /* how much later it is each time that somebody looks at stage_mono_us */
extern int64_t stage_look_more_us;           /* by how much that grows each time */
extern bool stage_has_room;                  /* in the journal */
extern unsigned stage_n_records;             /* that the journal was given */

/* The arguments of room_open; `open` lets all in unless the definition says otherwise. */
void stage_open(struct stage *stage, const char *definition, const char *sql);
void stage_close(struct stage *stage);

/* Session numbers are 1 to STAGE_SESSIONS - 1. `claims` is JSON with ' for ". */
void stage_attach(struct stage *stage, uint32_t session, const char *claims);
void stage_attach_v1(struct stage *stage, uint32_t session, const char *claims);
void stage_detach(struct stage *stage, uint32_t session);

/* A frame, JSON with ' for ". It waits for the turn. */
void stage_send(struct stage *stage, uint32_t session, const char *frame);

/* A `sub` named like its collection. `since` is relative, or STAGE_NO_SINCE. */
void stage_sub(struct stage *stage, uint32_t session, const char *collection, int since);

/* A `mut` of these ops of `notes`: "+a=x" inserts, "~a=x" updates, "-a" deletes; separated by spaces. */
void stage_mut(struct stage *stage, uint32_t session, const char *tx, const char *ops);

/* The router could not deliver what came behind `seq`, which is relative, and grants so much credit. */
void stage_lag(struct stage *stage, uint32_t session, int seq, uint32_t credit);

/* It is time to tell the head to those who lag behind it. */
void stage_remind(struct stage *stage);

/* Lets a session be sent so many bytes from now on, whatever it had. */
void stage_set_credit(struct stage *stage, uint32_t session, int64_t bytes);

/* Decides what waits, in one turn, and gives the sessions what they are owed. */
void stage_turn(struct stage *stage);

/* Does the job that the actor is away for, and decides on. */
void stage_help(struct stage *stage);

/* What a session has heard since the last call. Borrowed until the next one. */
const char *stage_heard(struct stage *stage, uint32_t session);

#endif
