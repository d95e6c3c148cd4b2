#include "src/control/usage.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/problems.h"

enum { OPTIONS_MAX = 16, FIRST = 1000 /* what getopt_long returns for the first of a table: no character */ };

bool usage_complain(const char *command, const char *format, ...)
{
    struct problems problems = {0};
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    problems_add(&problems, "skerry %s: %s", command, text);
    fputs(problems.text.data, stderr);
    problems_release(&problems);
    return false;
}

static bool takes(const struct usage *usage, const struct usage_option *option)
{
    return (usage->allowed & option->bit) != 0;
}

static int print_option(const struct usage_option *option, int width, char *to, size_t size)
{
    int len = snprintf(to, size, "--%s%s%s", option->name, option->value == NULL ? "" : " ",
                       option->value == NULL ? "" : option->value);
    if (width > 0)
        printf("  %-*s  %s\n", width, to, option->help);
    return len;
}

static void print_options(const struct usage *usage, const struct usage_option *options)
{
    static const struct usage_option HELP = {"help", NULL, "this text", 0};
    char text[64];
    int width = print_option(&HELP, 0, text, sizeof text);
    for (const struct usage_option *option = options; option->name != NULL; option++) {
        int len = takes(usage, option) ? print_option(option, 0, text, sizeof text) : 0;
        width = len > width ? len : width;
    }
    printf("\noptions:\n");
    for (const struct usage_option *option = options; option->name != NULL; option++)
        if (takes(usage, option))
            print_option(option, width, text, sizeof text);
    print_option(&HELP, width, text, sizeof text);
}

static void print_help(const struct usage *usage, const struct usage_option *options)
{
    printf("usage: skerry %s%s%s [options]\n\n%s\n", usage->command, *usage->arguments == '\0' ? "" : " ",
           usage->arguments, usage->about);
    print_options(usage, options);
    printf("\nexit status:\n  0  %s\n", usage->success);
    if (usage->failure != NULL)
        printf("  1  %s\n", usage->failure);
    printf("  %d  wrong arguments\n", EXIT_USAGE);
}

static bool complain_option(const char *command, int found, const struct option *longs, char *word)
{
    if (found == ':')
        return usage_complain(command, "%s: a value is missing; see skerry %s --help", word, command);
    if (optopt >= FIRST) {
        while (longs->val != optopt)
            longs++;
        return usage_complain(command, "--%s: takes no value; see skerry %s --help", longs->name, command);
    }
    if (optopt != 0) /* one letter, maybe in the middle of a word */
        return usage_complain(command, "-%c: no such option; see skerry %s --help", optopt, command);
    return usage_complain(command, "%s: no such option; see skerry %s --help", word, command);
}

static bool check_arguments(const struct usage *usage, int argc, char **argv)
{
    int n = argc - optind;
    if (n > usage->n_arguments)
        return usage_complain(usage->command, "%s: unexpected; see skerry %s --help", argv[optind + usage->n_arguments],
                              usage->command);
    return n == usage->n_arguments ||
           usage_complain(usage->command, "an argument is missing, it takes %s; see skerry %s --help", usage->arguments,
                          usage->command);
}

bool usage_parse(const struct usage *usage, const struct usage_option *options, int argc, char **argv, usage_take *take,
                 void *arg)
{
    struct option longs[OPTIONS_MAX + 2] = {{"help", no_argument, NULL, 'h'}};
    int n = 1, found;
    for (int i = 0; options[i].name != NULL; i++)
        if (takes(usage, &options[i]) && n <= OPTIONS_MAX)
            longs[n++] = (struct option){options[i].name, options[i].value == NULL ? no_argument : required_argument,
                                         NULL, FIRST + i};
    optind = 0; /* GNU: begin anew, also in the middle of a word */
    while ((found = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (found == 'h') {
            print_help(usage, options);
            exit(EXIT_SUCCESS);
        }
        if (found < FIRST)
            return complain_option(usage->command, found, longs, argv[optind - 1]);
        if (!take(arg, options[found - FIRST].bit, optarg))
            return false;
    }
    return check_arguments(usage, argc, argv);
}
