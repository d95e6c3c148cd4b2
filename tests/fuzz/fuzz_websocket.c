/*
 * websocket: the same bytes are the same events however they are cut, and a decoder holds no more than it is told to
 * keep.
 *
 * The first byte of an input says where it is cut, the rest is what the client sends.
 */
#include <assert.h>

#include "proto/utf8.h"
#include "proto/websocket.h"

enum { KEEP_MAX = 150, MESSAGE_MAX = 300 };

static void check_event(const struct ws_event *event)
{
    assert(event->payload.len <= (event->is_oversized ? 0 : KEEP_MAX));
    if (event->opcode == WS_TEXT || event->opcode == WS_CLOSE)
        assert(utf8_is_valid(event->payload));
    if (event->opcode != WS_TEXT && event->opcode != WS_BINARY)
        assert(event->payload.len <= 125);
}

static void note_event(const struct ws_event *event, struct buf *notes)
{
    buf_printf(notes, "%d %u %zu%s ", (int)event->opcode, event->code, event->payload.len,
               event->is_oversized ? " and more" : "");
    buf_append_slice(notes, event->payload);
}

/* Takes all that is whole from `pending`; false once the connection is broken. */
static bool feed(struct ws_decoder *decoder, struct buf *pending, struct buf *notes)
{
    char *data = pending->data;
    size_t len = pending->len;
    struct ws_event event;
    enum ws_code code;
    enum ws_status status;
    while ((status = ws_decode(decoder, &data, &len, &event, &code)) == WS_EVENT) {
        check_event(&event);
        note_event(&event, notes);
    }
    assert(decoder->partial.len <= KEEP_MAX);
    assert(decoder->partial.len == 0 || decoder->first != WS_CONTINUATION || status == WS_BROKEN);
    buf_consume(pending, pending->len - len);
    if (status == WS_BROKEN)
        buf_printf(notes, "broken %d", (int)code);
    return status == WS_MORE;
}

/* What comes of the bytes when at most `step` arrive at once. */
static struct buf decode(struct slice in, size_t step)
{
    struct ws_decoder decoder;
    ws_decoder_init(&decoder, KEEP_MAX, MESSAGE_MAX);
    struct buf pending = {0}, notes = {0};
    bool lives = true;
    while (in.len > 0 && lives) {
        size_t len = in.len < step ? in.len : step;
        buf_append(&pending, in.data, len);
        in = slice_of(in.data + len, in.len - len);
        lives = feed(&decoder, &pending, &notes);
    }
    if (lives)
        buf_printf(&notes, "%zu wait", pending.len);
    buf_release(&pending);
    ws_decoder_release(&decoder);
    return notes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    struct slice in = slice_of(data + 1, len - 1);
    struct buf whole = decode(in, len), cut = decode(in, (size_t)data[0] + 1);
    assert(slice_eq(buf_slice(&whole), buf_slice(&cut)));
    buf_release(&whole);
    buf_release(&cut);
    return 0;
}
