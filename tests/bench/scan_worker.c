#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/frame.h"
#include "tests/bench/scan.h"
#include "tests/bench/task.h"

#define COLUMNS      5
#define TEXT_COLUMNS 3
#define SEQ          "234881024000001" /* as long as a real one */

/* One request: the subscription's id, the scan, and what did not fit into the last piece of the answer. */
struct request {
    struct buffer body;
    struct text sub;
    sqlite3_stmt *rows;
    struct buffer front, names[COLUMNS], back; /* encoded once */
    struct buffer ready;
    bool is_over;
};

/* ---- the table ---- */

static void exec(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail("%s: %s", sql, sqlite3_errmsg(db));
    }
}

static void seed(sqlite3 *db, long rows)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < %ld) "
             "INSERT INTO tasks SELECT printf('seed-%%08d', i), 'task number ' || i || "
             "' with a title that pads the row out', CASE i %% 3 WHEN 0 THEN 'done' ELSE 'open' END, i %% 100, "
             "1700000000000 + i FROM numbers",
             rows);
    exec(db, sql);
}

static sqlite3 *open_table(const char *dir, long rows)
{
    char path[512];
    sqlite3 *db = NULL;
    snprintf(path, sizeof(path), "%.480s/scan.db", dir);
    unlink(path);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
        fail("cannot open %s: %s", path, sqlite3_errmsg(db));
    }
    exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-65536;" TASK_SCHEMA);
    seed(db, rows);
    unlink(path); /* it lives as long as the connection */
    return db;
}

/* ---- rows to frames ---- */

/* What is the same in every row: the frame up to its key, the columns' names, the frame's end. */
static void encode_constants(struct request *request)
{
    assert(sqlite3_column_count(request->rows) == COLUMNS);
    mp_map(&request->front, 5);
    mp_str(&request->front, "t");
    mp_str(&request->front, "snap");
    mp_str(&request->front, "sub");
    mp_text(&request->front, request->sub);
    mp_str(&request->front, "key");
    mp_str(&request->names[0], "row");
    mp_map(&request->names[0], COLUMNS);
    for (int i = 0; i < COLUMNS; i++) {
        mp_str(&request->names[i], sqlite3_column_name(request->rows, i));
    }
    mp_str(&request->back, "seq");
    mp_str(&request->back, SEQ);
}

static void append(struct buffer *out, const struct buffer *constant)
{
    buffer_append(out, buffer_head(constant), buffer_len(constant));
}

static struct text text_column(sqlite3_stmt *rows, int column)
{
    const char *text = (const char *)sqlite3_column_text(rows, column);
    return (struct text){text, (uint32_t)sqlite3_column_bytes(rows, column)};
}

/* The table is known: the first columns are texts, the others integers, none is NULL. */
static void encode_snap(struct buffer *out, const struct request *request)
{
    struct text id = text_column(request->rows, 0);
    append(out, &request->front);
    mp_text(out, id);
    append(out, &request->names[0]);
    mp_text(out, id);
    for (int i = 1; i < COLUMNS; i++) {
        append(out, &request->names[i]);
        if (i < TEXT_COLUMNS) {
            mp_text(out, text_column(request->rows, i));
        } else {
            mp_int(out, sqlite3_column_int64(request->rows, i));
        }
    }
    append(out, &request->back);
}

static void encode_end(struct buffer *out, const struct request *request)
{
    mp_map(out, 3);
    mp_str(out, "t");
    mp_str(out, "snap-end");
    mp_str(out, "sub");
    mp_text(out, request->sub);
    mp_str(out, "seq");
    mp_str(out, SEQ);
}

/* One more frame behind its length. */
static void encode_next(struct request *request)
{
    static const uint8_t hole[4];
    struct buffer *out = &request->ready;
    buffer_append(out, hole, sizeof(hole));
    size_t before = buffer_len(out);
    int result = sqlite3_step(request->rows);
    if (result == SQLITE_ROW) {
        encode_snap(out, request);
    } else if (result == SQLITE_DONE) {
        encode_end(out, request);
        request->is_over = true;
    } else {
        fail("the scan failed");
    }
    uint32_t len = (uint32_t)(buffer_len(out) - before);
    memcpy(buffer_head(out) + before - sizeof(len), &len, sizeof(len));
}

