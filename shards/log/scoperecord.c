#include "shards/log/scoperecord.h"

#include <stdlib.h>

#include <assert.h>

#include "base/byteorder.h"

enum { FIXED = 1 + 2 + 4 * 8 };

void scoperecord_write(struct buf *buf, const struct scoperecord *record)
{
    assert(record->scope.len <= UINT16_MAX);
    char *out = buf_reserve(buf, FIXED + record->scope.len + record->changes.len);
    *out++ = (char)record->type;
    out = le16_store(out, (uint16_t)record->scope.len);
    memcpy(out, record->scope.data, record->scope.len);
    out = le64_store(out + record->scope.len, (uint64_t)record->incarnation);
    out = le64_store(out, (uint64_t)record->tx);
    out = le64_store(out, record->first_seq);
    out = le64_store(out, record->last_seq);
    if (record->changes.len > 0)
        memcpy(out, record->changes.data, record->changes.len);
    buf->len += FIXED + record->scope.len + record->changes.len;
}

bool scoperecord_read(struct slice payload, struct scoperecord *ret_record)
{
    if (payload.len < FIXED)
        return false;
    unsigned type = byte_at(payload.data, 0);
    size_t name_len = le16_load(payload.data + 1);
    if (type < SCOPERECORD_CHANGES || type > SCOPERECORD_RESTORE || payload.len < FIXED + name_len)
        return false;
    const char *rest = payload.data + 3 + name_len;
    *ret_record = (struct scoperecord){
        .type = (enum scoperecord_type)type,
        .scope = slice_of(payload.data + 3, name_len),
        .incarnation = (int64_t)le64_load(rest),
        .tx = (int64_t)le64_load(rest + 8),
        .first_seq = le64_load(rest + 16),
        .last_seq = le64_load(rest + 24),
        .changes = slice_of(rest + 32, payload.len - FIXED - name_len),
    };
    return true;
}

void scoperecords_add(struct scoperecords *records, const struct scoperecord *record)
{
    if ((records->n & (records->n + 1)) == 0) /* room doubles at 0, 1, 3, 7, ... */
        records->of = mem_resize(records->of, (2 * records->n + 1) * sizeof *records->of);
    records->of[records->n++] = *record;
}

void scoperecords_release(struct scoperecords *records)
{
    free(records->of);
    *records = (struct scoperecords){0};
}
