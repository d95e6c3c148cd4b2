/*
 * What the journal carries of a row change, written within SQLite's hook, makes the same change in a copy: for every
 * sort of table, statement and value, and for thousands of random ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/pair.h"

/* Runs the statements, replays what they changed, and compares. */
static void check(struct pair *pair, const char *sql)
{
    pair_run(pair->original, sql);
    assert_int_not_equal(pair->changes.len, 0);
    pair_replay(pair);
    pair_check(pair);
}

/* ---- tables ---- */

static void check_table(const char *schema, const char *const *statements)
{
    struct pair pair;
    pair_open(&pair, schema);
    for (; *statements != NULL; statements++)
        check(&pair, *statements);
    pair_close(&pair);
}

#define CHECK_TABLE(schema, ...) check_table(schema, (const char *const[]){__VA_ARGS__, NULL})

static void test_a_table_with_a_text_key(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE t(id TEXT PRIMARY KEY, n INTEGER)", "INSERT INTO t VALUES('a', 1), ('b', 2), ('', 3)",
                "UPDATE t SET n = n + 1", "UPDATE t SET id = id || 'x' WHERE n > 2", "DELETE FROM t WHERE id = 'a'",
                "INSERT INTO t VALUES('a', 9) ON CONFLICT DO UPDATE SET n = excluded.n", "DELETE FROM t");
}

static void test_an_integer_primary_key(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE t(s TEXT, n INTEGER PRIMARY KEY)", "INSERT INTO t(s) VALUES('a'), ('b')",
                "INSERT INTO t VALUES('low', -9223372036854775808), ('high', 9223372036854775807)",
                "UPDATE t SET n = n + 100 WHERE n > 0 AND n < 100", "UPDATE t SET s = 'x'",
                "DELETE FROM t WHERE n < 0");
}

static void test_a_key_of_several_columns(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE t(v, a TEXT NOT NULL, b REAL NOT NULL, PRIMARY KEY(b, a))",
                "INSERT INTO t VALUES(1, 'a', 5), (2, 'a', 5.5), (3, 'b', 5)", "UPDATE t SET v = 0 WHERE a = 'a'",
                "UPDATE t SET b = b + 1", "DELETE FROM t WHERE a = 'b'");
}

static void test_without_rowid(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE t(id TEXT PRIMARY KEY, n) WITHOUT ROWID", "INSERT INTO t VALUES('a', 1), ('b', 2)",
                "UPDATE t SET n = 3 WHERE id = 'a'", "UPDATE t SET id = 'c' WHERE id = 'a'",
                "REPLACE INTO t VALUES('b', 5)", "DELETE FROM t");
    CHECK_TABLE("CREATE TABLE t(n, r REAL, b TEXT, a TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID",
                "INSERT INTO t VALUES(1, 2, 'x', 'y'), (2, 3, 'y', 'z')", "UPDATE t SET n = 7, r = 8",
                "UPDATE t SET a = b, b = a", "UPDATE OR REPLACE t SET a = 'x', b = 'x'", "DELETE FROM t");
}

static void test_generated_columns_are_made_again(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE t(twice AS (n * 2) STORED, id TEXT PRIMARY KEY, n INTEGER, len AS (length(id)) STORED)",
                "INSERT INTO t(id, n) VALUES('a', 1), ('bb', 2)", "UPDATE t SET n = 5, id = 'ccc' WHERE id = 'a'",
                "DELETE FROM t WHERE twice = 4");
}

static void test_columns_that_came_later(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE t(id TEXT PRIMARY KEY); INSERT INTO t VALUES('old');"
                "ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 7; ALTER TABLE t ADD COLUMN s TEXT;",
                "INSERT INTO t(id) VALUES('new')", "UPDATE t SET s = 'x'", "DELETE FROM t WHERE id = 'old'");
}

static void test_names_of_any_sort(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE \"Or\"\"der\"(\"Group By\" TEXT PRIMARY KEY, \"a\"\"b\" INTEGER, [c d] TEXT)",
                "INSERT INTO \"Or\"\"der\" VALUES('a', 1, 'x')", "UPDATE \"OR\"\"DER\" SET [c d] = 'y'",
                "DELETE FROM \"or\"\"der\"");
    CHECK_TABLE("CREATE TABLE before(id TEXT PRIMARY KEY, n); ALTER TABLE before RENAME TO after;"
                "ALTER TABLE after RENAME COLUMN n TO m;",
                "INSERT INTO after VALUES('a', 1)", "UPDATE after SET m = 2", "DELETE FROM after");
    char schema[400], insert[400], name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(schema, sizeof schema, "CREATE TABLE %s(id TEXT PRIMARY KEY)", name);
    snprintf(insert, sizeof insert, "INSERT INTO %s VALUES('a')", name);
    CHECK_TABLE(schema, insert);
}

