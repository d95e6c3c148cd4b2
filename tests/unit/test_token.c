/*
 * Who gets in: tokens as an app's own login service would make them, and as somebody else would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/log.h"
#include "src/router/base64url.h"
#include "src/router/token.h"

enum { NOW_S = 1800000000 };

#define SECRET_A "an old key of thirty-two bytes.."
#define SECRET_B "the new key of thirty-two bytes."

/* RFC 7515 appendix A.1. */
#define RFC_K "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define RFC_TOKEN                                                                                                      \
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."                                                                        \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."                  \
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

/* ---- a keyset in a file, and a signer of our own ---- */

static struct keyset *load(const char *json, struct problems *problems)
{
    char path[] = "/tmp/skerry-test-keys-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, json, strlen(json)), strlen(json));
    close(fd);
    struct keyset *keyset = keyset_load(path, problems);
    unlink(path);
    return keyset;
}

static void append_key(struct buf *json, const char *members, const char *secret)
{
    buf_printf(json, "%s{\"kty\":\"oct\",%s\"k\":\"", json->len == 0 ? "{\"keys\":[" : ",", members);
    base64url_encode(slice_str(secret), json);
    buf_printf(json, "\"}");
}

/* Two keys, as while one is being replaced by the other. */
static struct keyset *load_a_and_b(void)
{
    struct buf json = {0};
    struct problems problems = {0};
    append_key(&json, "\"kid\":\"a\",\"alg\":\"HS256\",", SECRET_A);
    append_key(&json, "\"kid\":\"b\",", SECRET_B);
    buf_printf(&json, "]}");
    struct keyset *keyset = load(json.data, &problems);
    assert_non_null(keyset);
    buf_release(&json);
    return keyset;
}

static struct buf sign(const char *secret, const char *header, const char *claims)
{
    struct buf token = {0};
    unsigned char mac[32];
    unsigned len;
    base64url_encode(slice_str(header), &token);
    buf_append_slice(&token, SLICE("."));
    base64url_encode(slice_str(claims), &token);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)token.data, token.len, mac, &len);
    buf_append_slice(&token, SLICE("."));
    base64url_encode(slice_of(mac, len), &token);
    return token;
}

static const char *verify(const struct keyset *keyset, struct slice token)
{
    struct buf claims = {0};
    int64_t expires_s;
    const struct token_policy policy = {.audience = "chat", .issuer = "https://id.example"};
    const char *reason = token_verify(keyset, &policy, token, NOW_S, &claims, &expires_s);
    if (reason != NULL)
        assert_int_equal(claims.len, 0);
    buf_release(&claims);
    return reason;
}

static void expect(const char *header, const char *claims, const char *reason)
{
    struct keyset *keyset = load_a_and_b();
    struct buf token = sign(SECRET_B, header, claims);
    const char *found = verify(keyset, buf_slice(&token));
    if (reason == NULL)
        assert_null(found);
    else
        assert_string_equal(found, reason);
    buf_release(&token);
    keyset_free(keyset);
}

#define HS256  "{\"alg\":\"HS256\"}"
#define VALID  "\"aud\":\"chat\",\"iss\":\"https://id.example\""
#define ENDS   "\"exp\":1800000060"
#define CLAIMS "{\"sub\":\"ann\"," VALID "," ENDS "}"

/* ---- tokens that are right ---- */

static void test_rfc_7515_example(void **state)
{
    (void)state;
    struct problems problems = {0};
    struct keyset *keyset = load("{\"keys\":[{\"kty\":\"oct\",\"k\":\"" RFC_K "\"}]}", &problems);
    assert_non_null(keyset);
    const struct token_policy policy = {.issuer = "joe"};
    struct buf claims = {0};
    int64_t expires_s = 0;
    assert_null(token_verify(keyset, &policy, SLICE(RFC_TOKEN), 1300819380, &claims, &expires_s));
    assert_true(slice_eq(buf_slice(&claims), SLICE("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
                                                   "\"http://example.com/is_root\":true}")));
    assert_int_equal(expires_s, 1300819380);
    buf_release(&claims);
    keyset_free(keyset);
}

static void test_a_minted_token_is_verified(void **state)
{
    (void)state;
    struct keyset *keyset = load_a_and_b();
    struct buf token = {0}, claims = {0};
    const struct token_policy policy = {.audience = "chat", .issuer = "https://id.example"};
    int64_t expires_s = 0;
    token_mint(keyset, SLICE(CLAIMS), &token);
    assert_null(token_verify(keyset, &policy, buf_slice(&token), NOW_S, &claims, &expires_s));
    assert_true(slice_eq(buf_slice(&claims), SLICE(CLAIMS)));
    assert_int_equal(expires_s, NOW_S + 60);
    buf_release(&token);
    buf_release(&claims);
    keyset_free(keyset);
}

