/*
 * story - a scenario's text, cut into lines of words.
 *
 * Blank lines, and what follows a word that starts with '#', are for the reader. A quoted part of a word keeps its
 * quotes, so that score=5 and score="5" differ. A word that starts with '{' is JSON and takes the rest of its line.
 */
#ifndef SCENARIO_STORY_H
#define SCENARIO_STORY_H

#include <stddef.h>

enum { STORY_WORDS_MAX = 48 };

struct story_line {
    unsigned number;                    /* in the file, from 1 */
    size_t n;                           /* at least one */
    const char *words[STORY_WORDS_MAX]; /* terminated, borrowed from the story's text */
};

struct story {
    char *text;
    struct story_line *lines;
    size_t n;
};

/* Reads a file. Ends the process, with a message, if it cannot be read or a line has too many words. */
void story_load(struct story *story, const char *path);
void story_release(struct story *story);

#endif
