#include "shards/console/console.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "proto/json.h"
#include "shards/console/request.h"
#include "shards/console/spool.h"
#include "shards/scope/actor.h"

struct console {
    const struct console_host *host;
    struct helper *helper; /* NULL until it is needed */
    struct list requests;
};

static const struct request_type *const TYPES[] = {&METRICS_REQUEST, &STATUS_REQUEST, &BACKUP_REQUEST};

struct console *console_new(const struct console_host *host)
{
    struct console *console = mem_zero(1, sizeof *console);
    console->host = host;
    spool_clean(host->actor_host->data_dir, host->number);
    list_init(&console->requests);
    return console;
}

static void request_free(struct request *request)
{
    if (request->type->end != NULL)
        request->type->end(request);
    list_remove(&request->link);
    free(request);
}

void console_free(struct console *console)
{
    if (console == NULL)
        return;
    helper_free(console->helper);
    LIST_FOREACH_SAFE(link, &console->requests)
        request_free(LIST_ITEM(link, struct request, link));
    free(console);
}

struct request *request_of(struct job *job)
{
    return (struct request *)(void *)((char *)job - offsetof(struct request, job));
}

static void on_worked(struct job *job)
{
    request_of(job)->is_working = false; /* the turn goes on with it */
}

void request_work(struct request *request, void (*work)(struct job *job))
{
    struct console *console = request->console;
    assert(!request->is_working);
    if (console->helper == NULL)
        console->helper = helper_new(console->host->loop);
    request->is_working = true;
    request->job.work = work;
    request->job.done = on_worked;
    helper_ask(console->helper, &request->job);
}

void request_say(struct request *request, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (request->stream == NULL)
        return;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof text);
    buf_printf(h2_stream_out(request->stream), "{%s}\n", text);
    h2_stream_wake(request->stream);
}

void request_finish(struct request *request)
{
    if (request->stream != NULL)
        h2_stream_finish(request->stream);
}

void request_fail(struct request *request, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (request->stream == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cJSON *quoted = cJSON_CreateString(text);
    char *json = cJSON_PrintUnformatted(quoted);
    buf_printf(h2_stream_out(request->stream), "{\"error\":%s}\n", json);
    cJSON_free(json);
    cJSON_Delete(quoted);
    request_finish(request);
}

/* Streams. */

static void on_data(struct carrier *carrier, struct slice data)
{
    struct request *request = (struct request *)carrier;
    if (request->type->take != NULL)
        request->type->take(request, data);
}

static void on_end(struct carrier *carrier)
{
    ((struct request *)carrier)->stream = NULL; /* it is freed in the turn */
}

static bool is_busy(const struct console *console)
{
    LIST_FOREACH(link, &console->requests)
        if (LIST_ITEM(link, struct request, link)->is_exclusive)
            return true;
    return false;
}

static void begin(struct request *request, bool is_busy)
{
    const struct console_host *host = request->host;
    struct scope_hash hash = request->type->has_scope ? scope_hash(&request->name) : (struct scope_hash){{0}};
    unsigned shard = route_shard(scope_slot(&hash), host->n_shards);
    if (!request->type->has_scope) {
        request->type->begin(request);
    } else if (shard != host->number) {
        request_say(request, "\"shard\":%u", shard);
        request_finish(request);
    } else if (is_busy) {
        request_fail(request, "another backup or restore is under way on this shard; try again when it is done");
    } else {
        request->is_exclusive = true;
        request->type->begin(request);
    }
}

/* The type of a request's path, and its scope. NULL if there is no such path. */
static const struct request_type *parse(struct slice path, struct scope_name *ret_name)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        struct slice name = slice_str(TYPES[i]->name);
        if (path.len < 1 + name.len || path.data[0] != '/' || memcmp(path.data + 1, name.data, name.len) != 0)
            continue;
        struct slice rest = slice_of(path.data + 1 + name.len, path.len - 1 - name.len);
        if (TYPES[i]->has_scope ? route_parse_scope(rest, ret_name) : rest.len == 0)
            return TYPES[i];
    }
    return NULL;
}

struct carrier *console_open(struct console *console, struct h2_stream *stream, struct slice path)
{
    struct scope_name name = {.len = 0};
    const struct request_type *type = parse(path, &name);
    if (type == NULL)
        return NULL;
    bool was_busy = is_busy(console);
    struct request *request = mem_zero(1, type->size);
    request->carrier = (struct carrier){on_data, on_end};
    request->type = type;
    request->console = console;
    request->host = console->host;
    request->stream = stream;
    if (type->has_scope)
        scope_name_copy(&request->name, &name);
    list_append(&console->requests, &request->link);
    begin(request, was_busy);
    return &request->carrier;
}

/* The turn. */

static bool take_further(struct request *request)
{
    if (request->is_working)
        return false;
    if (request->stream == NULL && !request->must_end) {
        request_free(request);
        return false;
    }
    return request->type->turn != NULL && request->type->turn(request);
}

bool console_turn(struct console *console)
{
    bool has_more = false;
    LIST_FOREACH_SAFE(link, &console->requests)
        has_more = take_further(LIST_ITEM(link, struct request, link)) || has_more;
    return has_more;
}

/* Metrics. */

static void send_metrics(struct request *request)
{
    metrics_print(h2_stream_out(request->stream), "skerry_shard");
    h2_stream_finish(request->stream);
}

const struct request_type METRICS_REQUEST = {.name = "metrics", .size = sizeof(struct request), .begin = send_metrics};
