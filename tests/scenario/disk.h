/*
 * disk - a folder on a small file system of its own, which a story can fill to the last byte and empty again.
 *
 * It is a tmpfs in a mount namespace of the player, so nobody needs to be root, and nothing stays mounted.
 */
#ifndef SCENARIO_DISK_H
#define SCENARIO_DISK_H

#include <stdbool.h>

/* Makes the folder and mounts the file system there. False, with errno, if the system does not allow that. */
bool disk_mount(const char *folder);
void disk_unmount(const char *folder);

/* Takes all the space that is left; gives it back. False, with errno. */
bool disk_fill(const char *folder);
bool disk_free(const char *folder);

#endif
