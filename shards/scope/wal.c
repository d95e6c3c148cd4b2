#include "shards/scope/wal.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/bytes.h"

enum {
    FRAME_HEADER = 24,
    GATHERED_FIRST = 32 << 10, /* what the allocator keeps at hand for its thread */
    GATHERED_MAX = 96 << 10,   /* SQLite's VFS for Unix takes less than 128 KiB at once */
};

enum { UNKNOWN = -1 };

/* What comes next in the log. */
enum expected { SOMETHING, PAGE, LAST_PAGE };

struct wal {
    sqlite3_file file; /* as SQLite sees it */
    bool is_database;  /* of which nothing is gathered */
    enum expected expected;
    sqlite3_int64 at;  /* where what is gathered goes */
    sqlite3_int64 end; /* of the last write; UNKNOWN after a read */
    struct buf gathered;
    sqlite3_file base[]; /* the default VFS's */
};

static sqlite3_vfs *base_vfs;
static sqlite3_vfs gathering_vfs;

static struct wal *wal_of(sqlite3_file *file)
{
    return (struct wal *)file;
}

/* What fails is the commit's failure: nothing of it counts, since its last frame is missing. */
static int flush(struct wal *wal)
{
    int code = SQLITE_OK;
    if (wal->gathered.len > 0)
        code = wal->base->pMethods->xWrite(wal->base, wal->gathered.data, (int)wal->gathered.len, wal->at);
    buf_release(&wal->gathered);
    return code;
}

/* The frame's header says how many pages the database has if the frame is a commit's last, else 0. */
static bool ends_commit(const unsigned char *header)
{
    return (header[4] | header[5] | header[6] | header[7]) != 0;
}

/* Behind what is gathered, or else that goes first. */
static int gather(struct wal *wal, const void *data, size_t len, sqlite3_int64 at)
{
    bool fits = at == wal->at + (sqlite3_int64)wal->gathered.len && wal->gathered.len + len <= GATHERED_MAX;
    int code = fits ? SQLITE_OK : flush(wal);
    if (code != SQLITE_OK)
        return code;
    if (wal->gathered.len == 0) {
        wal->at = at;
        buf_reserve(&wal->gathered, GATHERED_FIRST);
    }
    buf_append(&wal->gathered, data, len);
    return SQLITE_OK;
}

/* A page follows the header of a frame that is appended, at once. It does not follow one that is only rewritten, for a
 * transaction that changed a page again after it had gone to the log: but that one was read just before. */
static int on_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    struct wal *wal = wal_of(file);
    if (wal->is_database)
        return wal->base->pMethods->xWrite(wal->base, data, len, at);
    enum expected found = wal->expected;
    bool is_header = found == SOMETHING && len == FRAME_HEADER && at == wal->end;
    int code = gather(wal, data, (size_t)len, at);
    wal->end = at + len;
    wal->expected = code != SQLITE_OK || !is_header ? SOMETHING : ends_commit(data) ? LAST_PAGE : PAGE;
    return code != SQLITE_OK || is_header || found == PAGE ? code : flush(wal);
}

static int on_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
    struct wal *wal = wal_of(file);
    int code = flush(wal);
    wal->end = UNKNOWN;
    if (code == SQLITE_OK)
        code = wal->base->pMethods->xRead(wal->base, to, len, at);
    return code == SQLITE_IOERR_CORRUPTFS ? SQLITE_IOERR_READ : code;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct wal *wal = wal_of(file);
    int code = flush(wal);
    return code == SQLITE_OK ? wal->base->pMethods->xTruncate(wal->base, size) : code;
}

static int on_sync(sqlite3_file *file, int flags)
{
    struct wal *wal = wal_of(file);
    int code = flush(wal);
    return code == SQLITE_OK ? wal->base->pMethods->xSync(wal->base, flags) : code;
}

static int on_file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    struct wal *wal = wal_of(file);
    int code = flush(wal);
    return code == SQLITE_OK ? wal->base->pMethods->xFileSize(wal->base, ret_size) : code;
}

static int on_close(sqlite3_file *file)
{
    struct wal *wal = wal_of(file);
    buf_release(&wal->gathered);
    return wal->base->pMethods->xClose(wal->base);
}

static int on_lock(sqlite3_file *file, int lock)
{
    return wal_of(file)->base->pMethods->xLock(wal_of(file)->base, lock);
}

static int on_unlock(sqlite3_file *file, int lock)
{
    return wal_of(file)->base->pMethods->xUnlock(wal_of(file)->base, lock);
}

static int on_check_lock(sqlite3_file *file, int *ret_is_locked)
{
    return wal_of(file)->base->pMethods->xCheckReservedLock(wal_of(file)->base, ret_is_locked);
}

static int on_control(sqlite3_file *file, int op, void *arg)
{
    return wal_of(file)->base->pMethods->xFileControl(wal_of(file)->base, op, arg);
}

static int on_sector_size(sqlite3_file *file)
{
    return wal_of(file)->base->pMethods->xSectorSize(wal_of(file)->base);
}

static int on_characteristics(sqlite3_file *file)
{
    return wal_of(file)->base->pMethods->xDeviceCharacteristics(wal_of(file)->base);
}

/* Of version 1: nobody else has the file, so the log needs no memory that is shared. */
static const sqlite3_io_methods METHODS = {
    .iVersion = 1,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_file_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
};

/* Of what a crash has left, nobody knows whether a sync of it has failed: then the system takes it for written, and the
 * next sync says that all is well. So it is written once more, to be synced before anything is done with it. */
static int write_anew(sqlite3_file *log)
{
    static const int STEP = 64 << 10;
    sqlite3_int64 size, at = 0;
    char *chunk = mem_alloc((size_t)STEP);
    int code = log->pMethods->xFileSize(log, &size);
    while (code == SQLITE_OK && at < size) {
        int len = size - at < STEP ? (int)(size - at) : STEP;
        code = log->pMethods->xRead(log, chunk, len, at);
        if (code == SQLITE_OK)
            code = log->pMethods->xWrite(log, chunk, len, at);
        at += len;
    }
    free(chunk);
    return code == SQLITE_IOERR_CORRUPTFS ? SQLITE_IOERR_READ : code;
}

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct wal *wal = wal_of(file);
    (void)vfs;
    if ((flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)) == 0)
        return base_vfs->xOpen(base_vfs, name, file, flags, ret_flags);
    *wal = (struct wal){.is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0};
    int code = base_vfs->xOpen(base_vfs, name, wal->base, flags, ret_flags);
    if (code == SQLITE_OK && !wal->is_database)
        code = write_anew(wal->base);
    wal->file.pMethods = wal->base->pMethods == NULL ? NULL : &METHODS;
    return code;
}

static void register_vfs(void)
{
    base_vfs = sqlite3_vfs_find(NULL);
    assert(base_vfs != NULL);
    gathering_vfs = *base_vfs; /* its other functions know their own by pAppData, if at all */
    gathering_vfs.zName = "skerry";
    gathering_vfs.szOsFile = (int)sizeof(struct wal) + base_vfs->szOsFile;
    gathering_vfs.pNext = NULL;
    gathering_vfs.xOpen = on_open;
    int code = sqlite3_vfs_register(&gathering_vfs, 0);
    assert(code == SQLITE_OK);
}

const char *wal_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_vfs);
    return gathering_vfs.zName;
}
