/*
 * transaction - decides one `mut` or `call`: replayed, refused, rejected or committed, with its positions and receipt.
 *
 * Runs inside the turn's SQLite transaction, with a savepoint of its own, so that a rejected one leaves nothing but its
 * ack and its receipt.
 */
#ifndef SHARDS_SCOPE_TRANSACTION_H
#define SHARDS_SCOPE_TRANSACTION_H

#include "proto/frame.h"
#include "shards/scope/scope_file.h"

/* ERR_OK: `ret_outcome` is decided. Anything else: the file failed, and the turn's transaction must be rolled back. */
enum err transaction_decide(struct scope_file *file, const struct claims *claims, const struct frame *frame,
                            int64_t now_ms, struct outcome *ret_outcome);

#endif
