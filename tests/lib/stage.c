#include "tests/lib/stage.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "shards/feed/session.h"
#include "tests/lib/mpjson.h"

/* ---- what the stage stands in for ---- */

int64_t stage_wall_ms = 1800000000000, stage_mono_us = 1000000, stage_look_us, stage_look_more_us;
unsigned stage_n_records;

int64_t clock_wall_ms(void)
{
    return stage_wall_ms++;
}

int64_t clock_mono_us(void)
{
    stage_look_us += stage_look_more_us;
    return stage_mono_us += stage_look_us;
}

struct buf *journal_begin(struct journal *journal)
{
    static struct buf record;
    (void)journal;
    record.len = 0;
    return &record;
}

void journal_end(struct journal *journal)
{
    (void)journal;
    stage_n_records++;
}

uint64_t journal_position(const struct journal *journal)
{
    (void)journal;
    return stage_n_records;
}

bool stage_has_room = true;

bool journal_has_room(const struct journal *journal)
{
    (void)journal;
    return stage_has_room;
}

const struct journal_options *journal_options(const struct journal *journal)
{
    static const struct journal_options options = {16 << 20, 8 << 20, 32 << 20};
    (void)journal;
    return &options;
}

static bool allows_blank(void *shard, const struct kind *kind, const struct scope_name *name,
                         const struct claims *claims, int64_t now_ms)
{
    struct database database;
    sqlite3_stmt *open = NULL;
    (void)shard;
    enum err err = kind_open_blank(kind, &database, NULL);
    assert(err == ERR_OK);
    bool allowed = database_allows(&database, kind, name, claims, now_ms, &open);
    sqlite3_finalize(open);
    database_close(&database);
    return allowed;
}

void helper_ask(struct helper *helper, struct job *job)
{
    (void)helper;
    assert(job->work != NULL); /* stage_help has it done */
}

/* ---- the beginning and the end ---- */

static struct channel *open_channel(struct stage *stage)
{
    static char router; /* only that there is one matters: what is collected is taken before it goes there */
    return channel_new(stage->actor, (struct h2_stream *)(void *)&router);
}

static void load(struct stage *stage, const char *definition, const char *sql)
{
    struct buf whole = {0};
    buf_printf(&whole, "%s%s%s", strstr(definition, "`open`") == NULL ? "`open`:`1`" : "",
               strstr(definition, "`open`") == NULL && *definition != '\0' ? "," : "", definition);
    room_open(&stage->room, whole.data, sql);
    if (stage->room.kind == NULL)
        fprintf(stderr, "%s", room_problems(&stage->room));
    assert(stage->room.kind != NULL);
    buf_release(&whole);
}

void stage_open(struct stage *stage, const char *definition, const char *sql)
{
    struct scope_name name;
    *stage = (struct stage){.base = 0};
    load(stage, definition, sql);
    stage->data = folder_at(&stage->room.folder, "data");
    int failed = mkdir(stage->data.text, 0700);
    bool parsed = scope_name_parse(SLICE("test/room/tea"), &name);
    assert(failed == 0 && parsed);
    struct list *lists[] = {&stage->dirty, &stage->unsaved, &stage->collecting, &stage->reminders, &stage->bursts};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_init(lists[i]);
    slices_init(&stage->slices);
    stage->host = (struct actor_host){.data_dir = stage->data.text,
                                      .slices = &stage->slices,
                                      .dirty = &stage->dirty,
                                      .unsaved = &stage->unsaved,
                                      .collecting = &stage->collecting,
                                      .reminders = &stage->reminders,
                                      .bursts = &stage->bursts,
                                      .n_saving = &stage->n_saving,
                                      .allows_blank = allows_blank};
    stage->actor = actor_new(&stage->host, &name, stage->room.kind);
    stage->channel = open_channel(stage);
}

void stage_close(struct stage *stage)
{
    actor_free(stage->actor);
    for (int i = 0; i < STAGE_SESSIONS; i++) {
        buf_release(&stage->heard[i]);
        buf_release(&stage->members[i]);
    }
    room_close(&stage->room);
}

/* ---- what goes in ---- */

