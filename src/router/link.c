#include "src/router/link.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "proto/http.h"
#include "src/router/client.h"

enum { RETRY_FIRST_MS = 10, RETRY_LAST_MS = 1000 };

struct link {
    struct loop *loop;
    char *path;
    unsigned shard;
    struct h2 *h2; /* NULL: down */
    bool is_lost;  /* h2 is to be freed at the end of the turn */
    struct timer retry;
    int64_t retry_ms;
    struct table channels; /* by scope */
    struct list pumps;     /* that got something in this turn */
    void (*on_up)(void *arg);
    void *arg;
};

/* What a stream is for: the first member of whatever it carries. */
struct carrier {
    void (*on_data)(struct carrier *carrier, struct slice data);
    void (*on_end)(struct carrier *carrier);
};

struct link_channel {
    struct carrier carrier;
    struct table_node node; /* in the link, by scope; removed when its last session has gone */
    struct link *link;
    struct scope_name name;
    struct h2_stream *stream;
    struct table sessions;
    struct pump pump;
    struct buf in; /* the beginning of an envelope */
    bool is_ending;
};

/* Channels. */

static struct client *find_client(const struct link_channel *channel, uint32_t id)
{
    struct table_node *node = table_find(&channel->sessions, table_hash_number(id));
    for (; node != NULL; node = table_next(node))
        if (TABLE_ITEM(node, struct client, node)->id == id)
            return TABLE_ITEM(node, struct client, node);
    return NULL;
}

static void dispatch(void *arg, const struct envelope *envelope)
{
    struct link_channel *channel = arg;
    if (envelope->type == ENVELOPE_CHANGE || envelope->type == ENVELOPE_BOUNDARY) {
        pump_take(&channel->pump, envelope);
        if (list_is_empty(&channel->pump.dirty_link))
            list_append(&channel->link->pumps, &channel->pump.dirty_link);
        return;
    }
    struct client *client = find_client(channel, envelope->session);
    if (client != NULL)
        client_on_envelope(client, envelope);
}

static void channel_on_data(struct carrier *carrier, struct slice data)
{
    struct link_channel *channel = (struct link_channel *)carrier;
    bool ok = envelope_receive(&channel->in, data, dispatch, channel);
    assert(ok); /* the shard is ours */
}

static void leave_link(struct link_channel *channel)
{
    if (channel->is_ending)
        return;
    channel->is_ending = true;
    table_remove(&channel->link->channels, &channel->node);
}

static void channel_on_end(struct carrier *carrier)
{
    struct link_channel *channel = (struct link_channel *)carrier;
    struct table_node *node;
    leave_link(channel); /* first: a session that is told may want a new channel */
    channel->stream = NULL;
    while ((node = table_any(&channel->sessions)) != NULL) {
        struct client *client = TABLE_ITEM(node, struct client, node);
        table_remove(&channel->sessions, node);
        pump_leave(client);
        client_on_channel_lost(client);
    }
    table_release(&channel->sessions);
    pump_release(&channel->pump);
    buf_release(&channel->in);
    free(channel);
}

static struct link_channel *open_channel(struct link *link, const struct scope_name *name, uint64_t hash)
{
    struct buf path = {0};
    buf_printf(&path, "/v1/%.*s/%.*s/", (int)name->app.len, name->app.data, (int)name->kind.len, name->kind.data);
    http_percent_encode(name->id, &path);
    buf_append(&path, "/sync", sizeof "/sync");
    struct link_channel *channel = mem_zero(1, sizeof *channel);
    channel->carrier = (struct carrier){channel_on_data, channel_on_end};
    channel->link = link;
    channel->stream = h2_open(link->h2, path.data, &channel->carrier);
    buf_release(&path);
    if (channel->stream == NULL) {
        free(channel);
        return NULL;
    }
    pump_init(&channel->pump);
    scope_name_copy(&channel->name, name);
    table_insert(&link->channels, &channel->node, hash);
    return channel;
}

struct link_channel *link_open_channel(struct link *link, const struct scope_name *name)
{
    if (!link_is_up(link))
        return NULL;
    uint64_t hash = scope_name_hash(name);
    for (struct table_node *node = table_find(&link->channels, hash); node != NULL; node = table_next(node)) {
        struct link_channel *channel = TABLE_ITEM(node, struct link_channel, node);
        if (scope_name_eq(&channel->name, name))
            return channel;
    }
    return open_channel(link, name, hash);
}

void link_channel_add(struct link_channel *channel, struct client *client)
{
    table_insert(&channel->sessions, &client->node, table_hash_number(client->id));
}

void link_channel_remove(struct link_channel *channel, struct client *client)
{
    table_remove(&channel->sessions, &client->node);
    pump_leave(client);
    if (channel->sessions.n > 0 || channel->is_ending)
        return;
    leave_link(channel);
    h2_stream_finish(channel->stream);
}

struct pump *link_channel_pump(struct link_channel *channel)
{
    return &channel->pump;
}

