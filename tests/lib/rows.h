/*
 * rows - what a database holds, row for row and bit for bit, as text that can be compared.
 */
#ifndef TESTS_LIB_ROWS_H
#define TESTS_LIB_ROWS_H

#include <sqlite3.h>

#include "base/bytes.h"

/* Appends each table by name, and each of its rows: the server's tables too, and what generated columns hold. */
void rows_print(struct buf *text, sqlite3 *db);

/* The same of the database in a file that nobody has open. */
void rows_print_file(struct buf *text, const char *path);

#endif
