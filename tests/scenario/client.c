#include "tests/scenario/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char CHOSEN[] = "\r\nSec-WebSocket-Protocol: skerry.v1\r\n";

struct client *client_new(const char *name)
{
    struct client *client = mem_zero(1, sizeof *client);
    client->name = mem_dup(slice_str(name));
    return client;
}

void client_free(struct client *client)
{
    client_drop(client);
    free(client->name);
    free(client->target);
    free(client->offers);
    free(client);
}

void client_drop(struct client *client)
{
    if (client->wire != NULL)
        wire_close(client->wire);
    client->wire = NULL;
    client->used = 0;
    buf_release(&client->in);
}

static bool send_request(struct client *client, uint16_t port, const char *target, bool upgrade, int64_t deadline_us)
{
    struct buf head = {0};
    buf_printf(&head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n", target, port);
    if (upgrade)
        buf_printf(&head, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    if (upgrade && client->offers != NULL)
        buf_printf(&head, "Sec-WebSocket-Protocol: %s\r\n", client->offers);
    buf_printf(&head, "\r\n");
    bool sent = wire_write(client->wire, buf_slice(&head), deadline_us);
    buf_release(&head);
    return sent;
}

/* Reads until `in` holds an empty line. Returns the head's length, 0 if it does not come. */
static size_t read_head(struct client *client, int64_t deadline_us)
{
    for (;;) {
        char *end = client->in.len > 0 ? memmem(client->in.data, client->in.len, "\r\n\r\n", 4) : NULL;
        if (end != NULL)
            return (size_t)(end - client->in.data) + 4;
        if (wire_read(client->wire, &client->in, deadline_us) != WIRE_BYTES)
            return 0;
    }
}

static void read_body(struct client *client, size_t head_len, struct buf *ret_body, int64_t deadline_us)
{
    client->in.data[head_len - 1] = '\0';
    const char *field = strcasestr(client->in.data, "\r\ncontent-length:");
    size_t len = field != NULL ? strtoul(field + 17, NULL, 10) : 0;
    while (client->in.len < head_len + len)
        if (wire_read(client->wire, &client->in, deadline_us) != WIRE_BYTES)
            return;
    buf_append(ret_body, client->in.data + head_len, len);
}

int client_get(struct client *client, uint16_t port, const char *target, bool upgrade, struct buf *ret_body,
               int64_t deadline_us)
{
    int status = 0;
    client_drop(client);
    client->wire = wire_connect(port, client->narrow);
    if (client->wire == NULL)
        return 0;
    size_t head_len = send_request(client, port, target, upgrade, deadline_us) ? read_head(client, deadline_us) : 0;
    if (head_len == 0 || sscanf(client->in.data, "HTTP/1.1 %d ", &status) != 1)
        status = 0;
    client->used = head_len;
    if (status == 101) {
        client->is_extended = memmem(client->in.data, head_len, CHOSEN, strlen(CHOSEN)) != NULL;
        return status;
    }
    if (status != 0 && ret_body != NULL)
        read_body(client, head_len, ret_body, deadline_us);
    client_drop(client);
    return status;
}

/* The mask is zero: allowed, and it keeps a capture readable. */
bool client_send(struct client *client, enum client_opcode opcode, struct slice payload, int64_t deadline_us)
{
    struct buf frame = {0};
    unsigned char head[14] = {(unsigned char)(0x80 | opcode)};
    unsigned extra = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;
    head[1] = (unsigned char)(0x80 | (extra == 0 ? payload.len : extra == 2 ? 126 : 127));
    for (unsigned i = 0; i < extra; i++)
        head[2 + i] = (unsigned char)(payload.len >> 8 * (extra - 1 - i));
    buf_append(&frame, head, 2 + extra + 4);
    buf_append_slice(&frame, payload);
    bool sent = client->wire != NULL && wire_write(client->wire, buf_slice(&frame), deadline_us);
    buf_release(&frame);
    return sent;
}

/* Takes a frame from what was read. False if it is not there yet. */
static bool take_frame(struct client *client, struct message *ret_message)
{
    const unsigned char *at = (const unsigned char *)client->in.data + client->used;
    size_t left = client->in.len - client->used;
    if (left < 2)
        return false;
    unsigned extra = at[1] < 126 ? 0 : at[1] == 126 ? 2 : 8;
    size_t len = extra == 0 ? at[1] : 0;
    if (left < 2 + extra)
        return false;
    for (unsigned i = 0; i < extra; i++)
        len = len << 8 | at[2 + i];
    if (left < 2 + extra + len)
        return false;
    ret_message->opcode = at[0] & 0x0f;
    ret_message->payload = slice_of(at + 2 + extra, len);
    client->used += 2 + extra + len;
    return true;
}

static void compact(struct client *client)
{
    buf_consume(&client->in, client->used);
    client->used = 0;
}

bool client_next(struct client *client, int64_t deadline_us, struct message *ret_message)
{
    for (;;) {
        if (client->wire == NULL) {
            *ret_message = (struct message){.opcode = CLIENT_CLOSE, .code = 1006};
            return true;
        }
        if (!take_frame(client, ret_message)) {
            compact(client);
            enum wire_status status = wire_read(client->wire, &client->in, deadline_us);
            if (status == WIRE_LATE)
                return false;
            if (status == WIRE_CLOSED)
                client_drop(client);
            continue;
        }
        const unsigned char *payload = (const unsigned char *)ret_message->payload.data;
        if (ret_message->opcode == CLIENT_PING) {
            client_send(client, CLIENT_PONG, ret_message->payload, deadline_us);
        } else if (ret_message->opcode == CLIENT_CLOSE) {
            ret_message->code = ret_message->payload.len >= 2 ? (unsigned)(payload[0] << 8 | payload[1]) : 1005;
            ret_message->payload = slice_of("", 0);
            client_drop(client);
            return true;
        } else if (ret_message->opcode != CLIENT_PONG) {
            return true;
        }
    }
}
