#include "proto/websocket.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/byteorder.h"
#include "proto/utf8.h"

enum {
    BIT_FINAL = 0x80,
    BITS_RESERVED = 0x70,
    BITS_OPCODE = 0x0f,
    BIT_CONTROL = 0x08,
    BIT_MASKED = 0x80,
    BITS_LENGTH = 0x7f,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
    CONTROL_MAX = 125,
    MASK_LEN = 4,
    CODE_NONE = 1005,
    REASON_MAX = CONTROL_MAX - 2,
};

/* A frame's header, as it stands in front of its payload. */
struct header {
    bool final;
    enum ws_opcode opcode;
    uint64_t payload_len;
    size_t len; /* of the header itself, the mask included */
};

void ws_decoder_init(struct ws_decoder *decoder, size_t keep_max, size_t message_max)
{
    assert(keep_max <= message_max);
    *decoder = (struct ws_decoder){.keep_max = keep_max, .message_max = message_max, .first = WS_CONTINUATION};
}

void ws_decoder_release(struct ws_decoder *decoder)
{
    buf_release(&decoder->partial);
}

static enum ws_status broken(enum ws_code *ret_code, enum ws_code code)
{
    *ret_code = code;
    return WS_BROKEN;
}

static bool is_control(enum ws_opcode opcode)
{
    return (opcode & BIT_CONTROL) != 0;
}

