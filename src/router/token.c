#include "src/router/token.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "proto/json.h"
#include "src/router/base64url.h"

enum {
    KEYS_FILE_MAX = 64 * 1024,
    KEYS_MAX = 32, /* a token without `kid` is checked against each */
    KEY_BYTES_MIN = 32,
    MAC_BYTES = 32,
    HEADER_MAX = 1024, /* bytes of base64url: it is read before anybody is known to have signed it */
    LEEWAY_S = 30,
};

struct key {
    char *kid; /* or NULL */
    struct buf secret;
};

struct keyset {
    struct key keys[KEYS_MAX];
    size_t n;
};

/* ---- keys ---- */

static const char *text_member(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* Whether an optional member of a JWK is absent or says `value`. */
static bool member_allows(const cJSON *jwk, const char *name, const char *value)
{
    const char *text = text_member(jwk, name);
    return !cJSON_HasObjectItem(jwk, name) || (text != NULL && strcmp(text, value) == 0);
}

static bool keyset_has_kid(const struct keyset *keyset, const char *kid)
{
    for (size_t i = 0; i < keyset->n; i++)
        if (keyset->keys[i].kid != NULL && strcmp(keyset->keys[i].kid, kid) == 0)
            return true;
    return false;
}

/* Returns what is wrong with the key, or NULL. */
static const char *read_key(const struct keyset *keyset, const cJSON *jwk, struct key *ret_key)
{
    const char *k = text_member(jwk, "k"), *kid = text_member(jwk, "kid");
    for (const cJSON *member = jwk->child; member != NULL; member = member->next)
        if (member->string == NULL || json_is_repeated(jwk, member, strcmp))
            return "must be an object whose members have different names";
    if (!cJSON_HasObjectItem(jwk, "kty") || !member_allows(jwk, "kty", "oct"))
        return "\"kty\" must be \"oct\": this version of Skerry supports no other keys";
    if (!member_allows(jwk, "alg", "HS256"))
        return "\"alg\" must be \"HS256\": this version of Skerry supports no other";
    if (!member_allows(jwk, "use", "sig"))
        return "\"use\" must be \"sig\": the key is for signatures";
    if (cJSON_HasObjectItem(jwk, "kid") && (kid == NULL || keyset_has_kid(keyset, kid)))
        return "\"kid\" must be a text that no other key has";
    if (k == NULL || !base64url_decode(slice_str(k), &ret_key->secret))
        return "\"k\" must be the secret in base64url, without padding";
    if (ret_key->secret.len < KEY_BYTES_MIN)
        return "\"k\" must be at least 32 bytes of secret, 43 letters of base64url";
    ret_key->kid = kid == NULL ? NULL : mem_dup(slice_str(kid));
    return NULL;
}

static void read_keys(struct keyset *keyset, const cJSON *json, const char *path, struct problems *problems)
{
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(json, "keys"), *jwk;
    int n = cJSON_GetArraySize(keys);
    if (!cJSON_IsArray(keys) || n == 0 || n > KEYS_MAX) {
        problems_add(problems, "%s: must be a JWK set, {\"keys\": [...]}, with 1 to %d keys", path, KEYS_MAX);
        return;
    }
    size_t i = 0;
    cJSON_ArrayForEach(jwk, keys) {
        const char *problem = read_key(keyset, jwk, &keyset->keys[keyset->n]);
        if (problem != NULL)
            problems_add(problems, "%s: keys[%zu]: %s", path, i, problem);
        i++;
        keyset->n++;
    }
}

static cJSON *read_file(const char *path, struct problems *problems)
{
    struct buf text = {0};
    struct json_error error;
    cJSON *json = NULL;
    enum err err = file_read(path, KEYS_FILE_MAX, &text);
    if (err == ERR_IO || err == ERR_NOT_FOUND)
        problems_add(problems, "%s: cannot be read: %s", path, strerror(errno));
    else if (err != ERR_OK)
        problems_add(problems, "%s: must be a file of at most %d bytes", path, KEYS_FILE_MAX);
    else if ((json = json_parse(buf_slice(&text), &error)) == NULL)
        problems_add(problems, "%s: line %zu, column %zu: %s", path, error.line, error.column, error.reason);
    buf_release(&text);
    return json;
}

struct keyset *keyset_load(const char *path, struct problems *problems)
{
    cJSON *json = read_file(path, problems);
    if (json == NULL)
        return NULL;
    size_t before = problems->n;
    struct keyset *keyset = mem_zero(1, sizeof *keyset);
    read_keys(keyset, json, path, problems);
    cJSON_Delete(json);
    if (problems->n == before)
        return keyset;
    keyset_free(keyset);
    return NULL;
}

static char *path_of_keys(const struct app *app)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", app->dir, app->keys) < 0)
        abort();
    return path;
}

