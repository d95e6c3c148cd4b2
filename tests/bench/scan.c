#include "tests/bench/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/fail.h"
#include "tests/bench/options.h"
#include "tests/bench/sockets.h"

struct scan {
    const char *dir;
    long rows;
    int listener;
    int link[2]; /* router, worker */
};

void scan_h2_start(nghttp2_session *session)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, SCAN_WINDOW},
                                               {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, SCAN_PIECE}};
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2) ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, SCAN_WINDOW)) {
        fail("cannot start h2");
    }
}

bool scan_h2_read(nghttp2_session *session, int fd)
{
    static uint8_t bytes[256 << 10];
    ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
    if (got < 0) {
        fail_errno("recv");
    }
    ssize_t used = nghttp2_session_mem_recv(session, bytes, (size_t)got);
    if (used != got) {
        fail("h2: %s", nghttp2_strerror((int)used));
    }
    return got > 0;
}

void scan_h2_write(nghttp2_session *session, int fd)
{
    for (;;) {
        const uint8_t *bytes = NULL;
        ssize_t len = nghttp2_session_mem_send(session, &bytes);
        if (len < 0) {
            fail("h2: %s", nghttp2_strerror((int)len));
        }
        if (len == 0) {
            return;
        }
        write_all(fd, bytes, (size_t)len);
    }
}

static void worker(void *arg)
{
    const struct scan *scan = arg;
    close(scan->link[0]);
    close(scan->listener);
    scan_worker(scan->link[1], scan->dir, scan->rows);
}

int main(int argc, char **argv)
{
    struct scan scan = {.rows = 20000};
    const struct option_text texts[] = {{"dir", &scan.dir, "a folder on a real disk"}, {0}};
    const struct option_number numbers[] = {{"rows", &scan.rows, 1, 1000000, "rows of the table"}, {0}};
    fail_as("scan");
    options_parse(&(struct options){"scan --dir DIR [--rows N]; it serves until it is ended", numbers, texts}, argc,
                  argv);
    scan.listener = listen_on_loopback();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, scan.link)) {
        fail_errno("socketpair");
    }
    fork_child(worker, &scan);
    close(scan.link[1]);
    announce(scan.listener);
    scan_router(scan.link[0], scan.listener);
    return EXIT_SUCCESS;
}