static void test_collations(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE t(id TEXT COLLATE NOCASE PRIMARY KEY, n)", "INSERT INTO t VALUES('a', 1), ('B', 2)",
                "UPDATE t SET id = 'A'  WHERE id = 'a'", "REPLACE INTO t VALUES('b', 3)",
                "DELETE FROM t WHERE id = 'a'");
    CHECK_TABLE("CREATE TABLE t(id TEXT NOT NULL COLLATE NOCASE, n, PRIMARY KEY(id COLLATE BINARY))",
                "INSERT INTO t VALUES('a', 1), ('A', 2)", "UPDATE t SET n = 5 WHERE n = 2",
                "DELETE FROM t WHERE n = 1");
}

/* ---- statements ---- */

static void test_replace(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE t(id TEXT PRIMARY KEY, slug TEXT UNIQUE, n INTEGER UNIQUE)",
                "INSERT INTO t VALUES('a', 'x', 1), ('b', 'y', 2), ('c', 'z', 3)",
                "REPLACE INTO t VALUES('a', 'y', 3)", /* which ends all three */
                "INSERT INTO t VALUES('b', 'q', 7)", "UPDATE OR REPLACE t SET slug = 'q' WHERE id = 'a'");
}

/* A table that says REPLACE or IGNORE of itself must not hide that a change does not fit. */
static void test_a_change_that_does_not_fit_is_told(void **state)
{
    (void)state;
    static const char *const CLAUSES[] = {"ABORT", "REPLACE", "IGNORE"};
    for (size_t i = 0; i < sizeof CLAUSES / sizeof *CLAUSES; i++) {
        struct pair pair;
        enum rowchange_op op;
        struct slice name;
        char schema[200];
        snprintf(schema, sizeof schema, "CREATE TABLE t(id TEXT PRIMARY KEY ON CONFLICT %s)", CLAUSES[i]);
        pair_open(&pair, schema);
        pair_run(pair.original, "INSERT INTO t VALUES('a')");
        pair_run(pair.copy, "INSERT INTO t VALUES('a')");
        struct slice changes = buf_slice(&pair.changes);
        assert_true(rowchange_head(changes, &op, &name));
        sqlite3_stmt *statement = rowchange_prepare(&pair.tables[0], pair.copy, op);
        assert_true(rowchange_bind(&changes, &pair.tables[0], op, statement));
        assert_int_equal(sqlite3_step(statement), SQLITE_CONSTRAINT);
        sqlite3_finalize(statement);
        pair_close(&pair);
    }
}

static void test_rows_that_come_from_another_table(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE a(id TEXT PRIMARY KEY, r REAL); CREATE TABLE b(id TEXT PRIMARY KEY, r REAL);"
                "CREATE TABLE c(r REAL, id TEXT PRIMARY KEY) WITHOUT ROWID;"
                "CREATE TABLE d(r REAL, id TEXT PRIMARY KEY) WITHOUT ROWID;",
                "INSERT INTO a VALUES('x', 1), ('y', 2.5)", "INSERT INTO b SELECT * FROM a",
                "INSERT INTO c SELECT r, id FROM b", "INSERT INTO d SELECT * FROM c", "DELETE FROM a", "DELETE FROM c");
}

