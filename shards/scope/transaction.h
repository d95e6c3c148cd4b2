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

/* The app's SQL runs until `until_us`, or with 0 for as long as it likes. An outcome that is a rejection already
 * stands: nothing of the frame is run, but position and receipt are its.
 *
 * ERR_OK: the outcome is decided. ERR_TIMEOUT: the time was up, and nothing of it stands. ERR_ABORTED: its SQL has
 * ended the turn's transaction; the outcome is the rejection that it gets for that. Anything else: the file failed.
 * After all but ERR_OK the turn's transaction may be gone, with what others wrote. */
enum err transaction_decide(struct scope_file *file, const struct claims *claims, const struct frame *frame,
                            int64_t now_ms, int64_t until_us, struct outcome *outcome);

#endif
