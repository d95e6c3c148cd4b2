/*
 * A kind that loads: what its tables turned out to be, and the statements that are made of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/room.h"

static const char TABLES[] =
    "CREATE TABLE \"order\"(n INTEGER DEFAULT 7, id TEXT PRIMARY KEY, \"a \"\"b\"\"\" TEXT DEFAULT ('x' || 'y'),"
    " twice INTEGER AS (n * 2) STORED);";

static const struct collection *open_order(struct room *room, const char *definition, const char *sql)
{
    room_open(room, definition, sql);
    assert_string_equal(room_problems(room), "");
    return kind_find_collection(room->kind, SLICE("order"));
}

static void test_columns_are_those_of_the_table(void **state)
{
    (void)state;
    struct room room;
    const struct collection *order = open_order(&room, "`collections`:{`order`:{`key`:`id`}}", TABLES);
    static const struct {
        const char *name, *type, *preset;
        bool is_generated;
    } COLUMNS[] = {{"n", "integer", "7", false},
                   {"id", "text", NULL, false},
                   {"a \"b\"", "text", "'x' || 'y'", false},
                   {"twice", "integer", NULL, true}};
    assert_int_equal(order->n_columns, 4);
    assert_int_equal(order->key, 1);
    for (int i = 0; i < 4; i++) {
        const struct column *column = &order->columns[i];
        assert_string_equal(column->name, COLUMNS[i].name);
        assert_string_equal(column->type, COLUMNS[i].type);
        assert_int_equal(column->is_generated, COLUMNS[i].is_generated);
        assert_int_equal(column->default_sql == NULL, COLUMNS[i].preset == NULL);
        if (column->default_sql != NULL)
            assert_string_equal(column->default_sql, COLUMNS[i].preset);
        assert_int_equal(collection_find_column(order, slice_str(column->name)), i);
    }
    assert_int_equal(collection_find_column(order, SLICE("N")), COLUMN_NONE);
    room_close(&room);
}

static void test_the_declared_type_says_what_a_column_holds(void **state)
{
    (void)state;
    static const char *const TYPES[] = {"text", "boolean", "json", "integer", "real", "blob", "text", "any", "any"};
    struct room room;
    const struct collection *order =
        open_order(&room, "`collections`:{`order`:{`key`:`id`}}",
                   "CREATE TABLE \"order\"(id TEXT PRIMARY KEY, a Boolean, b JSON TEXT, c BIGINT, d DOUBLE PRECISION,"
                   " e BLOB, f VARCHAR(9), g DATETIME, h);");
    assert_int_equal(order->n_columns, 9);
    for (size_t i = 0; i < order->n_columns; i++)
        assert_string_equal(order->columns[i].type, TYPES[i]);
    room_close(&room);
}

static void test_names_of_any_sort_are_quoted(void **state)
{
    (void)state;
    struct room room;
    struct database database;
    const struct collection *order = open_order(&room, "`collections`:{`order`:{`key`:`id`}}", TABLES);
    assert_string_equal(order->sql[COLLECTION_ROW], "SELECT * FROM \"order\" WHERE \"id\" = ?1");
    assert_string_equal(order->sql[COLLECTION_SLICE], "SELECT * FROM \"order\" WHERE \"id\" > ?1 ORDER BY \"id\"");
    assert_string_equal(order->sql[COLLECTION_INSERT],
                        "INSERT INTO \"order\"(\"n\", \"id\", \"a \"\"b\"\"\") VALUES(?1, ?2, ?3)");
    assert_string_equal(order->sql[COLLECTION_DELETE], "DELETE FROM \"order\" WHERE \"id\" = ?1");
    assert_string_equal(order->sql[COLLECTION_DEFAULTS], "SELECT (7), NULL, ('x' || 'y'), NULL");
    char *update = collection_make_update(order, (const bool[]){true, false, true, false});
    assert_string_equal(update, "UPDATE \"order\" SET \"n\" = ?1, \"a \"\"b\"\"\" = ?3 WHERE \"id\" = ?5");

    assert_int_equal(kind_open_blank(room.kind, &database, NULL), ERR_OK);
    for (int i = 0; i <= COLLECTION_DEFAULTS; i++) {
        sqlite3_stmt *statement = collection_prepare(order, (enum collection_sql)i, &database, NULL);
        assert_non_null(statement);
        sqlite3_finalize(statement);
    }
    sqlite3_finalize(database_prepare(&database, SQL_STATEMENT, update, NULL));
    assert_int_equal(sqlite3_errcode(database.db), SQLITE_OK);
    database_close(&database);
    free(update);
    room_close(&room);
}

#define RULES                                                                                                          \
    "`collections`:{`order`:{`key`:`id`,`insert`:{`columns`:[`n`],`set`:{`n`:`1`}},`update`:{`columns`:[]},"           \
    "`delete`:{`authorize`:`old.n > 1`}}},`commands`:{`clear`:{`execute`:[`DELETE FROM \\`order\\``]}}"

static void test_what_clients_may_write(void **state)
{
    (void)state;
    struct room room;
    const struct collection *order = open_order(&room, RULES, TABLES);
    const struct write_plan *insert = &order->insert, *update = &order->update;
    for (size_t i = 0; i < order->n_columns; i++) {
        assert_int_equal(insert->is_writable[i], i == 0);
        assert_int_equal(insert->is_set[i], i == 0);
        assert_false(update->is_writable[i] || update->is_set[i]);
    }
    assert_int_equal(insert->n_set, 1);
    assert_int_equal(insert->set[0], 0);
    assert_null(order->sql[COLLECTION_UPDATE_SET]);
    assert_null(order->sql[COLLECTION_INSERT_AUTHORIZE]);
    assert_non_null(order->sql[COLLECTION_DELETE_AUTHORIZE]);
    room_close(&room);

    order = open_order(&room, "`collections`:{`order`:{`key`:`id`,`insert`:{}}}", TABLES);
    for (size_t i = 0; i < order->n_columns; i++)
        assert_int_equal(order->insert.is_writable[i], !order->columns[i].is_generated);
    room_close(&room);
}

/* ---- what changes it for a client ---- */

