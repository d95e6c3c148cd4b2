/*
 * link - the router's HTTP/2 connection to one shard, and the channels on it: a stream per scope.
 *
 * A link that breaks takes its channels with it, and connects again, with back-off, for as long as the router runs.
 *
 * Ownership: links are the router's; a channel is its link's, and ends with its last session.
 */
#ifndef ROUTER_LINK_H
#define ROUTER_LINK_H

#include "base/h2.h"
#include "base/table.h"
#include "proto/envelope.h"
#include "proto/route.h"
#include "src/router/pump.h"

struct link_channel;
struct link;
struct question;
struct client;

/* `on_up` is called whenever the link has connected. */
struct link *link_new(struct loop *loop, const char *run_dir, unsigned shard, void (*on_up)(void *arg), void *arg);
void link_free(struct link *link);
bool link_is_up(const struct link *link);

/* The turn: gives the sessions what has come for many of them. `ring_max`: see pump_run. */
void link_pump(struct link *link, size_t ring_max);

/* The end of the turn: sends what waits, and frees what broke. */
void link_flush(struct link *link);

/* The channel of a scope, opened if need be. NULL if the link is down. */
struct link_channel *link_open_channel(struct link *link, const struct scope_name *name);

/* Adds a session, by its id and node; removes it, and with the last one ends the channel. */
void link_channel_add(struct link_channel *channel, struct client *client);
void link_channel_remove(struct link_channel *channel, struct client *client);

struct pump *link_channel_pump(struct link_channel *channel);

/* Envelopes that are encoded already; one without a payload. */
void link_channel_write(struct link_channel *channel, struct slice envelopes);
void link_channel_send(struct link_channel *channel, enum envelope_type type, uint32_t session);
void link_channel_attach(struct link_channel *channel, uint32_t session, enum dialect dialect, struct slice claims);
void link_channel_send_credit(struct link_channel *channel, uint32_t session, uint32_t bytes);
void link_channel_send_lag(struct link_channel *channel, uint32_t session, uint64_t seq);

/* Asks the shard's process for its metrics. `done` gets them, or an empty text. NULL if the link is down. */
struct question *link_ask_metrics(struct link *link, void (*done)(void *arg, struct slice text), void *arg);

/* Who asked has gone: `done` will not be called. */
void link_forget(struct question *question);

#endif
