/*
 * checksum - the SHA-256 of a backup, and the file beside it that says what it is: FILE.sha256, as `sha256sum -c`
 * reads.
 */
#ifndef CONTROL_CHECKSUM_H
#define CONTROL_CHECKSUM_H

#include "base/bytes.h"
#include "base/err.h"

enum { CHECKSUM_TEXT = 65 };

struct checksum;

struct checksum *checksum_new(void);
void checksum_add(struct checksum *checksum, struct slice bytes);

/* The sum as 64 hexadecimal digits. Frees the checksum. */
void checksum_end(struct checksum *checksum, char ret_text[CHECKSUM_TEXT]);

/* Writes and reads FILE.sha256. Reading: ERR_NOT_FOUND if there is none, ERR_INVALID if it says no sum. */
enum err checksum_write(const char *file, const char *text);
enum err checksum_read(const char *file, char ret_text[CHECKSUM_TEXT]);

#endif