static bool is_opcode(unsigned opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

/* Reads the payload's length, which must be in its shortest form, and finds where the header ends. */
static enum ws_status read_length(struct slice in, struct header *header, enum ws_code *ret_code)
{
    uint64_t len = byte_at(in.data, 1) & BITS_LENGTH;
    size_t extra = len == LENGTH_64 ? 8 : len == LENGTH_16 ? 2 : 0;
    if (in.len < 2 + extra)
        return WS_MORE;
    if (extra == 2)
        len = be16_load(in.data + 2);
    else if (extra == 8)
        len = be64_load(in.data + 2);
    if ((extra == 2 && len < LENGTH_16) || (extra == 8 && len <= UINT16_MAX))
        return broken(ret_code, WS_CODE_PROTOCOL);
    header->payload_len = len;
    header->len = 2 + extra + MASK_LEN;
    return WS_EVENT;
}

static enum ws_status read_header(struct slice in, struct header *header, enum ws_code *ret_code)
{
    if (in.len < 2)
        return WS_MORE;
    uint8_t first = byte_at(in.data, 0);
    if ((first & BITS_RESERVED) != 0 || !is_opcode(first & BITS_OPCODE) || (byte_at(in.data, 1) & BIT_MASKED) == 0)
        return broken(ret_code, WS_CODE_PROTOCOL);
    header->final = (first & BIT_FINAL) != 0;
    header->opcode = (enum ws_opcode)(first & BITS_OPCODE);
    return read_length(in, header, ret_code);
}

/* Whether such a frame may come now. */
static enum ws_status check_header(const struct ws_decoder *decoder, const struct header *header,
                                   enum ws_code *ret_code)
{
    bool is_fragmented = decoder->first != WS_CONTINUATION;
    if (is_control(header->opcode)) {
        if (!header->final || header->payload_len > CONTROL_MAX)
            return broken(ret_code, WS_CODE_PROTOCOL);
        return WS_EVENT;
    }
    if ((header->opcode == WS_CONTINUATION) != is_fragmented)
        return broken(ret_code, WS_CODE_PROTOCOL);
    if (header->payload_len > decoder->message_max - decoder->so_far)
        return broken(ret_code, WS_CODE_TOO_LARGE);
    return WS_EVENT;
}

static void unmask(char *data, size_t len, const char mask[MASK_LEN])
{
    uint64_t wide, block;
    memcpy(&wide, mask, MASK_LEN);
    memcpy((char *)&wide + MASK_LEN, mask, MASK_LEN);
    size_t i = 0;
    for (; len - i >= sizeof block; i += sizeof block) {
        memcpy(&block, data + i, sizeof block);
        block ^= wide;
        memcpy(data + i, &block, sizeof block);
    }
    for (; i < len; i++)
        data[i] = (char)(data[i] ^ mask[i % MASK_LEN]);
}

/* Which codes a peer may send: RFC 6455 section 7.4 and those registered since. */
static bool is_close_code(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum ws_status take_close(struct slice payload, struct ws_event *ret_event, enum ws_code *ret_code)
{
    uint16_t code = CODE_NONE;
    if (payload.len > 0) {
        code = payload.len < 2 ? 0 : be16_load(payload.data);
        if (!is_close_code(code))
            return broken(ret_code, WS_CODE_PROTOCOL);
        payload = slice_of(payload.data + 2, payload.len - 2);
    }
    if (!utf8_is_valid(payload))
        return broken(ret_code, WS_CODE_INVALID);
    *ret_event = (struct ws_event){.opcode = WS_CLOSE, .payload = payload, .code = code};
    return WS_EVENT;
}

/* A data frame: WS_EVENT with the whole message, or WS_MORE if it was a fragment. */
static enum ws_status take_data(struct ws_decoder *decoder, const struct header *header, struct slice payload,
                                struct ws_event *ret_event, enum ws_code *ret_code)
{
    enum ws_opcode opcode = header->opcode == WS_CONTINUATION ? decoder->first : header->opcode;
    if (!header->final || header->opcode == WS_CONTINUATION) {
        buf_append_slice(&decoder->partial, payload);
        payload = buf_slice(&decoder->partial);
    }
    decoder->first = header->final ? WS_CONTINUATION : opcode;
    decoder->so_far = header->final ? 0 : payload.len;
    if (!header->final)
        return WS_MORE;
    if (opcode == WS_TEXT && !utf8_is_valid(payload))
        return broken(ret_code, WS_CODE_INVALID);
    *ret_event = (struct ws_event){.opcode = opcode, .payload = payload};
    return WS_EVENT;
}

static enum ws_status take_frame(struct ws_decoder *decoder, const struct header *header, struct slice payload,
                                 struct ws_event *ret_event, enum ws_code *ret_code)
{
    if (!is_control(header->opcode))
        return take_data(decoder, header, payload, ret_event, ret_code);
    if (header->opcode == WS_CLOSE)
        return take_close(payload, ret_event, ret_code);
    *ret_event = (struct ws_event){.opcode = header->opcode, .payload = payload};
    return WS_EVENT;
}

/* Messages that are too long to keep. */

static bool is_too_long(const struct ws_decoder *decoder, const struct header *header)
{
    return !is_control(header->opcode) &&
           (decoder->is_oversized || header->payload_len > decoder->keep_max - decoder->so_far);
}

static void begin_to_pass_over(struct ws_decoder *decoder, const struct header *header)
{
    buf_release(&decoder->partial);
    if (header->opcode != WS_CONTINUATION)
        decoder->first = header->opcode;
    decoder->is_oversized = true;
    decoder->is_last_frame = header->final;
    decoder->skip = (size_t)header->payload_len;
    decoder->so_far += decoder->skip;
}

static enum ws_status pass_over(struct ws_decoder *decoder, char **data, size_t *len, struct ws_event *ret_event)
{
    size_t passed = *len < decoder->skip ? *len : decoder->skip;
    *data += passed;
    *len -= passed;
    decoder->skip -= passed;
    if (decoder->skip > 0 || !decoder->is_last_frame)
        return WS_MORE;
    *ret_event = (struct ws_event){.opcode = decoder->first, .is_oversized = true};
    ws_decoder_init(decoder, decoder->keep_max, decoder->message_max);
    return WS_EVENT;
}

/* Takes one frame, or as much as there is of one that is passed over. WS_MORE: there was no whole frame, or only a
 * fragment. */
static enum ws_status take_next(struct ws_decoder *decoder, char **data, size_t *len, struct ws_event *ret_event,
                                enum ws_code *ret_code)
{
    struct header header;
    if (decoder->skip > 0)
        return pass_over(decoder, data, len, ret_event);
    enum ws_status status = read_header(slice_of(*data, *len), &header, ret_code);
    if (status == WS_EVENT)
        status = check_header(decoder, &header, ret_code);
    if (status != WS_EVENT)
        return status;
    bool passes = is_too_long(decoder, &header);
    if (*len < header.len || (!passes && *len - header.len < header.payload_len))
        return WS_MORE;
    char *payload = *data + header.len;
    size_t payload_len = passes ? 0 : (size_t)header.payload_len;
    *data = payload + payload_len;
    *len -= header.len + payload_len;
    if (passes) {
        begin_to_pass_over(decoder, &header);
        return pass_over(decoder, data, len, ret_event);
    }
    unmask(payload, payload_len, payload - MASK_LEN);
    return take_frame(decoder, &header, slice_of(payload, payload_len), ret_event, ret_code);
}

enum ws_status ws_decode(struct ws_decoder *decoder, char **data, size_t *len, struct ws_event *ret_event,
                         enum ws_code *ret_code)
{
    if (decoder->first == WS_CONTINUATION)
        buf_release(&decoder->partial); /* the last event borrowed it */
    enum ws_status status;
    size_t before;
    do {
        before = *len;
        status = take_next(decoder, data, len, ret_event, ret_code);
    } while (status == WS_MORE && *len < before);
    return status;
}

size_t ws_header(char out[WS_HEADER_MAX], enum ws_opcode opcode, size_t payload_len)
{
    out[0] = (char)(BIT_FINAL | opcode);
    if (payload_len < LENGTH_16) {
        out[1] = (char)payload_len;
        return 2;
    }
    if (payload_len <= UINT16_MAX) {
        out[1] = LENGTH_16;
        be16_store(out + 2, (uint16_t)payload_len);
        return 4;
    }
    out[1] = LENGTH_64;
    be64_store(out + 2, payload_len);
    return WS_HEADER_MAX;
}

void ws_frame(struct buf *buf, enum ws_opcode opcode, struct slice payload)
{
    buf->len += ws_header(buf_reserve(buf, WS_HEADER_MAX + payload.len), opcode, payload.len);
    buf_append_slice(buf, payload);
}

void ws_close_frame(struct buf *buf, enum ws_code code, const char *reason)
{
    struct slice text = slice_str(reason);
    if (text.len > REASON_MAX)
        text.len = REASON_MAX;
    while (!utf8_is_valid(text)) /* a character that the cut went through */
        text.len--;
    char payload[CONTROL_MAX];
    be16_store(payload, (uint16_t)code);
    memcpy(payload + 2, text.data, text.len);
    ws_frame(buf, WS_CLOSE, slice_of(payload, 2 + text.len));
}

static bool is_base64(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* 22 digits carry 132 bits: 16 bytes, and 4 bits to spare. */
static bool is_key(struct slice key)
{
    if (key.len != 24 || key.data[22] != '=' || key.data[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++)
        if (!is_base64(key.data[i]))
            return false;
    return true;
}

bool ws_accept(struct slice key, char ret_accept[WS_ACCEPT_LEN + 1])
{
    static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    if (!is_key(key))
        return false;
    unsigned char both[24 + sizeof GUID - 1], digest[SHA_DIGEST_LENGTH];
    memcpy(both, key.data, 24);
    memcpy(both + 24, GUID, sizeof GUID - 1);
    const unsigned char *made = SHA1(both, sizeof both, digest);
    assert(made != NULL); /* it takes memory */
    int len = EVP_EncodeBlock((unsigned char *)ret_accept, digest, sizeof digest);
    assert(len == WS_ACCEPT_LEN);
    return len == WS_ACCEPT_LEN;
}
