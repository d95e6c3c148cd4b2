#include "tests/sim/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

enum {
    PAGE = 4096,
    SECTOR = 512,
    SECTORS = PAGE / SECTOR,
    NAME_LEN_MAX = 64,
    GROUP_LEN = 32, /* of a scope's files: the hash that their names begin with */
    FULL_US = 3000000,
    BAD_US = 3000000,
};

/* NULL: zeros. `now` and `kept` are one page as long as they are the same. */
struct page {
    unsigned char *now, *kept;
    unsigned dirty; /* a bit for each sector of `now` that a sync would bring to the disk */
};

struct inode {
    unsigned number, n_refs; /* entries, kept entries and descriptors */
    bool is_folder;
    char group[GROUP_LEN + 1]; /* of the scope that it belongs to */

    off_t size, size_kept;
    off_t cut; /* the smallest size since the last sync, if it was cut */
    struct page *pages;
    size_t n_pages;

    struct list entries, kept; /* of struct entry */
    struct list changes;       /* of struct change, since the last sync */
};

struct entry {
    struct list link;
    char name[NAME_LEN_MAX];
    struct inode *inode;
};

/* An entry now leads to `inode`, or is gone. A rename is both, and cannot be parted: one between two folders stands in
 * the changes of both, and what becomes of it in one, it does in the other. */
struct change {
    struct list link;
    struct inode *folder, *old_folder, *inode;
    char name[NAME_LEN_MAX], old_name[NAME_LEN_MAX];
    struct change *twin;
};

static struct {
    struct inode *root;
    unsigned last_number;
    int64_t full_until_us, bad_until_us;
    char bad_group[GROUP_LEN + 1];
} disk;

static int fail(int why)
{
    errno = why;
    return -1;
}

/* Folders. */

static struct inode *inode_new(bool is_folder)
{
    struct inode *inode = mem_zero(1, sizeof *inode);
    inode->number = ++disk.last_number;
    inode->is_folder = is_folder;
    inode->cut = INT64_MAX;
    list_init(&inode->entries);
    list_init(&inode->kept);
    list_init(&inode->changes);
    return inode;
}

static struct inode *ref(struct inode *inode)
{
    inode->n_refs++;
    return inode;
}

static void page_release(struct page *page)
{
    if (page->kept != page->now)
        free(page->kept);
    free(page->now);
    *page = (struct page){0};
}

/* Folders are never removed. */
void disk_unref(struct inode *inode)
{
    if (--inode->n_refs > 0)
        return;
    assert(!inode->is_folder);
    for (size_t i = 0; i < inode->n_pages; i++)
        page_release(&inode->pages[i]);
    free(inode->pages);
    free(inode);
}

static struct entry *find(const struct list *entries, const char *name)
{
    LIST_FOREACH(link, entries)
        if (strcmp(LIST_ITEM(link, struct entry, link)->name, name) == 0)
            return LIST_ITEM(link, struct entry, link);
    return NULL;
}

static void set(struct list *entries, const char *name, struct inode *inode)
{
    struct entry *entry = find(entries, name);
    struct inode *before = entry == NULL ? NULL : entry->inode;
    if (inode != NULL)
        ref(inode);
    if (entry == NULL && inode != NULL) {
        entry = mem_zero(1, sizeof *entry);
        snprintf(entry->name, sizeof entry->name, "%s", name);
        list_append(entries, &entry->link);
    }
    if (inode != NULL) {
        entry->inode = inode;
    } else if (entry != NULL) {
        list_remove(&entry->link);
        free(entry);
    }
    if (before != NULL)
        disk_unref(before);
}

static void apply(const struct change *change)
{
    set(&change->folder->entries, change->name, change->inode);
    if (change->old_folder != NULL)
        set(&change->old_folder->entries, change->old_name, NULL);
}

static void keep(const struct change *change)
{
    set(&change->folder->kept, change->name, change->inode);
    if (change->old_folder != NULL)
        set(&change->old_folder->kept, change->old_name, NULL);
}

