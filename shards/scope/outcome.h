/*
 * outcome - what was decided about a transaction: the answer, and what its receipt remembers.
 */
#ifndef SHARDS_SCOPE_OUTCOME_H
#define SHARDS_SCOPE_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Zeroed is a commit without a result, as yet without a position. */
struct outcome {
    bool is_rejected, is_replay; /* `is_replay`: its receipt said so */
    uint64_t seq;                /* the transaction's own last position; 0: the rules never saw it */
    const char *code;            /* of a rejection, or NULL; one of the names below */
    struct buf message;          /* of a rejection */
    struct buf why;              /* of EXECUTE_FAILED: what SQLite said, for the log alone */
    struct buf result;           /* of a commit: an encoded value, or empty */
};

/* The codes of a rejection, as they stand on the wire. */
#define REJECT_FORBIDDEN       "FORBIDDEN"
#define REJECT_LIMIT_EXCEEDED  "LIMIT_EXCEEDED"
#define REJECT_VALIDATION      "VALIDATION"
#define REJECT_CONSTRAINT      "CONSTRAINT"
#define REJECT_EXECUTE_FAILED  "EXECUTE_FAILED"
#define REJECT_UNKNOWN_COMMAND "UNKNOWN_COMMAND"

/* Makes it a rejection. Returns false, so that a check can `return outcome_reject(...)`. */
bool outcome_reject(struct outcome *outcome, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The constant of that name, or NULL: outcomes borrow their code. */
const char *outcome_known_code(const char *code);

void outcome_release(struct outcome *outcome);

#endif