struct keyset *keyset_load_for(const struct app *app, struct problems *problems)
{
    if (app->keys == NULL)
        return NULL;
    char *path = path_of_keys(app);
    struct keyset *keyset = keyset_load(path, problems);
    free(path);
    return keyset;
}

void keyset_warn_if_exposed(const struct app *app)
{
    struct stat st;
    if (app->keys == NULL)
        return;
    char *path = path_of_keys(app);
    if (stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0)
        log_line(LOG_WARN, "keys_readable_by_all path=%s", path);
    free(path);
}

void keyset_free(struct keyset *keyset)
{
    if (keyset == NULL)
        return;
    for (size_t i = 0; i < keyset->n; i++) {
        free(keyset->keys[i].kid);
        buf_release(&keyset->keys[i].secret);
    }
    free(keyset);
}

/* ---- signatures ---- */

static void sign(const struct key *key, struct slice signed_part, unsigned char ret_mac[MAC_BYTES])
{
    unsigned len = 0;
    const unsigned char *mac = HMAC(EVP_sha256(), key->secret.data, (int)key->secret.len,
                                    (const unsigned char *)signed_part.data, signed_part.len, ret_mac, &len);
    assert(mac != NULL && len == MAC_BYTES);
}

/* `kid` picks the key; without one, any key will do. */
static bool is_signed(const struct keyset *keyset, const char *kid, struct slice signed_part, struct slice signature)
{
    for (size_t i = 0; i < keyset->n; i++) {
        const struct key *key = &keyset->keys[i];
        unsigned char mac[MAC_BYTES];
        if (kid != NULL && (key->kid == NULL || strcmp(kid, key->kid) != 0))
            continue;
        sign(key, signed_part, mac);
        if (signature.len == MAC_BYTES && CRYPTO_memcmp(mac, signature.data, MAC_BYTES) == 0)
            return true;
    }
    return false;
}

/* ---- a token's parts ---- */

struct parts {
    struct slice header, claims, signature; /* base64url */
    struct slice signed_part;               /* header.claims */
};

static bool split(struct slice token, struct parts *ret_parts)
{
    const char *end = token.data + token.len;
    const char *first = memchr(token.data, '.', token.len);
    const char *second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
    if (second == NULL)
        return false;
    *ret_parts = (struct parts){
        .header = slice_of(token.data, (size_t)(first - token.data)),
        .claims = slice_of(first + 1, (size_t)(second - first - 1)),
        .signature = slice_of(second + 1, (size_t)(end - second - 1)),
        .signed_part = slice_of(token.data, (size_t)(second - token.data)),
    };
    return true;
}

/* An object whose members have different names, or NULL: of two that are the same, two readers might see either. */
static cJSON *parse_object(struct slice text)
{
    struct json_error error;
    cJSON *json = json_parse(text, &error);
    bool is_sound = cJSON_IsObject(json);
    for (const cJSON *member = is_sound ? json->child : NULL; member != NULL; member = member->next)
        is_sound = is_sound && !json_is_repeated(json, member, strcmp);
    if (is_sound)
        return json;
    cJSON_Delete(json);
    return NULL;
}

static const char *check_header(const struct keyset *keyset, const cJSON *header, const struct parts *parts,
                                struct slice signature)
{
    const char *alg = text_member(header, "alg");
    const cJSON *kid = cJSON_GetObjectItemCaseSensitive(header, "kid");
    if (alg == NULL || strcmp(alg, "HS256") != 0)
        return "algorithm is not HS256";
    if (cJSON_GetObjectItemCaseSensitive(header, "crit") != NULL)
        return "critical extension";
    if (kid != NULL && !cJSON_IsString(kid))
        return "kid is not a text";
    if (!is_signed(keyset, cJSON_GetStringValue(kid), parts->signed_part, signature))
        return "no key of the app made this signature";
    return NULL;
}

