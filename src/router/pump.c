#include "src/router/pump.h"

#include <assert.h>

#include "base/metrics.h"
#include "src/router/client.h"

enum {
    WRITE_BYTES = 64 << 10, /* about so much for one write */
    KEPT_BYTES = 128 << 10, /* of room for it, between turns */
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

/* The next of the session's subscriptions, from `*at` on within its members, that is of an audience. */
static bool find_member(struct slice members, size_t *at, uint32_t audience, struct audience_member *ret_member)
{
    struct slice rest = slice_of(members.data + *at, members.len - *at);
    while (envelope_next_member(&rest, ret_member))
        if (ret_member->audience == audience) {
            *at = members.len - rest.len;
            return true;
        }
    return false;
}

/* A change, for the next subscription that wants it. True if another one does. */
static bool write_change(struct buf *out, struct slice members, struct spot *spot, const struct envelope *change)
{
    struct slice head, tail;
    struct audience_member member;
    uint64_t seq = envelope_change(change, &head, &tail);
    if (find_member(members, &spot->member, change->session, &member)) {
        size_t len = head.len + member.id.len + tail.len;
        out->len += ws_header(buf_reserve(out, WS_HEADER_MAX + len), WS_BINARY, len);
        buf_append_slice(out, head);
        buf_append_slice(out, member.id);
        buf_append_slice(out, tail);
        spot->owes_boundary = true;
    }
    size_t at = spot->member;
    bool has_more = find_member(members, &at, change->session, &member);
    if (!has_more)
        spot->seq = seq;
    return has_more;
}

static void write_boundary(struct buf *out, struct spot *spot, const struct envelope *boundary)
{
    struct slice message;
    bool is_for_all = boundary->session != 0;
    spot->seq = envelope_boundary(boundary, &message);
    if (!spot->owes_boundary && (!is_for_all || spot->told >= spot->seq))
        return;
    ws_frame(out, WS_BINARY, message);
    spot->told = spot->seq;
    spot->owes_boundary = false;
}

/* One frame at most of what is at the spot, which moves on. */
static void write_next(struct buf *out, const struct ring *ring, struct slice members, struct spot *spot)
{
    struct envelope envelope;
    uint64_t next = ring_read(ring, spot->at, &envelope);
    if (envelope.type == ENVELOPE_CHANGE && write_change(out, members, spot, &envelope))
        return;
    if (envelope.type == ENVELOPE_BOUNDARY)
        write_boundary(out, spot, &envelope);
    spot->at = next;
    spot->member = 0;
}

static bool is_same(const struct spot *a, const struct spot *b)
{
    return a->at == b->at && a->member == b->member && a->told == b->told && a->owes_boundary == b->owes_boundary;
}

/* Some frames from the session's spot on. */
static const struct written *write_some(const struct ring *ring, const struct client *client)
{
    struct written *written = &client->connection->router->written;
    const struct place *place = &client->place;
    struct slice members = buf_slice(&place->members);
    if (written->ring == ring->id && is_same(&written->from, &place->spot) &&
        slice_eq(buf_slice(&written->members), members))
        return written;
    written->ring = ring->id;
    written->from = written->to = place->spot;
    written->members.len = written->frames.len = 0;
    buf_append_slice(&written->members, members);
    while (written->to.at < ring_end(ring) && written->frames.len < WRITE_BYTES)
        write_next(&written->frames, ring, members, &written->to);
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

/* ---- a session ---- */

static void fall(struct client *client)
{
    metric_add(METRIC_ROUTER_FALLEN, 1);
    list_remove(&client->place.link);
    client->place.state = PLACE_FALLEN;
}

static bool is_at_end(const struct pump *pump, const struct client *client)
{
    return client->place.spot.at == ring_end(&pump->ring);
}

/* The socket has taken so many bytes of what is at the spot, and not more: the frame that it has begun waits. */
static void keep_rest(const struct ring *ring, struct client *client, size_t taken)
{
    struct buf frame = {0};
    size_t passed = 0;
    for (; passed <= taken; passed += frame.len) {
        frame.len = 0;
        write_next(&frame, ring, buf_slice(&client->place.members), &client->place.spot);
    }
    size_t rest = passed - taken;
    connection_keep(client->connection, slice_of(frame.data + frame.len - rest, rest));
    buf_release(&frame);
}

/* From the ring to the socket. */
static void pump_client(struct pump *pump, struct client *client)
{
    struct connection *connection = client->connection;
    while (!is_at_end(pump, client) && connection_waiting(connection) == 0) {
        const struct written *some = write_some(&pump->ring, client);
        ssize_t taken = some->frames.len == 0 ? 0 : connection_send(connection, buf_slice(&some->frames));
        if (taken < 0)
            return; /* the client has gone */
        if ((size_t)taken < some->frames.len)
            keep_rest(&pump->ring, client, (size_t)taken);
        else
            client->place.spot = some->to;
    }
}

/* Behind what waits for the socket already, as long as that is not much. */
static void pump_behind(struct pump *pump, struct client *client)
{
    while (!is_at_end(pump, client) && connection_waiting(client->connection) < ROUTER_OUT_MAX) {
        const struct written *some = write_some(&pump->ring, client);
        if (some->frames.len > 0)
            buf_append_slice(connection_out(client->connection), buf_slice(&some->frames));
        client->place.spot = some->to;
    }
}

static void give(struct pump *pump, struct client *client)
{
    if (client->place.spot.at < pump->ring.start)
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
        uint64_t at = LIST_ITEM(link, struct client, place.link)->place.spot.at;
        lowest = at < lowest ? at : lowest;
    }
    ring_trim(&pump->ring, lowest < pump->ring.start ? pump->ring.start : lowest, ring_max);
}

/* ---- its place ---- */

void pump_join(struct pump *pump, struct client *client, const struct envelope *join)
{
    struct place *place = &client->place;
    struct slice members;
    uint64_t seq = envelope_join(join, &members);
    place->state = PLACE_JOINED;
    place->spot = (struct spot){.at = ring_end(&pump->ring), .seq = seq, .told = seq};
    place->members.len = 0;
    buf_append_slice(&place->members, members);
    list_append(&pump->clients, &place->link);
}

void pump_leave(struct client *client)
{
    list_remove(&client->place.link);
    client->place.state = PLACE_ALONE;
}

void pump_return(struct client *client)
{
    client->place.state = PLACE_RETURNING;
}

bool pump_lets_in(struct pump *pump, struct client *client)
{
    const struct place *place = &client->place;
    if (place->state != PLACE_JOINED)
        return place->state == PLACE_ALONE || place->state == PLACE_RETURNING;
    if (place->spot.at >= pump->ring.start)
        pump_behind(pump, client);
    if (is_at_end(pump, client))
        return true;
    fall(client);
    return false;
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
    return place->state == PLACE_ALONE || place->spot.seq >= pump->seq ? 0 : pump->seq - place->spot.seq;
}
