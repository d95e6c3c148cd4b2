#include "tests/lib/folder.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void folder_make(struct folder *folder)
{
    snprintf(folder->path, sizeof folder->path, "/tmp/skerry-test-XXXXXX");
    char *made = mkdtemp(folder->path);
    assert(made != NULL);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void folder_remove(struct folder *folder)
{
    int failed = nftw(folder->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    assert(failed == 0);
}

struct folder_path folder_at(const struct folder *folder, const char *name)
{
    struct folder_path path;
    int len = snprintf(path.text, sizeof path.text, "%s/%s", folder->path, name);
    assert(len > 0 && (size_t)len < sizeof path.text);
    return path;
}

void folder_write(const struct folder *folder, const char *name, struct slice bytes)
{
    struct folder_path path = folder_at(folder, name);
    char *slash = strrchr(path.text, '/');
    *slash = '\0';
    mkdir(path.text, 0700);
    *slash = '/';
    FILE *file = fopen(path.text, "w");
    assert(file != NULL);
    size_t written = fwrite(bytes.data, 1, bytes.len, file);
    int failed = fclose(file);
    assert(written == bytes.len && failed == 0);
}

void folder_delete(const struct folder *folder, const char *name)
{
    int failed = unlink(folder_at(folder, name).text);
    assert(failed == 0);
}
