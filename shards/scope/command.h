/*
 * command - a `call`: typed arguments, the statements of its definition, a result.
 */
#ifndef SHARDS_SCOPE_COMMAND_H
#define SHARDS_SCOPE_COMMAND_H

#include "proto/frame.h"
#include "shards/scope/scope_file.h"

enum { COMMAND_RESULT_MAX = 1 << 20 }; /* bytes; more is LIMIT_EXCEEDED */

/* As mutation_run. */
enum err command_run(struct scope_file *file, const struct frame *frame, struct outcome *outcome);

#endif
