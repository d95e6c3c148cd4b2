/*
 * base64url - RFC 4648 section 5 without padding, as JWTs use it.
 *
 * Each run of bytes has exactly one text: padding, line ends, and last letters with bits to spare are refused. So no
 * letter of a token can be changed without changing what it says.
 */
#ifndef ROUTER_BASE64URL_H
#define ROUTER_BASE64URL_H

#include <stdbool.h>

#include "base/bytes.h"

void base64url_encode(struct slice bytes, struct buf *ret_text);

/* Appends the bytes. False if `text` is not base64url; `ret_bytes` is then as it was. */
bool base64url_decode(struct slice text, struct buf *ret_bytes);

#endif
