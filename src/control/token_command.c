#include "src/control/token_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/app.h"
#include "proto/json.h"
#include "proto/utf8.h"
#include "src/control/usage.h"
#include "src/router/token.h"

enum { TTL_MAX_S = 10 * 365 * 86400 };
enum { TOKEN_APP = 1 << 0, TOKEN_SUB = 1 << 1, TOKEN_CLAIM = 1 << 2, TOKEN_TTL = 1 << 3 };

static const struct usage USAGE = {
    .command = "token",
    .arguments = "--app APP --sub WHO",
    .allowed = TOKEN_APP | TOKEN_SUB | TOKEN_CLAIM | TOKEN_TTL,
    .about = "Prints a token, signed with the first of the app's keys, that says who its bearer is.\n\n"
             "The claims aud and iss come from the app; iat and exp from the clock.",
    .success = "the token was printed",
    .failure = "there is none; standard error says why",
};

static const struct usage_option OPTIONS[] = {
    {"app", "APP", "the app's folder, or its name if the folder is here or in ./examples", TOKEN_APP},
    {"sub", "WHO", "the claim `sub`: the user's id", TOKEN_SUB},
    {"claim", "NAME=VALUE", "one more claim; VALUE is read as JSON, or else is a text: --claim 'rooms=[\"tea\"]'",
     TOKEN_CLAIM},
    {"ttl", "TIME", "how long it is valid: a number and s, m, h or d (default: 1h)", TOKEN_TTL},
    {0},
};

struct request {
    const char *app, *sub;
    int64_t ttl_s;
    cJSON *claims;
};

#define complain(...) usage_complain("token", __VA_ARGS__)

/* ---- arguments ---- */

static bool parse_ttl(const char *text, int64_t *ret_s)
{
    static const char UNITS[] = "smhd";
    static const int64_t SECONDS[] = {1, 60, 3600, 86400};
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    const char *unit = end[0] == '\0' ? NULL : strchr(UNITS, end[0]);
    if (text[0] < '0' || text[0] > '9' || unit == NULL || end[1] != '\0')
        return complain("--ttl %s: must be a number and s, m, h or d, such as 90m", text);
    int64_t unit_s = SECONDS[unit - UNITS];
    if (n == 0 || n > (unsigned long)(TTL_MAX_S / unit_s))
        return complain("--ttl %s: must be from 1s to 3650d", text);
    *ret_s = (int64_t)n * unit_s;
    return true;
}

/* What the text says as JSON, letter by letter, or else the text. */
static cJSON *claim_value(const char *text)
{
    struct json_error error;
    cJSON *json = json_parse(slice_str(text), &error);
    cJSON_Delete(json);
    return json != NULL ? cJSON_CreateRaw(text) : cJSON_CreateString(text);
}

static bool add_claim(cJSON *claims, const char *text)
{
    static const char *const TAKEN[] = {"sub", "aud", "iss", "iat", "exp"};
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || !utf8_is_valid(slice_str(text)))
        return complain("--claim %s: must be NAME=VALUE, in UTF-8", text);
    char *name = mem_dup(slice_of(text, (size_t)(equals - text)));
    bool is_free = cJSON_GetObjectItemCaseSensitive(claims, name) == NULL;
    for (size_t i = 0; i < sizeof TAKEN / sizeof TAKEN[0]; i++)
        is_free = is_free && strcmp(name, TAKEN[i]) != 0;
    if (is_free)
        cJSON_AddItemToObject(claims, name, claim_value(equals + 1));
    else
        complain("--claim %s: this claim is already there; see skerry token --help", name);
    free(name);
    return is_free;
}

static bool take(void *arg, unsigned bit, char *value)
{
    struct request *request = arg;
    switch (bit) {
    case TOKEN_APP:
        request->app = value;
        return true;
    case TOKEN_SUB:
        request->sub = value;
        return true;
    case TOKEN_CLAIM:
        return add_claim(request->claims, value);
    default:
        return parse_ttl(value, &request->ttl_s);
    }
}

static bool is_complete(const struct request *request)
{
    if (request->app == NULL || request->app[0] == '\0')
        return complain("--app is missing: for which app? see skerry token --help");
    if (request->sub == NULL || request->sub[0] == '\0')
        return complain("--sub is missing: who is the bearer? see skerry token --help");
    if (!utf8_is_valid(slice_str(request->sub)))
        return complain("--sub: must be UTF-8");
    return true;
}

/* ---- the app and its keys ---- */

static bool holds_app(const char *dir)
{
    struct buf path = {0};
    buf_printf(&path, "%s/app.json", dir);
    bool holds = access(path.data, F_OK) == 0;
    buf_release(&path);
    return holds;
}

/* Loads the app in the folder `name`, or in the examples' folder of that name. */
static struct app *load_app(const char *name, struct problems *problems)
{
    struct buf example = {0};
    struct app *app = NULL;
    buf_printf(&example, "examples/%s", name);
    if (holds_app(name))
        app = app_load(name, problems);
    else if (holds_app(example.data))
        app = app_load(example.data, problems);
    else
        problems_add(problems, "skerry token: --app %s: there is neither %s/app.json nor %s/app.json", name, name,
                     example.data);
    buf_release(&example);
    return app;
}

static struct keyset *load_keys(const struct app *app, struct problems *problems)
{
    if (app->keys == NULL) {
        problems_add(problems, "%s/app.json: auth.keys is missing, so there is no key to sign with", app->dir);
        return NULL;
    }
    return keyset_load_for(app, problems);
}

/* ---- the token ---- */

static void fill_claims(cJSON *claims, const struct request *request, const struct app *app)
{
    int64_t now_s = clock_wall_ms() / 1000;
    cJSON_AddStringToObject(claims, "sub", request->sub);
    if (app->audience != NULL)
        cJSON_AddStringToObject(claims, "aud", app->audience);
    if (app->issuer != NULL)
        cJSON_AddStringToObject(claims, "iss", app->issuer);
    cJSON_AddNumberToObject(claims, "iat", (double)now_s);
    cJSON_AddNumberToObject(claims, "exp", (double)(now_s + request->ttl_s));
}

static int print_token(const struct keyset *keyset, const cJSON *claims)
{
    struct buf token = {0};
    char *text = cJSON_PrintUnformatted(claims);
    token_mint(keyset, slice_str(text), &token);
    bool fits = token.len <= TOKEN_MAX;
    if (fits)
        printf("%.*s\n", (int)token.len, token.data);
    else
        complain("the token has %zu bytes, and no server takes more than %d; shorten its claims", token.len, TOKEN_MAX);
    cJSON_free(text);
    buf_release(&token);
    return fits ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int mint(const struct request *request)
{
    struct problems problems = {0};
    struct keyset *keyset = NULL;
    int status = EXIT_FAILURE;
    struct app *app = load_app(request->app, &problems);
    if (app != NULL)
        keyset = load_keys(app, &problems);
    if (keyset != NULL) {
        fill_claims(request->claims, request, app);
        status = print_token(keyset, request->claims);
    } else {
        fputs(problems.text.data, stderr);
    }
    keyset_free(keyset);
    app_free(app);
    problems_release(&problems);
    return status;
}

int token_command(int argc, char **argv)
{
    struct request request = {.ttl_s = 3600, .claims = cJSON_CreateObject()};
    int status = EXIT_USAGE;
    if (usage_parse(&USAGE, OPTIONS, argc, argv, take, &request) && is_complete(&request))
        status = mint(&request);
    cJSON_Delete(request.claims);
    return status;
}
