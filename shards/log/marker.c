#include "shards/log/marker.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "shards/scope/scope_file.h"

enum { MARKER_MAX = 64 << 10 };

static char *marker_of(const char *path)
{
    char *marker = NULL;
    if (asprintf(&marker, "%s" SCOPE_FILE_DAMAGED, path) < 0)
        abort();
    return marker;
}

enum err marker_find(const char *path)
{
    char *marker = marker_of(path);
    enum err err = file_find(marker);
    free(marker);
    return err;
}

static void write_text(struct buf *text, const char *path, const struct scope_name *name, const char *why)
{
    char *slot = dir_of(path), *data = dir_of(slot);
    buf_printf(text,
               "%s: %s\n\n"
               "To put a backup in its place, while the server runs:\n"
               "  skerry restore %s FILE --data %s\n\n"
               "Or, to serve the file once it is good again:\n"
               "  1. stop the server, if it runs\n"
               "  2. put the good file in its place: %s\n"
               "  3. if there is %s" SCOPE_FILE_KEPT ", the scope's records of the journal, move it into a new\n"
               "     folder, named by a number that no other there has: %s/journal/NUMBER\n"
               "  4. remove %s" SCOPE_FILE_DAMAGED "\n"
               "  5. start the server\n",
               name->text, why, name->text, data, path, path, data, path);
    free(slot);
    free(data);
}

enum err marker_write(const char *path, const struct scope_name *name, const char *why)
{
    struct buf text = {0};
    char *marker = marker_of(path), *dir = dir_of(path);
    write_text(&text, path, name, why);
    enum err err = dir_make(dir);
    if (err == ERR_OK)
        err = file_write(marker, buf_slice(&text));
    if (err == ERR_OK)
        err = dir_sync(dir);
    buf_release(&text);
    free(marker);
    free(dir);
    return err;
}

/* Finding them. */

static int is_marker(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name), tail = sizeof SCOPE_FILE_DAMAGED - 1;
    return len > tail && strcmp(entry->d_name + len - tail, SCOPE_FILE_DAMAGED) == 0;
}

static void tell(const char *dir, const char *name,
                 void (*cb)(void *arg, const char *marker, const char *scope, const char *why), void *arg)
{
    struct buf path = {0}, text = {0};
    buf_printf(&path, "%s/%s", dir, name);
    if (file_read(path.data, MARKER_MAX, &text) != ERR_OK)
        buf_printf(&text, "%s: the marker cannot be read", path.data);
    buf_append(&text, "", 1);
    text.data[strcspn(text.data, "\n")] = '\0';
    char *why = strstr(text.data, ": ");
    if (why != NULL)
        *why = '\0';
    cb(arg, path.data, text.data, why == NULL ? "" : why + 2);
    buf_release(&path);
    buf_release(&text);
}

void marker_each(const char *data_dir, unsigned first, unsigned end,
                 void (*cb)(void *arg, const char *marker, const char *scope, const char *why), void *arg)
{
    for (unsigned slot = first; slot < end; slot++) {
        struct buf dir = {0};
        struct dirent **entries = NULL;
        buf_printf(&dir, "%s/%u", data_dir, slot);
        int n = scandir(dir.data, &entries, is_marker, alphasort);
        for (int i = 0; i < n; i++) {
            tell(dir.data, entries[i]->d_name, cb, arg);
            free(entries[i]);
        }
        free(entries);
        buf_release(&dir);
    }
}
