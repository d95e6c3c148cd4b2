#include "tests/lib/room.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void write_definition(struct room *room, const char *definition)
{
    struct buf json = {0};
    buf_printf(&json, "{`app`:`test`,`kinds`:{`room`:{`migrations`:`room`%s%s}}}", *definition == '\0' ? "" : ",",
               definition);
    for (size_t i = 0; i < json.len; i++)
        if (json.data[i] == '`')
            json.data[i] = '"';
    folder_write(&room->folder, "app.json", buf_slice(&json));
    buf_release(&json);
}

static void unload(struct room *room)
{
    kind_free(room->kind);
    app_free(room->app);
    problems_release(&room->problems);
    room->kind = NULL;
}

void room_migrate(struct room *room, const char *file, const char *sql)
{
    char path[100];
    snprintf(path, sizeof path, "room/%s", file);
    folder_write(&room->folder, path, slice_str(sql));
}

void room_load(struct room *room, const char *definition)
{
    unload(room);
    if (definition != NULL)
        write_definition(room, definition);
    room->app = app_load(room->folder.path, &room->problems);
    if (room->app == NULL)
        fprintf(stderr, "%s", room->problems.text.data);
    assert(room->app != NULL);
    room->kind = kind_load(room->app, &room->app->kinds[0], &room->problems);
}

void room_open(struct room *room, const char *definition, const char *sql)
{
    *room = (struct room){0};
    folder_make(&room->folder);
    room_migrate(room, "0001_tables.sql", sql);
    room_load(room, definition);
}

void room_close(struct room *room)
{
    unload(room);
    folder_remove(&room->folder);
}

const char *room_problems(const struct room *room)
{
    static char text[16 * 1024];
    const char *at = room->problems.text.len == 0 ? "" : room->problems.text.data, *found;
    size_t len = 0, path_len = strlen(room->folder.path) + 1;
    while ((found = strstr(at, room->folder.path)) != NULL) {
        assert(len + (size_t)(found - at) < sizeof text);
        memcpy(text + len, at, (size_t)(found - at));
        len += (size_t)(found - at);
        at = found + path_len;
    }
    snprintf(text + len, sizeof text - len, "%s", at);
    return text;
}
