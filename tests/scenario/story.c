#include "tests/scenario/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static _Noreturn void refuse(const char *path, unsigned line, const char *what)
{
    fprintf(stderr, "%s:%u: %s\n", path, line, what);
    exit(2);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        refuse(path, 0, "cannot be read");
    struct buf buf = {0};
    size_t n;
    while ((n = fread(buf_reserve(&buf, 4096), 1, 4096, file)) > 0)
        buf.len += n;
    fclose(file);
    buf_append(&buf, "", 1);
    return buf.data;
}

/* Returns where the word that starts at `at` ends. */
static char *word_end(char *at)
{
    bool quoted = false;
    if (*at == '{')
        return at + strlen(at);
    for (; *at != '\0' && (quoted || *at != ' '); at++)
        if (*at == '"')
            quoted = !quoted;
    return at;
}

/* Cuts `text` in place. False if it has too many words. */
static bool cut(char *text, struct story_line *line)
{
    line->n = 0;
    for (;;) {
        while (*text == ' ')
            text++;
        if (*text == '\0' || *text == '#')
            return true;
        if (line->n == STORY_WORDS_MAX)
            return false;
        line->words[line->n++] = text;
        text = word_end(text);
        if (*text != '\0')
            *text++ = '\0';
    }
}

void story_load(struct story *story, const char *path)
{
    *story = (struct story){.text = read_file(path)};
    unsigned number = 0;
    for (char *next, *text = story->text; text != NULL; text = next) {
        next = strchr(text, '\n');
        if (next != NULL)
            *next++ = '\0';
        struct story_line line = {.number = ++number};
        if (!cut(text, &line))
            refuse(path, number, "too many words");
        if (line.n == 0)
            continue;
        story->lines = mem_resize(story->lines, (story->n + 1) * sizeof line);
        story->lines[story->n++] = line;
    }
}

void story_release(struct story *story)
{
    free(story->text);
    free(story->lines);
    *story = (struct story){0};
}
