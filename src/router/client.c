#include "src/router/client.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "proto/frame.h"

enum { BURST_SECONDS = 2 }; /* what a session may send at once, in seconds of its rate */

/* Bytes that may be under way, in each direction. */
static uint32_t window(const struct client *client)
{
    return client->connection->router->options.window;
}

static unsigned shard_of(const struct router *router, const struct scope_name *name)
{
    struct scope_hash hash = scope_hash(name);
    return route_shard(scope_slot(&hash), router->options.n_shards);
}

struct client *client_new(struct connection *connection, const struct scope_name *name, const struct app_kind *kind,
                          struct slice claims, int64_t expires_s, const struct upgrade *upgrade)
{
    struct router *router = connection->router;
    struct link_channel *channel = link_open_channel(router->links[shard_of(router, name)], name);
    if (channel == NULL)
        return NULL;
    struct client *client = mem_zero(1, sizeof *client);
    client->connection = connection;
    client->channel = channel;
    client->id = ++router->last_session;
    client->expires_s = expires_s;
    client->frames_per_second = kind->frames_per_second;
    client->tokens = kind->frames_per_second * BURST_SECONDS;
    client->refilled_us = clock_mono_us();
    client->upgrade = *upgrade;
    list_init(&client->throttle_link);
    place_init(&client->place);
    ws_decoder_init(&client->decoder, FRAME_MAX, ROUTER_MESSAGE_MAX);
    link_channel_add(channel, client);
    link_channel_attach(channel, client->id, upgrade->dialect, claims);
    link_channel_send_credit(channel, client->id, window(client));
    return client;
}

/* The channel has nothing more for it. */
static void leave_channel(struct client *client)
{
    if (client->channel == NULL)
        return;
    link_channel_remove(client->channel, client);
    client->channel = NULL;
}

/* It wants nothing more of the channel. */
static void detach(struct client *client)
{
    if (client->channel != NULL)
        link_channel_send(client->channel, ENVELOPE_DETACH, client->id);
    leave_channel(client);
}

void client_free(struct client *client)
{
    detach(client);
    if (client->is_attached)
        metric_add(METRIC_ROUTER_SESSIONS, -1);
    list_remove(&client->throttle_link);
    ws_decoder_release(&client->decoder);
    place_release(&client->place);
    buf_release(&client->asked);
    free(client);
}

static void upgrade(struct client *client)
{
    struct connection *connection = client->connection;
    request_answer_upgrade(connection, &client->upgrade);
    client->is_attached = true;
    metric_add(METRIC_ROUTER_SESSIONS, 1);
    connection_become(connection, CONNECTION_WEBSOCKET);
    connection_resume(connection);
}

static void say_gone(struct client *client, enum ws_code code, const char *reason)
{
    struct buf frame = {0};
    if (client->upgrade.dialect != DIALECT_V1 ||
        (code != WS_CODE_GOING_AWAY && code != WS_CODE_RESTART && code != WS_CODE_TRY_LATER))
        return;
    frame_gone(&frame, "UNAVAILABLE", slice_str(reason),
               code == WS_CODE_RESTART ? ROUTER_BACK_SOON_MS : ROUTER_BACK_LATER_MS);
    ws_frame(connection_out(client->connection), WS_BINARY, buf_slice(&frame));
    buf_release(&frame);
}

void client_close(struct client *client, enum ws_code code, const char *reason)
{
    struct connection *connection = client->connection;
    if (connection->state != CONNECTION_WEBSOCKET)
        return;
    say_gone(client, code, reason);
    ws_close_frame(connection_out(connection), code, reason);
    connection_become(connection, CONNECTION_CLOSING);
    detach(client);
}

/* Before the upgrade a refusal is a status; with `deny=close` it is a close code, which a browser can see. */
static void refuse(struct client *client, int status, enum ws_code code, const char *why)
{
    struct connection *connection = client->connection;
    if (client->upgrade.may_accept_to_close) {
        upgrade(client);
        client_close(client, code, why);
        return;
    }
    connection->client = NULL;
    connection->is_last = true;
    request_answer_text(connection, status, why);
    client_free(client);
}

static void on_attached(struct client *client)
{
    if (!client->is_attached)
        upgrade(client);
}

