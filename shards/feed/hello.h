/*
 * hello - the first frame of an extended session: where its scope stands, and what it may ask of the server.
 *
 * It tells the head, so it waits at the gate like all that reveals state.
 */
#ifndef SHARDS_FEED_HELLO_H
#define SHARDS_FEED_HELLO_H

#include "shards/feed/session.h"

void hello_write(struct buf *buf, const struct session *session, const struct feed *feed);

#endif
