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
 *   credit 70000               d notes delete a 4
 *   hello 4
 *
 * An extended session hears of a rejection's position and time too: `rejected t1 3 FORBIDDEN: why`,
 * `rejected t1 after 1000 STORAGE_FULL: why`.
 */
#ifndef TESTS_LIB_STAGE_H
#define TESTS_LIB_STAGE_H

#include "shards/scope/actor.h"
#include "tests/lib/room.h"

enum { STAGE_SESSIONS = 8, STAGE_NO_SINCE = INT32_MIN };

struct stage {
    struct room room;
    struct folder_path data;
    struct list dirty, unsaved, collecting, bursts; /* the shard's */
    struct actor_host host;
    struct slices slices;
    struct actor *actor;
    struct channel *channel;
    uint64_t base;
    bool is_helper_held; /* jobs for the helper thread wait for stage_help; else they are done in the turn */
    unsigned n_jobs;     /* that it has done */
    unsigned n_saving;
    struct buf heard[STAGE_SESSIONS]; /* since it was last asked for */
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

/* Lets a session be sent so many bytes from now on, whatever it had. */
void stage_set_credit(struct stage *stage, uint32_t session, int64_t bytes);

/* Decides what waits, in one turn, and gives the sessions what they are owed. */
void stage_turn(struct stage *stage);

/* Does the job that the actor is away for, and decides on. */
void stage_help(struct stage *stage);

/* What a session has heard since the last call. Borrowed until the next one. */
const char *stage_heard(struct stage *stage, uint32_t session);

#endif