static void on_denied(struct client *client)
{
    metric_add(METRIC_ROUTER_REFUSED_OPEN, 1);
    leave_channel(client);
    refuse(client, 403, WS_CODE_FORBIDDEN, "not allowed to open this scope");
}

static void on_close(struct client *client, const struct envelope *envelope)
{
    uint16_t code;
    struct slice reason;
    bool ok = envelope_close(envelope, &code, &reason);
    assert(ok); /* the shard is ours */
    leave_channel(client);
    char *text = mem_dup(reason);
    if (client->is_attached)
        client_close(client, (enum ws_code)code, text);
    else
        refuse(client, 503, (enum ws_code)code, text);
    free(text);
}

static void on_message(struct client *client, struct slice message)
{
    assert(client->undrained < window(client)); /* the shard keeps to its credit */
    client->undrained += ENVELOPE_HEADER + (uint32_t)message.len;
    if (client->connection->state == CONNECTION_WEBSOCKET)
        ws_frame(connection_out(client->connection), WS_BINARY, message);
}

static size_t under_way(const struct client *client)
{
    return client->asked.len - client->done;
}

static void on_done(struct client *client)
{
    bool was_full = under_way(client) >= window(client);
    struct slice asked = slice_of(client->asked.data + client->done, under_way(client));
    struct envelope envelope;
    enum envelope_status status = envelope_decode(&asked, &envelope);
    assert(status == ENVELOPE_WHOLE);
    (void)status;
    client->done = client->asked.len - asked.len;
    buf_trim(&client->asked, &client->done);
    if (client->asked.len == 0)
        buf_release(&client->asked);
    if (was_full && client_may_receive(client))
        connection_resume(client->connection);
}

void client_lag(struct client *client)
{
    client->undrained = 0;
    link_channel_send_lag(client->channel, client->id, client->place.spot.seq);
    link_channel_write(client->channel, slice_of(client->asked.data + client->done, under_way(client)));
    /* Last: the shard may forget in one turn and hear it all again in the next one; no boundary is due between. */
    link_channel_send_credit(client->channel, client->id, window(client));
}

/* What comes for it alone, in its order. */
static void on_own(struct client *client, const struct envelope *envelope)
{
    if (!pump_lets_in(link_channel_pump(client->channel), client))
        return;
    switch (envelope->type) {
    case ENVELOPE_MESSAGE:
        on_message(client, envelope->payload);
        break;
    case ENVELOPE_DONE:
        on_done(client);
        break;
    case ENVELOPE_JOIN:
        pump_join(link_channel_pump(client->channel), client, envelope);
        break;
    case ENVELOPE_LEAVE:
        pump_leave(client);
        break;
    default:
        assert(false && "a shard sends nothing else");
    }
}

void client_on_envelope(struct client *client, const struct envelope *envelope)
{
    switch (envelope->type) {
    case ENVELOPE_ATTACHED:
        on_attached(client);
        break;
    case ENVELOPE_DENIED:
        on_denied(client);
        break;
    case ENVELOPE_CLOSE:
        on_close(client, envelope);
        break;
    case ENVELOPE_LAGGED:
        pump_return(client);
        break;
    default:
        on_own(client, envelope);
    }
}

void client_on_channel_lost(struct client *client)
{
    client->channel = NULL;
    if (client->is_attached)
        client_close(client, WS_CODE_RESTART, "the worker restarts");
    else
        refuse(client, 503, WS_CODE_RESTART, "the worker restarts; try again");
}

/* From the socket. */

static void refill(struct client *client)
{
    int64_t now_us = clock_mono_us();
    double most = client->frames_per_second * BURST_SECONDS;
    client->tokens += (double)(now_us - client->refilled_us) / 1e6 * client->frames_per_second;
    client->tokens = client->tokens > most ? most : client->tokens;
    client->refilled_us = now_us;
}

static void spend_token(struct client *client)
{
    if (client->frames_per_second <= 0)
        return;
    client->tokens -= 1;
    if (client->tokens >= 1)
        return;
    refill(client);
    if (client->tokens >= 1)
        return;
    struct router *router = client->connection->router;
    metric_add(METRIC_ROUTER_THROTTLED, 1);
    list_append(&router->throttled, &client->throttle_link);
    if (!timer_is_running(&router->throttle_timer))
        timer_start(&router->throttle_timer, ROUTER_THROTTLE_MS);
}