static void test_triggers_and_foreign_keys_are_in_the_changes(void **state)
{
    (void)state;
    CHECK_TABLE("CREATE TABLE parent(id TEXT PRIMARY KEY, n); CREATE TABLE counts(id TEXT PRIMARY KEY, n);"
                "CREATE TABLE child(id TEXT PRIMARY KEY, p TEXT REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);"
                "CREATE TABLE lost(id TEXT PRIMARY KEY, p TEXT REFERENCES parent ON DELETE SET NULL);"
                "CREATE TRIGGER counting AFTER INSERT ON child BEGIN"
                " INSERT INTO counts VALUES(new.p, 1) ON CONFLICT DO UPDATE SET n = n + 1; END;"
                "CREATE TRIGGER cleaning BEFORE DELETE ON parent BEGIN DELETE FROM counts WHERE id = old.id; END;"
                "CREATE TRIGGER skipping BEFORE INSERT ON parent WHEN new.n < 0 BEGIN SELECT RAISE(IGNORE); END;",
                "INSERT INTO parent VALUES('p', 1), ('minus', -1), ('q', 2)",
                "INSERT INTO child VALUES('c1', 'p'), ('c2', 'p'), ('c3', 'q')", "INSERT INTO lost VALUES('l', 'q')",
                "UPDATE parent SET id = 'r' WHERE id = 'p'", "DELETE FROM parent");
}

/* SQLite lets several rows have none in a table with rowids, and they could not be told apart. */
static void test_a_key_that_is_null_is_told(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, "CREATE TABLE t(a TEXT, b INT, n, PRIMARY KEY(a, b)); INSERT INTO t VALUES('old', NULL, 1);"
                     "CREATE TABLE n(n INTEGER PRIMARY KEY);");
    pair.expected = SQLITE_CONSTRAINT_NOTNULL;
    pair_run(pair.original, "INSERT INTO t VALUES('x', NULL, 1)");
    pair_run(pair.original, "UPDATE t SET n = 2 WHERE a = 'old'");
    pair_run(pair.original, "DELETE FROM t WHERE a = 'old'");
    pair.expected = SQLITE_OK;
    pair_run(pair.original, "INSERT INTO t VALUES('y', 1, NULL)");
    pair_run(pair.original, "INSERT INTO n VALUES(NULL)"); /* SQLite makes a number of it */
    pair.expected = SQLITE_CONSTRAINT_NOTNULL;
    pair_run(pair.original, "UPDATE t SET a = NULL WHERE a = 'y'");
    pair_close(&pair);
}

static void test_a_value_that_sqlite_cannot_say_is_told(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, "CREATE TABLE t(id TEXT PRIMARY KEY); CREATE TABLE more(id TEXT, a, b, PRIMARY KEY(id, b));");
    struct row_table right = pair.tables[0];
    pair.tables[0] = pair.tables[1];
    pair.tables[0].name = right.name; /* with columns that are not there */
    pair.expected = SQLITE_RANGE;
    pair_run(pair.original, "INSERT INTO t VALUES('x')");
    pair_run(pair.original, "UPDATE t SET id = 'y'");
    pair_run(pair.original, "DELETE FROM t");
    pair.tables[0] = right;
    pair_close(&pair);
}

/* ---- values ---- */

/* Each in a column of each affinity: what is stored is what is replayed. */
static const char *const VALUES[] = {"NULL",
                                     "0",
                                     "1",
                                     "-1",
                                     "255",
                                     "2147483648",
                                     "9007199254740993",
                                     "-9007199254740993",
                                     "9223372036854775807",
                                     "-9223372036854775808",
                                     "9223372036854775808",
                                     "18446744073709551616",
                                     "0.0",
                                     "-0.0",
                                     "5.0",
                                     "0.1",
                                     "1e300",
                                     "-2.2250738585072014e-308",
                                     "5e-324",
                                     "9e999",
                                     "-9e999",
                                     "9e999 - 9e999",
                                     "''",
                                     "'a'",
                                     "'12'",
                                     "' 12 '",
                                     "'1e3'",
                                     "'12345678901234567890'",
                                     "'\xc3\xa4\xf0\x9f\x90\x9f'",
                                     "'a' || char(0) || 'b'",
                                     "CAST(x'ff00fe' AS TEXT)",
                                     "CAST(x'' AS TEXT)",
                                     "x''",
                                     "x'00'",
                                     "x'616200ff'",
                                     "zeroblob(0)",
                                     "zeroblob(3000)",
                                     "hex(zeroblob(3000))"};

enum { N_VALUES = sizeof VALUES / sizeof *VALUES };

static const char AFFINITIES[] = "i INTEGER, r REAL, t TEXT, b BLOB, u NUMERIC, v, bool BOOLEAN";

