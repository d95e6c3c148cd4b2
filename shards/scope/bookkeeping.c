#include "shards/scope/bookkeeping.h"

static const char TABLES[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE _sync_meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "INSERT INTO _sync_meta VALUES('format', 1);"
    "CREATE TABLE _sync_collections("
    "  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, floor INTEGER NOT NULL, fingerprint TEXT NOT NULL);"
    "CREATE TABLE _sync_log("
    "  seq INTEGER PRIMARY KEY,"     /* of the key's latest change */
    "  collection INTEGER NOT NULL," /* _sync_collections.id; 0: a transaction that changed nothing */
    "  key TEXT NOT NULL,"
    "  op INTEGER NOT NULL," /* 0 insert, 1 update, 2 delete, 3 nothing */
    "  at INTEGER NOT NULL," /* milliseconds since 1970; never goes back */
    "  UNIQUE(collection, key));"
    "CREATE TABLE _sync_receipts("
    "  iss TEXT NOT NULL, sub TEXT NOT NULL, tx TEXT NOT NULL,"
    "  seq INTEGER NOT NULL,"    /* the transaction's own last position */
    "  code TEXT, message TEXT," /* of a rejection; a commit has no message */
    "  result BLOB,"             /* of a commit: the encoded value of the answer */
    "  at INTEGER NOT NULL,"
    "  PRIMARY KEY(iss, sub, tx)) WITHOUT ROWID;"
    "CREATE TABLE _sync_migrations(number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL);"
    "COMMIT;";

_Static_assert(BOOKKEEPING_FORMAT == 1, "the tables above are those of format 1");

enum err bookkeeping_create(struct database *database, struct buf *ret_why)
{
    enum err err = database_run(database, SQL_OURS, TABLES, ret_why);
    if (err != ERR_OK && !sqlite3_get_autocommit(database->db))
        database_run(database, SQL_OURS, "ROLLBACK", NULL);
    return err;
}