bool client_try_unthrottle(struct client *client)
{
    refill(client);
    if (client->tokens < 1)
        return false;
    list_remove(&client->throttle_link);
    connection_resume(client->connection);
    return true;
}

bool client_may_receive(const struct client *client)
{
    return under_way(client) < window(client) && list_is_empty(&client->throttle_link) && client->channel != NULL;
}

static void take_binary(struct client *client, struct slice message)
{
    size_t before = client->asked.len;
    envelope_append(&client->asked, ENVELOPE_MESSAGE, client->id, message);
    link_channel_write(client->channel, slice_of(client->asked.data + before, client->asked.len - before));
}

static void take_event(struct client *client, const struct ws_event *event)
{
    struct connection *connection = client->connection;
    switch (event->opcode) {
    case WS_BINARY:
        if (event->is_oversized)
            metric_add(METRIC_ROUTER_OVERSIZED_FRAMES, 1);
        else
            take_binary(client, event->payload);
        spend_token(client);
        break;
    case WS_TEXT: /* the contract has one: anything else is no frame */
        if (slice_eq(event->payload, SLICE("ping")))
            ws_frame(connection_out(connection), WS_TEXT, SLICE("pong"));
        else
            metric_add(METRIC_ROUTER_TEXT_DROPPED, 1);
        spend_token(client);
        break;
    case WS_PING:
        ws_frame(connection_out(connection), WS_PONG, event->payload);
        spend_token(client);
        break;
    case WS_CLOSE:
        client_close(client, event->code == 1005 ? WS_CODE_NORMAL : (enum ws_code)event->code, "");
        break;
    case WS_PONG:
    case WS_CONTINUATION:
        break;
    }
}

void client_receive(struct client *client, char **data, size_t *len)
{
    struct connection *connection = client->connection;
    struct ws_event event;
    enum ws_code code;
    client->pings = 0;
    while (connection->state == CONNECTION_WEBSOCKET && client_may_receive(client) &&
           connection_waiting(connection) < ROUTER_OUT_MAX) {
        enum ws_status status = ws_decode(&client->decoder, data, len, &event, &code);
        if (status == WS_MORE)
            return;
        if (status == WS_BROKEN) {
            metric_add(METRIC_ROUTER_PROTOCOL_ERRORS, 1);
            client_close(client, code, "");
            return;
        }
        take_event(client, &event);
    }
}

static void return_credit(struct client *client)
{
    size_t waiting = connection_waiting(client->connection);
    uint32_t held = waiting < client->undrained ? (uint32_t)waiting : client->undrained;
    uint32_t bytes = client->undrained - held;
    if (bytes < window(client) / 4)
        return;
    client->undrained -= bytes;
    link_channel_send_credit(client->channel, client->id, bytes);
}

void client_drained(struct client *client)
{
    if (client->channel == NULL)
        return;
    return_credit(client);
    pump_resume(link_channel_pump(client->channel), client);
}

uint64_t client_distance(const struct client *client)
{
    return client->channel == NULL ? 0 : pump_distance(link_channel_pump(client->channel), client);
}

void client_sweep(struct client *client, int64_t now_ms, int64_t now_s)
{
    if (!connection_is_read(client->connection))
        client->connection->heard_ms = now_ms; /* nobody listened: its silence says nothing */
    int64_t silent_ms = now_ms - client->connection->heard_ms;
    if (client->expires_s != 0 && now_s >= client->expires_s) {
        client_close(client, WS_CODE_EXPIRED, "the claims have expired");
    } else if (silent_ms >= ROUTER_SILENT_MS) {
        metric_add(METRIC_ROUTER_SILENT, 1);
        client_close(client, WS_CODE_GOING_AWAY, "nothing was heard");
    } else if (silent_ms >= (client->pings + 1) * ROUTER_PING_MS) {
        client->pings++;
        ws_frame(connection_out(client->connection), WS_PING, SLICE(""));
    }
}