/* The name of a scope's file, or of its WAL, begins with the scope's hash. */
static void note_group(struct inode *inode, const char *name)
{
    if (strspn(name, "0123456789abcdef") == GROUP_LEN)
        memcpy(inode->group, name, GROUP_LEN);
}

static struct change *note_change(struct inode *where, const struct change *made)
{
    struct change *copy = mem_zero(1, sizeof *copy);
    *copy = *made;
    if (copy->inode != NULL)
        ref(copy->inode);
    list_append(&where->changes, &copy->link);
    return copy;
}

static void change(struct inode *folder, const char *name, struct inode *inode, struct inode *old_folder,
                   const char *old_name)
{
    struct change made = {.folder = folder, .old_folder = old_folder, .inode = inode};
    snprintf(made.name, sizeof made.name, "%s", name);
    snprintf(made.old_name, sizeof made.old_name, "%s", old_name);
    struct change *noted = note_change(folder, &made);
    if (old_folder != NULL && old_folder != folder) {
        noted->twin = note_change(old_folder, &made);
        noted->twin->twin = noted;
    }
    if (inode != NULL)
        note_group(inode, name);
    apply(&made);
}

static void change_free(struct change *done)
{
    list_remove(&done->link);
    if (done->inode != NULL)
        disk_unref(done->inode);
    free(done);
}

/* Of the changes since the last sync, the first `n` reach the disk; the others never happened. */
static void keep_changes(struct inode *folder, uint32_t n)
{
    while (!list_is_empty(&folder->changes)) {
        struct change *done = LIST_ITEM(folder->changes.next, struct change, link);
        if (n > 0) {
            keep(done);
            n--;
        }
        if (done->twin != NULL)
            change_free(done->twin);
        change_free(done);
    }
}

/* Goes to the folder of `path`; the rest is the entry's name, or empty for the root. NULL: there is no such folder. */
static struct inode *find_folder(const char *path, const char **ret_name)
{
    struct inode *folder = disk.root;
    assert(strncmp(path, "/sim", 4) == 0);
    path += path[4] == '/' ? 5 : 4;
    const char *slash;
    while (folder != NULL && (slash = strchr(path, '/')) != NULL) {
        char name[NAME_LEN_MAX];
        snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
        const struct entry *entry = find(&folder->entries, name);
        folder = entry != NULL && entry->inode->is_folder ? entry->inode : NULL;
        path = slash + 1;
    }
    assert(strlen(path) < NAME_LEN_MAX);
    *ret_name = path;
    return folder;
}

static struct inode *lookup(const char *path)
{
    const char *name;
    struct inode *folder = find_folder(path, &name);
    if (folder == NULL || *name == '\0')
        return folder;
    const struct entry *entry = find(&folder->entries, name);
    return entry == NULL ? NULL : entry->inode;
}

bool disk_has(const char *path)
{
    return lookup(path) != NULL;
}

/* Trouble. */

static bool is_full(void)
{
    if (world.current != STORY && world.now_us >= disk.full_until_us && fault(SIM_DISK_FULL))
        disk.full_until_us = world.now_us + random_between(1000, FULL_US);
    return world.current != STORY && world.now_us < disk.full_until_us;
}

bool disk_may_fail(const struct inode *inode)
{
    (void)inode;
    return world.current != STORY;
}

bool disk_is_bad(const struct inode *inode)
{
    if (inode->group[0] == '\0' || !disk_may_fail(inode))
        return false;
    if (world.now_us >= disk.bad_until_us && fault(SIM_BAD_FILE)) {
        disk.bad_until_us = world.now_us + random_between(1000, BAD_US);
        memcpy(disk.bad_group, inode->group, GROUP_LEN);
    }
    return world.now_us < disk.bad_until_us && memcmp(disk.bad_group, inode->group, GROUP_LEN) == 0;
}

