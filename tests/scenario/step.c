/*
 * step - the language of the stories: what each line does. README.md describes it for those who write stories.
 */
#include <ftw.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/scenario/client.h"
#include "tests/scenario/expect.h"
#include "tests/scenario/play.h"
#include "tests/scenario/value.h"

static long databases; /* counted by nftw's callback, which takes no argument */

/* The words that a step has left. */
struct words {
    const char *const *at;
    size_t n;
};

static const char *next(struct play *play, struct words *words, const char *what)
{
    if (words->n == 0)
        play_fail(play, "%s is missing", what);
    words->n--;
    return play_expand(play, *words->at++);
}

/* Takes the next word if it is `word`. */
static bool take(struct words *words, const char *word)
{
    if (words->n == 0 || strcmp(words->at[0], word) != 0)
        return false;
    words->at++;
    words->n--;
    return true;
}

/* Takes `N times`, if it is there; else 1. */
static long take_times(struct play *play, struct words *words)
{
    if (words->n < 2 || strcmp(words->at[1], "times") != 0)
        return 1;
    long times = strtol(next(play, words, "a number"), NULL, 10);
    take(words, "times");
    return times;
}

static void set_n(struct play *play, long n)
{
    char text[24];
    snprintf(text, sizeof text, "%ld", n);
    play_set(play, "n", text);
}

/* Frames */

struct frame {
    msgpack_sbuffer buffer;
    msgpack_packer packer;
};

static void frame_begin(struct frame *frame, uint32_t n_fields, const char *type)
{
    msgpack_sbuffer_init(&frame->buffer);
    msgpack_packer_init(&frame->packer, &frame->buffer, msgpack_sbuffer_write);
    msgpack_pack_map(&frame->packer, n_fields);
    value_pack_str(&frame->packer, "t");
    value_pack_str(&frame->packer, type);
}

static void frame_field(struct frame *frame, const char *name, const char *text)
{
    value_pack_str(&frame->packer, name);
    value_pack_str(&frame->packer, text);
}

static void send_or_fail(struct play *play, struct client *client, enum client_opcode opcode, struct slice payload)
{
    if (!client_send(client, opcode, payload, play_deadline_us()))
        play_fail(play, "%s cannot send", client->name);
}

/* Sends the frame and releases it. */
static void frame_send(struct play *play, struct client *client, struct frame *frame)
{
    send_or_fail(play, client, CLIENT_BINARY, slice_of(frame->buffer.data, frame->buffer.size));
    msgpack_sbuffer_destroy(&frame->buffer);
}

/* Packs `name=value` words, up to `and` or the end, as a map. */
static void pack_values(struct play *play, struct words *words, msgpack_packer *packer)
{
    uint32_t n = 0;
    while (n < words->n && strcmp(words->at[n], "and") != 0)
        n++;
    msgpack_pack_map(packer, n);
    for (; n > 0; n--) {
        const char *word = next(play, words, "a value"), *equals = strchr(word, '=');
        if (equals == NULL)
            play_fail(play, "'%s' is not name=value", word);
        msgpack_pack_str_with_body(packer, word, (size_t)(equals - word));
        value_pack(packer, equals + 1);
    }
}

/* a sub COLLECTION [as SUB] [since SEQ] */
static void step_sub(struct play *play, struct client *client, struct words words)
{
    const char *collection = next(play, &words, "the collection");
    const char *sub = take(&words, "as") ? next(play, &words, "the subscription") : collection;
    bool resumes = take(&words, "since");
    struct frame frame;
    frame_begin(&frame, resumes ? 4 : 3, "sub");
    frame_field(&frame, "subId", sub);
    frame_field(&frame, "collection", collection);
    if (resumes)
        frame_field(&frame, "since", next(play, &words, "the cursor"));
    frame_send(play, client, &frame);
}

static void step_unsub(struct play *play, struct client *client, struct words words)
{
    struct frame frame;
    frame_begin(&frame, 2, "unsub");
    frame_field(&frame, "subId", next(play, &words, "the subscription"));
    frame_send(play, client, &frame);
}

/* insert|update|delete KEY [COLUMN=VALUE ...] */
static void pack_op(struct play *play, struct words *words, msgpack_packer *packer)
{
    const char *type = next(play, words, "insert, update or delete"), *key = next(play, words, "the key");
    msgpack_pack_map(packer, 3);
    value_pack_str(packer, "type");
    value_pack_str(packer, type);
    value_pack_str(packer, "key");
    value_pack_str(packer, strcmp(key, "\"\"") == 0 ? "" : key);
    value_pack_str(packer, "cols");
    pack_values(play, words, packer);
}

