/*
 * server - the `skerry` under test: started for one story, stopped, killed in parts, started again on its data.
 *
 * The program is $SKERRY_BIN, or ./skerry. Its standard error goes to a file in its folder, which is printed when the
 * story fails.
 */
#ifndef SCENARIO_SERVER_H
#define SCENARIO_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct play;

struct server {
    char folder[32]; /* temporary: data/, log, and the app in a folder of its name */
    char *app;       /* that folder; NULL: no server yet */
    uint16_t port;
    bool has_small_disk; /* data/ is a file system of its own */
    pid_t pid;           /* of the supervisor; 0 while it does not run */
    pid_t group;         /* of the last start: what outlived its supervisor is in it */
    int out;             /* its standard output, while it runs */
};

/* The first start of a story: a fresh folder, a free port, a copy of the app, which lies in examples/ or
 * scenario/apps/. With a small disk, its data is where server_disk can fill it. */
void server_serve(struct play *play, const char *name, bool has_small_disk);

/* Fills the disk that its data is on, or gives the space back. */
void server_disk(struct play *play, bool full);

/* Starts the server and waits for its ready line. */
void server_start(struct play *play);

/* SIGTERM: it must leave with status 0, and its children before it. */
void server_stop(struct play *play);

/* kill -9 of the child that plays `role`, or of the supervisor: its children must follow it. */
void server_kill(struct play *play, const char *role);

/* Replaces the first `old` in a file of the app. */
void server_edit(struct play *play, const char *file, const char *old, const char *new);

/* Waits until the log holds `word`. */
void server_await_log(struct play *play, const char *word);

/* Starts a second server on the same `data`, or on the same `port`: it must fail, with one line that says why. */
void server_rival(struct play *play, const char *shared);

/* What `skerry token --app APP ARGS...` prints; the caller frees it. */
char *server_token(struct play *play, const char *const *args, size_t n);

/* Ends what still runs and removes the folder. With `show_log`, prints the server's log as comments. */
void server_release(struct server *server, bool show_log);

#endif
