/*
 * actor - a scope's only writer.
 *
 * Callbacks put requests into its inbox; a turn decides them, in order, in one SQLite transaction, and then gives each
 * session what it is owed. A failed commit closes the actor: its sessions are told to come back, and the next one opens
 * the file again. That is the only recovery there is, and each start uses it.
 *
 * Ownership: its shard's table. Thread: its shard.
 */
#ifndef SHARDS_SCOPE_ACTOR_H
#define SHARDS_SCOPE_ACTOR_H

#include "base/list.h"
#include "base/table.h"
#include "proto/envelope.h"
#include "proto/route.h"
#include "shards/channel.h"
#include "shards/feed/feed.h"
#include "shards/log/journal.h"

enum {
    ACTOR_TURN_US = 5000,      /* of one turn, after which it yields to its neighbours */
    ACTOR_HEAVY_PAGES = 1000,  /* of a write-ahead log, after which it is checkpointed */
    ACTOR_TURN_CHANGES = 1000, /* row changes of one turn, likewise; a single transaction may go over */
    ACTOR_SAVE_AGAIN_MS = 1000,
};

/* What an actor needs of its shard. */
struct actor_host {
    void *shard;
    const char *data_dir;
    struct list *dirty; /* actors with something to do */
    struct journal *journal;
    struct list *unsaved;    /* actors whose file is not durable without the journal, by where that begins in it */
    struct list *collecting; /* channels that have something to send when the turn ends */
    struct list *bursts;     /* sessions that hold a boundary until their burst is over, oldest first */
    /* Whether `open` lets these claims into a scope of this kind that has no file yet. */
    bool (*allows_blank)(void *shard, const struct kind *kind, const struct scope_name *name,
                         const struct claims *claims, int64_t now_ms);
};

struct actor {
    struct table_node node; /* in the shard, by hash */
    struct list dirty_link;
    const struct actor_host *host;
    struct scope_name name;
    struct feed feed; /* holds the kind and the file */
    struct list inbox;
    struct list channels, sessions;
    struct list unsaved_link, heavy_link;
    uint64_t unsaved_from; /* the journal's position before its first record since the file's last checkpoint */
    int64_t now_ms;        /* the turn's one time: what is decided together has it */
    int64_t save_after_us; /* a checkpoint that failed is not worth another try before */
    bool is_opened;        /* the file was looked for */
    bool is_held;          /* an operator's request works on it: it stays, though nobody is there */
    bool in_transaction;
};

struct actor *actor_new(const struct actor_host *host, const struct scope_name *name, const struct kind *kind);

/* Only when it is idle, or when its shard ends. */
void actor_free(struct actor *actor);

/* Collect: an envelope has arrived, the router's end of a channel has gone. */
void actor_request(struct actor *actor, struct channel *channel, const struct envelope *envelope);
void actor_channel_ended(struct actor *actor, struct channel *channel);

/* Something of its has come due: it takes part in the next turn. */
void actor_mark_dirty(struct actor *actor);

/* An operator's request begins and ends to work with it. */
void actor_hold(struct actor *actor);
void actor_let_go(struct actor *actor);

/* Opens its file, if there is one. False if that failed. */
bool actor_open(struct actor *actor);

/* Decide: handles the inbox within the turn's bounds and commits. */
void actor_decide(struct actor *actor);

/* Release: what was decided is durable; gives it to the sessions. True if requests are left for the next turn. */
bool actor_release(struct actor *actor);

/* Makes its file durable without the journal, by a checkpoint. False if that failed: `save_after_us` is later then. */
bool actor_save(struct actor *actor);

/* So many pages of its file wait for a checkpoint that it should get one. */
bool actor_is_heavy(const struct actor *actor);

/* Nobody is there and nothing waits: it can be freed, once it has been saved. */
bool actor_is_idle(const struct actor *actor);

#endif
