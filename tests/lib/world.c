#include "tests/lib/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "shards/log/replay.h"
#include "tests/lib/rows.h"

static const char DEFINITION[] = "`collections`:{`notes`:{`key`:`id`}}";
static const char TABLES[] = "CREATE TABLE notes(id TEXT PRIMARY KEY, text TEXT, n INTEGER);"
                             "CREATE TABLE counts(id TEXT PRIMARY KEY, n INTEGER);"
                             "CREATE TABLE tags(id TEXT PRIMARY KEY, note TEXT REFERENCES notes ON DELETE CASCADE);"
                             "CREATE TRIGGER counting AFTER INSERT ON notes BEGIN"
                             " INSERT INTO counts VALUES('notes', 1) ON CONFLICT DO UPDATE SET n = n + 1; END;";

static void remember(struct place *place)
{
    struct state *state = &place->states[place->n];
    sqlite3 *db = place->file->database.db;
    sqlite3_int64 len = 0;
    unsigned char *image = sqlite3_serialize(db, "main", &len, 0);
    assert_non_null(image);
    buf_append(&state->image, image, (size_t)len);
    sqlite3_free(image);
    rows_print(&state->rows, db);
}

static void open_place(struct world *world, size_t i, const char *name)
{
    struct place *place = &world->places[i];
    struct buf why = {0};
    assert_true(scope_name_parse(slice_str(name), &place->name));
    place->path = scope_file_path(world->data.text, &place->name);
    assert_int_equal(
        scope_file_open(place->path, &place->name, world->room.kind, true, 1800000000000, &place->file, &why), ERR_OK);
    remember(place);
}

void world_open(struct world *world)
{
    *world = (struct world){0};
    room_open(&world->room, DEFINITION, TABLES);
    assert_string_equal(room_problems(&world->room), "");
    world->data = folder_at(&world->room.folder, "data");
    assert_int_equal(dir_make(world->data.text), ERR_OK);
    assert_int_equal(dir_make(folder_at(&world->room.folder, "data/journal").text), ERR_OK);
    open_place(world, 0, "test/room/tea");
    open_place(world, 1, "test/room/garden");
    open_place(world, 2, "test/room/\xc3\xb6l und 'mehr'");
}

void world_stop(struct world *world)
{
    for (size_t i = 0; i < WORLD_SCOPES; i++) {
        scope_file_close(world->places[i].file);
        world->places[i].file = NULL;
    }
}

void world_close(struct world *world)
{
    world_stop(world);
    for (size_t i = 0; i < WORLD_SCOPES; i++) {
        for (size_t j = 0; j <= world->places[i].n; j++) {
            buf_release(&world->places[i].states[j].image);
            buf_release(&world->places[i].states[j].rows);
        }
        free(world->places[i].path);
    }
    for (size_t i = 0; i < world->n; i++)
        buf_release(&world->transactions[i].payload);
    room_close(&world->room);
}

/* ---- what a server does ---- */

static void write_payload(struct world *world, size_t i, enum scoperecord_type type)
{
    struct place *place = &world->places[i];
    struct transaction *transaction = &world->transactions[world->n++];
    struct scoperecord record = {.type = type,
                                 .scope = slice_of(place->name.text, place->name.len),
                                 .incarnation = place->file->incarnation,
                                 .tx = place->file->tx,
                                 .first_seq = place->file->first_seq,
                                 .last_seq = place->file->last_seq};
    if (type == SCOPERECORD_CHANGES)
        record.changes = buf_slice(&place->file->capture.journal);
    *transaction = (struct transaction){.place = i, .number = ++place->n};
    scoperecord_write(&transaction->payload, &record);
    capture_clear(&place->file->capture);
    remember(place);
}

static void execute(struct world *world, size_t i, const char *sql)
{
    struct scope_file *file = world->places[i].file;
    assert_in_range(world->n, 0, WORLD_TRANSACTIONS_MAX - 2);
    assert_int_equal(scope_file_run(file, TRANSACTION_BEGIN), ERR_OK);
    assert_int_equal(database_run(&file->database, SQL_STATEMENT, sql, NULL), ERR_OK);
    assert_int_equal(scope_file_commit(file), ERR_OK);
}

void world_write(struct world *world, size_t i, const char *sql)
{
    execute(world, i, sql);
    write_payload(world, i, SCOPERECORD_CHANGES);
}

void world_write_barrier(struct world *world, size_t i, const char *sql)
{
    execute(world, i, sql);
    assert_int_equal(database_checkpoint(&world->places[i].file->database, NULL), ERR_OK);
    write_payload(world, i, SCOPERECORD_BARRIER);
}

void world_write_some(struct world *world)
{
    world_write(world, 0, "INSERT INTO notes VALUES('a', 'x', 1), ('b', 'y', 2)");
    world_write(world, 1, "INSERT INTO notes VALUES('a', 'other', 1)");
    world_write(world, 0, "INSERT INTO tags VALUES('t', 'a'), ('u', 'b')");
    world_write(world, 0, "UPDATE notes SET text = text || '!', n = n + 1");
    world_write(world, 2, "INSERT INTO notes VALUES('c', NULL, 9223372036854775807)");
    world_write(world, 0, "DELETE FROM notes WHERE id = 'a'");
    world_write(world, 1, "UPDATE notes SET id = 'moved'");
    world_write(world, 2, "REPLACE INTO notes VALUES('c', char(0), -1)");
}

