#include "tests/sim/net.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "tests/sim/fd.h"

enum {
    ROOM_MIN = 4 << 10,
    ROOM_MAX = 256 << 10,
    NARROW_MIN = 200, /* of a client that soon falls behind */
    NARROW_MAX = 2000,
    ARRIVES_US = 200,
    DELAYED_US = 400000,
    SLOW_US = 8000000,
};

/* Where something listens: it outlives who listens there, as a path or the supervisor's socket does. */
struct place {
    struct list link;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* "": the public address */
    struct list backlog;                                       /* of struct end: the accepting sides */
    unsigned n_listeners;
};

struct end {
    struct list link; /* in `ends`, once connected */
    struct list backlog_link;
    unsigned owner;
    struct place *place;                   /* it listens, or is bound */
    struct end *peer;                      /* NULL: gone, or never there */
    bool is_connected, is_reset, is_ended; /* broken; nothing comes any more behind `in` */
    bool is_link;                          /* between router and shard */
    struct buf in;
    size_t done, arrived; /* bytes of `in`: taken; that can be */
    size_t room;
    int64_t arrives_us; /* when the rest does, or NEVER */
    int64_t paused_us;  /* until then its owner does not read */
};

static struct list places, ends;
static struct place *public;
static uint64_t n_sent;

static int fail(int why)
{
    errno = why;
    return -1;
}

static struct place *place_new(const char *path)
{
    struct place *place = mem_zero(1, sizeof *place);
    assert(strlen(path) < sizeof place->path);
    strcpy(place->path, path);
    list_init(&place->backlog);
    list_append(&places, &place->link);
    return place;
}

static struct place *find_place(const char *path)
{
    LIST_FOREACH(link, &places)
        if (strcmp(LIST_ITEM(link, struct place, link)->path, path) == 0)
            return LIST_ITEM(link, struct place, link);
    return NULL;
}

void net_begin(void)
{
    list_init(&places);
    list_init(&ends);
    public = place_new("");
    public->n_listeners = 1; /* the supervisor */
}

bool net_unlink(const char *path)
{
    struct place *place = find_place(path);
    if (place != NULL)
        list_remove(&place->link);
    return place != NULL;
}

struct end *end_new(void)
{
    struct end *end = mem_zero(1, sizeof *end);
    list_init(&end->link);
    list_init(&end->backlog_link);
    end->owner = world.current;
    end->arrives_us = NEVER;
    return end;
}

int end_bind(struct end *end, const struct sockaddr *address)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)address;
    assert(address->sa_family == AF_UNIX);
    if (find_place(local->sun_path) != NULL)
        return fail(EADDRINUSE);
    end->place = place_new(local->sun_path);
    end->place->n_listeners++;
    return 0;
}

int net_inherit_listener(unsigned owner)
{
    int fd = fd_new(FD_SOCKET);
    fd_get(fd)->owner = owner;
    fd_get(fd)->end = end_new();
    fd_get(fd)->end->place = public;
    public->n_listeners++;
    return fd;
}

static void connect_ends(struct end *a, struct end *b)
{
    struct end *both[] = {a, b};
    bool is_narrow = !a->is_link && random_between(0, 2) == 0;
    for (int i = 0; i < 2; i++) {
        both[i]->peer = both[1 - i];
        both[i]->is_connected = true;
        both[i]->room =
            (size_t)(is_narrow ? random_between(NARROW_MIN, NARROW_MAX) : random_between(ROOM_MIN, ROOM_MAX));
        list_append(&ends, &both[i]->link);
    }
}

int end_connect(struct end *end, const struct sockaddr *address)
{
    bool is_local = address->sa_family == AF_UNIX;
    const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)address;
    struct place *place = is_local ? find_place(local->sun_path) : public;
    if (place == NULL)
        return fail(ENOENT);
    if (place->n_listeners == 0 || fault(SIM_REFUSE_CONNECT))
        return fail(ECONNREFUSED);
    struct end *other = end_new();
    end->is_link = other->is_link = is_local;
    connect_ends(end, other);
    list_append(&place->backlog, &other->backlog_link);
    return 0;
}

struct end *end_accept(struct end *end)
{
    struct list *link = list_pop(&end->place->backlog);
    if (link == NULL) {
        errno = EAGAIN;
        return NULL;
    }
    struct end *accepted = LIST_ITEM(link, struct end, backlog_link);
    accepted->owner = world.current;
    return accepted;
}

/* The end of what comes; what is under way still arrives. */
static void end_end(struct end *end)
{
    end->is_ended = true;
    if (end->arrives_us == NEVER)
        end->arrives_us = world.now_us + random_between(0, ARRIVES_US);
}

static void reset_one(struct end *end)
{
    end->is_reset = true;
    end->in.len = end->done = end->arrived = 0;
    end->arrives_us = NEVER;
    end->paused_us = 0;
}

