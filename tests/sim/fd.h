/*
 * fd - simulated descriptors: numbers that no real one has, and whose they are.
 */
#ifndef TESTS_SIM_FD_H
#define TESTS_SIM_FD_H

#include "tests/sim/disk.h"
#include "tests/sim/net.h"

enum fd_type { FD_FREE, FD_FILE, FD_RANDOM, FD_SOCKET };

struct fd {
    enum fd_type type;
    unsigned owner;
    struct inode *inode; /* FD_FILE */
    off_t at;
    struct end *end; /* FD_SOCKET */
};

/* NULL: the descriptor is a real one, or none. */
struct fd *fd_get(int fd);

/* The current process's. */
int fd_new(enum fd_type type);
void fd_close(int fd);

#endif
