#include "proto/http.h"

#include <stdint.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_token_char(char c)
{
    return is_alpha(c) || is_digit(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_token_char(text.data[i]))
            return false;
    return text.len > 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_same_word(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

static struct slice trim(struct slice text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = slice_of(text.data + 1, text.len - 1);
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Takes what is in front of the first `separator`, which goes too; without one, takes all. */
static struct slice take_until(struct slice *in, char separator)
{
    const char *found = in->len == 0 ? NULL : memchr(in->data, separator, in->len);
    size_t len = found == NULL ? in->len : (size_t)(found - in->data);
    struct slice taken = {in->data, len};
    if (found != NULL)
        len++;
    *in = slice_of(in->data + len, in->len - len);
    return taken;
}

/* Takes one line and its CR LF. A wrong byte is found even before the line has ended. */
static enum http_status take_line(struct slice *in, struct slice *ret_line)
{
    size_t len = 0;
    for (; len < in->len; len++) {
        uint8_t byte = (uint8_t)in->data[len];
        if (byte == '\r')
            break;
        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            return HTTP_BAD;
    }
    if (in->len - len < 2)
        return HTTP_MORE;
    if (in->data[len + 1] != '\n')
        return HTTP_BAD;
    *ret_line = slice_of(in->data, len);
    *in = slice_of(in->data + len + 2, in->len - len - 2);
    return HTTP_DONE;
}

static bool is_target(struct slice target)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.data[i] <= ' ' || target.data[i] > '~' || target.data[i] == '#')
            return false;
    return target.len > 0 && target.data[0] == '/';
}

static bool parse_request_line(struct slice line, struct http_request *request)
{
    request->method = take_until(&line, ' ');
    struct slice target = take_until(&line, ' ');
    if (!is_token(request->method) || !is_target(target))
        return false;
    request->path = take_until(&target, '?');
    request->query = target;
    if (!slice_eq(line, SLICE("HTTP/1.1")) && !slice_eq(line, SLICE("HTTP/1.0")))
        return false;
    request->minor = line.data[line.len - 1] - '0';
    return true;
}

static bool parse_header(struct slice line, struct http_request *request)
{
    if (request->n_headers == HTTP_HEADERS_MAX || memchr(line.data, ':', line.len) == NULL)
        return false;
    struct slice name = take_until(&line, ':');
    if (!is_token(name))
        return false;
    request->headers[request->n_headers++] = (struct http_header){name, trim(line)};
    return true;
}

/* What is not about one line: exactly one Host (HTTP/1.0 may do without), and no body. */
static bool is_acceptable(const struct http_request *request)
{
    size_t n_hosts = 0;
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct http_header *header = &request->headers[i];
        if (is_same_word(header->name, SLICE("Host")))
            n_hosts++;
        else if (is_same_word(header->name, SLICE("Transfer-Encoding")))
            return false;
        else if (is_same_word(header->name, SLICE("Content-Length")) && !slice_eq(header->value, SLICE("0")))
            return false;
    }
    return n_hosts == 1 || (n_hosts == 0 && request->minor == 0);
}

static enum http_status parse_head(struct slice *in, struct http_request *request)
{
    struct slice line;
    enum http_status status = take_line(in, &line);
    if (status != HTTP_DONE)
        return status;
    if (!parse_request_line(line, request))
        return HTTP_BAD;
    request->n_headers = 0;
    while ((status = take_line(in, &line)) == HTTP_DONE) {
        if (line.len == 0)
            return is_acceptable(request) ? HTTP_DONE : HTTP_BAD;
        if (!parse_header(line, request))
            return HTTP_BAD;
    }
    return status;
}

enum http_status http_parse(struct slice in, struct http_request *ret_request)
{
    bool is_full = in.len >= HTTP_HEAD_MAX;
    struct slice rest = {in.data, is_full ? HTTP_HEAD_MAX : in.len};
    enum http_status status = parse_head(&rest, ret_request);
    if (status == HTTP_DONE)
        ret_request->head_len = (size_t)(rest.data - in.data);
    return status == HTTP_MORE && is_full ? HTTP_BAD : status;
}

/* The index of the first header of that name from `from` on, or n_headers. */
static size_t find_header(const struct http_request *request, const char *name, size_t from)
{
    while (from < request->n_headers && !is_same_word(request->headers[from].name, slice_str(name)))
        from++;
    return from;
}

const struct slice *http_header(const struct http_request *request, const char *name)
{
    size_t i = find_header(request, name, 0);
    return i == request->n_headers ? NULL : &request->headers[i].value;
}

bool http_header_has(const struct http_request *request, const char *name, const char *token)
{
    for (size_t i = find_header(request, name, 0); i < request->n_headers; i = find_header(request, name, i + 1)) {
        struct slice list = request->headers[i].value;
        while (list.len > 0)
            if (is_same_word(trim(take_until(&list, ',')), slice_str(token)))
                return true;
    }
    return false;
}

bool http_query_get(struct slice query, const char *name, struct buf *ret_value)
{
    while (query.len > 0) {
        struct slice value = take_until(&query, '&');
        if (slice_eq(take_until(&value, '='), slice_str(name)))
            return http_percent_decode(value, true, ret_value);
    }
    return false;
}

static struct slice unquote(struct slice text)
{
    if (text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"')
        return slice_of(text.data + 1, text.len - 2);
    return text;
}

bool http_cookie_get(const struct http_request *request, const char *name, struct slice *ret_value)
{
    for (size_t i = find_header(request, "Cookie", 0); i < request->n_headers;
         i = find_header(request, "Cookie", i + 1)) {
        struct slice pairs = request->headers[i].value;
        while (pairs.len > 0) {
            struct slice value = take_until(&pairs, ';');
            if (!slice_eq(trim(take_until(&value, '=')), slice_str(name)))
                continue;
            *ret_value = unquote(trim(value));
            return true;
        }
    }
    return false;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_percent_decode(struct slice text, bool plus, struct buf *ret_text)
{
    char *out = buf_reserve(ret_text, text.len);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = text.len - i > 2 ? hex_digit(text.data[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_digit(text.data[i + 2]);
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        *out++ = c;
    }
    ret_text->len = (size_t)(out - ret_text->data);
    return true;
}

void http_percent_encode(struct slice text, struct buf *buf)
{
    static const char HEX[] = "0123456789ABCDEF";
    char *out = buf_reserve(buf, 3 * text.len);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            *out++ = c;
            continue;
        }
        *out++ = '%';
        *out++ = HEX[(uint8_t)c >> 4];
        *out++ = HEX[(uint8_t)c & 15];
    }
    buf->len = (size_t)(out - buf->data);
}
