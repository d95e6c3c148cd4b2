/*
 * actor - a scope's only writer.
 *
 * Callbacks put requests into its inbox; a turn decides them, in order, in one SQLite transaction, and then gives each
 * session what it is owed. Work that takes longer than a turn is done on a helper thread, which has the file meanwhile:
 * the actor is away, and only its inbox grows. A file that fails closes the actor: its sessions are told to come back,
 * and who comes next finds the file opened again, as at a start; what the disk failed at is mended first (rescue.h).
 *
 * Ownership: its shard's table. Thread: its shard.
 */
#ifndef SHARDS_SCOPE_ACTOR_H
#define SHARDS_SCOPE_ACTOR_H

#include "base/helper.h"
#include "base/list.h"
#include "base/table.h"
#include "proto/envelope.h"
#include "proto/route.h"
#include "shards/channel.h"
#include "shards/feed/feed.h"
#include "shards/log/journal.h"
#include "shards/scope/turn.h"

enum {
    ACTOR_HEAVY_BYTES = 4 << 20, /* of a write-ahead log, after which it is checkpointed */
    ACTOR_SAVE_AGAIN_MS = 1000,
    ACTOR_RELEASE_BYTES = 512 << 10, /* of snapshots and catch-ups, of one turn and channel */
};

#define ACTOR_UNAVAILABLE "the scope is not available"

struct actor;
struct patient;

/* What an actor needs of its shard. */
struct actor_host {
    void *shard;
    const char *data_dir;
    struct slices *slices; /* that its scopes keep */
    struct list *dirty;    /* actors with something to do */
    struct journal *journal;
    struct list *unsaved;    /* actors whose file is not durable without the journal, by where that begins in it */
    struct list *collecting; /* channels that have something to send when the turn ends */
    unsigned *n_saving;      /* actors that are away to be saved */
    struct list *reminders;  /* channels whose sessions lag behind the head, because nothing concerned them */
    struct list *bursts;     /* sessions that hold a boundary until their burst is over, oldest first */
    /* Whether `open` lets these claims into a scope of this kind that has no file yet. */
    bool (*allows_blank)(void *shard, const struct kind *kind, const struct scope_name *name,
                         const struct claims *claims, int64_t now_ms);
    /* The file of an actor has failed, and was closed. NULL: it is just opened again. */
    void (*on_failed_file)(void *shard, struct actor *actor, const char *what, enum err err, struct slice why);
    struct helper *opener, *decider, *saver; /* apart, so that nobody's long request keeps a scope closed */
    atomic_bool is_ending;                   /* long requests are given up, undecided */
};

/* What would hold up the other scopes of the shard is done on its helper threads. */
enum chore {
    CHORE_NONE,
    CHORE_OPEN,       /* the file: migrations, a checkpoint of what a crash has left */
    CHORE_CREATE,     /* and open it */
    CHORE_DECIDE,     /* the turn, which holds one long request; and commit */
    CHORE_CHECKPOINT, /* what was committed, because no record can carry it */
    CHORE_SAVE,       /* between turns: see actor_begin_save */
};

struct actor {
    struct table_node node; /* in the shard, by hash */
    struct list dirty_link;
    const struct actor_host *host;
    struct scope_name name;
    struct feed feed; /* holds the kind and the file */
    struct herd herd;
    struct list inbox;
    struct list channels, sessions;
    struct list busy;                   /* sessions for which a turn may have something to do */
    struct list unsaved_link, due_link; /* due: for a checkpoint */
    struct turn turn;
    struct job job;
    sqlite3 *abandoned; /* whose copying ends when it is back, or NULL */
    enum chore chore;
    bool is_broken;        /* the journal lost what its file holds: it is closed once it is back */
    bool is_away;          /* file and turn are a helper thread's: messages wait, sessions and channels stay */
    uint64_t unsaved_from; /* the journal's position before its first record since the file's last checkpoint */
    uint64_t unsaved_to;   /* and behind its last */
    int64_t save_after_us; /* a checkpoint that failed is not worth another try before */
    enum err saved;        /* how the last checkpoint came out */
    struct buf saved_why;
    enum err save_failed;    /* as was last said of it */
    int64_t save_failing_ms; /* since when, by the clock */
    int64_t refusing_ms;     /* since when writes find no room in its file; 0: they do */
    bool is_opened;          /* the file was looked for */
    struct patient *patient; /* while its file is in trouble, or NULL: nothing opens it */
    bool is_suspended;       /* its file is being replaced: nothing opens it */
    bool is_held;            /* an operator's request works on it: it stays, though nobody is there */
};

struct actor *actor_new(const struct actor_host *host, const struct scope_name *name, const struct kind *kind);

/* Only when it is idle, or when its shard ends. */
void actor_free(struct actor *actor);

/* Collect: an envelope has arrived, the router's end of a channel has gone. */
void actor_request(struct actor *actor, struct channel *channel, const struct envelope *envelope);
void actor_channel_ended(struct actor *actor, struct channel *channel);

/* Something of its has come due: it takes part in the next turn. */
void actor_mark_dirty(struct actor *actor);

/* An operator's request begins and ends to work with it. It leaves the file alone while the actor is away. */
void actor_hold(struct actor *actor);
void actor_let_go(struct actor *actor);

/* Closes its sessions, which may come back, and its file, and returns its head: nothing opens the file until it is
 * resumed. Not while it is away. */
uint64_t actor_suspend(struct actor *actor);
void actor_resume(struct actor *actor);

/* Opens its file, if there is one, however long that takes. False if that failed. Not while it is away. */
bool actor_open(struct actor *actor);

/* Ends the copying of its file into `copy`: at once, or, while it is away, when it is back; then it takes the copy. */
void actor_end_copy(struct actor *actor, sqlite3 **copy);

/* Decide: what is in the inbox, within the turn's bounds; commits; and gives the sessions their requests and verdicts.
 * Work that is long goes to a helper thread, and the turn ends when it is back. */
void actor_decide(struct actor *actor);

/* Release: what was decided is durable; gives it to the sessions. True if requests are left for the
 * next turn, or sessions that catch up. */
bool actor_release(struct actor *actor);

/* Makes its file durable without the journal, by a checkpoint. False if that failed (`save_after_us` is later then), or
 * while it is away. */
bool actor_save(struct actor *actor);

/* The same on a helper thread, between two turns: the actor is away meanwhile. It has a file that is unsaved. */
void actor_begin_save(struct actor *actor);

/* The journal lost what is behind `position`. If something of this scope is there, the file holds what nobody may read
 * before it is durable: it is closed, to be opened again, and who is attached has to come back. */
void actor_break(struct actor *actor, uint64_t position);

/* Its file or its turn is a helper thread's, or the turn has come back and is not ended yet. */
bool actor_is_busy(const struct actor *actor);

/* So many pages of its file wait for a checkpoint that it should get one; or the last one has failed. */
bool actor_is_heavy(const struct actor *actor);

/* Why its file lacks room on the disk, and since when; NULL if it does not. That the journal does is not the scope's
 * trouble. */
const char *actor_lacks_room(const struct actor *actor, int64_t *ret_since_ms);

/* Nobody is there and nothing waits: it can be freed, once it has been saved. */
bool actor_is_idle(const struct actor *actor);

#endif
