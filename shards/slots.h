/*
 * slots - who owns which scopes on this machine: byte n of `DATA/slots.lock` is slot n.
 *
 * A shard holds a lock on its bytes through a descriptor of its own (an open-file-description lock), so the operating
 * system frees them when the process dies, however it dies.
 */
#ifndef SHARDS_SLOTS_H
#define SHARDS_SLOTS_H

#include "base/problems.h"

/* Locks the slots [first, end) until the descriptor is closed. Waits some seconds for an owner that is dying.
 * -1, with a problem added, if another process has one of them. */
int slots_lock(const char *data_dir, unsigned first, unsigned end, struct problems *problems);

#endif
