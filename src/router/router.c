#include "src/router/router.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "src/router/client.h"
#include "src/router/connection.h"
#include "src/router/link.h"

enum {
    SWEEP_MS = 1000,
    ACCEPTS_A_ROUND = 64,
    ACCEPT_PAUSE_MS = 100,
    CLOSING_MS = 3000, /* for the peer to take our last words */
    DRAIN_MS = 2000,   /* for all of them, when the router stops */
    STOP_LOOK_MS = 10,
};

/* Accepting. */

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return address->ss_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127));
}

static void resume_accepting(void *arg)
{
    struct router *router = arg;
    watch_want(&router->listen, WATCH_READ);
}

/* Without a free descriptor the listening socket would stay ready for ever. */
static void pause_accepting(struct router *router)
{
    log_line(LOG_WARN, "accept_paused why=\"%s\"", strerror(errno));
    metric_add(METRIC_ROUTER_ACCEPT_PAUSES, 1);
    watch_want(&router->listen, 0);
    timer_start(&router->accept_timer, ACCEPT_PAUSE_MS);
}

static void on_listen(void *arg, unsigned ready)
{
    struct router *router = arg;
    (void)ready;
    for (int i = 0; i < ACCEPTS_A_ROUND; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        int fd = accept4(router->options.listen_fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            connection_new(router, fd, is_loopback(&address));
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(router);
        return;
    }
}

static int bind_to(const struct addrinfo *address)
{
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static void name_socket(int fd, struct buf *ret_address)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    getsockname(fd, (struct sockaddr *)&address, &len);
    getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    buf_printf(ret_address, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* getaddrinfo cuts a number down to 16 bits, and takes none for 0. */
static bool is_port(const char *text)
{
    size_t len = strlen(text);
    return len >= 1 && len <= 5 && text[strspn(text, "0123456789")] == '\0' && atoi(text) <= UINT16_MAX;
}

int router_listen(const char *address, struct buf *ret_address, struct problems *problems)
{
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (colon == NULL || !is_port(colon + 1)) {
        problems_add(problems, "--listen %s: no port (0 to 65535); write ADDR:PORT, such as 127.0.0.1:8080", address);
        return -1;
    }
    bool is_bracketed = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
    char *host = mem_dup(is_bracketed ? slice_of(address + 1, (size_t)(colon - address) - 2)
                                      : slice_of(address, (size_t)(colon - address)));
    int failed = getaddrinfo(*host == '\0' ? NULL : host, colon + 1, &hints, &found);
    int fd = failed != 0 ? -1 : bind_to(found);
    if (failed != 0)
        problems_add(problems, "--listen %s: %s; write ADDR:PORT with ADDR in numbers, such as 127.0.0.1:8080", address,
                     gai_strerror(failed));
    else if (fd < 0)
        problems_add(problems, "--listen %s: %s", address, strerror(errno));
    else
        name_socket(fd, ret_address);
    if (failed == 0)
        freeaddrinfo(found);
    free(host);
    return fd;
}

/* Once a second. */

static void sweep_connection(struct connection *connection, int64_t now_ms, int64_t now_s)
{
    bool is_waiting = connection_waiting(connection) > 0;
    int64_t quiet_ms = is_waiting ? 0 : now_ms - connection_alive_ms(connection);
    if (is_waiting && now_ms - connection->progressed_ms > ROUTER_STALLED_MS) {
        metric_add(METRIC_ROUTER_STALLED, 1);
        if (connection->state == CONNECTION_WEBSOCKET)
            client_close(connection->client, WS_CODE_TRY_LATER, "nothing was read");
        else
            connection_kill(connection);
        return;
    }
    switch (connection->state) {
    case CONNECTION_HTTP:
        if (quiet_ms > (connection->in.len > 0 ? ROUTER_HEAD_MS : ROUTER_IDLE_MS))
            connection_kill(connection);
        break;
    case CONNECTION_WEBSOCKET:
        client_sweep(connection->client, now_ms, now_s);
        break;
    case CONNECTION_CLOSING:
        if (quiet_ms > CLOSING_MS)
            connection_kill(connection);
        break;
    case CONNECTION_WAITING: /* it is not read, so that its peer may have gone long ago */
        if (quiet_ms > ROUTER_WAIT_MS)
            connection_kill(connection);
        break;
    case CONNECTION_DEAD:
        break;
    }
}

/* How many sessions are behind, and by how much. */
static void measure(const struct router *router)
{
    uint64_t n = 0, most = 0;
    LIST_FOREACH(link, &router->connections) {
        const struct client *client = LIST_ITEM(link, struct connection, link)->client;
        uint64_t distance = client == NULL ? 0 : client_distance(client);
        n += distance > 0;
        most = distance > most ? distance : most;
    }
    metric_set(METRIC_ROUTER_BEHIND, n);
    metric_set(METRIC_ROUTER_BEHIND_MOST, most);
}

static void sweep(void *arg)
{
    struct router *router = arg;
    int64_t now_ms = clock_mono_us() / 1000, now_s = clock_wall_ms() / 1000;
    LIST_FOREACH_SAFE(link, &router->connections)
        sweep_connection(LIST_ITEM(link, struct connection, link), now_ms, now_s);
    measure(router);
    timer_start(&router->sweep_timer, SWEEP_MS);
}

static void unthrottle(void *arg)
{
    struct router *router = arg;
    struct list waiting;
    list_init(&waiting);
    list_move(&waiting, &router->throttled);
    struct list *link;
    while ((link = list_pop(&waiting)) != NULL) {
        list_append(&router->throttled, link);
        client_try_unthrottle(LIST_ITEM(link, struct client, throttle_link));
    }
    if (!list_is_empty(&router->throttled))
        timer_start(&router->throttle_timer, ROUTER_THROTTLE_MS);
}

/* The turn. */

static void flush_connections(struct router *router)
{
    struct list dirty;
    list_init(&dirty);
    list_move(&dirty, &router->dirty);
    while (!list_is_empty(&dirty))
        connection_flush(LIST_ITEM(dirty.next, struct connection, dirty_link));
}

static void free_dead(struct router *router)
{
    LIST_FOREACH_SAFE(link, &router->dead)
        connection_free(LIST_ITEM(link, struct connection, link));
}

static bool turn(void *arg)
{
    struct router *router = arg;
    for (unsigned i = 0; i < router->options.n_shards; i++)
        link_pump(router->links[i], router->options.ring_max);
    pump_end_turn(&router->written);
    flush_connections(router);
    for (unsigned i = 0; i < router->options.n_shards; i++)
        link_flush(router->links[i]);
    free_dead(router);
    return !list_is_empty(&router->dirty);
}

/* The beginning and the end. */

static void on_link_up(void *arg)
{
    struct router *router = arg;
    for (unsigned i = 0; i < router->options.n_shards; i++)
        if (!link_is_up(router->links[i]))
            return;
    if (router->is_ready)
        return;
    router->is_ready = true;
    log_line(LOG_INFO, "router_ready shards=%u", router->options.n_shards);
    if (router->options.ready_fd < 0)
        return;
    if (write(router->options.ready_fd, "ready\n", 6) != 6)
        log_line(LOG_WARN, "ready_untold why=\"%s\"", strerror(errno));
    close(router->options.ready_fd);
}

/* Until the last socket has closed, or the time is up. */
static void await_sockets(void *arg)
{
    struct router *router = arg;
    if (list_is_empty(&router->connections) || clock_mono_us() > router->stop_us)
        loop_stop(router->loop);
    else
        timer_start(&router->stop_timer, STOP_LOOK_MS);
}

void router_stop(struct router *router)
{
    router->is_stopping = true;
    watch_want(&router->signals, 0); /* one is enough, and unread it would be told again and again */
    router->stop_us = clock_mono_us() + DRAIN_MS * 1000;
    log_line(LOG_INFO, "router_stopping sessions=%llu", (unsigned long long)metric_get(METRIC_ROUTER_SESSIONS));
    watch_want(&router->listen, 0);
    timer_stop(&router->accept_timer);
    LIST_FOREACH_SAFE(link, &router->connections) {
        struct connection *connection = LIST_ITEM(link, struct connection, link);
        if (connection->state == CONNECTION_WEBSOCKET)
            client_close(connection->client, WS_CODE_GOING_AWAY, "the server stops");
        else if (connection->state == CONNECTION_HTTP)
            connection_kill(connection);
    }
    await_sockets(router);
}

static void on_signal(void *arg, unsigned ready)
{
    (void)ready;
    router_stop(arg);
}

static int catch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool load(struct router *router, struct problems *problems)
{
    router->app = app_load(router->options.app_dir, problems);
    if (router->app == NULL)
        return false;
    if (!router->options.is_dev)
        keyset_warn_if_exposed(router->app);
    router->keys = keyset_load_for(router->app, problems);
    return router->keys != NULL || router->app->keys == NULL;
}

static void start(struct router *router)
{
    router->loop = loop_new(turn, router);
    watch_init(&router->listen, router->loop, router->options.listen_fd, on_listen, router);
    timer_init(&router->sweep_timer, router->loop, sweep, router);
    timer_init(&router->throttle_timer, router->loop, unthrottle, router);
    timer_init(&router->accept_timer, router->loop, resume_accepting, router);
    timer_init(&router->stop_timer, router->loop, await_sockets, router);
    router->links = mem_zero(router->options.n_shards, sizeof *router->links);
    for (unsigned i = 0; i < router->options.n_shards; i++)
        router->links[i] = link_new(router->loop, router->options.run_dir, i, on_link_up, router);
    watch_want(&router->listen, WATCH_READ);
    timer_start(&router->sweep_timer, SWEEP_MS);
}

/* Links first: their channels tell connections, which must still be there. */
static void finish(struct router *router)
{
    for (unsigned i = 0; i < router->options.n_shards; i++)
        link_free(router->links[i]);
    free(router->links);
    LIST_FOREACH_SAFE(link, &router->connections)
        connection_kill(LIST_ITEM(link, struct connection, link));
    free_dead(router);
    watch_release(&router->listen);
    struct timer *timers[] = {&router->sweep_timer, &router->throttle_timer, &router->accept_timer,
                              &router->stop_timer};
    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++)
        timer_stop(timers[i]);
    loop_free(router->loop);
}

struct router *router_new(const struct router_options *options, struct problems *problems)
{
    struct router *router = mem_zero(1, sizeof *router);
    router->options = *options;
    if (router->options.window == 0)
        router->options.window = ROUTER_WINDOW;
    if (router->options.ring_max == 0)
        router->options.ring_max = ROUTER_RING_MAX;
    struct list *lists[] = {&router->connections, &router->dirty, &router->dead, &router->throttled};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_init(lists[i]);
    if (load(router, problems)) {
        start(router);
        return router;
    }
    router_free(router);
    return NULL;
}

void router_free(struct router *router)
{
    if (router->loop != NULL)
        finish(router);
    close(router->options.listen_fd);
    written_release(&router->written);
    keyset_free(router->keys);
    app_free(router->app);
    free(router);
}

bool router_run(const struct router_options *options, struct problems *problems)
{
    int signal_fd = catch_signals();
    struct router *router = router_new(options, problems);
    if (router != NULL) {
        watch_init(&router->signals, router->loop, signal_fd, on_signal, router);
        watch_want(&router->signals, WATCH_READ);
        loop_run(router->loop);
        watch_release(&router->signals);
        router_free(router);
    }
    close(signal_fd);
    return router != NULL;
}
