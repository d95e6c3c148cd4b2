#include "base/h2.h"

#include <assert.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"

enum {
    OUT_BATCH = 256 << 10, /* bytes gathered for one send */
    OUT_KEPT = 16 << 10,   /* room of a stream that stays when nothing waits: there may be one for each scope */
    READ_CHUNK = 64 << 10,
    WINDOW = 0x7fffffff, /* HTTP/2's largest */
    STREAMS_MAX = 1 << 20,
};

struct h2_stream {
    struct list link;
    struct h2 *h2;
    int32_t id;
    void *arg;
    struct buf out;
    size_t sent;    /* bytes at the front of `out` that have been framed */
    size_t waiting; /* its part of what its connection counts */
    bool finished;  /* nothing follows `out` */
    bool suspended; /* nghttp2 waits for h2_stream_wake */
};

struct h2 {
    nghttp2_session *session;
    const struct h2_handlers *handlers;
    void *arg;
    int fd;
    struct watch watch;
    struct list streams;
    struct buf out; /* framed, not yet sent */
    size_t sent;
    size_t waiting; /* not yet framed, of all streams */
    bool busy;      /* within a handler */
    bool lost;
};

static pthread_key_t chunk_key; /* only so that a chunk is freed when its thread ends */

static void make_chunk_key(void)
{
    pthread_key_create(&chunk_key, free);
}

static char *read_chunk(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local char *chunk;
    if (chunk == NULL) {
        pthread_once(&once, make_chunk_key);
        chunk = mem_alloc(READ_CHUNK);
        pthread_setspecific(chunk_key, chunk);
    }
    return chunk;
}

static struct h2_stream *stream_new(struct h2 *h2, int32_t id, void *arg)
{
    struct h2_stream *stream = mem_zero(1, sizeof *stream);
    stream->h2 = h2;
    stream->id = id;
    stream->arg = arg;
    list_append(&h2->streams, &stream->link);
    return stream;
}

/* Its bytes have become more or less. */
static void count_waiting(struct h2_stream *stream)
{
    size_t waiting = stream->out.len - stream->sent;
    stream->h2->waiting += waiting - stream->waiting;
    stream->waiting = waiting;
}

static void tell_end(struct h2_stream *stream)
{
    void *arg = stream->arg;
    stream->arg = NULL;
    if (arg != NULL)
        stream->h2->handlers->on_end(arg);
}

static void stream_end(struct h2_stream *stream)
{
    list_remove(&stream->link);
    tell_end(stream);
    stream->h2->waiting -= stream->waiting;
    buf_release(&stream->out);
    free(stream);
}

static void lose(struct h2 *h2)
{
    if (h2->lost)
        return;
    h2->lost = true;
    watch_release(&h2->watch);
    while (!list_is_empty(&h2->streams))
        stream_end(LIST_ITEM(h2->streams.next, struct h2_stream, link));
    h2->handlers->on_lost(h2->arg);
}

