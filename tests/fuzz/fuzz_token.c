/*
 * Any bytes as a token, as the claims of a token that is signed as it should be, and as a key file. The first byte says
 * as which: t, c or k.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "src/router/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const int64_t NOW_S = 1800000000;
static const struct token_policy POLICY = {.audience = "chat", .issuer = "i"};

static struct keyset *load(struct slice json, struct problems *problems)
{
    char path[64];
    int fd = memfd_create("keys", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, json.data, json.len) == (ssize_t)json.len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct keyset *keyset = keyset_load(path, problems);
    close(fd);
    return keyset;
}

static const struct keyset *app_keys(void)
{
    static struct keyset *keyset;
    struct problems problems = {0};
    if (keyset == NULL)
        keyset = load(SLICE("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":"
                            "\"c2tlcnJ5LWV4YW1wbGUta2V5LWRvLW5vdC1kZXBsb3k\"}]}"),
                      &problems);
    assert(keyset != NULL);
    return keyset;
}

/* Returns whether the token was good. */
static bool verify(const struct keyset *keyset, struct slice token, struct buf *ret_claims)
{
    int64_t expires_s = -1;
    const char *reason = token_verify(keyset, &POLICY, token, NOW_S, ret_claims, &expires_s);
    assert(reason == NULL ? expires_s > NOW_S - 60 : ret_claims->len == 0);
    return reason == NULL;
}

static void try_claims(struct slice claims)
{
    struct buf token = {0}, verified = {0};
    token_mint(app_keys(), claims, &token);
    if (verify(app_keys(), buf_slice(&token), &verified))
        assert(slice_eq(buf_slice(&verified), claims));
    buf_release(&token);
    buf_release(&verified);
}

static void try_keys(struct slice json)
{
    struct problems problems = {0};
    struct buf token = {0}, verified = {0};
    struct keyset *keyset = load(json, &problems);
    assert((keyset != NULL) == (problems.n == 0));
    if (keyset != NULL) {
        token_mint(keyset, SLICE("{\"aud\":\"chat\",\"iss\":\"i\",\"exp\":1800000000}"), &token);
        /* A key's own token is good, unless a long `kid` makes its header too long. */
        assert(token.len > 1024 || verify(keyset, buf_slice(&token), &verified));
    }
    keyset_free(keyset);
    problems_release(&problems);
    buf_release(&token);
    buf_release(&verified);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    struct slice rest = slice_of(data + 1, len - 1);
    struct buf claims = {0};
    log_init("fuzz", LOG_ERROR);
    if (data[0] == 't')
        verify(app_keys(), rest, &claims);
    else if (data[0] == 'c')
        try_claims(rest);
    else if (data[0] == 'k')
        try_keys(rest);
    buf_release(&claims);
    return 0;
}
