#include "src/control/app_watch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/table.h"

enum { LOOK_MS = 500 };

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Names, sizes and times of the files in a folder, and in those below it (the migrations). */
static uint64_t look(const char *dir, int depth, uint64_t hash)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, is_visible, alphasort);
    for (int i = 0; i < n; i++) {
        struct stat stat_buf = {0}; /* stays so where a link leads nowhere */
        char *path = NULL;
        if (asprintf(&path, "%s/%s", dir, entries[i]->d_name) < 0)
            abort();
        if (stat(path, &stat_buf) == 0 && S_ISREG(stat_buf.st_mode)) {
            hash = table_hash_bytes(hash, path, strlen(path));
            hash = table_hash_bytes(hash, &stat_buf.st_size, sizeof stat_buf.st_size);
            hash = table_hash_bytes(hash, &stat_buf.st_mtim, sizeof stat_buf.st_mtim);
        } else if (depth == 0 && S_ISDIR(stat_buf.st_mode) && strcmp(entries[i]->d_name, "public") != 0) {
            hash = look(path, depth + 1, hash);
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return hash;
}

static void on_timer(void *arg)
{
    struct app_watch *watch = arg;
    uint64_t now = look(watch->app_dir, 0, TABLE_HASH_START);
    bool is_settled = now == watch->seen;
    watch->seen = now;
    if (now != watch->known && is_settled) {
        watch->known = now;
        watch->on_change(watch->arg);
    }
    timer_start(&watch->timer, LOOK_MS);
}

void app_watch_start(struct app_watch *watch, struct loop *loop, const char *app_dir, void (*on_change)(void *arg),
                     void *arg)
{
    *watch = (struct app_watch){.app_dir = app_dir, .on_change = on_change, .arg = arg};
    watch->known = watch->seen = look(app_dir, 0, TABLE_HASH_START);
    timer_init(&watch->timer, loop, on_timer, watch);
    timer_start(&watch->timer, LOOK_MS);
}

void app_watch_stop(struct app_watch *watch)
{
    timer_stop(&watch->timer);
}