/* Frames carry a stream's bytes. */

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                        nghttp2_data_source *source, void *arg)
{
    struct h2_stream *stream = source->ptr;
    (void)session;
    (void)id;
    (void)arg;
    size_t left = stream->out.len - stream->sent;
    size_t len = left < max ? left : max;
    if (len > 0)
        memcpy(to, stream->out.data + stream->sent, len);
    stream->sent += len;
    buf_trim(&stream->out, &stream->sent);
    count_waiting(stream);
    if (stream->out.len == 0) {
        if (stream->out.capacity > OUT_KEPT)
            buf_release(&stream->out);
        if (stream->finished)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    if (len == 0 && !stream->finished) {
        stream->suspended = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)len;
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

/* The path arrives before the stream is ready to be answered; `out` keeps it until then. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    struct h2 *h2 = arg;
    (void)flags;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST || !slice_eq(slice_of(name, name_len), SLICE(":path")))
        return 0;
    struct h2_stream *stream = stream_new(h2, frame->hd.stream_id, NULL);
    buf_append(&stream->out, value, value_len);
    nghttp2_session_set_stream_user_data(session, stream->id, stream);
    return 0;
}

static void on_request(struct h2 *h2, struct h2_stream *stream)
{
    struct buf path = stream->out;
    stream->out = (struct buf){0};
    nghttp2_nv ok = header(":status", "200");
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_out};
    if (nghttp2_submit_response(h2->session, stream->id, &ok, 1, &provider) == 0)
        stream->arg = h2->handlers->on_open(h2->arg, stream, buf_slice(&path));
    buf_release(&path);
    if (stream->arg == NULL)
        h2_stream_abort(stream);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                         void *arg)
{
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    struct h2 *h2 = arg;
    (void)flags;
    if (stream != NULL && stream->arg != NULL)
        h2->handlers->on_data(stream->arg, slice_of(data, len));
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    struct h2 *h2 = arg;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && h2->handlers->on_pong != NULL)
        h2->handlers->on_pong(h2->arg);
    if (stream == NULL)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        on_request(h2, stream);
    bool may_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (may_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        h2_stream_finish(stream);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)code;
    (void)arg;
    if (stream != NULL) {
        nghttp2_session_set_stream_user_data(session, id, NULL);
        stream_end(stream);
    }
    return 0;
}

/* Who has no memory ends, as everywhere: nghttp2 would report it in places where we could not go on. */

static void *allocate(size_t len, void *arg)
{
    (void)arg;
    return mem_alloc(len);
}

static void *allocate_zeros(size_t n, size_t len, void *arg)
{
    (void)arg;
    return mem_zero(n, len);
}

static void *resize(void *old, size_t len, void *arg)
{
    (void)arg;
    return mem_resize(old, len);
}

static void release(void *memory, void *arg)
{
    (void)arg;
    free(memory);
}

static nghttp2_session *new_session(struct h2 *h2, bool is_server)
{
    nghttp2_mem memory = {NULL, allocate, release, allocate_zeros, resize}; /* it is copied */
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    int failed = nghttp2_session_callbacks_new(&callbacks);
    assert(failed == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    failed = is_server ? nghttp2_session_server_new3(&session, callbacks, h2, NULL, &memory)
                       : nghttp2_session_client_new3(&session, callbacks, h2, NULL, &memory);
    nghttp2_session_callbacks_del(callbacks);
    assert(failed == 0);

    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    failed = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, is_server ? 2 : 3);
    assert(failed == 0);
    failed = nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW);
    assert(failed == 0);
    return session;
}

/* Reads until the socket is empty, but at most a few chunks, so that other sockets get their turn. */
static bool receive(struct h2 *h2)
{
    for (int i = 0; i < 4; i++) {
        ssize_t len = recv(h2->fd, read_chunk(), READ_CHUNK, 0);
        if (len < 0)
            return errno == EAGAIN || errno == EINTR;
        if (len == 0)
            return false;
        h2->busy = true;
        ssize_t used = nghttp2_session_mem_recv(h2->session, (const uint8_t *)read_chunk(), (size_t)len);
        h2->busy = false;
        if (used < 0) {
            log_line(LOG_WARN, "h2_broken reason=%s", nghttp2_strerror((int)used));
            return false;
        }
        if (len < READ_CHUNK)
            return true;
    }
    return true;
}

static void on_ready(void *arg, unsigned ready)
{
    struct h2 *h2 = arg;
    if ((ready & WATCH_READ) != 0 && !receive(h2)) {
        lose(h2);
        return;
    }
    if ((ready & WATCH_WRITE) != 0)
        h2_flush(h2);
}

struct h2 *h2_new(struct loop *loop, int fd, bool is_server, const struct h2_handlers *handlers, void *arg)
{
    struct h2 *h2 = mem_zero(1, sizeof *h2);
    h2->handlers = handlers;
    h2->arg = arg;
    h2->fd = fd;
    list_init(&h2->streams);
    h2->session = new_session(h2, is_server);
    watch_init(&h2->watch, loop, fd, on_ready, h2);
    watch_want(&h2->watch, WATCH_READ);
    return h2;
}

void h2_free(struct h2 *h2)
{
    if (h2 == NULL)
        return;
    assert(!h2->busy);
    watch_release(&h2->watch);
    while (!list_is_empty(&h2->streams))
        stream_end(LIST_ITEM(h2->streams.next, struct h2_stream, link));
    nghttp2_session_del(h2->session);
    close(h2->fd);
    buf_release(&h2->out);
    free(h2);
}

struct h2_stream *h2_open(struct h2 *h2, const char *path, void *stream_arg)
{
    if (h2->lost)
        return NULL;
    struct h2_stream *stream = stream_new(h2, 0, stream_arg);
    nghttp2_nv headers[] = {header(":method", "POST"), header(":scheme", "http"), header(":authority", "shard"),
                            header(":path", path)};
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_out};
    stream->id = nghttp2_submit_request(h2->session, NULL, headers, 4, &provider, stream);
    if (stream->id < 0) {
        if (stream->id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE)
            shutdown(h2->fd, SHUT_RDWR); /* a billion streams were opened: only a new connection has more */
        stream->arg = NULL;              /* it never was: no on_end */
        stream_end(stream);
        return NULL;
    }
    return stream;
}