void link_channel_write(struct link_channel *channel, struct slice envelopes)
{
    buf_append_slice(h2_stream_out(channel->stream), envelopes);
    h2_stream_wake(channel->stream);
}

void link_channel_send(struct link_channel *channel, enum envelope_type type, uint32_t session)
{
    envelope_append(h2_stream_out(channel->stream), type, session, SLICE(""));
    h2_stream_wake(channel->stream);
}

void link_channel_attach(struct link_channel *channel, uint32_t session, enum dialect dialect, struct slice claims)
{
    envelope_append_attach(h2_stream_out(channel->stream), session, dialect, claims);
    h2_stream_wake(channel->stream);
}

void link_channel_send_credit(struct link_channel *channel, uint32_t session, uint32_t bytes)
{
    envelope_append_credit(h2_stream_out(channel->stream), session, bytes);
    h2_stream_wake(channel->stream);
}

void link_channel_send_lag(struct link_channel *channel, uint32_t session, uint64_t seq)
{
    envelope_append_lag(h2_stream_out(channel->stream), session, seq);
    h2_stream_wake(channel->stream);
}

/* Metrics. */

struct question {
    struct carrier carrier;
    struct buf text;
    void (*done)(void *arg, struct slice text);
    void *arg;
};

static void question_on_data(struct carrier *carrier, struct slice data)
{
    buf_append_slice(&((struct question *)carrier)->text, data);
}

static void question_on_end(struct carrier *carrier)
{
    struct question *question = (struct question *)carrier;
    if (question->done != NULL)
        question->done(question->arg, buf_slice(&question->text));
    buf_release(&question->text);
    free(question);
}

struct question *link_ask_metrics(struct link *link, void (*done)(void *arg, struct slice text), void *arg)
{
    if (!link_is_up(link))
        return NULL;
    struct question *question = mem_zero(1, sizeof *question);
    *question = (struct question){.carrier = {question_on_data, question_on_end}, .done = done, .arg = arg};
    struct h2_stream *stream = h2_open(link->h2, "/metrics", &question->carrier);
    if (stream == NULL) {
        free(question);
        return NULL;
    }
    h2_stream_finish(stream);
    return question;
}

void link_forget(struct question *question)
{
    question->done = NULL;
}

/* The connection. */

static void on_data(void *stream_arg, struct slice data)
{
    struct carrier *carrier = stream_arg;
    carrier->on_data(carrier, data);
}

static void on_end(void *stream_arg)
{
    struct carrier *carrier = stream_arg;
    carrier->on_end(carrier);
}

static void on_lost(void *arg)
{
    struct link *link = arg;
    link->is_lost = true;
    link->retry_ms = RETRY_FIRST_MS;
    timer_start(&link->retry, link->retry_ms);
    metric_add(METRIC_ROUTER_LINKS_LOST, 1);
    log_line(LOG_WARN, "link_lost shard=%u", link->shard);
}

static const struct h2_handlers HANDLERS = {.on_data = on_data, .on_end = on_end, .on_lost = on_lost};

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void try_connect(void *arg)
{
    struct link *link = arg;
    int fd = link->h2 == NULL ? connect_to(link->path) : -1;
    if (fd < 0) {
        link->retry_ms = link->retry_ms * 2 > RETRY_LAST_MS ? RETRY_LAST_MS : link->retry_ms * 2;
        timer_start(&link->retry, link->retry_ms);
        return;
    }
    link->h2 = h2_new(link->loop, fd, false, &HANDLERS, link);
    link->on_up(link->arg);
}

struct link *link_new(struct loop *loop, const char *run_dir, unsigned shard, void (*on_up)(void *arg), void *arg)
{
    struct link *link = mem_zero(1, sizeof *link);
    *link = (struct link){.loop = loop, .shard = shard, .retry_ms = RETRY_FIRST_MS, .on_up = on_up, .arg = arg};
    list_init(&link->pumps);
    if (asprintf(&link->path, "%s/shard-%u.sock", run_dir, shard) < 0)
        abort();
    timer_init(&link->retry, loop, try_connect, link);
    timer_start(&link->retry, 0);
    return link;
}

void link_free(struct link *link)
{
    timer_stop(&link->retry);
    h2_free(link->h2);
    table_release(&link->channels);
    free(link->path);
    free(link);
}

bool link_is_up(const struct link *link)
{
    return link->h2 != NULL && !link->is_lost;
}

void link_pump(struct link *link, size_t ring_max)
{
    struct list *dirty;
    while ((dirty = list_pop(&link->pumps)) != NULL)
        pump_run(LIST_ITEM(dirty, struct pump, dirty_link), ring_max);
}

void link_flush(struct link *link)
{
    if (link->h2 == NULL)
        return;
    h2_flush(link->h2);
    if (!link->is_lost)
        return;
    h2_free(link->h2);
    link->h2 = NULL;
    link->is_lost = false;
}
