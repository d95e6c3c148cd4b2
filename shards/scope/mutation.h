/*
 * mutation - the ops of a `mut`, checked and run, one after the other.
 */
#ifndef SHARDS_SCOPE_MUTATION_H
#define SHARDS_SCOPE_MUTATION_H

#include "proto/frame.h"
#include "shards/scope/scope_file.h"

enum { MUTATION_OPS_MAX = 128 };

/* Runs within the caller's savepoint. ERR_OK also for a rejection, which `outcome` then is; anything else is a failure
 * of the file, after which nothing of this transaction may stand. */
enum err mutation_run(struct scope_file *file, const struct frame *frame, struct outcome *outcome);

/* What a statement's result code means: a rejection (ERR_OK), its time is up (ERR_TIMEOUT), a rejection after which
 * the turn's transaction is gone (ERR_ABORTED), or a failure of the file. SQLITE_OK is none of them. */
enum err mutation_judge(struct scope_file *file, int code, struct outcome *outcome);

#endif
