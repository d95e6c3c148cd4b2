/* segment, scoperecord: what a disk gives back is read without harm, and what is read is written as the same bytes. */
#include <assert.h>

#include "shards/log/scoperecord.h"
#include "shards/log/segment.h"

static void check_header(struct slice in)
{
    struct segment_header header;
    char out[SEGMENT_HEADER];
    if (!segment_header_read(in, &header))
        return;
    segment_header_write(out, &header);
    assert(memcmp(out, in.data, 16 + 8) == 0); /* zeros follow, which are not looked at */
}

static void check_payload(struct slice payload)
{
    struct scoperecord record;
    struct buf buf = {0};
    if (!scoperecord_read(payload, &record))
        return;
    scoperecord_write(&buf, &record);
    assert(slice_eq(buf_slice(&buf), payload));
    buf_release(&buf);
}

static void check_records(struct slice in)
{
    struct record record;
    for (; in.len > 0; in = slice_of(in.data + 1, in.len - 1))
        if (record_peek(in, &record)) {
            assert(record.len <= in.len && RECORD_HEADER + record.payload.len <= record.len);
            if (record_read(in, &record))
                check_payload(record.payload);
        }
}

/* The input as a payload, for no fuzzer finds a checksum. */
static void check_sealed(struct slice in)
{
    struct record record;
    struct buf buf = {0};
    size_t len = record_len(in.len);
    char *out = buf_reserve(&buf, len);
    if (in.len > 0)
        memcpy(out + RECORD_HEADER, in.data, in.len);
    record_seal(out, in.len, 1, 2, 3);
    bool ok = record_read(slice_of(out, len), &record);
    assert(ok && record.generation == 1 && record.position == 2 && record.durable == 3);
    assert(record.len == len && slice_eq(record.payload, in));
    check_payload(record.payload);
    buf_release(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice in = slice_of(data, len);
    check_header(in);
    check_records(in);
    check_sealed(in);
    return 0;
}
