/*
 * world - three scopes, whose files can be put back to any state that they were in, and a journal made by hand.
 *
 * A transaction is written as a turn writes it, and numbered within its scope; after each it is remembered what the
 * scope's file looks like.
 */
#ifndef TESTS_LIB_WORLD_H
#define TESTS_LIB_WORLD_H

#include "shards/log/scoperecord.h"
#include "shards/log/segment.h"
#include "shards/scope/scope_file.h"
#include "tests/lib/room.h"

enum { WORLD_SCOPES = 3, WORLD_TRANSACTIONS_MAX = 400 };

/* A scope's file after so many of its transactions: its bytes, and its rows as text. */
struct state {
    struct buf image, rows;
};

struct place {
    struct scope_name name;
    char *path;
    struct scope_file *file; /* NULL: closed */
    struct state states[WORLD_TRANSACTIONS_MAX];
    size_t n; /* transactions: there are n + 1 states */
};

struct transaction {
    size_t place, number; /* its scope, and its number there */
    struct buf payload;   /* of its record */
};

struct world {
    struct room room;
    struct folder_path data;
    struct place places[WORLD_SCOPES];
    struct transaction transactions[WORLD_TRANSACTIONS_MAX];
    size_t n;
};

/* All three have notes (id, text, n), tags (id, note) that go with their note, and counts that a trigger keeps. */
void world_open(struct world *world);
void world_close(struct world *world);

/* For cmocka: `state` is a world, opened; closed. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* Closes the scopes' files: the server has ended. */
void world_stop(struct world *world);

/* A transaction of scope `i`; the second, one that the journal does not carry. */
void world_write(struct world *world, size_t i, const char *sql);
void world_write_barrier(struct world *world, size_t i, const char *sql);

/* Eight transactions of all three, in turns; or three short ones of scope 0, after which the server ends. */
void world_write_some(struct world *world);
void world_write_short(struct world *world);

/* How many transactions of scope `place` are among the first `n`. */
size_t world_count(const struct world *world, size_t place, size_t n);

/* Puts a file back to how it was after `number` transactions; or all files, as far as they have come. */
void place_put(struct place *place, size_t number);
void world_put(struct world *world, size_t number);

/* Whether there is a file with that ending beside the scope's; removes it. */
bool place_has(const struct place *place, const char *ending);
void place_remove(const struct place *place, const char *ending);

/* A journal's segment in the making. */
struct tape {
    struct segment_header header;
    struct buf bytes;
};

void tape_begin(struct tape *tape, uint64_t generation, uint64_t position);
uint64_t tape_position(const struct tape *tape); /* behind the last record */
void tape_add(struct tape *tape, struct slice payload, uint64_t durable);

/* The transactions [first, end) of the world, as a batch each. */
void tape_add_all(struct tape *tape, const struct world *world, size_t first, size_t end);

/* Writes the segment DATA/journal/NAME, and ends its making. */
void tape_end(struct tape *tape, struct world *world, const char *name);

/* Makes DATA/journal/NAME hold these bytes. */
void world_put_segment(struct world *world, const char *name, struct slice bytes);
bool world_has_segment(const struct world *world, const char *name);

/* Makes 0/000001.journal, one segment with the first `n` transactions. */
void world_put_journal(struct world *world, size_t n);

/* Replays the journals, which must go well; or must be refused for this reason, with 0/000001.journal still there. */
void world_replay(struct world *world);
void world_refuse(struct world *world, const char *why);

/* The scope's file is as after `number` transactions; each holds its transactions among the first `n`, no others. */
void place_check(const struct place *place, size_t number);
void world_check(const struct world *world, size_t n);

/* Scope `i` stays closed, for this reason, until someone has looked. */
void world_check_closed(struct world *world, size_t i, const char *reason);

#endif
