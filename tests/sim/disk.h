/*
 * disk - the simulated disk: what the kernel has, and what would be left if the power went now.
 *
 * A file is pages, each as the kernel has it and as the disk has it; of a page that differs, each sector of 512 bytes
 * is dirty (a sync or chance brings it to the disk) or lost (a sync failed: the kernel takes it for clean). A folder
 * has its entries, and in order what has happened to them since its last sync: a power cut leaves a beginning of that.
 *
 * All return -1 with errno, as the calls of the system do.
 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "tests/sim/world.h"

struct inode;

bool disk_has(const char *path);

/* Whether the scope that the file belongs to has a bad time: whatever is done to it fails. */
bool disk_is_bad(const struct inode *inode);

/* Whether it may fail by itself. An error of a scope's file at a start would be taken for damage that lasts. */
bool disk_may_fail(const struct inode *inode);

struct inode *disk_open(const char *path, int flags);
void disk_unref(struct inode *inode);
ssize_t disk_pread(struct inode *inode, void *to, size_t len, off_t at);
ssize_t disk_pwrite(struct inode *inode, const void *from, size_t len, off_t at);
int disk_truncate(struct inode *inode, off_t len);
int disk_sync(struct inode *inode);
void disk_fstat(const struct inode *inode, struct stat *ret);
bool disk_is_folder(const struct inode *inode);
off_t disk_size(const struct inode *inode);

int disk_stat(const char *path, struct stat *ret);
int disk_unlink(const char *path);
int disk_rename(const char *from, const char *to);
int disk_mkdir(const char *path);

/* The names in a folder, sorted; the caller frees each and the list. */
ssize_t disk_list(const char *path, char ***ret_names);

#endif
