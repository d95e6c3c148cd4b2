/*
 * check - holds a scope's file, and all that clients were told of it, against the model.
 */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include <sqlite3.h>

#include "tests/sim/guest.h"
#include "tests/sim/model.h"

/* What a scope's file says has happened. */
struct truth {
    const struct history *history;
    struct model *model;
    struct ending *endings; /* by transaction; seq 0: there is no receipt */
    uint64_t floor;         /* 0: nothing was decided */
    bool has_migrated;
};

/* Fails unless the file's receipts are, one by one, what the transactions must come to, at positions without a gap, and
 * its rows, log and floors are the model's. `file` NULL: there is none. */
struct truth check_file(const struct history *history, sqlite3 *file);

/* Fails unless all that clients were answered and given is true. */
void check_history(const struct truth *truth);

/* Fails unless the client holds what the file does, to the last row. It must be done, and all delivered. */
void check_guest(const struct guest *guest, const struct truth *truth);

#endif
