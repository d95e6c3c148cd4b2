#include "src/router/static.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Appends the file's path below the folder. False if there can be none. */
static bool find(const struct http_request *request, const char *folder, struct buf *ret_path)
{
    struct buf decoded = {0};
    bool ok = http_percent_decode(request->path, false, &decoded) && is_safe(buf_slice(&decoded));
    if (ok)
        buf_printf(ret_path, "%s%.*s%s", folder, (int)decoded.len, decoded.data,
                   decoded.data[decoded.len - 1] == '/' ? "index.html" : "");
    buf_release(&decoded);
    return ok;
}

/* A build names its assets after what they hold, so those never change. */
static const char *caching_of(const struct http_request *request)
{
    return request->path.len > 8 && memcmp(request->path.data, "/assets/", 8) == 0
               ? "public, max-age=31536000, immutable"
               : "no-cache";
}

/* Opens a file that lies within the folder, also when links are followed. -1 if there is none. */
static int open_within(const char *folder, const char *path, struct stat *ret_stat)
{
    char *root = realpath(folder, NULL), *real = realpath(path, NULL);
    size_t len = root == NULL ? 0 : strlen(root);
    bool is_within = root != NULL && real != NULL && strncmp(real, root, len) == 0 && real[len] == '/';
    /* Without O_NONBLOCK, a named pipe would hold up the open. */
    int file = is_within ? open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    free(root);
    free(real);
    if (file < 0 || (fstat(file, ret_stat) == 0 && S_ISREG(ret_stat->st_mode)))
        return file;
    close(file);
    return -1;
}

static void send_file(struct connection *connection, const struct http_request *request, const char *path, int file,
                      const struct stat *stat_buf)
{
    char tag[64], headers[256];
    snprintf(tag, sizeof tag, "\"%llx-%llx\"", (unsigned long long)stat_buf->st_size,
             (unsigned long long)stat_buf->st_mtim.tv_sec * 1000000000u +
                 (unsigned long long)stat_buf->st_mtim.tv_nsec);
    snprintf(headers, sizeof headers, "ETag: %s\r\nCache-Control: %s\r\n", tag, caching_of(request));
    const struct slice *known = http_header(request, "if-none-match");
    if (known != NULL && slice_eq(*known, slice_str(tag))) {
        close(file);
        request_answer(connection, 304, "", headers, SLICE(""));
    } else {
        request_answer_file(connection, type_of(path), headers, file, (size_t)stat_buf->st_size);
    }
}

void static_answer(struct connection *connection, const struct http_request *request)
{
    if (!slice_eq(request->method, SLICE("GET")) && !slice_eq(request->method, SLICE("HEAD"))) {
        request_answer_text(connection, 405, "only GET and HEAD");
        return;
    }
    struct stat stat_buf;
    struct buf folder = {0}, path = {0};
    buf_printf(&folder, "%s/public", connection->router->app->dir);
    int file = find(request, folder.data, &path) ? open_within(folder.data, path.data, &stat_buf) : -1;
    if (file < 0)
        request_answer_text(connection, 404, "not found");
    else
        send_file(connection, request, path.data, file, &stat_buf);
    buf_release(&folder);
    buf_release(&path);
}