/* ---- h2 ---- */

static ssize_t read_answer(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t len, uint32_t *flags,
                           nghttp2_data_source *source, void *arg)
{
    struct request *request = source->ptr;
    (void)session, (void)stream, (void)arg;
    while (!request->is_over && buffer_len(&request->ready) < len) {
        encode_next(request);
    }
    size_t ready = buffer_len(&request->ready);
    size_t taken = ready < len ? ready : len;
    memcpy(bytes, buffer_head(&request->ready), taken);
    buffer_take(&request->ready, taken);
    if (request->is_over && taken == ready) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)taken;
}

/* nghttp2 asks for 16 KiB a frame unless it is told otherwise. */
static ssize_t piece_length(nghttp2_session *session, uint8_t type, int32_t stream, int32_t session_window,
                            int32_t stream_window, uint32_t frame_max, void *arg)
{
    (void)session, (void)type, (void)stream, (void)arg;
    int32_t window = session_window < stream_window ? session_window : stream_window;
    int32_t piece = (int32_t)frame_max < SCAN_PIECE ? (int32_t)frame_max : SCAN_PIECE;
    return window < piece ? window : piece;
}

static bool read_sub(struct request *request)
{
    struct mp_reader reader = {buffer_head(&request->body), buffer_head(&request->body) + buffer_len(&request->body)};
    struct mp_value map, name, value;
    bool ok = mp_next(&reader, &map) && map.type == MP_MAP;
    for (uint32_t i = 0; ok && i < map.n; i++) {
        ok = mp_next(&reader, &name) && mp_next(&reader, &value);
        if (ok && mp_is(&name, "subId")) {
            request->sub = value.text;
        }
    }
    return ok && request->sub.at;
}

static void answer(sqlite3 *db, nghttp2_session *session, int32_t stream, struct request *request)
{
    static const nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"200", 7, 3, NGHTTP2_NV_FLAG_NONE};
    if (!read_sub(request)) {
        fail("the driver sent something that is no sub");
    }
    if (sqlite3_prepare_v2(db, "SELECT * FROM tasks ORDER BY id", -1, &request->rows, NULL) != SQLITE_OK) {
        fail("%s", sqlite3_errmsg(db));
    }
    encode_constants(request);
    nghttp2_data_provider provider = {.source.ptr = request, .read_callback = read_answer};
    nghttp2_submit_response(session, stream, &status, 1, &provider);
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    (void)arg;
    struct request *request = calloc(1, sizeof(*request));
    return request ? nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, request)
                   : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_body(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t len, void *arg)
{
    struct request *request = nghttp2_session_get_stream_user_data(session, stream);
    (void)flags, (void)arg;
    buffer_append(&request->body, bytes, len);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    if (frame->hd.type == NGHTTP2_DATA && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        int32_t stream = frame->hd.stream_id;
        answer(arg, session, stream, nghttp2_session_get_stream_user_data(session, stream));
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *arg)
{
    struct request *request = nghttp2_session_get_stream_user_data(session, stream);
    (void)code, (void)arg;
    sqlite3_finalize(request->rows);
    for (int i = 0; i < COLUMNS; i++) {
        buffer_release(&request->names[i]);
    }
    buffer_release(&request->front);
    buffer_release(&request->back);
    buffer_release(&request->body);
    buffer_release(&request->ready);
    free(request);
    return 0;
}

static nghttp2_session *open_session(sqlite3 *db)
{
    nghttp2_session *session = NULL;
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_body);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, piece_length);
    if (nghttp2_session_server_new(&session, callbacks, db)) {
        fail("out of memory");
    }
    nghttp2_session_callbacks_del(callbacks);
    scan_h2_start(session);
    return session;
}

void scan_worker(int fd, const char *dir, long rows)
{
    sqlite3 *db = open_table(dir, rows);
    nghttp2_session *session = open_session(db);
    do {
        scan_h2_write(session, fd);
    } while (scan_h2_read(session, fd));
    nghttp2_session_del(session);
    sqlite3_close(db);
}
