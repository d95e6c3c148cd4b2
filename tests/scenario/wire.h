/*
 * wire - the bytes between a client and the server. This one is a TCP socket on the loopback; everything above it
 * knows only these functions, so that a story can later be played over something else.
 */
#ifndef SCENARIO_WIRE_H
#define SCENARIO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct wire;

/* NULL if nobody listens. A narrow wire buffers little, so that a reader who pauses is soon felt. */
struct wire *wire_connect(uint16_t port, bool narrow);
void wire_close(struct wire *wire);

/* Writes all of it. False if the other side has closed, or does not read until the deadline. */
bool wire_write(struct wire *wire, struct slice bytes, int64_t deadline_us);

enum wire_status { WIRE_BYTES, WIRE_CLOSED, WIRE_LATE };

/* Appends what is there, waiting for some. */
enum wire_status wire_read(struct wire *wire, struct buf *to, int64_t deadline_us);

#endif
