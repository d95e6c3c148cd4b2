#include "base/digest.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>

void sha256(struct slice bytes, unsigned char ret_digest[SHA256_BYTES])
{
    const unsigned char *made = SHA256((const unsigned char *)bytes.data, bytes.len, ret_digest);
    assert(made != NULL);
}

void sha256_text(struct slice bytes, char ret_text[SHA256_TEXT])
{
    unsigned char digest[SHA256_BYTES];
    sha256(bytes, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}