/* [N times] OP */
static void pack_ops(struct play *play, struct words *words, msgpack_packer *packer, uint32_t *n_ops)
{
    long times = take_times(play, words);
    struct words op = *words;
    for (long i = 1; i <= times; i++, ++*n_ops) {
        if (times > 1)
            set_n(play, i);
        *words = op;
        pack_op(play, words, packer);
    }
}

/* a mut TX COLLECTION OP [and OP ...] */
static void step_mut(struct play *play, struct client *client, struct words words)
{
    struct frame frame, ops;
    uint32_t n_ops = 0;
    frame_begin(&frame, 4, "mut");
    frame_field(&frame, "txId", next(play, &words, "the transaction"));
    frame_field(&frame, "collection", next(play, &words, "the collection"));
    value_pack_str(&frame.packer, "ops");
    msgpack_sbuffer_init(&ops.buffer);
    msgpack_packer_init(&ops.packer, &ops.buffer, msgpack_sbuffer_write);
    do
        pack_ops(play, &words, &ops.packer, &n_ops);
    while (take(&words, "and"));
    msgpack_pack_array(&frame.packer, n_ops);
    msgpack_sbuffer_write(&frame.buffer, ops.buffer.data, ops.buffer.size);
    msgpack_sbuffer_destroy(&ops.buffer);
    frame_send(play, client, &frame);
}

/* a call TX NAME [ARG=VALUE ...] */
static void step_call(struct play *play, struct client *client, struct words words)
{
    struct frame frame;
    frame_begin(&frame, 4, "call");
    frame_field(&frame, "txId", next(play, &words, "the transaction"));
    frame_field(&frame, "name", next(play, &words, "the command"));
    value_pack_str(&frame.packer, "args");
    pack_values(play, &words, &frame.packer);
    frame_send(play, client, &frame);
}

static void send_fetch(struct play *play, struct client *client, const char *fetch, const char *collection)
{
    struct frame frame;
    frame_begin(&frame, 3, "fetch");
    frame_field(&frame, "fetchId", fetch);
    frame_field(&frame, "collection", collection);
    frame_send(play, client, &frame);
}

/* a fetch FETCH COLLECTION */
static void step_fetch(struct play *play, struct client *client, struct words words)
{
    const char *fetch = next(play, &words, "the fetch");
    send_fetch(play, client, fetch, next(play, &words, "the collection"));
}

/* a sends text TEXT | hex DIGITS | {JSON} */
static void step_sends(struct play *play, struct client *client, struct words words)
{
    char hex[4096];
    const char *what = next(play, &words, "what it sends");
    if (strcmp(what, "text") == 0) {
        send_or_fail(play, client, CLIENT_TEXT, slice_str(next(play, &words, "the text")));
        return;
    }
    struct frame frame;
    msgpack_sbuffer_init(&frame.buffer);
    msgpack_packer_init(&frame.packer, &frame.buffer, msgpack_sbuffer_write);
    if (strcmp(what, "hex") == 0) {
        snprintf(hex, sizeof hex, "hex:%s", next(play, &words, "the bytes"));
        value_pack(&frame.packer, hex);
        size_t head = frame.buffer.size - strlen(hex + 4) / 2; /* sent bare, without MessagePack's header */
        send_or_fail(play, client, CLIENT_BINARY, slice_of(frame.buffer.data + head, frame.buffer.size - head));
        msgpack_sbuffer_destroy(&frame.buffer);
    } else if (value_pack_json(&frame.packer, what)) {
        frame_send(play, client, &frame);
    } else {
        play_fail(play, "'%s' is not JSON", what);
    }
}

/* Connecting */

/* KIND/SCOPE [as USER] [with NAME=VALUE] [offering PROTOCOLS] [narrowly] */
static void set_target(struct play *play, struct client *client, struct words words)
{
    struct buf target = {0};
    const char *app = play->server.app != NULL ? strrchr(play->server.app, '/') : NULL, *separator = "?";
    if (app == NULL)
        play_fail(play, "there is no server: `serve APP` first");
    buf_printf(&target, "/v1%s/%s/sync", app, next(play, &words, "the scope"));
    client->narrow = false;
    free(client->offers);
    client->offers = NULL;
    while (words.n > 0) {
        if (take(&words, "narrowly")) {
            client->narrow = true;
            continue;
        }
        if (take(&words, "offering")) {
            free(client->offers);
            client->offers = mem_dup(slice_str(next(play, &words, "the subprotocols")));
            continue;
        }
        bool as = take(&words, "as");
        if (!as && !take(&words, "with"))
            play_fail(play, "'%s' says nothing about a connection", words.at[0]);
        buf_printf(&target, "%s%s%s", separator, as ? "user=" : "", next(play, &words, "who"));
        separator = "&";
    }
    buf_append(&target, "", 1);
    free(client->target);
    client->target = target.data;
}

