#include "shards/console/spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"

static char *path_of(const char *data_dir, unsigned shard)
{
    char *path = NULL;
    if (asprintf(&path, "%s/console/%u.db", data_dir, shard) < 0)
        abort();
    return path;
}

/* With what SQLite may have put beside it. */
static void remove_all(const char *path)
{
    static const char *const TAILS[] = {"", "-wal", "-journal"};
    for (size_t i = 0; i < sizeof TAILS / sizeof *TAILS; i++) {
        char *name = NULL;
        if (asprintf(&name, "%s%s", path, TAILS[i]) < 0)
            abort();
        unlink(name);
        free(name);
    }
}

char *spool_begin(const char *data_dir, unsigned shard)
{
    char *dir = NULL;
    if (asprintf(&dir, "%s/console", data_dir) < 0)
        abort();
    enum err err = dir_make(dir);
    free(dir);
    if (err != ERR_OK)
        return NULL;
    spool_clean(data_dir, shard);
    return path_of(data_dir, shard);
}

char *spool_begin_beside(const char *path)
{
    char *dir = dir_of(path), *spool = NULL;
    enum err err = dir_make(dir);
    free(dir);
    if (err != ERR_OK)
        return NULL;
    if (asprintf(&spool, "%s.restore", path) < 0)
        abort();
    remove_all(spool);
    return spool;
}

void spool_end(char *path)
{
    if (path == NULL)
        return;
    remove_all(path);
    free(path);
}

void spool_clean(const char *data_dir, unsigned shard)
{
    spool_end(path_of(data_dir, shard));
}