void world_write_short(struct world *world)
{
    world_write(world, 0, "INSERT INTO tags VALUES('a', NULL)");
    world_write(world, 0, "UPDATE tags SET id = 'b'");
    world_write(world, 0, "DELETE FROM tags");
    world_stop(world);
}

/* ---- what is on the disk ---- */

void tape_begin(struct tape *tape, uint64_t generation, uint64_t position)
{
    *tape = (struct tape){.header = {generation, position}};
    segment_header_write(buf_reserve(&tape->bytes, SEGMENT_HEADER), &tape->header);
    tape->bytes.len = SEGMENT_HEADER;
}

uint64_t tape_position(const struct tape *tape)
{
    return tape->header.position + tape->bytes.len - SEGMENT_HEADER;
}

void tape_add(struct tape *tape, struct slice payload, uint64_t durable)
{
    size_t at = tape->bytes.len, len = record_len(payload.len);
    uint64_t position = tape_position(tape);
    memcpy(buf_reserve(&tape->bytes, len) + RECORD_HEADER, payload.data, payload.len);
    tape->bytes.len += len;
    record_seal(tape->bytes.data + at, payload.len, tape->header.generation, position, durable);
}

void tape_add_all(struct tape *tape, const struct world *world, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        tape_add(tape, buf_slice(&world->transactions[i].payload), tape_position(tape));
}

void world_put_segment(struct world *world, const char *name, struct slice bytes)
{
    char path[100];
    snprintf(path, sizeof path, "data/journal/%s", name);
    folder_write(&world->room.folder, path, bytes);
}

void tape_end(struct tape *tape, struct world *world, const char *name)
{
    world_put_segment(world, name, buf_slice(&tape->bytes));
    buf_release(&tape->bytes);
}

bool world_has_segment(const struct world *world, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "data/journal/%s", name);
    return access(folder_at(&world->room.folder, path).text, F_OK) == 0;
}

bool place_has(const struct place *place, const char *ending)
{
    char path[300];
    snprintf(path, sizeof path, "%s%s", place->path, ending);
    return access(path, F_OK) == 0;
}

void place_remove(const struct place *place, const char *ending)
{
    char path[300];
    snprintf(path, sizeof path, "%s%s", place->path, ending);
    unlink(path);
}

void place_put(struct place *place, size_t number)
{
    assert_in_range(number, 0, place->n);
    FILE *file = fopen(place->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(place->states[number].image.data, place->states[number].image.len, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    place_remove(place, "-wal");
}

void world_put(struct world *world, size_t number)
{
    for (size_t i = 0; i < WORLD_SCOPES; i++)
        place_put(&world->places[i], number < world->places[i].n ? number : world->places[i].n);
}

size_t world_count(const struct world *world, size_t place, size_t n)
{
    size_t number = 0;
    for (size_t i = 0; i < n; i++)
        if (world->transactions[i].place == place)
            number = world->transactions[i].number;
    return number;
}

void world_put_journal(struct world *world, size_t n)
{
    struct tape tape;
    tape_begin(&tape, 7, 1000);
    tape_add_all(&tape, world, 0, n);
    tape_end(&tape, world, "0/000001.journal");
}

/* ---- what comes of it ---- */

void world_replay(struct world *world)
{
    struct problems problems = {0};
    if (!replay_all(world->data.text, &problems) || problems.n > 0)
        fail_msg("%.*s", (int)problems.text.len, problems.text.data);
}

void world_refuse(struct world *world, const char *why)
{
    struct problems problems = {0};
    assert_false(replay_all(world->data.text, &problems));
    assert_int_equal(problems.n, 1);
    buf_append(&problems.text, "", 1);
    if (strstr(problems.text.data, why) == NULL)
        fail_msg("%s", problems.text.data);
    problems_release(&problems);
    assert_true(world_has_segment(world, "0/000001.journal"));
}

void place_check(const struct place *place, size_t number)
{
    struct buf rows = {0};
    rows_print_file(&rows, place->path);
    assert_string_equal(rows.data, place->states[number].rows.data);
    buf_release(&rows);
    assert_false(place_has(place, SCOPE_FILE_DAMAGED));
    assert_false(place_has(place, SCOPE_FILE_KEPT));
}

void world_check(const struct world *world, size_t n)
{
    for (size_t i = 0; i < WORLD_SCOPES; i++)
        place_check(&world->places[i], world_count(world, i, n));
}

void world_check_closed(struct world *world, size_t i, const char *reason)
{
    struct place *place = &world->places[i];
    struct buf why = {0}, marker = {0};
    char path[300];
    snprintf(path, sizeof path, "%s" SCOPE_FILE_DAMAGED, place->path);
    assert_int_equal(
        scope_file_open(place->path, &place->name, world->room.kind, true, 1800000000000, &place->file, &why),
        ERR_DAMAGED);
    assert_non_null(strstr(why.data, path));
    assert_int_equal(file_read(path, 10000, &marker), ERR_OK);
    buf_append(&marker, "", 1);
    if (strstr(marker.data, reason) == NULL || strstr(marker.data, place->name.text) == NULL)
        fail_msg("%s", marker.data);
    buf_release(&why);
    buf_release(&marker);
}

int world_set_up(void **state)
{
    struct world *world = mem_zero(1, sizeof *world);
    world_open(world);
    *state = world;
    return 0;
}

int world_tear_down(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}