static void test_kid_picks_the_key(void **state)
{
    (void)state;
    expect("{\"alg\":\"HS256\",\"kid\":\"b\"}", CLAIMS, NULL);
    expect(HS256, CLAIMS, NULL);
    expect("{\"alg\":\"HS256\",\"kid\":\"a\"}", CLAIMS, "no key of the app made this signature");
    expect("{\"alg\":\"HS256\",\"kid\":\"c\"}", CLAIMS, "no key of the app made this signature");
    expect("{\"alg\":\"HS256\",\"kid\":1}", CLAIMS, "kid is not a text");
}

/* ---- what a token says ---- */

static void test_time_has_30_seconds_of_leeway(void **state)
{
    (void)state;
    expect(HS256, "{" VALID ",\"exp\":1799999971}", NULL);
    expect(HS256, "{" VALID ",\"exp\":1799999970}", "expired");
    expect(HS256, "{" VALID ",\"exp\":0}", "expired");
    expect(HS256, "{" VALID ",\"exp\":1800000000.5}", NULL);
    expect(HS256, "{" VALID "," ENDS ",\"nbf\":1800000030}", NULL);
    expect(HS256, "{" VALID "," ENDS ",\"nbf\":1800000031}", "not valid yet");
    expect(HS256, "{" VALID "," ENDS ",\"nbf\":\"1800000031\"}", "nbf is not a number");
}

static void test_exp_is_required(void **state)
{
    (void)state;
    static const char *const UNUSABLE[] = {"{" VALID "}",
                                           "{" VALID ",\"exp\":\"1800000060\"}",
                                           "{" VALID ",\"exp\":-1}",
                                           "{" VALID ",\"exp\":1e300}",
                                           "{" VALID ",\"exp\":null}",
                                           "{" VALID ",\"EXP\":1800000060}"};
    for (size_t i = 0; i < sizeof UNUSABLE / sizeof UNUSABLE[0]; i++)
        expect(HS256, UNUSABLE[i], "no usable exp");
}

static void test_audience_and_issuer_are_checked(void **state)
{
    (void)state;
#define FROM "\"iss\":\"https://id.example\"," ENDS
    expect(HS256, "{\"aud\":[\"mail\",\"chat\"]," FROM "}", NULL);
    expect(HS256, "{\"aud\":\"mail\"," FROM "}", "for another audience");
    expect(HS256, "{\"aud\":\"chat2\"," FROM "}", "for another audience");
    expect(HS256, "{\"aud\":[\"mail\",7]," FROM "}", "for another audience");
    expect(HS256, "{\"aud\":{\"x\":\"chat\"}," FROM "}", "for another audience");
    expect(HS256, "{" FROM "}", "for another audience");
    expect(HS256, "{\"aud\":\"chat\",\"iss\":\"https://evil.example\"," ENDS "}", "from another issuer");
    expect(HS256, "{\"aud\":\"chat\"," ENDS "}", "from another issuer");
}

/* Of two names that one reader takes for the same and another does not, neither may decide who it is. */
static void test_ambiguous_claims_are_refused(void **state)
{
    (void)state;
    expect(HS256, "{" VALID "," ENDS ",\"sub\":\"ann\",\"sub\":\"bob\"}", "malformed");
    expect(HS256, "{" VALID "," ENDS ",\"sub\":\"ann\\u0000bob\"}", "malformed");
    expect(HS256, "{" VALID "," ENDS ",\"sub\":\"\xff\"}", "malformed");
    expect(HS256, "{" VALID "," ENDS ",\"role\":\"a\",\"Role\":\"b\"}", NULL);
    expect(HS256, "[" ENDS "]", "malformed");
    expect(HS256, "null", "malformed");
    expect(HS256, "", "malformed");
}

/* ---- forgeries ---- */

static void test_only_hs256_is_accepted(void **state)
{
    (void)state;
    static const char *const HEADERS[] = {
        "{\"alg\":\"none\"}",  "{\"alg\":\"RS256\"}", "{\"alg\":\"HS512\"}", "{\"alg\":\"hs256\"}",
        "{\"alg\":\"ES256\"}", "{\"alg\":256}",       "{\"typ\":\"JWT\"}",   "{\"ALG\":\"HS256\"}",
    };
    for (size_t i = 0; i < sizeof HEADERS / sizeof HEADERS[0]; i++)
        expect(HEADERS[i], CLAIMS, "algorithm is not HS256");
    expect("{\"alg\":\"HS256\",\"alg\":\"none\"}", CLAIMS, "malformed");
    expect("{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", CLAIMS, "critical extension");
}

