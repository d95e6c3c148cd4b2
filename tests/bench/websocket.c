#include "tests/bench/websocket.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

void websocket_request(struct buffer *out, const char *host, const char *path)
{
    static const char format[] = "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WEBSOCKET_NONCE "\r\n\r\n";
    size_t max = sizeof(format) + strlen(host) + strlen(path);
    int len = snprintf((char *)buffer_room(out, max), max, format, path, host);
    buffer_grew(out, (size_t)len);
}

/* The line after `line`, or NULL. */
static const char *next_line(const char *line)
{
    const char *end = strstr(line, "\r\n");
    return end ? end + 2 : NULL;
}

static bool has_header(const char *head, const char *name, const char *value)
{
    size_t name_len = strlen(name);
    for (const char *line = next_line(head); line; line = next_line(line)) {
        if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *at = line + name_len + 1;
            at += strspn(at, " \t");
            size_t len = strlen(value);
            return strncasecmp(at, value, len) == 0 && at[len + strspn(at + len, " \t")] == '\r';
        }
    }
    return false;
}

static const char *judge_head(const char *head)
{
    static char why[80];
    if (strncmp(head, "HTTP/1.1 101", 12) != 0) {
        snprintf(why, sizeof(why), "%.*s", (int)strcspn(head, "\r"), head);
        return why;
    }
    if (!has_header(head, "Upgrade", "websocket") || !has_header(head, "Connection", "Upgrade")) {
        return "101 without 'Upgrade: websocket' and 'Connection: Upgrade'";
    }
    /* Base64 is compared with its case: has_header() found the name, strstr() the value. */
    if (!has_header(head, "Sec-WebSocket-Accept", WEBSOCKET_ACCEPT) || !strstr(head, WEBSOCKET_ACCEPT)) {
        return "101 with a wrong Sec-WebSocket-Accept";
    }
    return NULL;
}

long websocket_response(const uint8_t *bytes, size_t len, const char **ret_why)
{
    char head[WEBSOCKET_HEAD_MAX + 1];
    size_t head_len = len < WEBSOCKET_HEAD_MAX ? len : WEBSOCKET_HEAD_MAX;
    memcpy(head, bytes, head_len);
    head[head_len] = '\0';
    char *end = strstr(head, "\r\n\r\n");
    if (!end) {
        return len < WEBSOCKET_HEAD_MAX ? 0 : -1;
    }
    end[2] = '\0';
    *ret_why = judge_head(head);
    return end + 4 - head;
}

/* What the first two bytes alone say; NULL when they are fine. */
static const char *judge_header(const uint8_t *bytes, enum websocket_peer peer)
{
    uint8_t opcode = bytes[0] & 0x0f;
    if (bytes[0] & 0x70) {
        return "a message with reserved bits";
    }
    if (!(bytes[0] & 0x80) || opcode == 0) {
        return "a fragmented message, which this driver does not read";
    }
    if (opcode != WS_TEXT && opcode != WS_BINARY && (opcode < WS_CLOSE || opcode > WS_PONG)) {
        return "a message with an unknown opcode";
    }
    if (opcode >= WS_CLOSE && (bytes[1] & 0x7f) > 125) {
        return "a control message above 125 bytes";
    }
    return (bytes[1] & 0x80) == (peer == WS_FROM_CLIENT ? 0x80 : 0) ? NULL : "a message masked the wrong way round";
}

/* The bytes of the length field, after the first two. */
static size_t length_size(const uint8_t *bytes)
{
    uint8_t small = bytes[1] & 0x7f;
    return small == 127 ? 8 : small == 126 ? 2 : 0;
}

static uint64_t length_of(const uint8_t *bytes, size_t size)
{
    uint64_t length = size ? 0 : bytes[1] & 0x7f;
    for (size_t i = 0; i < size; i++) {
        length = length << 8 | bytes[2 + i];
    }
    return length;
}

static void unmask(uint8_t *payload, size_t len, const uint8_t *key)
{
    for (size_t i = 0; i < len; i++) {
        payload[i] ^= key[i % 4];
    }
}

long websocket_next(uint8_t *bytes, size_t len, enum websocket_peer peer, struct websocket_message *ret_message,
                    const char **ret_why)
{
    if (len < 2) {
        return 0;
    }
    *ret_why = judge_header(bytes, peer);
    if (*ret_why) {
        return -1;
    }
    size_t size = length_size(bytes);
    size_t key_at = 2 + size, header = key_at + (peer == WS_FROM_CLIENT ? 4 : 0);
    if (len < header) {
        return 0;
    }
    uint64_t payload_len = length_of(bytes, size);
    if (payload_len > WEBSOCKET_MESSAGE_MAX || (size == 2 && payload_len < 126) || (size == 8 && payload_len < 65536)) {
        *ret_why = "a message with a length that is too large or written too long";
        return -1;
    }
    if (len - header < payload_len) {
        return 0;
    }
    *ret_message = (struct websocket_message){bytes[0] & 0x0f, bytes + header, (size_t)payload_len};
    if (peer == WS_FROM_CLIENT) {
        unmask(ret_message->payload, ret_message->len, bytes + key_at);
    }
    return (long)(header + payload_len);
}

size_t websocket_server_header(uint8_t *out, enum websocket_opcode opcode, size_t len)
{
    size_t size = len < 126 ? 0 : len < 65536 ? 2 : 8;
    out[0] = (uint8_t)(0x80 | opcode);
    out[1] = size == 0 ? (uint8_t)len : size == 2 ? 126 : 127;
    for (size_t i = 0; i < size; i++) {
        out[2 + i] = (uint8_t)(len >> (8 * (size - 1 - i)));
    }
    return 2 + size;
}

void websocket_send(struct buffer *out, enum websocket_opcode opcode, const void *payload, size_t len)
{
    uint8_t *at = buffer_room(out, 14 + len);
    size_t header = websocket_server_header(at, opcode, len);
    at[1] |= 0x80;
    memcpy(at + header, mask, 4);
    if (len > 0) {
        memcpy(at + header + 4, payload, len);
    }
    unmask(at + header + 4, len, mask);
    buffer_grew(out, header + 4 + len);
}
