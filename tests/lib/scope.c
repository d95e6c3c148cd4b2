#include "tests/lib/scope.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "shards/scope/transaction.h"
#include "tests/lib/mpjson.h"

static void or_fail(enum err err, const struct buf *why)
{
    if (err != ERR_OK)
        fprintf(stderr, "%s: %.*s\n", err_text(err), (int)why->len, why->len == 0 ? "" : why->data);
    assert(err == ERR_OK);
}

static void open_file(struct scope *scope)
{
    struct buf why = {0};
    if (scope->room.kind == NULL)
        fprintf(stderr, "%s", room_problems(&scope->room));
    assert(scope->room.kind != NULL);
    or_fail(scope_file_open(scope->path, &scope->name, scope->room.kind, true, scope->now_ms, &scope->file, &why),
            &why);
}

void scope_open(struct scope *scope, const char *definition, const char *sql)
{
    *scope = (struct scope){.now_ms = 1800000000000};
    room_open(&scope->room, definition, sql);
    bool parsed = scope_name_parse(SLICE("test/room/tea"), &scope->name);
    struct folder_path data = folder_at(&scope->room.folder, "data");
    int failed = mkdir(data.text, 0700);
    assert(parsed && failed == 0);
    scope->path = scope_file_path(data.text, &scope->name);
    open_file(scope);
    scope->base = scope->file->log.head;
    scope_become(scope, "{'sub':'ann'}");
}

void scope_close(struct scope *scope)
{
    scope_file_close(scope->file);
    claims_release(&scope->claims);
    free(scope->path);
    room_close(&scope->room);
}

void scope_reopen(struct scope *scope)
{
    scope_file_close(scope->file);
    open_file(scope);
}

void scope_upgrade(struct scope *scope, const char *definition)
{
    scope_file_close(scope->file);
    room_load(&scope->room, definition);
    open_file(scope);
}

void scope_become(struct scope *scope, const char *claims)
{
    cJSON *json = mpjson_parse(claims);
    char *text = cJSON_PrintUnformatted(json);
    claims_release(&scope->claims);
    bool ok = claims_init(&scope->claims, slice_str(text));
    assert(ok);
    cJSON_free(text);
    cJSON_Delete(json);
}

static void begin(struct scope *scope)
{
    capture_clear(&scope->file->capture);
    enum err err = scope_file_begin(scope->file);
    assert(err == ERR_OK);
}

static void end(struct scope *scope, enum err err)
{
    err = err == ERR_OK ? scope_file_run(scope->file, TRANSACTION_COMMIT) : scope_file_rollback(scope->file);
    assert(err == ERR_OK);
}

static void print_value(struct buf *text, struct slice encoded)
{
    cJSON *json = mpjson_read(&encoded);
    char *printed = cJSON_PrintUnformatted(json);
    assert(encoded.len == 0);
    buf_printf(text, "%s", printed);
    cJSON_free(printed);
    cJSON_Delete(json);
}

static void print_outcome(struct buf *text, const struct scope *scope, const struct outcome *outcome)
{
    if (outcome->is_rejected) {
        buf_printf(text, "rejected %s: %.*s", outcome->code == NULL ? "-" : outcome->code, (int)outcome->message.len,
                   outcome->message.data);
        return;
    }
    buf_printf(text, "committed %" PRIu64, outcome->seq - scope->base);
    if (outcome->result.len > 0) {
        buf_printf(text, " result=");
        print_value(text, buf_slice(&outcome->result));
    }
}

const char *scope_decide(struct scope *scope, const char *frame_json)
{
    static struct buf text;
    struct buf message = {0};
    struct frame frame;
    struct outcome outcome = {0};
    cJSON *json = mpjson_parse(frame_json);
    mpjson_write(json, &message);
    cJSON_Delete(json);
    bool decoded = frame_decode(buf_slice(&message), &frame);
    bool is_turn = sqlite3_get_autocommit(scope->file->database.db);
    assert(decoded);
    if (is_turn)
        begin(scope);
    enum err err = transaction_decide(scope->file, &scope->claims, &frame, scope->now_ms, 0, &outcome);
    if (is_turn)
        end(scope, err);
    buf_release(&message);
    text.len = 0;
    if (err == ERR_OK)
        print_outcome(&text, scope, &outcome);
    else
        buf_printf(&text, "failed: %s", err_text(err));
    outcome_release(&outcome);
    return text.data;
}

void scope_execute(struct scope *scope, const char *sql)
{
    struct buf why = {0};
    begin(scope);
    or_fail(database_run(&scope->file->database, SQL_STATEMENT, sql, &why), &why);
    end(scope, ERR_OK);
}

const char *scope_changes(const struct scope *scope)
{
    static const char *const OPS[] = {[OP_INSERT] = "insert", [OP_UPDATE] = "update", [OP_DELETE] = "delete"};
    static struct buf text;
    const struct capture *capture = &scope->file->capture;
    text.len = 0;
    buf_printf(&text, "%s", "");
    for (size_t i = 0; i < capture->n; i++) {
        const struct change *change = &capture->changes[i];
        struct slice key = change_key(capture, change);
        buf_printf(&text, "%s%s %s %.*s", i == 0 ? "" : "\n", OPS[change->op], change->collection->def->name,
                   (int)key.len, key.data);
        if (change->op != OP_DELETE) {
            buf_printf(&text, " ");
            print_value(&text, change_row(capture, change));
        }
    }
    return text.data;
}

const char *scope_query(struct scope *scope, const char *sql)
{
    static struct buf text;
    struct buf why = {0};
    sqlite3_stmt *query = database_prepare(&scope->file->database, SQL_OURS, sql, &why);
    or_fail(query == NULL ? ERR_INVALID : ERR_OK, &why);
    text.len = 0;
    buf_printf(&text, "%s", "");
    while (sqlite3_step(query) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(query); i++) {
            const char *value = (const char *)sqlite3_column_text(query, i);
            buf_printf(&text, "%s%s", i > 0 ? "," : text.len > 0 ? " " : "", value == NULL ? "NULL" : value);
        }
    }
    sqlite3_finalize(query);
    return text.data;
}
