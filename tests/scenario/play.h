/*
 * play - one story being played: its server, its clients, its variables, and where it is.
 *
 * A step that does not hold ends its story with play_fail, which jumps back to the player; what the story owns is
 * released there. So steps return nothing and check nothing.
 */
#ifndef SCENARIO_PLAY_H
#define SCENARIO_PLAY_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "tests/scenario/server.h"
#include "tests/scenario/story.h"

struct client;

struct variable {
    char *name, *text;
};

struct play {
    const char *path; /* of the story */
    unsigned line;    /* being played */
    jmp_buf failed;
    struct buf failure;

    struct server server;
    struct client **clients;
    size_t n_clients;
    struct variable *variables;
    size_t n_variables;
    char **scratch; /* expanded words: freed after each step */
    size_t n_scratch;
};

_Noreturn void play_fail(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets $name. Copies both. */
void play_set(struct play *play, const char *name, const char *text);

/* Replaces the variables in `word`: $name, $name+N or $name-N, where N may be another $name, and
 * each of them with :WIDTH for leading zeros. Borrowed until the step ends; a word without '$' is returned as it is. */
const char *play_expand(struct play *play, const char *word);

/* Ends a step: frees what play_expand made. */
void play_step_done(struct play *play);

/* How long anything that is waited for may take: 20 s, or SCENARIO_PATIENCE_MS. Returns the clock's value at its end.
 */
int64_t play_deadline_us(void);

/* Plays one line. */
void step_play(struct play *play, const struct story_line *line);

/* Every connected client has got nothing that the story did not expect. */
void step_expect_nothing_more(struct play *play);

#endif