static void request(struct stage *stage, enum envelope_type type, uint32_t session, struct slice payload)
{
    actor_request(stage->actor, stage->channel, &(struct envelope){type, session, payload});
}

static void attach(struct stage *stage, uint32_t session, enum dialect dialect, const char *claims)
{
    struct buf envelope = {0};
    cJSON *json = mpjson_parse(claims);
    char *text = cJSON_PrintUnformatted(json);
    envelope_append_attach(&envelope, session, dialect, slice_str(text));
    envelope_append_credit(&envelope, session, STAGE_CREDIT);
    bool ok = channel_receive(stage->channel, buf_slice(&envelope));
    assert(ok);
    buf_release(&envelope);
    cJSON_free(text);
    cJSON_Delete(json);
}

void stage_attach(struct stage *stage, uint32_t session, const char *claims)
{
    attach(stage, session, DIALECT_BASE, claims);
}

void stage_attach_v1(struct stage *stage, uint32_t session, const char *claims)
{
    attach(stage, session, DIALECT_V1, claims);
}

void stage_detach(struct stage *stage, uint32_t session)
{
    request(stage, ENVELOPE_DETACH, session, SLICE(""));
    stage->members[session].len = 0;
}

void stage_send(struct stage *stage, uint32_t session, const char *frame)
{
    struct buf message = {0};
    cJSON *json = mpjson_parse(frame);
    mpjson_write(json, &message);
    request(stage, ENVELOPE_MESSAGE, session, buf_slice(&message));
    buf_release(&message);
    cJSON_Delete(json);
}

void stage_sub(struct stage *stage, uint32_t session, const char *collection, int since)
{
    struct buf frame = {0};
    buf_printf(&frame, "{'t':'sub','subId':'%s','collection':'%s'", collection, collection);
    if (since != STAGE_NO_SINCE)
        buf_printf(&frame, ",'since':'%" PRIu64 "'", stage->base + (uint64_t)(int64_t)since);
    buf_printf(&frame, "}");
    stage_send(stage, session, frame.data);
    buf_release(&frame);
}

static void print_op(struct buf *frame, const char *op, int len)
{
    static const char SIGNS[] = "+~-";
    static const char *const NAMES[] = {"insert", "update", "delete"};
    const char *text = memchr(op, '=', (size_t)len);
    int key_len = (int)(text == NULL ? len : text - op) - 1;
    buf_printf(frame, "{'type':'%s','key':'%.*s'", NAMES[strchr(SIGNS, *op) - SIGNS], key_len, op + 1);
    if (text != NULL)
        buf_printf(frame, ",'cols':{'text':'%.*s'}", (int)(op + len - text - 1), text + 1);
    buf_printf(frame, "}");
}

void stage_mut(struct stage *stage, uint32_t session, const char *tx, const char *ops)
{
    struct buf frame = {0};
    buf_printf(&frame, "{'t':'mut','txId':'%s','collection':'notes','ops':[", tx);
    for (const char *op = ops; *op != '\0'; op += strspn(op, " ")) {
        size_t len = strcspn(op, " ");
        buf_printf(&frame, "%s", op == ops ? "" : ",");
        print_op(&frame, op, (int)len);
        op += len;
    }
    buf_printf(&frame, "]}");
    stage_send(stage, session, frame.data);
    buf_release(&frame);
}

void stage_set_credit(struct stage *stage, uint32_t session, int64_t bytes)
{
    struct session *found = channel_find(stage->channel, session);
    assert(found != NULL);
    found->credit = 0;
    session_on_credit(found, 0);
    found->credit = bytes;
    actor_mark_dirty(stage->actor);
}

void stage_lag(struct stage *stage, uint32_t session, int seq, uint32_t credit)
{
    struct buf envelope = {0};
    envelope_append_lag(&envelope, session, stage->base + (uint64_t)(int64_t)seq);
    envelope_append_credit(&envelope, session, credit);
    bool ok = channel_receive(stage->channel, buf_slice(&envelope));
    assert(ok);
    buf_release(&envelope);
}

void stage_remind(struct stage *stage)
{
    struct list *link;
    while ((link = list_pop(&stage->reminders)) != NULL)
        LIST_ITEM(link, struct channel, reminder_link)->is_reminder_due = true;
    actor_mark_dirty(stage->actor);
}

