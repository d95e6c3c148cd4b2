/*
 * wal - a VFS for scope files that writes all frames of a commit to the write-ahead log at once, writes a log that it
 * finds anew, and calls a read that failed what it is.
 *
 * SQLite writes each page of a commit with two calls, one for the frame's header and one for the page; a transaction of
 * one row changes half a dozen pages, and the calls cost more than everything else that it does. Here they are gathered
 * and written when the frame that commits is complete, so that a COMMIT still returns with all of it in the system's
 * hands. Only the write-ahead log is treated so.
 *
 * A log that is there when a file is opened was left by a crash. The system may take it for written although its disk
 * has failed to write it: written anew, it is durable when the checkpoint that follows has synced it.
 *
 * When a read fails with EIO, SQLite's own VFS says so in a way that ends as SQLITE_CORRUPT: a disk that failed once
 * could not be told from a file that is damaged for good. Here it is SQLITE_IOERR, of database and log.
 *
 * Frames that a transaction wrote without committing are of no use to anybody: closing drops them.
 */
#ifndef SHARDS_SCOPE_WAL_H
#define SHARDS_SCOPE_WAL_H

/* The VFS's name, for sqlite3_open_v2. Registers it over the default one when it is first asked for. Any thread. */
const char *wal_vfs(void);

#endif
