#include "src/control/shard_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/http.h"

enum { LINE_MAX_BYTES = 4 << 20, HOPS_MAX = 4 };

struct line {
    const struct shard_call *call;
    struct problems *problems;
    struct loop *loop;
    struct h2 *h2;
    struct h2_stream *stream; /* NULL once it has ended */
    struct timer patience;
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
    if (line->call->patience_ms > 0)
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
    fail(arg, "the server went away before it had answered");
}

static void lose_patience(void *arg)
{
    fail(arg, "the shard does not answer: the server's log may say why");
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

static int connect_to(const char *run_dir, unsigned shard, struct problems *problems)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof address.sun_path, "%s/shard-%u.sock", run_dir, shard);
    if (len < 0 || (size_t)len >= sizeof address.sun_path) {
        problems_add(problems, "%s: too long for a socket's path", run_dir);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    problems_add(problems, "%s: %s; is the server running, and are --data or --run the server's?", address.sun_path,
                 strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static void ask(struct line *line, int fd)
{
    static const struct h2_handlers HANDLERS = {.on_data = on_data, .on_end = on_end, .on_lost = on_lost};
    evutil_make_socket_nonblocking(fd);
    line->loop = loop_new(turn, line);
    line->h2 = h2_new(line->loop, fd, false, &HANDLERS, line);
    timer_init(&line->patience, line->loop, lose_patience, line);
    if (line->call->patience_ms > 0)
        timer_start(&line->patience, line->call->patience_ms);
    line->stream = h2_open(line->h2, line->call->path, line);
    h2_flush(line->h2);
    if (line->stream != NULL)
        loop_run(line->loop);
    if (!line->has_answered)
        fail(line, "the shard does not know this request: is it of another version?");
    timer_stop(&line->patience);
    h2_free(line->h2);
    loop_free(line->loop);
}

bool shard_call_run(const struct shard_call *call, unsigned shard, struct problems *problems)
{
    for (int hop = 0; hop < HOPS_MAX; hop++) {
        struct line line = {.call = call, .problems = problems, .redirect = -1};
        int fd = connect_to(call->run_dir, shard, problems);
        if (fd < 0)
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
