/*
 * scoperecord - what a journal's record says of one scope: the changes of one transaction, or a barrier.
 *
 *   type u8, length of the scope's name u16, the name, incarnation u64, transaction number u64, then the rowchanges
 *
 * A barrier says that the file was durable by itself at that transaction: the journal could not carry it, and replay
 * never crosses it.
 */
#ifndef SHARDS_LOG_SCOPERECORD_H
#define SHARDS_LOG_SCOPERECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum scoperecord_type { SCOPERECORD_CHANGES = 1, SCOPERECORD_BARRIER };

struct scoperecord {
    enum scoperecord_type type;
    struct slice scope;
    int64_t incarnation, tx;
    struct slice changes;
};

void scoperecord_write(struct buf *buf, const struct scoperecord *record);

/* Borrows from the payload. False if it is no such record. */
bool scoperecord_read(struct slice payload, struct scoperecord *ret_record);

#endif
