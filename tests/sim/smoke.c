/*
 * smoke - the shortest story: a few clients write to one scope over whatever goes wrong, and in the end all is there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "proto/mp.h"
#include "proto/websocket.h"
#include "tests/sim/sim.h"
#include "tests/sim/world.h"

enum { GUESTS = 3, WRITES = 100, AGAIN_MS = 200 };

struct guest {
    unsigned number, n_answered, sent;
    int fd; /* -1: none */
    bool is_open;
    struct watch watch;
    struct timer again;
    struct buf in;
};

static struct loop *loop;
static struct guest guests[GUESTS];

static void fall(struct guest *guest)
{
    watch_release(&guest->watch);
    close(guest->fd);
    guest->fd = -1;
    guest->is_open = false;
    guest->in.len = 0;
    timer_start(&guest->again, AGAIN_MS);
}

static void put(struct buf *frame, const char *key, const char *value)
{
    mp_write_str(frame, slice_str(key));
    mp_write_str(frame, slice_str(value));
}

/* A whole message, masked with zeros. */
static void send_message(struct guest *guest, struct slice message)
{
    struct buf out = {0};
    unsigned char head[8] = {0x82, 0x80 | (unsigned char)message.len, 0, 0, 0, 0};
    buf_append(&out, head, 6);
    buf_append_slice(&out, message);
    if (send(guest->fd, out.data, out.len, MSG_NOSIGNAL) != (ssize_t)out.len)
        fall(guest);
    buf_release(&out);
}

static void write_next(struct guest *guest)
{
    struct buf frame = {0};
    char tx[32], id[32];
    if (guest->n_answered == WRITES)
        return;
    snprintf(tx, sizeof tx, "t%u-%u", guest->number, guest->n_answered);
    snprintf(id, sizeof id, "i%u-%u", guest->number, guest->n_answered);
    mp_write_map(&frame, 4);
    put(&frame, "t", "mut");
    put(&frame, "txId", tx);
    put(&frame, "collection", "lists");
    mp_write_str(&frame, SLICE("ops"));
    mp_write_array(&frame, 1);
    mp_write_map(&frame, 3);
    put(&frame, "type", "insert");
    put(&frame, "key", id);
    mp_write_str(&frame, SLICE("cols"));
    mp_write_map(&frame, 1);
    put(&frame, "title", "smoke");
    send_message(guest, buf_slice(&frame));
    buf_release(&frame);
}

static void on_bytes(struct guest *guest)
{
    while (guest->in.len > 0) {
        if (!guest->is_open) {
            char *end = memmem(guest->in.data, guest->in.len, "\r\n\r\n", 4);
            if (end == NULL)
                return;
            bool is_upgraded = memcmp(guest->in.data, "HTTP/1.1 101", 12) == 0;
            buf_consume(&guest->in, (size_t)(end - guest->in.data) + 4);
            if (!is_upgraded) {
                fall(guest);
                return;
            }
            guest->is_open = true;
            write_next(guest);
            continue;
        }
        size_t len = guest->in.len < 2 ? 0 : (unsigned char)guest->in.data[1];
        if (len >= 126)
            sim_fail("a long message");
        if (guest->in.len < 2 || guest->in.len < len + 2)
            return;
        bool is_binary = (unsigned char)guest->in.data[0] == 0x82;
        bool is_committed = memmem(guest->in.data, len + 2, "committed", 9) != NULL;
        bool is_rejected = memmem(guest->in.data, len + 2, "rejected", 8) != NULL;
        if (is_rejected)
            sim_fail("rejected: %.*s", (int)len, guest->in.data + 2);
        buf_consume(&guest->in, len + 2);
        if (!is_binary) {
            fall(guest);
            return;
        }
        if (is_committed) {
            guest->n_answered++;
            sim_tally(SIM_OPERATIONS, 1);
            write_next(guest);
        }
        if (guest->fd < 0)
            return;
    }
}

static void on_ready(void *arg, unsigned ready)
{
    struct guest *guest = arg;
    (void)ready;
    ssize_t n = recv(guest->fd, buf_reserve(&guest->in, 4096), 4096, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        fall(guest);
        return;
    }
    guest->in.len += (size_t)n;
    on_bytes(guest);
}

static void come(void *arg)
{
    struct guest *guest = arg;
    char head[512];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)};
    int len = snprintf(head, sizeof head,
                       "GET /v1/sim/room/smoke/sync?user=g%u HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                       guest->number);
    guest->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    watch_init(&guest->watch, loop, guest->fd, on_ready, guest);
    if (connect(guest->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        send(guest->fd, head, (size_t)len, MSG_NOSIGNAL) != len) {
        fall(guest);
        return;
    }
    watch_want(&guest->watch, WATCH_READ);
}

static bool no_turn(void *arg)
{
    (void)arg;
    return false;
}

static bool is_done(void *arg)
{
    (void)arg;
    for (int i = 0; i < GUESTS; i++)
        if (guests[i].n_answered < WRITES)
            return false;
    return true;
}

void story_prepare(void)
{
    sim_load_app(getenv("SIM_APP"));
}

static void check_file(void)
{
    sqlite3_stmt *count;
    sqlite3 *db = sim_open_scope("sim/room/smoke");
    if (db == NULL)
        sim_fail("there is no file");
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM lists", -1, &count, NULL) != SQLITE_OK ||
        sqlite3_step(count) != SQLITE_ROW)
        sim_fail("%s", sqlite3_errmsg(db));
    int n = sqlite3_column_int(count, 0);
    sqlite3_finalize(count);
    sqlite3_close(db);
    if (n != GUESTS * WRITES)
        sim_fail("%d rows, not %d", n, GUESTS * WRITES);
    sim_tally(SIM_CHECKS, 1);
}

void story_play(uint64_t seed)
{
    struct sim_options options = {.seed = seed, .app_dir = getenv("SIM_APP"), .n_shards = 2};
    memcpy(options.weights, SIM_WEIGHTS, sizeof options.weights);
    sim_begin(&options);
    loop = loop_new(no_turn, NULL);
    for (unsigned i = 0; i < GUESTS; i++) {
        guests[i] = (struct guest){.number = i, .fd = -1};
        timer_init(&guests[i].again, loop, come, &guests[i]);
        timer_start(&guests[i].again, 0);
    }
    if (!sim_run(is_done, NULL, 60000000)) {
        sim_calm();
        if (!sim_run(is_done, NULL, 60000000))
            sim_fail("not all is answered");
    }
    if (!sim_quiet(100000, 60000000))
        sim_fail("there is no quiet");
    sim_stop();
    check_file();
    sim_start();
    sim_stop();
    check_file();
}