static void check_fingerprint(const char *definition, const char *sql, bool same)
{
    struct room first, other;
    const struct collection *a = open_order(&first, "`collections`:{`order`:{`key`:`id`}}", TABLES);
    const struct collection *b = open_order(&other, definition, sql);
    assert_int_equal(strlen(a->fingerprint), 64);
    assert_int_equal(strcmp(a->fingerprint, b->fingerprint) == 0, same);
    room_close(&first);
    room_close(&other);
}

static void test_another_look_is_another_fingerprint(void **state)
{
    (void)state;
    static const char PLAIN[] = "`collections`:{`order`:{`key`:`id`}}";
    check_fingerprint(PLAIN, TABLES, true);
    check_fingerprint(RULES, TABLES, true); /* what one may write is nothing that one sees */
    check_fingerprint(PLAIN, "CREATE TABLE \"order\"(nn, id TEXT PRIMARY KEY, \"a \"\"b\"\"\", twice);", false);
    check_fingerprint(PLAIN, "CREATE TABLE \"order\"(n, id TEXT PRIMARY KEY, \"a \"\"b\"\"\");", false);
    check_fingerprint(PLAIN, "CREATE TABLE \"order\"(id TEXT PRIMARY KEY, n, \"a \"\"b\"\"\", twice);", false);
    check_fingerprint("`collections`:{`order`:{`key`:`n`}}",
                      "CREATE TABLE \"order\"(n TEXT PRIMARY KEY, id, \"a \"\"b\"\"\", twice);", false);
}

static void test_collections_and_commands_are_found_by_name(void **state)
{
    (void)state;
    struct room room;
    const struct collection *order = open_order(&room, RULES, TABLES);
    assert_ptr_equal(order, &room.kind->collections[0]);
    assert_null(kind_find_collection(room.kind, SLICE("Order")));
    assert_null(kind_find_collection(room.kind, SLICE("orde")));
    assert_ptr_equal(kind_find_command(room.kind, SLICE("clear")), &room.kind->commands[0]);
    assert_null(kind_find_command(room.kind, SLICE("")));
    assert_null(room.kind->open_sql); /* closed to all */
    room_close(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_those_of_the_table),
        cmocka_unit_test(test_the_declared_type_says_what_a_column_holds),
        cmocka_unit_test(test_names_of_any_sort_are_quoted),
        cmocka_unit_test(test_what_clients_may_write),
        cmocka_unit_test(test_another_look_is_another_fingerprint),
        cmocka_unit_test(test_collections_and_commands_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
