#include "shards/blank.h"

#include "base/clock.h"
#include "base/log.h"
#include "shards/scope/turn.h"

void blank_release(struct blank *blank)
{
    sqlite3_finalize(blank->open);
    if (blank->database.db != NULL)
        database_close(&blank->database);
}

bool blank_allows(struct blank *blank, const struct kind *kind, const struct scope_name *name,
                  const struct claims *claims, int64_t now_ms)
{
    struct buf why = {0};
    if (blank->database.db == NULL && kind_open_blank(kind, &blank->database, &why) != ERR_OK)
        log_line(LOG_ERROR, "blank_failed kind=%s why=\"%.*s\"", kind->def->name, (int)why.len, why.data);
    buf_release(&why);
    if (blank->database.db == NULL)
        return false;
    blank->database.until_us = clock_mono_us() + TURN_US; /* one that takes longer in an empty scope has no end */
    return database_allows(&blank->database, kind, name, claims, now_ms, &blank->open);
}