void disk_calm(void)
{
    disk.full_until_us = disk.bad_until_us = 0;
}

/* Files. */

struct inode *disk_open(const char *path, int flags)
{
    const char *name;
    struct inode *folder = find_folder(path, &name), *inode = lookup(path);
    if (folder == NULL || (inode == NULL && (flags & O_CREAT) == 0)) {
        errno = ENOENT;
        return NULL;
    }
    if (inode != NULL && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        errno = EEXIST;
        return NULL;
    }
    if (inode == NULL) {
        if (is_full()) {
            errno = ENOSPC;
            return NULL;
        }
        inode = inode_new(false);
        change(folder, name, inode, NULL, "");
    }
    if ((flags & O_TRUNC) != 0)
        disk_truncate(inode, 0);
    return ref(inode);
}

static struct page *page_at(struct inode *inode, off_t at)
{
    size_t i = (size_t)(at / PAGE);
    return i < inode->n_pages ? &inode->pages[i] : NULL;
}

ssize_t disk_pread(struct inode *inode, void *to, size_t len, off_t at)
{
    if (at >= inode->size)
        return 0;
    if ((off_t)len > inode->size - at)
        len = (size_t)(inode->size - at);
    for (size_t done = 0; done < len;) {
        const struct page *page = page_at(inode, at + (off_t)done);
        size_t start = (size_t)(at + (off_t)done) % PAGE, n = len - done < PAGE - start ? len - done : PAGE - start;
        if (page == NULL || page->now == NULL)
            memset((char *)to + done, 0, n);
        else
            memcpy((char *)to + done, page->now + start, n);
        done += n;
    }
    return (ssize_t)len;
}