static const char *check_signature(const struct keyset *keyset, const struct parts *parts)
{
    struct buf text = {0}, signature = {0};
    cJSON *header = NULL;
    const char *reason = "malformed";
    if (parts->header.len <= HEADER_MAX && base64url_decode(parts->header, &text) &&
        base64url_decode(parts->signature, &signature) && (header = parse_object(buf_slice(&text))) != NULL)
        reason = check_header(keyset, header, parts, buf_slice(&signature));
    cJSON_Delete(header);
    buf_release(&text);
    buf_release(&signature);
    return reason;
}

/* ---- claims ---- */

static bool is_text(const cJSON *value, const char *text)
{
    return cJSON_IsString(value) && strcmp(value->valuestring, text) == 0;
}

/* RFC 7519 section 4.1.3: one text, or an array of them. */
static bool audience_holds(const cJSON *aud, const char *audience)
{
    bool holds = is_text(aud, audience);
    if (cJSON_IsArray(aud))
        for (const cJSON *item = aud->child; item != NULL; item = item->next)
            holds = holds || is_text(item, audience);
    return holds;
}

static const char *check_claims(const cJSON *claims, const struct token_policy *policy, int64_t now_s,
                                int64_t *ret_expires_s)
{
    static const double LATEST_S = 253402300800.0; /* the year 10000: keeps the arithmetic within int64_t */
    const cJSON *exp = cJSON_GetObjectItemCaseSensitive(claims, "exp");
    const cJSON *nbf = cJSON_GetObjectItemCaseSensitive(claims, "nbf");
    if (!cJSON_IsNumber(exp) || !(exp->valuedouble >= 0 && exp->valuedouble < LATEST_S))
        return "no usable exp";
    if ((int64_t)exp->valuedouble + LEEWAY_S <= now_s)
        return "expired";
    if (nbf != NULL && !cJSON_IsNumber(nbf))
        return "nbf is not a number";
    if (nbf != NULL && nbf->valuedouble > (double)(now_s + LEEWAY_S))
        return "not valid yet";
    if (policy->audience != NULL && !audience_holds(cJSON_GetObjectItemCaseSensitive(claims, "aud"), policy->audience))
        return "for another audience";
    if (policy->issuer != NULL && !is_text(cJSON_GetObjectItemCaseSensitive(claims, "iss"), policy->issuer))
        return "from another issuer";
    *ret_expires_s = (int64_t)exp->valuedouble;
    return NULL;
}

const char *token_verify(const struct keyset *keyset, const struct token_policy *policy, struct slice token,
                         int64_t now_s, struct buf *ret_claims, int64_t *ret_expires_s)
{
    struct parts parts;
    if (token.len > TOKEN_MAX)
        return "too long";
    if (token.len == 0 || !split(token, &parts))
        return "malformed";
    const char *reason = check_signature(keyset, &parts);
    if (reason != NULL)
        return reason;

    struct buf text = {0};
    cJSON *claims = base64url_decode(parts.claims, &text) ? parse_object(buf_slice(&text)) : NULL;
    reason = claims == NULL ? "malformed" : check_claims(claims, policy, now_s, ret_expires_s);
    if (reason == NULL)
        buf_append(ret_claims, text.data, text.len);
    cJSON_Delete(claims);
    buf_release(&text);
    return reason;
}

void token_mint(const struct keyset *keyset, struct slice claims, struct buf *ret_token)
{
    assert(keyset->n > 0);
    const struct key *key = &keyset->keys[0];
    cJSON *header = cJSON_CreateObject();
    cJSON_AddStringToObject(header, "alg", "HS256");
    cJSON_AddStringToObject(header, "typ", "JWT");
    if (key->kid != NULL)
        cJSON_AddStringToObject(header, "kid", key->kid);
    char *header_text = cJSON_PrintUnformatted(header);

    size_t start = ret_token->len;
    unsigned char mac[MAC_BYTES];
    base64url_encode(slice_str(header_text), ret_token);
    buf_append(ret_token, ".", 1);
    base64url_encode(claims, ret_token);
    sign(key, slice_of(ret_token->data + start, ret_token->len - start), mac);
    buf_append(ret_token, ".", 1);
    base64url_encode(slice_of(mac, sizeof mac), ret_token);
    cJSON_free(header_text);
    cJSON_Delete(header);
}
