#include "tests/scenario/play.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void play_fail(struct play *play, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_printf(&play->failure, "%s:%u: %s\n", play->path, play->line, text);
    longjmp(play->failed, 1);
}

int64_t play_deadline_us(void)
{
    const char *patience = getenv("SCENARIO_PATIENCE_MS");
    return clock_mono_us() + (patience != NULL ? atoll(patience) : 20000) * 1000;
}

static struct variable *find(struct play *play, struct slice name)
{
    for (size_t i = 0; i < play->n_variables; i++)
        if (slice_eq(slice_str(play->variables[i].name), name))
            return &play->variables[i];
    return NULL;
}

void play_set(struct play *play, const char *name, const char *text)
{
    struct variable *variable = find(play, slice_str(name));
    if (variable == NULL) {
        play->variables = mem_resize(play->variables, (play->n_variables + 1) * sizeof *variable);
        variable = &play->variables[play->n_variables++];
        *variable = (struct variable){.name = mem_dup(slice_str(name))};
    }
    free(variable->text);
    variable->text = mem_dup(slice_str(text));
}

/* Returns the value of the variable that is named at `*at`, and moves behind the name. */
static const char *read_variable(struct play *play, const char **at)
{
    const char *name = *at;
    while (isalnum((unsigned char)**at))
        ++*at;
    struct variable *variable = find(play, slice_of(name, (size_t)(*at - name)));
    if (variable == NULL)
        play_fail(play, "$%.*s has no value yet", (int)(*at - name), name);
    return variable->text;
}

/* Reads `+N`, `-N`, `+$name` or `-$name`, if it is there. False if not. */
static bool read_addend(struct play *play, const char **at, long long *ret_addend)
{
    const char *sign = *at, *number = sign + 1;
    if ((*sign != '+' && *sign != '-') || (*number != '$' && !isdigit((unsigned char)*number)))
        return false;
    *at = number + (*number == '$');
    long long value =
        *number == '$' ? strtoll(read_variable(play, at), NULL, 10) : strtoll(number, (char **)(uintptr_t)at, 10);
    *ret_addend = *sign == '-' ? -value : value;
    return true;
}

/* Appends what the reference behind the '$' stands for, and returns what follows it. */
static const char *expand_one(struct play *play, const char *at, struct buf *out)
{
    const char *text = read_variable(play, &at);
    long long addend = 0;
    bool is_number = read_addend(play, &at, &addend);
    int width = 0;
    if (*at == ':') {
        width = (int)strtol(at + 1, (char **)(uintptr_t)&at, 10);
        is_number = true;
    }
    if (is_number)
        buf_printf(out, "%0*lld", width, strtoll(text, NULL, 10) + addend);
    else
        buf_append_slice(out, slice_str(text));
    return at;
}

const char *play_expand(struct play *play, const char *word)
{
    if (strchr(word, '$') == NULL)
        return word;
    struct buf out = {0};
    while (*word != '\0') {
        if (*word == '$')
            word = expand_one(play, word + 1, &out);
        else
            buf_append(&out, word++, 1);
    }
    buf_append(&out, "", 1);
    play->scratch = mem_resize(play->scratch, (play->n_scratch + 1) * sizeof *play->scratch);
    return play->scratch[play->n_scratch++] = out.data;
}

void play_step_done(struct play *play)
{
    for (size_t i = 0; i < play->n_scratch; i++)
        free(play->scratch[i]);
    play->n_scratch = 0;
}