/* A server that has just been started again, or whose worker has, may not answer yet. */
static int upgrade(struct play *play, struct client *client)
{
    int64_t deadline_us = play_deadline_us();
    for (;;) {
        int status = client_get(client, play->server.port, client->target, true, NULL, deadline_us);
        if ((status != 0 && status != 503) || clock_mono_us() > deadline_us)
            return status;
        usleep(20000);
    }
}

static void connect_or_fail(struct play *play, struct client *client)
{
    int status = upgrade(play, client);
    if (status != 101)
        play_fail(play, "%s was answered with %d", client->name, status);
}

static void step_connects(struct play *play, struct client *client, struct words words)
{
    set_target(play, client, words);
    connect_or_fail(play, client);
}

static void step_reconnects(struct play *play, struct client *client, struct words words)
{
    (void)words;
    if (client->target == NULL)
        play_fail(play, "%s was never connected", client->name);
    connect_or_fail(play, client);
}

/* a refused STATUS KIND/SCOPE ... */
static void step_refused(struct play *play, struct client *client, struct words words)
{
    int wanted = atoi(next(play, &words, "the status"));
    set_target(play, client, words);
    int status = upgrade(play, client);
    if (status != wanted)
        play_fail(play, "%s was answered with %d", client->name, status);
}

static void step_drops(struct play *play, struct client *client, struct words words)
{
    (void)play;
    (void)words;
    client_drop(client);
}

/* Expecting */

static void expect_one(struct play *play, struct client *client, struct words words, bool skips)
{
    char got[2048];
    struct message message;
    int64_t deadline_us = play_deadline_us();
    for (;;) {
        if (!client_next(client, deadline_us, &message))
            play_fail(play, "%s waited in vain", client->name);
        const char *why = expect_match(play, client, &message, words.at, words.n);
        if (why == NULL)
            return;
        if (skips && message.opcode != CLIENT_CLOSE)
            continue;
        expect_print(&message, got, sizeof got);
        play_fail(play, "%s got %s (%s)", client->name, got, why);
    }
}

/* Nothing has come, and nothing was on its way: a fetch is read, and its page sent, after all that was pending. */
static void expect_nothing(struct play *play, struct client *client)
{
    char fetch[32];
    snprintf(fetch, sizeof fetch, "nothing-%u", ++client->n_fetches);
    send_fetch(play, client, fetch, "nothing");
    expect_one(play, client, (struct words){(const char *const[]){"page", fetch, "rows=0"}, 3}, false);
}

/* Nothing has come yet, whatever is on its way. */
static void expect_silence(struct play *play, struct client *client)
{
    struct message message;
    char got[200];
    if (!client_next(client, clock_mono_us(), &message))
        return;
    expect_print(&message, got, sizeof got);
    play_fail(play, "%s got %s", client->name, got);
}

/* a expect nothing | silence | FRAME */
static void step_expect(struct play *play, struct client *client, struct words words)
{
    if (take(&words, "nothing"))
        expect_nothing(play, client);
    else if (take(&words, "silence"))
        expect_silence(play, client);
    else if (words.n > 0)
        expect_one(play, client, words, false);
    else
        play_fail(play, "what is expected?");
}

/* a awaits FRAME: what comes before it does not matter */
static void step_awaits(struct play *play, struct client *client, struct words words)
{
    if (words.n == 0)
        play_fail(play, "what is awaited?");
    expect_one(play, client, words, true);
}

void step_expect_nothing_more(struct play *play)
{
    for (size_t i = 0; i < play->n_clients; i++)
        if (play->clients[i]->wire != NULL)
            expect_nothing(play, play->clients[i]);
}

/* The server */

/* serve APP [on a small disk] */
static void step_serve(struct play *play, struct words words)
{
    const char *app = next(play, &words, "the app");
    bool has_small_disk = take(&words, "on") && take(&words, "a") && take(&words, "small") && take(&words, "disk");
    server_serve(play, app, has_small_disk);
}

/* disk full | free */
static void step_disk(struct play *play, struct words words)
{
    bool full = take(&words, "full");
    if (!full && !take(&words, "free"))
        play_fail(play, "a disk is full or free");
    server_disk(play, full);
}

static void step_start(struct play *play, struct words words)
{
    (void)words;
    server_start(play);
}

static void step_stop(struct play *play, struct words words)
{
    (void)words;
    server_stop(play);
}

