/* utf8 - is it text? Surrogates, overlong forms and anything above U+10FFFF are not. */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include <stdbool.h>

#include "base/bytes.h"

bool utf8_is_valid(struct slice text);

#endif