static void check_values(const char *key, const char *ending)
{
    struct pair pair;
    char sql[1000];
    snprintf(sql, sizeof sql, "CREATE TABLE t(%s, %s)%s", AFFINITIES, key, ending);
    pair_open(&pair, sql);
    for (size_t i = 0; i < N_VALUES; i++) {
        const char *v = VALUES[i], *w = VALUES[(i + 1) % N_VALUES];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES(%s, %s, %s, %s, %s, %s, %s, 'k%zu')", v, v, v, v, v, v, v, i);
        check(&pair, sql);
        snprintf(sql, sizeof sql, "UPDATE t SET i = %s, r = %s, t = %s, b = %s, u = %s, v = %s, bool = %s", w, w, w, w,
                 w, w, w);
        check(&pair, sql);
    }
    check(&pair, "DELETE FROM t");
    pair_close(&pair);
}

static void test_values(void **state)
{
    (void)state;
    check_values("id TEXT PRIMARY KEY", "");
    check_values("id TEXT PRIMARY KEY", " WITHOUT ROWID");
}

/* A row is found again by a key of any type. */
static void test_values_as_keys(void **state)
{
    (void)state;
    static const char *const TYPES[] = {"", "INT", "REAL", "TEXT", "BLOB", "NUMERIC"};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        for (int without_rowid = 0; without_rowid < 2; without_rowid++) {
            struct pair pair;
            char sql[1000];
            snprintf(sql, sizeof sql, "CREATE TABLE t(k %s PRIMARY KEY NOT NULL, n)%s", TYPES[i],
                     without_rowid ? " WITHOUT ROWID" : "");
            pair_open(&pair, sql);
            for (size_t j = 0; j < N_VALUES; j++) {
                snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO t VALUES(%s, %zu)", VALUES[j], j);
                pair_run(pair.original, sql);
            }
            pair_replay(&pair);
            check(&pair, "UPDATE t SET n = n + 1");
            check(&pair, "UPDATE t SET k = 'moved' WHERE n = 2");
            check(&pair, "DELETE FROM t");
            pair_close(&pair);
        }
}

/* ---- bytes ---- */

/* Cut anywhere, a change is no change. */
static void test_what_is_cut_off_is_told(void **state)
{
    (void)state;
    struct pair pair;
    enum rowchange_op op;
    struct slice name;
    pair_open(&pair, "CREATE TABLE t(id TEXT PRIMARY KEY, a, b, c)");
    pair_run(pair.original, "INSERT INTO t VALUES('key', 1, x'0102', 2.5)");
    for (size_t len = 0; len < pair.changes.len; len++) {
        struct slice cut = slice_of(pair.changes.data, len);
        if (!rowchange_head(cut, &op, &name))
            continue;
        sqlite3_stmt *statement = rowchange_prepare(&pair.tables[0], pair.copy, op);
        assert_false(rowchange_bind(&cut, &pair.tables[0], op, statement));
        sqlite3_finalize(statement);
    }
    pair_replay(&pair);
    pair_check(&pair);
    pair_close(&pair);
}

static void test_a_table_that_is_not_there(void **state)
{
    (void)state;
    struct pair pair;
    struct row_table table;
    pair_open(&pair, "CREATE TABLE t(id TEXT PRIMARY KEY)");
    assert_false(row_table_read(&table, pair.original, "other"));
    pair_close(&pair);
}

/* ---- random statements ---- */

