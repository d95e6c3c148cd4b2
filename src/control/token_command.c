#include "src/control/token_command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/app.h"
#include "proto/json.h"
#include "proto/utf8.h"
#include "src/router/token.h"

enum { EXIT_USAGE = 2, TTL_MAX_S = 10 * 365 * 86400 };

static const char HELP[] =
    "Usage: skerry token --app APP --sub WHO [--claim NAME=VALUE]... [--ttl TIME]\n"
    "\n"
    "Prints a token, signed with the first of the app's keys, that says who its bearer is.\n"
    "\n"
    "  --app APP           the app's folder, or its name if the folder is here or in ./examples\n"
    "  --sub WHO           the claim `sub`: the user's id\n"
    "  --claim NAME=VALUE  one more claim; VALUE is read as JSON, or else is a text: --claim 'rooms=[\"tea\"]'\n"
    "  --ttl TIME          how long it is valid: a number and s, m, h or d; 1h if not given\n"
    "  --help              this text\n"
    "\n"
    "The claims aud and iss come from the app; iat and exp from the clock.\n";

struct request {
    const char *app, *sub;
    int64_t ttl_s;
    cJSON *claims;
};

static bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Returns false, for the caller to return. */
static bool complain(const char *format, ...)
{
    struct problems problems = {0};
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    problems_add(&problems, "skerry token: %s", text);
    fputs(problems.text.data, stderr);
    problems_release(&problems);
    return false;
}

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

static bool set_option(struct request *request, int option, char **argv)
{
    switch (option) {
    case 'a':
        request->app = optarg;
        return true;
    case 's':
        request->sub = optarg;
        return true;
    case 'c':
        return add_claim(request->claims, optarg);
    case 't':
        return parse_ttl(optarg, &request->ttl_s);
    case ':':
        return complain("%s: a value is missing; see skerry token --help", argv[optind - 1]);
    default:
        if (optopt != 0) /* one letter, maybe in the middle of an argument */
            return complain("-%c: no such option; see skerry token --help", optopt);
        return complain("%s: no such option; see skerry token --help", argv[optind - 1]);
    }
}

static bool is_complete(const struct request *request, int argc, char **argv)
{
    if (optind < argc)
        return complain("%s: unexpected; see skerry token --help", argv[optind]);
    if (request->app == NULL || request->app[0] == '\0')
        return complain("--app is missing: for which app? see skerry token --help");
    if (request->sub == NULL || request->sub[0] == '\0')
        return complain("--sub is missing: who is the bearer? see skerry token --help");
    if (!utf8_is_valid(slice_str(request->sub)))
        return complain("--sub: must be UTF-8");
    return true;
}

static bool parse_arguments(int argc, char **argv, struct request *request, bool *ret_wants_help)
{
    static const struct option OPTIONS[] = {
        {"app", required_argument, NULL, 'a'},   {"sub", required_argument, NULL, 's'},
        {"claim", required_argument, NULL, 'c'}, {"ttl", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},        {0},
    };
    int option;
    optind = 0; /* GNU: begin anew, also in the middle of an argument */
    while ((option = getopt_long(argc, argv, ":h", OPTIONS, NULL)) != -1) {
        if (option == 'h') {
            *ret_wants_help = true;
            return true;
        }
        if (!set_option(request, option, argv))
            return false;
    }
    return is_complete(request, argc, argv);
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
    bool wants_help = false;
    int status = EXIT_USAGE;
    if (parse_arguments(argc, argv, &request, &wants_help))
        status = wants_help ? (fputs(HELP, stdout), EXIT_SUCCESS) : mint(&request);
    cJSON_Delete(request.claims);
    return status;
}
