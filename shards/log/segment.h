/*
 * segment - the bytes of a journal's file: a header, then records.
 *
 *   header  64 bytes: "SKJRNL2\n", generation u64, first position u64, zeros, checksum u32 of what precedes it
 *   record  40 bytes: magic u32, payload length u32, checksum u32, zero u32, generation u64, position u64, durable u64;
 *           then the payload and zeros up to a multiple of 8
 *
 * All numbers are little endian. A record's checksum (CRC-32C) covers its header, with zero in the checksum's place,
 * and its payload. `generation` is the segment's, so what an earlier use of the file left behind is no record;
 * `durable` is the durable position known when it was written.
 */
#ifndef SHARDS_LOG_SEGMENT_H
#define SHARDS_LOG_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { SEGMENT_HEADER = 64, RECORD_HEADER = 40 };

struct segment_header {
    uint64_t generation;
    uint64_t position; /* of its first record */
};

struct record {
    uint64_t generation, position, durable;
    struct slice payload;
    size_t len; /* of header, payload and padding */
};

void segment_header_write(char out[SEGMENT_HEADER], const struct segment_header *header);
bool segment_header_read(struct slice file, struct segment_header *ret_header);

/* Bytes that a record with such a payload takes. */
size_t record_len(size_t payload_len);

/* Fills in the header in front of a payload, which stands in `record` at RECORD_HEADER, with its padding. */
void record_seal(char *record, size_t payload_len, uint64_t generation, uint64_t position, uint64_t durable);

/* Reads what the front of `bytes` says of itself, without looking whether it is true: no checksum is computed. False if
 * it does not begin as a whole record does. */
bool record_peek(struct slice bytes, struct record *ret_record);

/* Reads the record at the front of `bytes`. False if there is no whole, undamaged one. */
bool record_read(struct slice bytes, struct record *ret_record);

#endif