static const char MANY[] =
    "CREATE TABLE plain(id TEXT PRIMARY KEY NOT NULL, i INTEGER, r REAL, t TEXT, b BLOB, u NUMERIC, v);"
    "CREATE TABLE twin(id TEXT PRIMARY KEY NOT NULL, i INTEGER, r REAL, t TEXT, b BLOB, u NUMERIC, v);"
    "CREATE TABLE numbered(t TEXT UNIQUE, n INTEGER PRIMARY KEY, r REAL CHECK(r <> 1.5));"
    "CREATE TABLE bare(v, k PRIMARY KEY NOT NULL, w UNIQUE);"
    "CREATE TABLE cased(name TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, n INT);"
    "CREATE TABLE ints(i INT PRIMARY KEY NOT NULL, b BLOB);"
    "CREATE TABLE pairs(r REAL, b TEXT, a TEXT, v, PRIMARY KEY(a, b)) WITHOUT ROWID;"
    "CREATE TABLE heads(k, r REAL, i INTEGER UNIQUE, PRIMARY KEY(k)) WITHOUT ROWID;"
    "CREATE TABLE strict(id INTEGER PRIMARY KEY, t TEXT, a ANY) STRICT;"
    "CREATE TABLE made(len AS (length(t)) STORED, id TEXT PRIMARY KEY NOT NULL, t TEXT, double AS (n * 2) STORED, n);"
    "CREATE TABLE parent(id TEXT PRIMARY KEY NOT NULL, n INTEGER);"
    "CREATE TABLE child(id TEXT PRIMARY KEY NOT NULL, p TEXT REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);"
    "CREATE TABLE counts(k PRIMARY KEY NOT NULL, n INTEGER);"
    "CREATE TABLE grown(id TEXT PRIMARY KEY NOT NULL); INSERT INTO grown VALUES('a'), ('b'), ('1');"
    "ALTER TABLE grown ADD COLUMN n INTEGER DEFAULT 7;"
    "CREATE INDEX odd ON plain(i) WHERE i % 2; CREATE INDEX by_len ON plain(length(t), r);"
    "CREATE TRIGGER counting AFTER INSERT ON plain BEGIN"
    " INSERT INTO counts VALUES(new.t || '', 1) ON CONFLICT DO UPDATE SET n = n + 1; END;"
    "CREATE TRIGGER following AFTER UPDATE OF i ON plain BEGIN REPLACE INTO heads VALUES(new.i, new.r, old.i); END;"
    "CREATE TRIGGER refusing BEFORE DELETE ON plain WHEN old.i = 2 BEGIN SELECT RAISE(ABORT, 'two stays'); END;"
    "CREATE TRIGGER skipping BEFORE UPDATE ON ints WHEN new.i = 1 BEGIN SELECT RAISE(IGNORE); END;";

struct random {
    uint64_t state;
};

static unsigned below(struct random *random, unsigned n)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((random->state >> 33) % n);
}

/* Mostly few ones, so that keys meet. */
static const char *random_value(struct random *random)
{
    static const char *const COMMON[] = {"1", "2", "3", "'a'", "'A'", "'b'", "'1'", "5.0", "1.5", "NULL", "x'61'"};
    return below(random, 4) > 0 ? COMMON[below(random, sizeof COMMON / sizeof *COMMON)]
                                : VALUES[below(random, N_VALUES)];
}

static const struct row_column *random_column(struct random *random, const struct row_table *table)
{
    for (;;) {
        const struct row_column *column = &table->columns[below(random, (unsigned)table->n_columns)];
        if (column->is_stored)
            return column;
    }
}

static const char *random_conflict(struct random *random)
{
    static const char *const CLAUSES[] = {"", "OR REPLACE", "OR IGNORE", "OR FAIL"};
    return CLAUSES[below(random, sizeof CLAUSES / sizeof *CLAUSES)];
}

static void write_insert(struct random *random, const struct row_table *table, sqlite3_str *sql)
{
    const char *comma = "";
    sqlite3_str_appendf(sql, "INSERT %s INTO \"%w\"(", random_conflict(random), table->name);
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].is_stored) {
            sqlite3_str_appendf(sql, "%s\"%w\"", comma, table->columns[i].name);
            comma = ", ";
        }
    sqlite3_str_appendall(sql, ") VALUES");
    for (unsigned row = 0, n = 1 + below(random, 3); row < n; row++) {
        comma = "";
        sqlite3_str_appendall(sql, row == 0 ? "(" : ", (");
        for (size_t i = 0; i < table->n_columns; i++)
            if (table->columns[i].is_stored) {
                sqlite3_str_appendf(sql, "%s%s", comma, random_value(random));
                comma = ", ";
            }
        sqlite3_str_appendall(sql, ")");
    }
    if (below(random, 3) == 0)
        sqlite3_str_appendf(sql, " ON CONFLICT DO UPDATE SET \"%w\" = %s", random_column(random, table)->name,
                            random_value(random));
}

static void write_where(struct random *random, const struct row_table *table, sqlite3_str *sql)
{
    static const char *const OPERATORS[] = {"=", "IS", "<", ">=", "<>", "IS NOT"};
    if (below(random, 10) > 0)
        sqlite3_str_appendf(sql, " WHERE \"%w\" %s %s", random_column(random, table)->name,
                            OPERATORS[below(random, sizeof OPERATORS / sizeof *OPERATORS)], random_value(random));
}

