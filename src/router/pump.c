#include "src/router/pump.h"

#include <assert.h>

#include "base/metrics.h"
#include "src/router/client.h"

enum {
    WRITE_BYTES = 256 << 10, /* about so much for one write */
    KEPT_BYTES = 64 << 10,   /* of room for it, between turns */
};

void pump_init(struct pump *pump)
{
    *pump = (struct pump){.seq = 0};
    ring_init(&pump->ring);
    list_init(&pump->clients);
    list_init(&pump->dirty_link);
}

void pump_release(struct pump *pump)
{
    assert(list_is_empty(&pump->clients));
    list_remove(&pump->dirty_link);
    ring_release(&pump->ring);
}

void place_init(struct place *place)
{
    *place = (struct place){.state = PLACE_ALONE};
    list_init(&place->link);
}

void place_release(struct place *place)
{
    list_remove(&place->link);
    buf_release(&place->members);
}

void pump_take(struct pump *pump, const struct envelope *envelope)
{
    struct slice message;
    if (envelope->type == ENVELOPE_BOUNDARY)
        pump->seq = envelope_boundary(envelope, &message);
    if (!list_is_empty(&pump->clients))
        ring_append(&pump->ring, envelope);
}

/* ---- frames ---- */

/* A change, for each of the session's subscriptions that wants it. True if any does. */
static bool write_change(struct buf *out, struct slice members, const struct envelope *change)
{
    struct audience_member member;
    struct slice head, tail;
    bool any = false;
    envelope_change(change, &head, &tail);
    while (envelope_next_member(&members, &member)) {
        if (member.audience != change->session)
            continue;
        size_t len = head.len + member.id.len + tail.len;
        out->len += ws_header(buf_reserve(out, WS_HEADER_MAX + len), WS_BINARY, len);
        buf_append_slice(out, head);
        buf_append_slice(out, member.id);
        buf_append_slice(out, tail);
        any = true;
    }
    return any;
}

/* The frames of what is at the place, which moves on. */
static void write_next(struct buf *out, const struct ring *ring, struct place *place)
{
    struct envelope envelope;
    struct slice message;
    place->at = ring_read(ring, place->at, &envelope);
    if (envelope.type == ENVELOPE_CHANGE) {
        if (write_change(out, buf_slice(&place->members), &envelope))
            place->owes_boundary = true;
        return;
    }
    place->seq = envelope_boundary(&envelope, &message);
    if (place->owes_boundary || envelope.session != 0)
        ws_frame(out, WS_BINARY, message);
    place->owes_boundary = false;
}

static bool is_written(const struct written *written, const struct ring *ring, const struct place *place)
{
    return written->ring == ring->id && written->from == place->at && written->owed_boundary == place->owes_boundary &&
           slice_eq(buf_slice(&written->members), buf_slice(&place->members));
}

/* Some frames from the session's place on, and the place behind them. */
static const struct written *write_some(const struct ring *ring, const struct client *client)
{
    struct written *written = &client->connection->router->written;
    const struct place *place = &client->place;
    if (is_written(written, ring, place))
        return written;
    written->ring = ring->id;
    written->from = place->at;
    written->owed_boundary = place->owes_boundary;
    written->members.len = written->frames.len = 0;
    buf_append_slice(&written->members, buf_slice(&place->members));
    written->behind = *place;
    while (written->behind.at < ring_end(ring) && written->frames.len < WRITE_BYTES)
        write_next(&written->frames, ring, &written->behind);
    return written;
}

void pump_end_turn(struct written *written)
{
    written->ring = 0;
    if (written->frames.capacity > KEPT_BYTES)
        buf_release(&written->frames);
}

void written_release(struct written *written)
{
    buf_release(&written->members);
    buf_release(&written->frames);
}

static void move_to(struct place *place, const struct place *behind)
{
    place->at = behind->at;
    place->seq = behind->seq;
    place->owes_boundary = behind->owes_boundary;
}

/* ---- a session ---- */

static void fall(struct client *client)
{
    metric_add(METRIC_ROUTER_FALLEN, 1);
    list_remove(&client->place.link);
    client->place.state = PLACE_FALLEN;
}

