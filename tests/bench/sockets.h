/*
 * sockets - what the ceilings need of sockets and processes, each ending the program when the kernel refuses.
 */
#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include <stddef.h>
#include <sys/types.h>

/* A TCP socket that listens on loopback, on a port of the kernel's choice. */
int listen_on_loopback(void);

/* Print `ready http://127.0.0.1:PORT/`, for whoever started the program. */
void announce(int listener);

/* Nagle's delay off; returns `fd`. */
int without_delay(int fd);

/* A connection to what `listener` listens on, without Nagle's delay; and its other end. */
int connect_to(int listener);
int accept_from(int listener);

/* All of it, blocking. read_all() is false when the stream ends first. */
void write_all(int fd, const void *bytes, size_t len);
int read_all(int fd, void *bytes, size_t len);

/* Fork a child that runs `body` and exits; it dies with its parent. */
pid_t fork_child(void (*body)(void *arg), void *arg);

/* Fails when the child did. */
void join_child(pid_t child);

#endif
