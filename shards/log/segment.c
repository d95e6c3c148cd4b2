#include "shards/log/segment.h"

#include <assert.h>

#include "base/byteorder.h"
#include "base/crc32c.h"

enum {
    ALIGNMENT = 8,
    HEADER_CRC_AT = SEGMENT_HEADER - 4,
    RECORD_LEN_AT = 4,
    RECORD_CRC_AT = 8,
    RECORD_GENERATION_AT = 16,
    RECORD_POSITION_AT = 24,
    RECORD_DURABLE_AT = 32,
};

static const char HEADER_MAGIC[8] = {'S', 'K', 'J', 'R', 'N', 'L', '2', '\n'};
static const uint32_t RECORD_MAGIC = 0x524a4b53; /* "SKJR" */

void segment_header_write(char out[SEGMENT_HEADER], const struct segment_header *header)
{
    memset(out, 0, SEGMENT_HEADER);
    memcpy(out, HEADER_MAGIC, sizeof HEADER_MAGIC);
    le64_store(out + 8, header->generation);
    le64_store(out + 16, header->position);
    le32_store(out + HEADER_CRC_AT, crc32c(0, out, HEADER_CRC_AT));
}

bool segment_header_read(struct slice file, struct segment_header *ret_header)
{
    if (file.len < SEGMENT_HEADER || memcmp(file.data, HEADER_MAGIC, sizeof HEADER_MAGIC) != 0 ||
        le32_load(file.data + HEADER_CRC_AT) != crc32c(0, file.data, HEADER_CRC_AT))
        return false;
    *ret_header = (struct segment_header){le64_load(file.data + 8), le64_load(file.data + 16)};
    return true;
}

size_t record_len(size_t payload_len)
{
    return (RECORD_HEADER + payload_len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static uint32_t checksum(const char *header, struct slice payload)
{
    char zeroed[RECORD_HEADER];
    memcpy(zeroed, header, sizeof zeroed);
    memset(zeroed + RECORD_CRC_AT, 0, 4);
    return crc32c(crc32c(0, zeroed, sizeof zeroed), payload.data, payload.len);
}

void record_seal(char *record, size_t payload_len, uint64_t generation, uint64_t position, uint64_t durable)
{
    assert(payload_len <= UINT32_MAX);
    memset(record, 0, RECORD_HEADER);
    le32_store(record, RECORD_MAGIC);
    le32_store(record + RECORD_LEN_AT, (uint32_t)payload_len);
    le64_store(record + RECORD_GENERATION_AT, generation);
    le64_store(record + RECORD_POSITION_AT, position);
    le64_store(record + RECORD_DURABLE_AT, durable);
    le32_store(record + RECORD_CRC_AT, checksum(record, slice_of(record + RECORD_HEADER, payload_len)));
    size_t len = RECORD_HEADER + payload_len;
    memset(record + len, 0, record_len(payload_len) - len);
}

bool record_peek(struct slice bytes, struct record *ret_record)
{
    if (bytes.len < RECORD_HEADER || le32_load(bytes.data) != RECORD_MAGIC)
        return false;
    uint32_t payload_len = le32_load(bytes.data + RECORD_LEN_AT);
    if (record_len(payload_len) > bytes.len)
        return false;
    *ret_record = (struct record){
        .generation = le64_load(bytes.data + RECORD_GENERATION_AT),
        .position = le64_load(bytes.data + RECORD_POSITION_AT),
        .durable = le64_load(bytes.data + RECORD_DURABLE_AT),
        .payload = slice_of(bytes.data + RECORD_HEADER, payload_len),
        .len = record_len(payload_len),
    };
    return true;
}

bool record_read(struct slice bytes, struct record *ret_record)
{
    struct record record;
    if (!record_peek(bytes, &record) || le32_load(bytes.data + RECORD_CRC_AT) != checksum(bytes.data, record.payload))
        return false;
    *ret_record = record;
    return true;
}
