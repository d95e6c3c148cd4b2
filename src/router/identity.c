#include "src/router/identity.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/utf8.h"

enum { DEV_USER_MAX = 64 };

static bool bearer_of(const struct http_request *request, struct slice *ret_token)
{
    const struct slice *header = http_header(request, "authorization");
    if (header == NULL || header->len < 7 || strncasecmp(header->data, "bearer ", 7) != 0)
        return false;
    *ret_token = slice_of(header->data + 7, header->len - 7);
    return true;
}

static bool cookie_of(const struct connection *connection, const struct http_request *request, struct slice *ret_token)
{
    const char *name = connection->router->app->cookie;
    return name != NULL && http_cookie_get(request, name, ret_token);
}

/* The token that the request carries, the most explicit first. `decoded` keeps one of the query. */
static bool find_token(const struct connection *connection, const struct http_request *request, struct buf *decoded,
                       struct slice *ret_token)
{
    if (bearer_of(request, ret_token))
        return true;
    if (http_query_get(request->query, "token", decoded)) {
        *ret_token = buf_slice(decoded);
        return true;
    }
    return cookie_of(connection, request, ret_token);
}

static bool verify(const struct router *router, struct slice token, struct buf *ret_claims, int64_t *ret_expires_s)
{
    if (router->keys == NULL)
        return false;
    struct token_policy policy = {router->app->audience, router->app->issuer};
    const char *why = token_verify(router->keys, &policy, token, clock_wall_ms() / 1000, ret_claims, ret_expires_s);
    if (why != NULL)
        log_line(LOG_DEBUG, "token_refused why=\"%s\"", why);
    return why == NULL;
}

static bool is_address_of_loopback(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] != '.' && (name.data[i] < '0' || name.data[i] > '9'))
            return false;
    return name.len > 4 && memcmp(name.data, "127.", 4) == 0;
}

/* Whether the request was made to this machine by a name of its own. A page of elsewhere can make its own name lead
 * here (DNS rebinding), and would pass for ours. */
static bool is_for_loopback(const struct http_request *request)
{
    const struct slice *host = http_header(request, "host");
    if (host == NULL)
        return true;
    bool is_bracketed = host->len > 0 && host->data[0] == '[';
    const char *end = memchr(host->data, is_bracketed ? ']' : ':', host->len);
    struct slice name = {host->data, end == NULL ? host->len : (size_t)(end - host->data) + is_bracketed};
    return slice_eq(name, SLICE("localhost")) || slice_eq(name, SLICE("[::1]")) || is_address_of_loopback(name);
}

static bool is_name(struct slice name)
{
    return name.len > 0 && name.len <= DEV_USER_MAX && memchr(name.data, '\0', name.len) == NULL && utf8_is_valid(name);
}

/* On a developer's machine a name is enough. */
static bool dev_user(const struct connection *connection, const struct http_request *request, struct buf *ret_claims)
{
    struct buf name = {0};
    bool found = connection->router->options.is_dev && connection->is_local && is_for_loopback(request) &&
                 http_query_get(request->query, "user", &name) && is_name(buf_slice(&name));
    if (found) {
        buf_append(&name, "", 1);
        cJSON *claims = cJSON_CreateObject();
        cJSON_AddStringToObject(claims, "sub", name.data);
        char *text = cJSON_PrintUnformatted(claims);
        buf_append_slice(ret_claims, slice_str(text));
        cJSON_free(text);
        cJSON_Delete(claims);
    }
    buf_release(&name);
    return found;
}

bool identity_of(const struct connection *connection, const struct http_request *request, struct buf *ret_claims,
                 int64_t *ret_expires_s)
{
    struct buf decoded = {0};
    struct slice token;
    *ret_expires_s = 0;
    bool known = find_token(connection, request, &decoded, &token)
                     ? verify(connection->router, token, ret_claims, ret_expires_s)
                     : dev_user(connection, request, ret_claims);
    buf_release(&decoded);
    return known;
}

static bool is_own_origin(const struct http_request *request, struct slice origin)
{
    const struct slice *host = http_header(request, "host");
    const char *authority = memmem(origin.data, origin.len, "://", 3);
    if (host == NULL || authority == NULL)
        return false;
    authority += 3;
    return slice_eq(*host, slice_of(authority, (size_t)(origin.data + origin.len - authority)));
}

static bool has_explicit_token(const struct http_request *request)
{
    struct buf ignored = {0};
    struct slice token;
    bool found = bearer_of(request, &token) || http_query_get(request->query, "token", &ignored);
    buf_release(&ignored);
    return found;
}

bool identity_origin_is_allowed(const struct connection *connection, const struct http_request *request)
{
    const struct app *app = connection->router->app;
    const struct slice *origin = http_header(request, "origin");
    if (origin == NULL || is_own_origin(request, *origin))
        return true; /* no browser, or the app's own page */
    for (size_t i = 0; i < app->n_origins; i++)
        if (slice_eq(*origin, slice_str(app->origins[i])))
            return true;
    return app->n_origins == 0 && has_explicit_token(request);
}
