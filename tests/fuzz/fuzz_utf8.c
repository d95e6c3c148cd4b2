/* utf8: as the naive reading has it, at any alignment. */
#include <assert.h>

#include "proto/utf8.h"
#include "tests/lib/utf8_naive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    for (size_t cut = 0; cut <= len && cut < 16; cut++)
        assert(utf8_is_valid(slice_of(data + cut, len - cut)) == utf8_naive_is_valid(data + cut, len - cut));
    return 0;
}
