#include "src/router/static.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "src/router/request.h"

static const struct {
    const char *ending, *type;
} TYPES[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".txt", "text/plain; charset=utf-8"},
};

static const char *type_of(const char *path)
{
    const char *ending = strrchr(path, '.');
    for (size_t i = 0; ending != NULL && i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(TYPES[i].ending, ending) == 0)
            return TYPES[i].type;
    return "application/octet-stream";
}

/* Each part of a path is a plain name. */
static bool is_safe(struct slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] == '\0' || path.data[i] == '\\')
            return false;
        if (path.data[i] == '/' && i + 1 < path.len && (path.data[i + 1] == '.' || path.data[i + 1] == '/'))
            return false;
    }
    return path.len > 0 && path.data[0] == '/';
}

/* The file's path; NULL if there can be none. */
static char *find(const struct connection *connection, const struct http_request *request)
{
    struct buf decoded = {0}, path = {0};
    bool ok = http_percent_decode(request->path, false, &decoded) && is_safe(buf_slice(&decoded));
    if (ok) {
        buf_printf(&path, "%s/public%.*s%s", connection->router->app->dir, (int)decoded.len, decoded.data,
                   decoded.data[decoded.len - 1] == '/' ? "index.html" : "");
        buf_append(&path, "", 1);
    }
    buf_release(&decoded);
    return path.data;
}

/* A build names its assets after what they hold, so those never change. */
static const char *caching_of(const struct http_request *request)
{
    return request->path.len > 8 && memcmp(request->path.data, "/assets/", 8) == 0
               ? "public, max-age=31536000, immutable"
               : "no-cache";
}

static void send_file(struct connection *connection, const struct http_request *request, const char *path)
{
    struct stat stat_buf;
    struct buf body = {0};
    char headers[256];
    if (stat(path, &stat_buf) < 0 || file_read(path, STATIC_FILE_MAX, &body) != ERR_OK) {
        request_answer_text(connection, 404, "not found");
        return;
    }
    char tag[64];
    snprintf(tag, sizeof tag, "\"%llx-%llx\"", (unsigned long long)stat_buf.st_size,
             (unsigned long long)stat_buf.st_mtim.tv_sec * 1000000000u + (unsigned long long)stat_buf.st_mtim.tv_nsec);
    snprintf(headers, sizeof headers, "ETag: %s\r\nCache-Control: %s\r\n", tag, caching_of(request));
    const struct slice *known = http_header(request, "if-none-match");
    if (known != NULL && slice_eq(*known, slice_str(tag)))
        request_answer(connection, 304, type_of(path), headers, SLICE(""));
    else
        request_answer(connection, 200, type_of(path), headers, buf_slice(&body));
    buf_release(&body);
}

void static_answer(struct connection *connection, const struct http_request *request)
{
    if (!slice_eq(request->method, SLICE("GET")) && !slice_eq(request->method, SLICE("HEAD"))) {
        request_answer_text(connection, 405, "only GET and HEAD");
        return;
    }
    char *path = find(connection, request);
    if (path == NULL)
        request_answer_text(connection, 404, "not found");
    else
        send_file(connection, request, path);
    free(path);
}