static void step_kill(struct play *play, struct words words)
{
    server_kill(play, next(play, &words, "worker, router or supervisor"));
}

/* edit FILE OLD NEW */
static void step_edit(struct play *play, struct words words)
{
    const char *file = next(play, &words, "the file"), *old = next(play, &words, "what goes");
    server_edit(play, file, old, next(play, &words, "what comes instead"));
}

/* log WORD */
static void step_log(struct play *play, struct words words)
{
    server_await_log(play, next(play, &words, "the word"));
}

/* rival data | port */
static void step_rival(struct play *play, struct words words)
{
    server_rival(play, next(play, &words, "what it shares"));
}

/* token NAME ARGS... */
static void step_token(struct play *play, struct words words)
{
    const char *name = next(play, &words, "the variable");
    char *token = server_token(play, words.at, words.n);
    play_set(play, name, token);
    free(token);
}

/* get PATH expect STATUS [BODY] */
static void step_get(struct play *play, struct words words)
{
    const char *path = next(play, &words, "the path");
    int wanted = take(&words, "expect") ? atoi(next(play, &words, "the status")) : 200;
    struct client *client = client_new("get");
    struct buf body = {0};
    char got[512], quoted[520];
    int status = client_get(client, play->server.port, path, false, &body, play_deadline_us());
    snprintf(got, sizeof got, "%.*s", (int)body.len, body.len > 0 ? body.data : "");
    snprintf(quoted, sizeof quoted, "\"%s\"", got);
    client_free(client);
    buf_release(&body);
    if (status != wanted)
        play_fail(play, "%s was answered with %d %s", path, status, got);
    if (words.n > 0 && strcmp(quoted, words.at[0]) != 0)
        play_fail(play, "%s was answered with the body %s", path, quoted);
}

static int count_databases(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)at;
    const char *dot = strrchr(path, '.');
    databases += type == FTW_F && dot != NULL && strcmp(dot, ".db") == 0;
    return 0;
}

/* files N: so many scopes have a file */
static void step_files(struct play *play, struct words words)
{
    long wanted = strtol(next(play, &words, "the number"), NULL, 10);
    databases = 0;
    nftw(play->server.folder, count_databases, 8, FTW_PHYS);
    if (databases != wanted)
        play_fail(play, "%ld scopes have a file", databases);
}

/* The two tables */

static const struct {
    const char *verb;
    void (*play)(struct play *play, struct words words);
} server_steps[] = {
    {"serve", step_serve}, {"start", step_start}, {"disk", step_disk}, {"stop", step_stop},
    {"kill", step_kill},   {"token", step_token}, {"get", step_get},   {"files", step_files},
    {"rival", step_rival}, {"edit", step_edit},   {"log", step_log},
};

static const struct {
    const char *verb;
    void (*play)(struct play *play, struct client *client, struct words words);
} client_steps[] = {
    {"connects", step_connects}, {"reconnects", step_reconnects}, {"refused", step_refused}, {"drops", step_drops},
    {"sub", step_sub},           {"unsub", step_unsub},           {"mut", step_mut},         {"call", step_call},
    {"fetch", step_fetch},       {"sends", step_sends},           {"expect", step_expect},   {"awaits", step_awaits},
};

static struct client *find_client(struct play *play, const char *name)
{
    for (size_t i = 0; i < play->n_clients; i++)
        if (strcmp(play->clients[i]->name, name) == 0)
            return play->clients[i];
    play->clients = mem_resize(play->clients, (play->n_clients + 1) * sizeof *play->clients);
    return play->clients[play->n_clients++] = client_new(name);
}

static void play_once(struct play *play, struct words words)
{
    const char *first = next(play, &words, "a step");
    for (size_t i = 0; i < sizeof server_steps / sizeof *server_steps; i++) {
        if (strcmp(server_steps[i].verb, first) == 0) {
            server_steps[i].play(play, words);
            return;
        }
    }
    const char *verb = next(play, &words, "what the client does");
    for (size_t i = 0; i < sizeof client_steps / sizeof *client_steps; i++) {
        if (strcmp(client_steps[i].verb, verb) == 0) {
            client_steps[i].play(play, find_client(play, first), words);
            return;
        }
    }
    play_fail(play, "'%s %s': no such step", first, verb);
}

void step_play(struct play *play, const struct story_line *line)
{
    struct words words = {line->words, line->n};
    play->line = line->number;
    long times = take_times(play, &words);
    for (long i = 1; i <= times; i++) {
        if (times > 1)
            set_n(play, i);
        play_once(play, words);
        play_step_done(play);
    }
}
