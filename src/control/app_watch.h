/*
 * app_watch - notices that the files of an app have changed, for `serve --dev`.
 *
 * It looks twice a second, and speaks when two looks in a row saw the same change, so that an editor can finish.
 */
#ifndef CONTROL_APP_WATCH_H
#define CONTROL_APP_WATCH_H

#include <stdint.h>

#include "base/loop.h"

struct app_watch {
    const char *app_dir;
    struct timer timer;
    uint64_t known, seen; /* what the files looked like when last told of, and when last looked at */
    void (*on_change)(void *arg);
    void *arg;
};

void app_watch_start(struct app_watch *watch, struct loop *loop, const char *app_dir, void (*on_change)(void *arg),
                     void *arg);
void app_watch_stop(struct app_watch *watch);

#endif
