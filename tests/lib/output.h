/*
 * output - catches what a command prints.
 */
#ifndef TESTS_LIB_OUTPUT_H
#define TESTS_LIB_OUTPUT_H

#include <stdio.h>

enum { OUTPUT_MAX = 16384 };

struct output {
    char out[OUTPUT_MAX], err[OUTPUT_MAX]; /* once it was restored; terminated */
    FILE *files[2];
    int saved[2];
};

/* From here on standard output and standard error go into files. */
void output_catch(struct output *output);

/* They go where they went before. */
void output_restore(struct output *output);

#endif