struct buf *h2_stream_out(struct h2_stream *stream)
{
    return &stream->out;
}

void h2_stream_wake(struct h2_stream *stream)
{
    count_waiting(stream);
    if (!stream->suspended)
        return;
    stream->suspended = false;
    nghttp2_session_resume_data(stream->h2->session, stream->id);
}

void h2_stream_write(struct h2_stream *stream, struct buf *bytes)
{
    if (stream->out.len == 0) {
        struct buf empty = stream->out;
        stream->out = *bytes;
        *bytes = empty;
    } else {
        buf_append_slice(&stream->out, buf_slice(bytes));
        bytes->len = 0;
    }
    h2_stream_wake(stream);
}

void h2_stream_finish(struct h2_stream *stream)
{
    stream->finished = true;
    h2_stream_wake(stream);
}

/* nghttp2 may still ask for the stream's bytes: its memory goes with on_stream_close. */
void h2_stream_abort(struct h2_stream *stream)
{
    nghttp2_submit_rst_stream(stream->h2->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    stream->out.len = stream->sent = 0;
    count_waiting(stream);
    stream->finished = true;
    tell_end(stream);
}

void h2_ping(struct h2 *h2)
{
    if (!h2->lost)
        nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
}

size_t h2_waiting(const struct h2 *h2)
{
    return h2->waiting + h2->out.len - h2->sent;
}

/* Frames what waits, up to a batch. False when there was nothing. */
static bool frame_out(struct h2 *h2)
{
    while (h2->out.len < OUT_BATCH) {
        const uint8_t *data;
        ssize_t len = nghttp2_session_mem_send(h2->session, &data);
        if (len <= 0)
            break;
        buf_append(&h2->out, data, (size_t)len);
    }
    return h2->out.len > 0;
}

void h2_flush(struct h2 *h2)
{
    while (!h2->lost && (h2->out.len > 0 || frame_out(h2))) {
        ssize_t len = send(h2->fd, h2->out.data + h2->sent, h2->out.len - h2->sent, MSG_NOSIGNAL);
        if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
            watch_want(&h2->watch, WATCH_READ | WATCH_WRITE);
            return;
        }
        if (len < 0) {
            lose(h2);
            return;
        }
        h2->sent += (size_t)len;
        if (h2->sent == h2->out.len)
            h2->out.len = h2->sent = 0;
    }
    if (!h2->lost)
        watch_want(&h2->watch, WATCH_READ);
}
