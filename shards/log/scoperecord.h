/*
 * scoperecord - what a journal's record says of one scope: the changes of one transaction, a barrier, or a restore.
 *
 *   type u8, length of the scope's name u16, the name, incarnation u64, transaction number u64, first seq u64,
 *   last seq u64, then the rowchanges
 *
 * A barrier says that the file was durable by itself at that transaction: the journal could not carry it, and replay
 * never crosses it. A restore is a barrier of another file, with an incarnation of its own, that took the name's place:
 * a file of an earlier incarnation is older than it. A creation needs no record: the file is durable under its name
 * before its first transaction, whose record names the incarnation.
 *
 * The seqs are those that the transaction took, from first to last; first is last + 1 if it took none.
 */
#ifndef SHARDS_LOG_SCOPERECORD_H
#define SHARDS_LOG_SCOPERECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum scoperecord_type { SCOPERECORD_CHANGES = 1, SCOPERECORD_BARRIER, SCOPERECORD_RESTORE };

struct scoperecord {
    enum scoperecord_type type;
    struct slice scope;
    int64_t incarnation, tx;
    uint64_t first_seq, last_seq;
    struct slice changes;
};

/* Records in order, which borrow from their payloads. Zeroed is none. */
struct scoperecords {
    struct scoperecord *of;
    size_t n;
};

void scoperecords_add(struct scoperecords *records, const struct scoperecord *record);
void scoperecords_release(struct scoperecords *records);

void scoperecord_write(struct buf *buf, const struct scoperecord *record);

/* Borrows from the payload. False if it is no such record. */
bool scoperecord_read(struct slice payload, struct scoperecord *ret_record);

#endif
