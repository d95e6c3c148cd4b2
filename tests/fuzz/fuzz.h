/*
 * fuzz - what each target brings: a decoder under random input, and what must hold whatever the input is.
 *
 * A target is linked with libFuzzer (--enable-fuzzer), or with replay.c, which runs it under `make check` over its
 * corpus, tests/fuzz/corpus/NAME. What does not hold is an assertion.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

extern const char *const fuzz_name;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
