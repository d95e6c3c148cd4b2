/* utf8_naive - what UTF-8 is, written down as RFC 3629 says it and as slowly: an oracle for proto/utf8. */
#ifndef TESTS_LIB_UTF8_NAIVE_H
#define TESTS_LIB_UTF8_NAIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool utf8_naive_is_valid(const uint8_t *at, size_t len);

#endif