/* ---- what comes out ---- */

static const char *text_of(const cJSON *frame, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(frame, name);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static void print_seq(const struct stage *stage, struct buf *text, const char *digits)
{
    uint64_t seq = strtoull(digits, NULL, 10);
    if (seq == 0)
        buf_printf(text, " none");
    else
        buf_printf(text, " %" PRId64, (int64_t)(seq - stage->base));
}

static void print_row(struct buf *text, const char *key, const cJSON *row)
{
    const char *value = text_of(row, "text");
    buf_printf(text, " %s", key);
    if (value != NULL)
        buf_printf(text, "=%s", value);
}

static void print_rejection(const struct stage *stage, struct buf *text, const cJSON *frame)
{
    const cJSON *retry = cJSON_GetObjectItem(frame, "retryMs");
    if (text_of(frame, "seq") != NULL)
        print_seq(stage, text, text_of(frame, "seq"));
    if (retry != NULL)
        buf_printf(text, " after %.0f", retry->valuedouble);
    const cJSON *error = cJSON_GetObjectItem(frame, "error");
    const char *code = text_of(error, "code");
    buf_printf(text, " %s: %s", code == NULL ? "-" : code, text_of(error, "message"));
}

static void print_frame(const struct stage *stage, struct buf *text, const cJSON *frame)
{
    static const char *const IDS[] = {"sub", "txId", "fetchId"};
    const char *type = text_of(frame, "t"), *op = text_of(frame, "op"), *key = text_of(frame, "key");
    const cJSON *result = cJSON_GetObjectItem(frame, "result");
    buf_printf(text, "%s", type);
    for (size_t i = 0; i < sizeof IDS / sizeof *IDS; i++)
        if (text_of(frame, IDS[i]) != NULL)
            buf_printf(text, " %s", text_of(frame, IDS[i]));
    if (op != NULL)
        buf_printf(text, " %s", op);
    if (key != NULL)
        print_row(text, key, cJSON_GetObjectItem(frame, op == NULL ? "row" : "cols"));
    if (strcmp(type, "rejected") == 0)
        print_rejection(stage, text, frame);
    else if (strcmp(type, "hello") == 0)
        print_seq(stage, text, text_of(frame, "head"));
    else if (strcmp(type, "snap") != 0 && text_of(frame, "seq") != NULL)
        print_seq(stage, text, text_of(frame, "seq"));
    if (result != NULL) {
        char *printed = cJSON_PrintUnformatted(result);
        buf_printf(text, " result=%s", strlen(printed) > 40 ? "..." : printed);
        cJSON_free(printed);
    }
}

static void hear_message(struct stage *stage, uint32_t session, struct slice message)
{
    cJSON *frame = mpjson_read(&message);
    print_frame(stage, &stage->heard[session], frame);
    buf_printf(&stage->heard[session], "\n");
    cJSON_Delete(frame);
}

static void hear_control(struct stage *stage, uint32_t session, const char *what)
{
    if (stage->is_raw)
        buf_printf(&stage->heard[session], "%s\n", what);
}

static void join(struct stage *stage, const struct envelope *envelope)
{
    struct slice members;
    uint64_t seq = envelope_join(envelope, &members);
    struct buf *joined = &stage->members[envelope->session];
    assert(joined->len == 0);
    stage->told[envelope->session] = seq;
    stage->owes_boundary[envelope->session] = false;
    buf_append_slice(joined, members);
    if (stage->is_raw)
        buf_printf(&stage->heard[envelope->session], "joined %" PRId64 "\n", (int64_t)(seq - stage->base));
}

/* What comes for one session alone. */
static void hear_own(struct stage *stage, const struct envelope *envelope)
{
    uint32_t session = envelope->session;
    struct buf *text = &stage->heard[session];
    uint16_t code;
    struct slice reason;
    assert(session < STAGE_SESSIONS);
    if (envelope->type == ENVELOPE_ATTACHED) {
        buf_printf(text, "attached\n");
        stage->members[session].len = 0;
    } else if (envelope->type == ENVELOPE_DENIED) {
        buf_printf(text, "denied\n");
    } else if (envelope_close(envelope, &code, &reason)) {
        buf_printf(text, "close %u %.*s\n", code, (int)reason.len, reason.data);
        stage->members[session].len = 0;
    } else if (envelope->type == ENVELOPE_DONE) {
        hear_control(stage, session, "done");
    } else if (envelope->type == ENVELOPE_JOIN) {
        join(stage, envelope);
    } else if (envelope->type == ENVELOPE_LEAVE) {
        hear_control(stage, session, "left");
        stage->members[session].len = 0;
    } else if (envelope->type == ENVELOPE_LAGGED) {
        hear_control(stage, session, "lagged");
        stage->members[session].len = 0;
    } else {
        assert(envelope->type == ENVELOPE_MESSAGE);
        hear_message(stage, session, envelope->payload);
    }
}

static void hear_for_all(struct stage *stage, uint32_t session, struct slice message)
{
    if (stage->is_raw)
        buf_printf(&stage->heard[session], "*");
    hear_message(stage, session, message);
}

static void hear_change(struct stage *stage, uint32_t session, const struct envelope *envelope)
{
    struct slice members = buf_slice(&stage->members[session]), head, tail;
    struct audience_member member;
    struct buf message = {0};
    envelope_change(envelope, &head, &tail);
    while (envelope_next_member(&members, &member)) {
        if (member.audience != envelope->session)
            continue;
        message.len = 0;
        buf_append_slice(&message, head);
        buf_append_slice(&message, member.id);
        buf_append_slice(&message, tail);
        hear_for_all(stage, session, buf_slice(&message));
        stage->owes_boundary[session] = true;
    }
    buf_release(&message);
}

static void hear_boundary(struct stage *stage, uint32_t session, const struct envelope *envelope)
{
    struct slice message;
    uint64_t seq = envelope_boundary(envelope, &message);
    bool is_news = envelope->session != 0 && stage->told[session] < seq;
    if (stage->members[session].len == 0 || (!stage->owes_boundary[session] && !is_news))
        return;
    hear_for_all(stage, session, message);
    stage->owes_boundary[session] = false;
    stage->told[session] = seq;
}

static void hear(struct stage *stage, struct channel *channel)
{
    struct slice bytes = buf_slice(&channel->collected);
    struct envelope envelope;
    while (envelope_decode(&bytes, &envelope) == ENVELOPE_WHOLE) {
        bool is_for_all = envelope.type == ENVELOPE_CHANGE || envelope.type == ENVELOPE_BOUNDARY;
        stage->n_for_all += envelope.type == ENVELOPE_CHANGE;
        if (!is_for_all)
            hear_own(stage, &envelope);
        for (uint32_t i = 0; is_for_all && i < STAGE_SESSIONS; i++)
            (envelope.type == ENVELOPE_CHANGE ? hear_change : hear_boundary)(stage, i, &envelope);
    }
    assert(bytes.len == 0);
    channel->collected.len = 0;
}

void stage_help(struct stage *stage)
{
    stage->n_jobs++;
    stage->actor->job.work(&stage->actor->job);
    stage->actor->job.done(&stage->actor->job);
    list_remove(&stage->actor->dirty_link);
    actor_decide(stage->actor);
}

/* The shard's turn, as far as this scope is concerned. */
void stage_turn(struct stage *stage)
{
    struct list *link;
    bool had_file = stage->actor->feed.file != NULL;
    list_remove(&stage->actor->dirty_link);
    actor_decide(stage->actor);
    while (stage->actor->is_away && !stage->is_helper_held)
        stage_help(stage);
    if (!had_file && stage->base == 0 && stage->actor->feed.file != NULL)
        stage->base = stage->actor->feed.file->log.floors[0];
    if (actor_release(stage->actor))
        actor_mark_dirty(stage->actor);
    while ((link = list_pop(&stage->collecting)) != NULL)
        hear(stage, LIST_ITEM(link, struct channel, collecting_link));
}

const char *stage_heard(struct stage *stage, uint32_t session)
{
    static struct buf text;
    struct buf *heard = &stage->heard[session];
    text.len = 0;
    buf_printf(&text, "%.*s", (int)heard->len, heard->len == 0 ? "" : heard->data);
    heard->len = 0;
    return text.data;
}
