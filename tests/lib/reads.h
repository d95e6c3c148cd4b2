/*
 * reads - lets one read of SQLite's fail, once, as a disk does.
 */
#ifndef TESTS_LIB_READS_H
#define TESTS_LIB_READS_H

#include <stdbool.h>

/* Of the reads of files whose paths hold `name`, the one behind `n` that succeed fails with EIO. */
void reads_fail(const char *name, int n);

/* None fails any more. Whether one has. */
bool reads_mend(void);

#endif
