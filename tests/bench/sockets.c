#include "tests/bench/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/fail.h"

int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1024)) {
        fail_errno("cannot listen on loopback");
    }
    return listener;
}

void announce(int listener)
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof(address);
    if (getsockname(listener, (struct sockaddr *)&address, &len)) {
        fail_errno("getsockname");
    }
    printf("ready http://127.0.0.1:%u/\n", ntohs(address.sin_port));
    fflush(stdout);
}

int without_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

int connect_to(int listener)
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || getsockname(listener, (struct sockaddr *)&address, &len) ||
        connect(fd, (struct sockaddr *)&address, len)) {
        fail_errno("cannot connect on loopback");
    }
    return without_delay(fd);
}

int accept_from(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        fail_errno("accept");
    }
    return without_delay(fd);
}

void write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t written = send(fd, at, len, MSG_NOSIGNAL);
        if (written < 0 && errno != EINTR) {
            fail_errno("send");
        }
        at += written > 0 ? written : 0;
        len -= written > 0 ? (size_t)written : 0;
    }
}

int read_all(int fd, void *bytes, size_t len)
{
    char *at = bytes;
    while (len > 0) {
        ssize_t got = recv(fd, at, len, 0);
        if (got == 0 || (got < 0 && errno == ECONNRESET)) {
            return 0;
        }
        if (got < 0 && errno != EINTR) {
            fail_errno("recv");
        }
        at += got > 0 ? got : 0;
        len -= got > 0 ? (size_t)got : 0;
    }
    return 1;
}

pid_t fork_child(void (*body)(void *arg), void *arg)
{
    pid_t parent = getpid(), child = fork();
    if (child < 0) {
        fail_errno("fork");
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) { /* it died before prctl() */
            exit(EXIT_FAILURE);
        }
        body(arg);
        exit(EXIT_SUCCESS);
    }
    return child;
}

void join_child(pid_t child)
{
    int status = 0;
    if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
        fail("process %d failed", (int)child);
    }
}