static void test_an_unsigned_token_is_refused(void **state)
{
    (void)state;
    struct keyset *keyset = load_a_and_b();
    struct buf token = {0};
    base64url_encode(SLICE("{\"alg\":\"none\"}"), &token);
    buf_append_slice(&token, SLICE("."));
    base64url_encode(SLICE(CLAIMS), &token);
    buf_append_slice(&token, SLICE("."));
    assert_string_equal(verify(keyset, buf_slice(&token)), "algorithm is not HS256");
    buf_release(&token);
    keyset_free(keyset);
}

static void test_another_key_is_refused(void **state)
{
    (void)state;
    struct keyset *keyset = load_a_and_b();
    struct buf token = sign("a key that the app does not know", HS256, CLAIMS);
    assert_string_equal(verify(keyset, buf_slice(&token)), "no key of the app made this signature");
    buf_release(&token);
    keyset_free(keyset);
}

static void test_no_byte_can_be_changed(void **state)
{
    (void)state;
    struct keyset *keyset = load_a_and_b();
    struct buf token = sign(SECRET_A, "{\"alg\":\"HS256\",\"kid\":\"a\"}", CLAIMS);
    assert_null(verify(keyset, buf_slice(&token)));
    for (size_t i = 0; i < token.len; i++) {
        char kept = token.data[i];
        for (int byte = 0; byte < 256; byte++) {
            token.data[i] = (char)byte;
            if (token.data[i] != kept)
                assert_non_null(verify(keyset, buf_slice(&token)));
        }
        token.data[i] = kept;
    }
    assert_null(verify(keyset, buf_slice(&token)));
    buf_release(&token);
    keyset_free(keyset);
}

static void test_no_length_but_its_own_is_right(void **state)
{
    (void)state;
    struct keyset *keyset = load_a_and_b();
    struct buf token = sign(SECRET_A, HS256, CLAIMS);
    for (size_t len = 0; len < token.len; len++)
        assert_non_null(verify(keyset, slice_of(token.data, len)));
    static const char *const TAILS[] = {"A", "=", ".", ".AAAA", "\n", " "};
    for (size_t i = 0; i < sizeof TAILS / sizeof TAILS[0]; i++) {
        struct buf longer = {0};
        buf_append(&longer, token.data, token.len);
        buf_append_slice(&longer, slice_str(TAILS[i]));
        assert_non_null(verify(keyset, buf_slice(&longer)));
        buf_release(&longer);
    }
    buf_release(&token);
    keyset_free(keyset);
}

static struct buf sign_padded(int header_padding, int claims_padding)
{
    struct buf header = {0}, claims = {0};
    buf_printf(&header, "{\"alg\":\"HS256\",\"x\":\"%*s\"}", header_padding, "");
    buf_printf(&claims, "{" VALID "," ENDS ",\"x\":\"%*s\"}", claims_padding, "");
    struct buf token = sign(SECRET_A, header.data, claims.data);
    buf_release(&header);
    buf_release(&claims);
    return token;
}

static void test_length_is_bounded(void **state)
{
    (void)state;
    struct keyset *keyset = load_a_and_b();
    struct buf fits = sign_padded(0, 5900), longer = sign_padded(0, 6100);
    struct buf header = sign_padded(1000, 0);
    assert_true(fits.len <= TOKEN_MAX && longer.len > TOKEN_MAX);
    assert_null(verify(keyset, buf_slice(&fits)));
    assert_string_equal(verify(keyset, buf_slice(&longer)), "too long");
    assert_string_equal(verify(keyset, buf_slice(&header)), "malformed");
    buf_release(&fits);
    buf_release(&longer);
    buf_release(&header);
    keyset_free(keyset);
}

/* ---- key files ---- */