/* The socket has taken so many bytes of what is at the place, and not more: the frame that it has begun waits. */
static void keep_rest(const struct ring *ring, struct client *client, size_t taken)
{
    struct buf frames = {0};
    while (frames.len <= taken)
        write_next(&frames, ring, &client->place);
    connection_keep(client->connection, slice_of(frames.data + taken, frames.len - taken));
    buf_release(&frames);
}

/* From the ring to the socket. */
static void pump_client(struct pump *pump, struct client *client)
{
    struct place *place = &client->place;
    struct connection *connection = client->connection;
    while (place->at < ring_end(&pump->ring) && connection_waiting(connection) == 0) {
        const struct written *some = write_some(&pump->ring, client);
        ssize_t taken = connection_send(connection, buf_slice(&some->frames));
        if (taken < 0)
            return; /* the client has gone */
        if ((size_t)taken < some->frames.len)
            keep_rest(&pump->ring, client, (size_t)taken);
        else
            move_to(place, &some->behind);
    }
}

/* With what waits for the socket already. */
static void pump_behind(struct pump *pump, struct client *client)
{
    while (client->place.at < ring_end(&pump->ring)) {
        const struct written *some = write_some(&pump->ring, client);
        if (some->frames.len > 0)
            buf_append_slice(connection_out(client->connection), buf_slice(&some->frames));
        move_to(&client->place, &some->behind);
    }
}

static void give(struct pump *pump, struct client *client)
{
    if (client->place.at < pump->ring.start)
        fall(client);
    else if (connection_waiting(client->connection) == 0)
        pump_client(pump, client);
    else if (!connection_is_blocked(client->connection))
        pump_behind(pump, client);
}

void pump_run(struct pump *pump, size_t ring_max)
{
    uint64_t lowest = ring_end(&pump->ring);
    LIST_FOREACH_SAFE(link, &pump->clients)
        give(pump, LIST_ITEM(link, struct client, place.link));
    LIST_FOREACH(link, &pump->clients) {
        const struct place *place = &LIST_ITEM(link, struct client, place.link)->place;
        lowest = place->at < lowest ? place->at : lowest;
    }
    ring_trim(&pump->ring, lowest < pump->ring.start ? pump->ring.start : lowest, ring_max);
}

/* ---- its place ---- */

void pump_join(struct pump *pump, struct client *client, const struct envelope *join)
{
    struct place *place = &client->place;
    struct slice members;
    place->state = PLACE_JOINED;
    place->seq = envelope_join(join, &members);
    place->at = ring_end(&pump->ring);
    place->owes_boundary = false;
    place->members.len = 0;
    buf_append_slice(&place->members, members);
    list_append(&pump->clients, &place->link);
}

void pump_leave(struct client *client)
{
    list_remove(&client->place.link);
    client->place.state = PLACE_ALONE;
}

bool pump_lets_in(struct pump *pump, struct client *client)
{
    struct place *place = &client->place;
    if (place->state == PLACE_ALONE)
        return true;
    if (place->state != PLACE_JOINED)
        return false;
    if (place->at == ring_end(&pump->ring))
        return true;
    if (place->at < pump->ring.start || connection_waiting(client->connection) >= ROUTER_OUT_MAX) {
        fall(client);
        return false;
    }
    pump_behind(pump, client);
    return true;
}

void pump_resume(struct pump *pump, struct client *client)
{
    struct place *place = &client->place;
    const struct connection *connection = client->connection;
    if (place->state == PLACE_JOINED)
        give(pump, client);
    if (connection->state == CONNECTION_DEAD)
        return; /* and the client has gone with it */
    if (place->state == PLACE_FALLEN && connection_waiting(client->connection) == 0) {
        place->state = PLACE_LAGGING;
        client_lag(client);
    }
}

uint64_t pump_distance(const struct pump *pump, const struct client *client)
{
    const struct place *place = &client->place;
    return place->state == PLACE_ALONE || place->seq >= pump->seq ? 0 : pump->seq - place->seq;
}
