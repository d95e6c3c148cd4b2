/*
 * net - simulated stream sockets: what is sent arrives later, in order, or the connection breaks.
 *
 * The router listens where the supervisor has bound, for all who connect by IPv4; shards listen at paths.
 * All return -1 with errno, as the calls of the system do.
 */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include <sys/socket.h>

#include "tests/sim/world.h"

struct end; /* of a connection, or what listens or is nothing yet */

struct end *end_new(void);
int end_bind(struct end *end, const struct sockaddr *address);
int end_connect(struct end *end, const struct sockaddr *address);
struct end *end_accept(struct end *end);
ssize_t end_send(struct end *end, const void *data, size_t len);
ssize_t end_recv(struct end *end, void *to, size_t len);
void end_shut(struct end *end); /* nothing more will be sent */
void end_reset(struct end *end);
void end_close(struct end *end);

/* The entry of a socket's path goes. False: there is none. */
bool net_unlink(const char *path);

#endif