static bool is_zero(const char *data, size_t len)
{
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static unsigned char *page_copy(const unsigned char *page)
{
    unsigned char *copy = mem_alloc(PAGE);
    if (page == NULL)
        memset(copy, 0, PAGE);
    else
        memcpy(copy, page, PAGE);
    return copy;
}

/* Brings these sectors to the disk. */
static void keep_sectors(struct page *page, unsigned sectors)
{
    if (page->now == page->kept || sectors == 0)
        return;
    if (page->kept == NULL)
        page->kept = page_copy(NULL);
    for (unsigned i = 0; i < SECTORS; i++)
        if ((sectors & 1u << i) != 0)
            memcpy(page->kept + i * SECTOR, page->now + i * SECTOR, SECTOR);
}

/* What a sector held before it is written once more may have reached the disk, as any dirty sector may at any time. */
static void write_page(struct page *page, size_t start, const char *data, size_t len)
{
    unsigned sectors = 0;
    if (page->now == page->kept)
        page->now = page_copy(page->kept);
    for (size_t i = start / SECTOR; i <= (start + len - 1) / SECTOR; i++)
        sectors |= 1u << i;
    if ((page->dirty & sectors) != 0)
        keep_sectors(page, page->dirty & sectors & random_below(1u << SECTORS));
    page->dirty |= sectors;
    memcpy(page->now + start, data, len);
}

static void write_pages(struct inode *inode, const char *from, size_t len, off_t at)
{
    size_t n_pages = (size_t)((at + (off_t)len + PAGE - 1) / PAGE);
    if (n_pages > inode->n_pages) {
        inode->pages = mem_resize(inode->pages, n_pages * sizeof *inode->pages);
        memset(inode->pages + inode->n_pages, 0, (n_pages - inode->n_pages) * sizeof *inode->pages);
        inode->n_pages = n_pages;
    }
    for (size_t done = 0; done < len;) {
        struct page *page = page_at(inode, at + (off_t)done);
        size_t start = (size_t)(at + (off_t)done) % PAGE, n = len - done < PAGE - start ? len - done : PAGE - start;
        if (page->now != NULL || page->kept != NULL || !is_zero(from + done, n))
            write_page(page, start, from + done, n);
        done += n;
    }
}

ssize_t disk_pwrite(struct inode *inode, const void *from, size_t len, off_t at)
{
    if (len == 0)
        return 0;
    if (at + (off_t)len > inode->size && is_full()) {
        if (at >= inode->size)
            return fail(ENOSPC);
        len = (size_t)(inode->size - at);
    }
    write_pages(inode, from, len, at);
    if (at + (off_t)len > inode->size)
        inode->size = at + (off_t)len;
    return (ssize_t)len;
}

/* What is beyond the end of a file is zero, should it grow again; the disk still has it. */
static void clear_behind(struct inode *inode, off_t len)
{
    for (size_t i = (size_t)(len / PAGE); i < inode->n_pages; i++) {
        struct page *page = &inode->pages[i];
        size_t start = i == (size_t)(len / PAGE) ? (size_t)(len % PAGE) : 0;
        if (page->now == NULL)
            continue;
        if (page->now == page->kept)
            page->now = page_copy(page->kept);
        memset(page->now + start, 0, PAGE - start);
        for (size_t sector = start / SECTOR; sector < SECTORS; sector++)
            page->dirty |= 1u << sector;
    }
}

int disk_truncate(struct inode *inode, off_t len)
{
    if (len < inode->size) {
        clear_behind(inode, len);
        inode->cut = len < inode->cut ? len : inode->cut;
    }
    inode->size = len;
    return 0;
}

/* Nothing differs any more. */
static void page_settle(struct page *page)
{
    if (page->now != page->kept)
        free(page->kept);
    page->kept = page->now;
    page->dirty = 0;
}

/* Only the sectors that are dirty: those that an earlier sync lost stay lost. */
static void page_sync(struct page *page)
{
    if (page->now == page->kept)
        return;
    keep_sectors(page, page->dirty);
    page->dirty = 0;
    if (page->kept != NULL && memcmp(page->now, page->kept, PAGE) == 0)
        page_settle(page);
}

static void file_sync(struct inode *inode)
{
    for (size_t i = 0; i < inode->n_pages; i++)
        page_sync(&inode->pages[i]);
    inode->size_kept = inode->size;
    inode->cut = INT64_MAX;
}

/* Some of what was dirty has reached the disk; the kernel takes the rest for clean, and nothing will write it. */
static void file_lose(struct inode *inode)
{
    for (size_t i = 0; i < inode->n_pages; i++) {
        keep_sectors(&inode->pages[i], inode->pages[i].dirty & random_below(1u << SECTORS));
        inode->pages[i].dirty = 0;
    }
}

int disk_sync(struct inode *inode)
{
    if (disk_may_fail(inode) && fault(SIM_SYNC_FAILS)) {
        if (!inode->is_folder)
            file_lose(inode);
        return fail(EIO);
    }
    if (inode->is_folder)
        keep_changes(inode, UINT32_MAX);
    else
        file_sync(inode);
    return 0;
}

void disk_fstat(const struct inode *inode, struct stat *ret)
{
    *ret =
        (struct stat){.st_dev = 1000 + process_starts(SIM_WORKER), /* nothing in a process outlives it: see calls.c */
                      .st_ino = inode->number,
                      .st_nlink = 1,
                      .st_mode = inode->is_folder ? S_IFDIR | 0700 : S_IFREG | 0600,
                      .st_size = inode->size,
                      .st_blksize = PAGE};
}

bool disk_is_folder(const struct inode *inode)
{
    return inode->is_folder;
}

off_t disk_size(const struct inode *inode)
{
    return inode->size;
}

/* By path. */

int disk_stat(const char *path, struct stat *ret)
{
    const struct inode *inode = lookup(path);
    if (inode == NULL)
        return fail(ENOENT);
    disk_fstat(inode, ret);
    return 0;
}

int disk_unlink(const char *path)
{
    const char *name;
    struct inode *folder = find_folder(path, &name);
    const struct entry *entry = folder == NULL ? NULL : find(&folder->entries, name);
    if (entry == NULL || entry->inode->is_folder)
        return fail(entry == NULL ? ENOENT : EISDIR);
    change(folder, name, NULL, NULL, "");
    return 0;
}

int disk_rename(const char *from, const char *to)
{
    const char *name, *old_name;
    struct inode *folder = find_folder(to, &name), *old_folder = find_folder(from, &old_name);
    const struct entry *entry = old_folder == NULL ? NULL : find(&old_folder->entries, old_name);
    if (folder == NULL || entry == NULL)
        return fail(ENOENT);
    assert(!entry->inode->is_folder);
    change(folder, name, entry->inode, old_folder, old_name);
    return 0;
}

int disk_mkdir(const char *path)
{
    const char *name;
    struct inode *folder = find_folder(path, &name);
    if (folder == NULL)
        return fail(ENOENT);
    if (find(&folder->entries, name) != NULL)
        return fail(EEXIST);
    if (is_full())
        return fail(ENOSPC);
    change(folder, name, inode_new(true), NULL, "");
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

ssize_t disk_list(const char *path, char ***ret_names)
{
    const struct inode *folder = lookup(path);
    ssize_t n = 0;
    if (folder == NULL || !folder->is_folder)
        return fail(folder == NULL ? ENOENT : ENOTDIR);
    *ret_names = NULL;
    LIST_FOREACH(link, &folder->entries) {
        *ret_names = mem_resize(*ret_names, ((size_t)n + 1) * sizeof **ret_names);
        (*ret_names)[n++] = mem_dup(slice_str(LIST_ITEM(link, struct entry, link)->name));
    }
    if (n > 0)
        qsort(*ret_names, (size_t)n, sizeof **ret_names, by_name);
    return n;
}

/* The power goes. */

/* A file whose cut did not reach the disk is as it was; of one whose cut did, nothing is left behind it. */
static void file_cut(struct inode *inode)
{
    bool is_undone = inode->cut != INT64_MAX && random_below(2) == 0;
    bool is_cut = inode->cut != INT64_MAX && !is_undone;
    for (size_t i = 0; i < inode->n_pages; i++) {
        struct page *page = &inode->pages[i];
        if (page->now == page->kept)
            continue;
        if (is_cut && (off_t)(i * PAGE) >= inode->cut) {
            free(page->kept);
            page->kept = page_copy(NULL);
        }
        if (!is_undone)
            keep_sectors(page, page->dirty & random_below(1u << SECTORS));
        if (page->kept == NULL)
            page->kept = page_copy(NULL);
        free(page->now);
        page->now = page->kept;
        page->dirty = 0;
    }
    if (!is_undone && (is_cut || random_below(2) == 0))
        inode->size_kept = inode->size;
    inode->size = inode->size_kept;
    inode->cut = INT64_MAX;
    clear_behind(inode, inode->size);
    file_sync(inode);
}

static uint32_t list_len(const struct list *list)
{
    uint32_t n = 0;
    LIST_FOREACH(link, list)
        n++;
    return n;
}

static void folder_keep(struct inode *folder)
{
    keep_changes(folder, random_below(list_len(&folder->changes) + 1));
    LIST_FOREACH(link, &folder->kept)
        if (LIST_ITEM(link, struct entry, link)->inode->is_folder)
            folder_keep(LIST_ITEM(link, struct entry, link)->inode);
}

/* What is on no disk any more is left alone. */
static void folder_cut(struct inode *folder)
{
    list_init(&folder->entries);
    LIST_FOREACH(link, &folder->kept) {
        const struct entry *entry = LIST_ITEM(link, struct entry, link);
        if (entry->inode->is_folder)
            folder_cut(entry->inode);
        else
            file_cut(entry->inode);
        set(&folder->entries, entry->name, entry->inode);
    }
}

void disk_cut(void)
{
    folder_keep(disk.root);
    folder_cut(disk.root);
    disk_calm();
}

void disk_begin(void)
{
    disk.root = ref(inode_new(true));
}
