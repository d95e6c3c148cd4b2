#include "tests/bench/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/fail.h"

static const struct option_number no_numbers[] = {{0}};
static const struct option_text no_texts[] = {{0}};

static void print_help(const struct option_number *numbers, const struct option_text *texts, const char *usage)
{
    printf("usage: %s\n", usage);
    for (; texts->name; texts++) {
        printf("  --%-12s %s%s%s\n", texts->name, texts->what, *texts->value ? ": " : "",
               *texts->value ? *texts->value : "");
    }
    for (; numbers->name; numbers++) {
        printf("  --%-12s %s, %ld to %ld: %ld\n", numbers->name, numbers->what, numbers->min, numbers->max,
               *numbers->value);
    }
    exit(EXIT_SUCCESS);
}

static bool set_number(const struct option_number *number, const char *name, const char *text)
{
    for (; number->name; number++) {
        if (strcmp(number->name, name) == 0) {
            char *end = NULL;
            errno = 0;
            long value = strtol(text, &end, 10);
            if (errno || end == text || *end || value < number->min || value > number->max) {
                fail("--%s is a number from %ld to %ld, not '%s'", name, number->min, number->max, text);
            }
            *number->value = value;
            return true;
        }
    }
    return false;
}

static bool set_text(const struct option_text *option, const char *name, const char *text)
{
    for (; option->name; option++) {
        if (strcmp(option->name, name) == 0) {
            *option->value = text;
            return true;
        }
    }
    return false;
}

void options_parse(const struct options *options, int argc, char **argv)
{
    const struct option_number *numbers = options->numbers ? options->numbers : no_numbers;
    const struct option_text *texts = options->texts ? options->texts : no_texts;
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help(numbers, texts, options->usage);
        }
        if (strncmp(argv[i], "--", 2) != 0 || i + 1 == argc) {
            fail("'%s' is no option with a value; usage: %s", argv[i], options->usage);
        }
        if (!set_number(numbers, argv[i] + 2, argv[i + 1]) && !set_text(texts, argv[i] + 2, argv[i + 1])) {
            fail("no option '%s'; usage: %s", argv[i], options->usage);
        }
    }
    for (; texts->name; texts++) {
        if (!*texts->value) {
            fail("--%s is missing: %s; usage: %s", texts->name, texts->what, options->usage);
        }
    }
}
