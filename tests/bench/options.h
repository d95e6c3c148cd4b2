/*
 * options - `--name value` pairs, each checked against the bounds that its table entry names.
 *
 * An option without a variable's range is impossible, so that every run is bounded in count and in time.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

struct option_number {
    const char *name; /* without the dashes */
    long *value;      /* holds the default */
    long min, max;
    const char *what;
};

struct option_text {
    const char *name;
    const char **value; /* holds the default; NULL is "must be given" */
    const char *what;
};

/* Tables end with an entry without a name. Either may be NULL. */
struct options {
    const char *usage;
    const struct option_number *numbers;
    const struct option_text *texts;
};

/* Parse what follows argv[0]; fails with a message that names the option. `--help` prints the tables and exits. */
void options_parse(const struct options *options, int argc, char **argv);

#endif