static void test_a_bad_key_file_says_why(void **state)
{
    (void)state;
#define GOOD_K "\"k\":\"" RFC_K "\""
    static const struct {
        const char *json, *line;
    } FILES[] = {
        {"{\"keys\":[]}", "must be a JWK set, {\"keys\": [...]}, with 1 to 32 keys"},
        {"[]", "must be a JWK set, {\"keys\": [...]}, with 1 to 32 keys"},
        {"{\"keys\":[{}", "line 1, column 12: not JSON"},
        {"{\"keys\":[{" GOOD_K "}]}",
         "keys[0]: \"kty\" must be \"oct\": this version of Skerry supports no other keys"},
        {"{\"keys\":[{\"kty\":\"RSA\"}]}",
         "keys[0]: \"kty\" must be \"oct\": this version of Skerry supports no other keys"},
        {"{\"keys\":[7]}", "keys[0]: \"kty\" must be \"oct\": this version of Skerry supports no other keys"},
        {"{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS512\"," GOOD_K "}]}",
         "keys[0]: \"alg\" must be \"HS256\": this version of Skerry supports no other"},
        {"{\"keys\":[{\"kty\":\"oct\",\"use\":\"enc\"," GOOD_K "}]}",
         "keys[0]: \"use\" must be \"sig\": the key is for signatures"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}]}",
         "keys[0]: \"k\" must be at least 32 bytes of secret, 43 letters of base64url"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"" RFC_K "==\"}]}",
         "keys[0]: \"k\" must be the secret in base64url, without padding"},
        {"{\"keys\":[{\"kty\":\"oct\"}]}", "keys[0]: \"k\" must be the secret in base64url, without padding"},
        {"{\"keys\":[{\"kty\":\"oct\"," GOOD_K "," GOOD_K "}]}",
         "keys[0]: must be an object whose members have different names"},
        {"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\"," GOOD_K "},{\"kty\":\"oct\",\"kid\":\"a\"," GOOD_K "}]}",
         "keys[1]: \"kid\" must be a text that no other key has"},
    };
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        struct problems problems = {0};
        assert_null(load(FILES[i].json, &problems));
        assert_int_equal(problems.n, 1);
        const char *line = strstr(problems.text.data, ": ");
        assert_memory_equal(line + 2, FILES[i].line, strlen(FILES[i].line));
        problems_release(&problems);
    }
}

static void test_a_missing_key_file_is_named(void **state)
{
    (void)state;
    struct problems problems = {0};
    assert_null(keyset_load("no/such/keys.json", &problems));
    assert_string_equal(problems.text.data, "no/such/keys.json: cannot be read: No such file or directory\n");
    problems_release(&problems);
    assert_null(keyset_load("/", &problems));
    assert_string_equal(problems.text.data, "/: must be a file of at most 65536 bytes\n");
    problems_release(&problems);
}

/* ---- base64url ---- */

static void test_base64url_has_one_text_per_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } PAIRS[] = {{"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
                 {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "-_-_"}};
    for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
        struct buf text = {0}, bytes = {0};
        base64url_encode(slice_str(PAIRS[i].bytes), &text);
        assert_true(slice_eq(buf_slice(&text), slice_str(PAIRS[i].text)));
        assert_true(base64url_decode(slice_str(PAIRS[i].text), &bytes));
        assert_true(slice_eq(buf_slice(&bytes), slice_str(PAIRS[i].bytes)));
        buf_release(&text);
        buf_release(&bytes);
    }
    static const char *const REFUSED[] = {
        "Z", "A", "Zh", "Zm9", "Zm9vA", "Zg==", "Zm9vY", "Zm+/", "Zm 9v", "Zm9v\n", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        struct buf bytes = {0};
        assert_false(base64url_decode(slice_str(REFUSED[i]), &bytes));
        assert_int_equal(bytes.len, 0);
        buf_release(&bytes);
    }
}

int main(void)
{
    log_init("test", LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_7515_example),
        cmocka_unit_test(test_a_minted_token_is_verified),
        cmocka_unit_test(test_kid_picks_the_key),
        cmocka_unit_test(test_time_has_30_seconds_of_leeway),
        cmocka_unit_test(test_exp_is_required),
        cmocka_unit_test(test_audience_and_issuer_are_checked),
        cmocka_unit_test(test_ambiguous_claims_are_refused),
        cmocka_unit_test(test_only_hs256_is_accepted),
        cmocka_unit_test(test_an_unsigned_token_is_refused),
        cmocka_unit_test(test_another_key_is_refused),
        cmocka_unit_test(test_no_byte_can_be_changed),
        cmocka_unit_test(test_no_length_but_its_own_is_right),
        cmocka_unit_test(test_length_is_bounded),
        cmocka_unit_test(test_a_bad_key_file_says_why),
        cmocka_unit_test(test_a_missing_key_file_is_named),
        cmocka_unit_test(test_base64url_has_one_text_per_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
