/*
 * log - one line on standard error is one event: `time level event key=value ...`.
 *
 * Never one line per message of a client, never a user's content. The role (router, worker) is set once per process.
 * Thread: any; a line is one write.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Names the process in each line and drops what is below `least`. `role` is borrowed for good. */
void log_init(const char *role, enum log_level least);

/* `format` makes the event's word and its key=value pairs: log_line(LOG_INFO, "listening addr=%s", addr). */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
