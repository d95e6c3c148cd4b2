#include "src/control/shard_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/http.h"

enum { LINE_MAX_BYTES = 4 << 20, HOPS_MAX = 4, PINGS = 5 /* while patience lasts */ };

struct line {
    const struct shard_call *call;
    struct problems *problems;
    struct loop *loop;
    struct h2 *h2;
    struct h2_stream *stream; /* NULL once it has ended */
    struct timer patience, ping;
    struct sockaddr_un address;
    struct ucred peer; /* who listens there */
    struct buf in;
    int redirect; /* the shard that has the scope, or -1 */
    bool has_answered;
    bool wants_bytes; /* what follows is not lines any more */
    bool has_failed;
};

static void fail(struct line *line, const char *why)
{
    if (!line->has_failed)
        problems_add(line->problems, "%s", why);
    line->has_failed = true;
    loop_stop(line->loop);
}

/* No answer comes any more. Takes `why`. */
static void give_up(struct line *line, struct buf *why)
{
    struct buf text = {0};
    buf_printf(&text, "%s: %.*s%s%s", line->address.sun_path, (int)why->len, why->data,
               line->call->if_lost == NULL ? "" : "; ", line->call->if_lost == NULL ? "" : line->call->if_lost);
    fail(line, text.data);
    buf_release(&text);
    buf_release(why);
}

static void take_line(struct line *line, struct slice text)
{
    struct json_error error;
    cJSON *json = json_parse(text, &error);
    line->has_answered = true;
    const cJSON *why = cJSON_GetObjectItemCaseSensitive(json, "error");
    const cJSON *shard = cJSON_GetObjectItemCaseSensitive(json, "shard");
    if (json == NULL) {
        fail(line, "the shard's answer is not JSON: is it of another version?");
    } else if (cJSON_IsString(why)) {
        fail(line, why->valuestring);
    } else if (cJSON_IsNumber(shard) && shard->next == NULL && shard->prev == shard) {
        line->redirect = shard->valueint; /* and nothing else */
    } else {
        line->wants_bytes = line->call->on_bytes != NULL && cJSON_HasObjectItem(json, "bytes");
        line->call->on_line(line->call->arg, json);
    }
    cJSON_Delete(json);
}

/* Takes whole lines off what has come, or hands on the bytes behind them. */
static void take(struct line *line)
{
    char *end;
    while (!line->wants_bytes && line->in.len > 0 && (end = memchr(line->in.data, '\n', line->in.len)) != NULL) {
        size_t len = (size_t)(end - line->in.data);
        take_line(line, slice_of(line->in.data, len));
        buf_consume(&line->in, len + 1);
    }
    if (line->wants_bytes && line->in.len > 0) {
        line->call->on_bytes(line->call->arg, buf_slice(&line->in));
        line->in.len = 0;
    }
    if (line->in.len > LINE_MAX_BYTES)
        fail(line, "the shard's answer has no end: is it of another version?");
}

static void on_data(void *stream_arg, struct slice data)
{
    struct line *line = stream_arg;
    buf_append_slice(&line->in, data);
    take(line);
    timer_start(&line->patience, line->call->patience_ms);
}

static void on_end(void *stream_arg)
{
    struct line *line = stream_arg;
    line->stream = NULL;
    loop_stop(line->loop);
}

static void on_lost(void *arg)
{
    struct buf why = {0};
    buf_printf(&why, "the server went away before it had answered");
    give_up(arg, &why);
}

static void on_pong(void *arg)
{
    struct line *line = arg;
    timer_start(&line->patience, line->call->patience_ms);
}

static void ping(void *arg)
{
    struct line *line = arg;
    h2_ping(line->h2); /* the turn sends it */
    timer_start(&line->ping, line->call->patience_ms / PINGS);
}

static void lose_patience(void *arg)
{
    struct line *line = arg;
    struct buf why = {0};
    long pid = line->peer.pid;
    buf_printf(&why,
               "no answer for %.3g s: its worker, process %ld, hangs or is stopped; the server's log may say why, and "
               "kill -9 %ld lets the server start another one, which has all that was confirmed",
               (double)line->call->patience_ms / 1000, pid, pid);
    give_up(line, &why);
}

static bool turn(void *arg)
{
    struct line *line = arg;
    if (line->stream != NULL && line->call->send != NULL && line->redirect < 0) {
        if (!line->call->send(line->call->arg, h2_stream_out(line->stream)))
            loop_stop(line->loop);
        h2_stream_wake(line->stream);
    }
    h2_flush(line->h2);
    return false;
}

static bool connect_to(struct line *line, unsigned shard, int *ret_fd)
{
    struct sockaddr_un *address = &line->address;
    socklen_t peer_len = sizeof line->peer;
    address->sun_family = AF_UNIX;
    int len = snprintf(address->sun_path, sizeof address->sun_path, "%s/shard-%u.sock", line->call->run_dir, shard);
    if (len < 0 || (size_t)len >= sizeof address->sun_path) {
        problems_add(line->problems, "%s: too long for a socket's path", line->call->run_dir);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)address, sizeof *address) == 0) {
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &line->peer, &peer_len);
        *ret_fd = fd;
        return true;
    }
    problems_add(line->problems, "%s: %s; is the server running, and are --data or --run the server's?",
                 address->sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return false;
}

static void start_timers(struct line *line)
{
    timer_init(&line->patience, line->loop, lose_patience, line);
    timer_init(&line->ping, line->loop, ping, line);
    timer_start(&line->patience, line->call->patience_ms);
    if (line->call->is_long)
        timer_start(&line->ping, line->call->patience_ms / PINGS);
}

static void ask(struct line *line, int fd)
{
    static const struct h2_handlers HANDLERS = {
        .on_data = on_data, .on_end = on_end, .on_pong = on_pong, .on_lost = on_lost};
    line->loop = loop_new(turn, line);
    line->h2 = h2_new(line->loop, fd, false, &HANDLERS, line);
    start_timers(line);
    line->stream = h2_open(line->h2, line->call->path, line);
    h2_flush(line->h2);
    if (line->stream != NULL)
        loop_run(line->loop);
    if (!line->has_answered)
        fail(line, "the shard does not know this request: is it of another version?");
    timer_stop(&line->patience);
    timer_stop(&line->ping);
    h2_free(line->h2);
    loop_free(line->loop);
}

bool shard_call_run(const struct shard_call *call, unsigned shard, struct problems *problems)
{
    for (int hop = 0; hop < HOPS_MAX; hop++) {
        struct line line = {.call = call, .problems = problems, .redirect = -1};
        int fd;
        if (!connect_to(&line, shard, &fd))
            return false;
        ask(&line, fd);
        buf_release(&line.in);
        if (line.has_failed || line.redirect < 0)
            return !line.has_failed;
        shard = (unsigned)line.redirect;
    }
    problems_add(problems, "%s: no shard has this scope", call->path);
    return false;
}

char *shard_call_path(const char *request, const struct scope_name *name)
{
    struct buf path = {0};
    buf_printf(&path, "/%s/%.*s/%.*s/", request, (int)name->app.len, name->app.data, (int)name->kind.len,
               name->kind.data);
    http_percent_encode(name->id, &path);
    buf_append(&path, "", 1);
    return path.data;
}
