/*
 * client - connections to one server, on one epoll loop, each with one session.
 *
 * What arrives is decoded and checked by `session` before the workload sees it; a connection that the server
 * refuses or closes, and a frame that breaks the contract, end the program with a message that names both.
 *
 * Single-threaded. The workload owns each client from client_open() to client_close().
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/frame.h"
#include "tests/bench/session.h"

struct client;

/* A frame that concerns the client's session, after the session took it. `now` is when its bytes were read. */
typedef void client_frame_cb(struct client *client, const struct frame *frame, uint64_t now);

/* The upgrade was answered: the session may speak. */
typedef void client_open_cb(struct client *client);

struct target {
    char host[256]; /* as in the URL, for the Host header */
    char path[4096];
    struct sockaddr_in address;
};

struct net {
    int epoll;
    struct target target;
    client_open_cb *on_open;
    client_frame_cb *on_frame;
    size_t read_max;     /* of one client's bytes in one net_poll(); may be set before the first client */
    int receive_buffer;  /* of a client's socket, likewise; 0 is the kernel's own choice */
    struct buffer inbox; /* one for all clients: between reads a client keeps only a message's torn beginning */
    uint64_t n_frames;   /* decoded so far: what tells progress from silence */
    long n_clients;      /* opened and not closed */
    long n_live;         /* of those, with a live subscription */
    int poll_ms, batch;  /* net_run() waits so long at a time, and handles so many events; may be set */
};

struct client {
    struct net *net;
    void *owner; /* the workload's */
    int number;
    const char *scope;
    int fd;
    uint64_t asked_ns; /* when the upgrade was asked for */
    enum { CLIENT_CONNECTING, CLIENT_UPGRADING, CLIENT_OPEN } state;
    bool is_writing; /* the kernel's buffer is full: EPOLLOUT is armed */
    struct buffer torn, out, scratch;
    struct session session;
};

/* `url` is ws://HOST:PORT/PATH with `{scope}` in PATH. */
void net_init(struct net *net, const char *url, client_open_cb *on_open, client_frame_cb *on_frame);
void net_release(struct net *net);

/* Wait up to `timeout_ms` for events and handle a batch of them. */
void net_poll(struct net *net, int timeout_ms);

/* Handle events until `is_done`; fails when no frame came for 10 s, saying what was waited for. */
void net_run(struct net *net, bool (*is_done)(void *arg), void *arg, const char *what);

/* Before one more client_open(): wait while too many clients are neither refused nor live yet. */
void net_admit(struct net *net);

/* Wait until every client has a live subscription. */
void net_settle(struct net *net);

/* Connect to `scope` (borrowed). The client stays where it is until client_close(). */
void client_open(struct client *client, struct net *net, int number, const char *scope, void *owner);
void client_close(struct client *client);

/* A frame is encoded into what client_begin() returns and queued by client_end(); client_flush() sends. */
struct buffer *client_begin(struct client *client);
void client_end(struct client *client);
void client_flush(struct client *client);

/* Subscribe the session to all of `collection`; the other to what changed in it after `since`, and from then on. */
void client_subscribe(struct client *client, const char *sub, const char *collection);
void client_resume(struct client *client, const char *sub, const char *collection, uint64_t since);
void client_unsubscribe(struct client *client);

/* End the program: what is wrong, on which connection, with which frame. */
_Noreturn void client_fail(const struct client *client, const char *why);
_Noreturn void client_refuse(const struct client *client, const struct frame *frame, const char *why);

#endif