static void write_update(struct random *random, const struct row_table *table, sqlite3_str *sql)
{
    const char *first = random_column(random, table)->name, *second = random_column(random, table)->name;
    sqlite3_str_appendf(sql, "UPDATE %s \"%w\" SET \"%w\" = ", random_conflict(random), table->name, first);
    if (below(random, 3) == 0)
        sqlite3_str_appendf(sql, "\"%w\"", second);
    else
        sqlite3_str_appendall(sql, random_value(random));
    if (strcmp(first, second) != 0)
        sqlite3_str_appendf(sql, ", \"%w\" = %s", second, random_value(random));
    write_where(random, table, sql);
}

static char *random_statement(struct random *random, const struct pair *pair)
{
    const struct row_table *table = &pair->tables[below(random, (unsigned)pair->n_tables)];
    sqlite3_str *sql = sqlite3_str_new(pair->original);
    switch (below(random, 8)) {
    case 0:
        sqlite3_str_appendf(sql, "DELETE FROM \"%w\"", table->name);
        write_where(random, table, sql);
        break;
    case 1:
    case 2:
    case 3:
        write_update(random, table, sql);
        break;
    case 4:
        sqlite3_str_appendf(sql, "INSERT %s INTO twin SELECT * FROM plain", random_conflict(random));
        break;
    default:
        write_insert(random, table, sql);
    }
    return sqlite3_str_finish(sql);
}

/* As a turn does: what fails is taken back, with all that was captured of it. True if it went well. */
static bool try(struct pair *pair, const char *sql)
{
    size_t before = pair->changes.len;
    pair_run(pair->original, "SAVEPOINT s");
    bool ok = sqlite3_exec(pair->original, sql, NULL, NULL, NULL) == SQLITE_OK;
    if (!ok) {
        pair_run(pair->original, "ROLLBACK TO s");
        pair->changes.len = before;
    }
    pair_run(pair->original, "RELEASE s");
    return ok;
}

static void test_random_statements(void **state)
{
    enum { SEEDS = 200, STATEMENTS = 100, TURN = 10 };
    (void)state;
    size_t n_well = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct random random = {seed};
        struct pair pair;
        pair_open(&pair, MANY);
        for (int i = 1; i <= STATEMENTS; i++) {
            char *sql = random_statement(&random, &pair);
            n_well += try(&pair, sql);
            sqlite3_free(sql);
            if (i % TURN == 0) {
                pair_replay(&pair);
                pair_check(&pair);
            }
        }
        pair_close(&pair);
    }
    assert_in_range(n_well, SEEDS * STATEMENTS / 3, SEEDS * STATEMENTS); /* else it tells little */
}

static int count_down(void *arg)
{
    int *left = arg;
    return (*left)-- <= 0;
}

static void test_a_table_that_was_read_in_part_is_not_known(void **state)
{
    struct pair pair;
    struct row_table table;
    int left = 0;
    (void)state;
    pair_open(&pair, "CREATE TABLE notes(id TEXT PRIMARY KEY, a, b, c, d)");
    sqlite3_progress_handler(pair.original, 1, count_down, &left);
    for (int steps = 1; left <= 0; steps++) { /* until none is left out */
        left = steps;
        if (!row_table_read(&table, pair.original, "notes"))
            continue;
        assert_int_equal(table.n_columns, 5);
        row_table_release(&table);
    }
    sqlite3_progress_handler(pair.original, 0, NULL, NULL);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_table_that_was_read_in_part_is_not_known),
        cmocka_unit_test(test_a_table_with_a_text_key),
        cmocka_unit_test(test_an_integer_primary_key),
        cmocka_unit_test(test_a_key_of_several_columns),
        cmocka_unit_test(test_without_rowid),
        cmocka_unit_test(test_generated_columns_are_made_again),
        cmocka_unit_test(test_columns_that_came_later),
        cmocka_unit_test(test_names_of_any_sort),
        cmocka_unit_test(test_collations),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_a_change_that_does_not_fit_is_told),
        cmocka_unit_test(test_rows_that_come_from_another_table),
        cmocka_unit_test(test_triggers_and_foreign_keys_are_in_the_changes),
        cmocka_unit_test(test_a_key_that_is_null_is_told),
        cmocka_unit_test(test_a_value_that_sqlite_cannot_say_is_told),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_values_as_keys),
        cmocka_unit_test(test_what_is_cut_off_is_told),
        cmocka_unit_test(test_a_table_that_is_not_there),
        cmocka_unit_test(test_random_statements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