void end_reset(struct end *end)
{
    reset_one(end);
    if (end->peer != NULL)
        reset_one(end->peer);
}

static void end_free(struct end *end)
{
    list_remove(&end->link);
    list_remove(&end->backlog_link);
    buf_release(&end->in);
    free(end);
}

void end_close(struct end *end)
{
    struct end *peer = end->peer;
    if (end->place != NULL && --end->place->n_listeners == 0)
        while (!list_is_empty(&end->place->backlog))
            end_close(LIST_ITEM(end->place->backlog.next, struct end, backlog_link));
    if (peer != NULL) {
        if (end->in.len > end->done) /* unread bytes make the kernel reset the connection */
            end_reset(end);
        else
            end_end(peer);
        peer->peer = NULL;
    }
    end_free(end);
}

void end_shut(struct end *end)
{
    if (end->peer != NULL)
        end_end(end->peer);
}

/* Bytes. */

static void arrive(struct end *end)
{
    if (end->arrives_us > world.now_us)
        return;
    end->arrived = end->in.len;
    end->arrives_us = NEVER;
}

static size_t room_of(const struct end *end)
{
    size_t held = end->in.len - end->done;
    return held < end->room ? end->room - held : 0;
}

ssize_t end_send(struct end *end, const void *data, size_t len)
{
    struct end *peer = end->peer;
    if (!end->is_reset && peer != NULL && fault(end->is_link ? SIM_DROP_LINK : SIM_DROP_CLIENT))
        end_reset(end);
    if (end->is_reset || peer == NULL)
        return fail(end->is_reset ? ECONNRESET : EPIPE);
    size_t room = room_of(peer);
    if (room == 0 || fault(SIM_SEND_AGAIN))
        return fail(EAGAIN);
    len = len < room ? len : room;
    if (len > 1 && fault(SIM_SHORT_SEND))
        len = 1 + random_below((uint32_t)len - 1);
    buf_append(&peer->in, data, len);
    n_sent += len;
    if (peer->arrives_us == NEVER)
        peer->arrives_us = world.now_us + random_between(1, fault(SIM_DELAY) ? DELAYED_US : ARRIVES_US);
    return (ssize_t)len;
}

ssize_t end_recv(struct end *end, void *to, size_t len)
{
    if (end->is_reset)
        return fail(ECONNRESET);
    arrive(end);
    if (world.now_us < end->paused_us)
        return fail(EAGAIN);
    size_t held = end->arrived - end->done;
    if (held == 0)
        return end->is_ended && end->arrives_us == NEVER ? 0 : fail(EAGAIN);
    if (end->owner == STORY && fault(SIM_SLOW_READER)) {
        end->paused_us = world.now_us + random_between(1000, SLOW_US);
        return fail(EAGAIN);
    }
    len = len < held ? len : held;
    if (len > 1 && fault(SIM_SHORT_RECV))
        len = 1 + random_below((uint32_t)len - 1);
    memcpy(to, end->in.data + end->done, len);
    end->done += len;
    size_t before = end->done;
    buf_trim(&end->in, &end->done);
    end->arrived -= before - end->done;
    return (ssize_t)len;
}

/* Readiness. */

static unsigned ready_of(struct end *end)
{
    if (end->place != NULL)
        return list_is_empty(&end->place->backlog) ? 0 : WATCH_READ;
    if (end->is_reset)
        return WATCH_READ | WATCH_WRITE;
    arrive(end);
    bool has_end = end->is_ended && end->arrives_us == NEVER;
    bool can_read = world.now_us >= end->paused_us && (end->arrived > end->done || has_end);
    bool can_write = end->is_connected && (end->peer == NULL || room_of(end->peer) > 0);
    return (can_read ? WATCH_READ : 0) | (can_write ? WATCH_WRITE : 0);
}

unsigned net_ready(int fd)
{
    const struct fd *found = fd_get(fd);
    return found == NULL || found->type != FD_SOCKET ? 0 : ready_of(found->end);
}

int64_t net_next_us(void)
{
    int64_t next = NEVER;
    LIST_FOREACH(link, &ends) {
        const struct end *end = LIST_ITEM(link, struct end, link);
        if (end->arrives_us > world.now_us && end->arrives_us < next) /* else nobody has looked yet */
            next = end->arrives_us;
        if (end->paused_us > world.now_us && end->paused_us < next)
            next = end->paused_us;
    }
    return next;
}

bool net_is_silent(void)
{
    LIST_FOREACH(link, &ends) {
        const struct end *end = LIST_ITEM(link, struct end, link);
        if (end->arrives_us != NEVER || end->in.len > end->done || world.now_us < end->paused_us)
            return false;
    }
    return true;
}

void net_calm(void)
{
    LIST_FOREACH(link, &ends)
        LIST_ITEM(link, struct end, link)->paused_us = 0;
}

uint64_t net_count(void)
{
    return n_sent;
}
