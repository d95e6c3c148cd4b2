#include "shards/console/console.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "shards/console/errand.h"
#include "shards/console/spool.h"
#include "shards/scope/actor.h"

struct console {
    const struct console_host *host;
    struct list errands;
};

static const struct errand_type *const TYPES[] = {&METRICS_ERRAND, &STATUS_ERRAND, &BACKUP_ERRAND, &RESTORE_ERRAND};

struct console *console_new(const struct console_host *host)
{
    struct console *console = mem_zero(1, sizeof *console);
    console->host = host;
    spool_clean(host->actor_host->data_dir, host->number);
    list_init(&console->errands);
    return console;
}

/* It has been answered: what it holds is free for the next one, though its stream may live on for a while. */
static void errand_end(struct errand *errand)
{
    if (errand->has_ended)
        return;
    errand->has_ended = true;
    errand->is_exclusive = false;
    if (errand->type->end != NULL)
        errand->type->end(errand);
}

static void errand_free(struct errand *errand)
{
    errand_end(errand);
    list_remove(&errand->link);
    free(errand);
}

void console_free(struct console *console)
{
    if (console == NULL)
        return;
    LIST_FOREACH_SAFE(link, &console->errands)
        errand_free(LIST_ITEM(link, struct errand, link));
    free(console);
}

struct errand *errand_of(struct job *job)
{
    return (struct errand *)(void *)((char *)job - offsetof(struct errand, job));
}

static void on_worked(struct job *job)
{
    errand_of(job)->is_working = false; /* the turn goes on with it */
}

void errand_work(struct errand *errand, void (*work)(struct job *job))
{
    assert(!errand->is_working);
    errand->is_working = true;
    errand->job.work = work;
    errand->job.done = on_worked;
    helper_ask(errand->host->helper, &errand->job);
}

void errand_say(struct errand *errand, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (errand->stream == NULL)
        return;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof text);
    buf_printf(h2_stream_out(errand->stream), "{%s}\n", text);
    h2_stream_wake(errand->stream);
}

void errand_finish(struct errand *errand)
{
    errand->is_answered = true;
    if (errand->stream != NULL)
        h2_stream_finish(errand->stream);
}

void errand_answer(struct errand *errand, cJSON **object)
{
    char *text = cJSON_PrintUnformatted(*object);
    if (errand->stream != NULL)
        buf_printf(h2_stream_out(errand->stream), "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(*object);
    *object = NULL;
    errand_finish(errand);
}

void errand_fail(struct errand *errand, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "error", text);
    errand_answer(errand, &answer);
}

/* Streams. */

static void on_data(struct carrier *carrier, struct slice data)
{
    struct errand *errand = (struct errand *)carrier;
    if (errand->type->take != NULL)
        errand->type->take(errand, data);
}

static void on_end(struct carrier *carrier)
{
    ((struct errand *)carrier)->stream = NULL; /* it is freed in the turn */
}

static bool is_busy(const struct console *console)
{
    LIST_FOREACH(link, &console->errands)
        if (LIST_ITEM(link, struct errand, link)->is_exclusive)
            return true;
    return false;
}

static void begin(struct errand *errand, bool is_busy)
{
    const struct console_host *host = errand->host;
    struct scope_hash hash = errand->type->has_scope ? scope_hash(&errand->name) : (struct scope_hash){{0}};
    unsigned shard = route_shard(scope_slot(&hash), host->n_shards);
    if (!errand->type->has_scope) {
        errand->type->begin(errand);
    } else if (shard != host->number) {
        errand_say(errand, "\"shard\":%u", shard);
        errand_finish(errand);
    } else if (is_busy) {
        errand_fail(errand, "another backup or restore is under way on this shard; try again when it is done");
    } else {
        errand->is_exclusive = true;
        errand->type->begin(errand);
    }
}

/* The type of a request's path, and its scope. NULL if there is no such path. */
static const struct errand_type *parse(struct slice path, struct scope_name *ret_name)
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
    const struct errand_type *type = parse(path, &name);
    if (type == NULL)
        return NULL;
    bool was_busy = is_busy(console);
    struct errand *errand = mem_zero(1, type->size);
    errand->carrier = (struct carrier){on_data, on_end};
    errand->type = type;
    errand->console = console;
    errand->host = console->host;
    errand->stream = stream;
    if (type->has_scope)
        scope_name_copy(&errand->name, &name);
    list_append(&console->errands, &errand->link);
    begin(errand, was_busy);
    return &errand->carrier;
}

/* The turn. */

static bool take_further(struct errand *errand)
{
    if (errand->is_working)
        return false;
    if (errand->stream == NULL && !errand->must_end) {
        errand_free(errand);
        return false;
    }
    bool has_more = !errand->is_answered && errand->type->turn != NULL && errand->type->turn(errand);
    if (errand->is_answered && !errand->is_working)
        errand_end(errand);
    return has_more;
}

bool console_turn(struct console *console)
{
    bool has_more = false;
    LIST_FOREACH_SAFE(link, &console->errands)
        has_more = take_further(LIST_ITEM(link, struct errand, link)) || has_more;
    return has_more;
}

/* Metrics. */

static void send_metrics(struct errand *errand)
{
    metrics_print(h2_stream_out(errand->stream), "skerry_shard");
    errand_finish(errand);
}

const struct errand_type METRICS_ERRAND = {.name = "metrics", .size = sizeof(struct errand), .begin = send_metrics};
