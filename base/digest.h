/*
 * digest - SHA-256. OpenSSL takes memory for it: who has none ends, as everywhere, rather than go on with a wrong one.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/bytes.h"

enum { SHA256_BYTES = 32, SHA256_TEXT = 2 * SHA256_BYTES + 1 };

void sha256(struct slice bytes, unsigned char ret_digest[SHA256_BYTES]);

/* In small hexadecimal digits. */
void sha256_text(struct slice bytes, char ret_text[SHA256_TEXT]);

#endif
