/*
 * `skerry token` as a person or a script runs it: its arguments, what it prints, and how it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "proto/app.h"
#include "proto/json.h"
#include "src/control/token_command.h"
#include "src/router/token.h"
#include "tests/lib/output.h"

/* ---- the command, run with its output caught ---- */

struct result {
    int status;
    struct output output;
};

/* `arguments` end with NULL. */
static struct result run(const char *const *arguments)
{
    char *argv[16] = {"token"};
    int argc = 1;
    while (arguments[argc - 1] != NULL) {
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
        argc++;
    }
    struct result result;
    output_catch(&result.output);
    result.status = token_command(argc, argv);
    output_restore(&result.output);
    return result;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* The claims, after what a server would check. */
static cJSON *verify(const char *printed)
{
    struct problems problems = {0};
    struct app *app = app_load("examples/chat", &problems);
    struct keyset *keyset = keyset_load("examples/chat/keys.json", &problems);
    assert_int_equal(problems.n, 0);
    const struct token_policy policy = {app->audience, app->issuer};
    struct buf claims = {0};
    struct json_error error;
    int64_t expires_s;
    assert_int_equal(count_lines(printed), 1);
    assert_null(token_verify(keyset, &policy, slice_of(printed, strlen(printed) - 1), clock_wall_ms() / 1000, &claims,
                             &expires_s));
    cJSON *json = json_parse(buf_slice(&claims), &error);
    buf_release(&claims);
    keyset_free(keyset);
    app_free(app);
    return json;
}

static void expect_claim(const cJSON *claims, const char *name, const char *json)
{
    char *found = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(claims, name));
    assert_non_null(found);
    assert_string_equal(found, json);
    cJSON_free(found);
}

static double lifetime_s(const cJSON *claims)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(claims, "exp")) -
           cJSON_GetNumberValue(cJSON_GetObjectItem(claims, "iat"));
}

/* ---- what it prints ---- */

static void test_ann_gets_a_token_for_the_chat(void **state)
{
    (void)state;
    struct result result = RUN("--app", "chat", "--sub", "ann");
    assert_int_equal(result.status, 0);
    assert_string_equal(result.output.err, "");
    cJSON *claims = verify(result.output.out);
    expect_claim(claims, "sub", "\"ann\"");
    expect_claim(claims, "aud", "\"chat\"");
    assert_true(lifetime_s(claims) == 3600);
    cJSON_Delete(claims);
}

static void test_the_app_is_a_folder_or_a_name(void **state)
{
    (void)state;
    assert_int_equal(RUN("--app", "examples/chat", "--sub", "ann").status, 0);
    struct result result = RUN("--app", "chess", "--sub", "ann");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.output.out, "");
    assert_string_equal(result.output.err, "skerry token: --app chess: there is neither chess/app.json nor "
                                           "examples/chess/app.json\n");
}

static void test_claims_are_json_or_text(void **state)
{
    (void)state;
    struct result result = RUN("--app=chat", "--sub=7", "--claim", "rooms=[\"tea\",2]", "--claim", "admin=true",
                               "--claim", "zip=01234", "--claim", "name=Ann \"A\" = x", "--claim", "none=");
    assert_int_equal(result.status, 0);
    cJSON *claims = verify(result.output.out);
    expect_claim(claims, "sub", "\"7\"");
    expect_claim(claims, "rooms", "[\"tea\",2]");
    expect_claim(claims, "admin", "true");
    expect_claim(claims, "zip", "\"01234\"");
    expect_claim(claims, "name", "\"Ann \\\"A\\\" = x\"");
    expect_claim(claims, "none", "\"\"");
    cJSON_Delete(claims);
}

static void test_ttl_has_units(void **state)
{
    (void)state;
    static const struct {
        const char *ttl;
        double seconds;
    } CASES[] = {{"1s", 1}, {"90m", 5400}, {"2h", 7200}, {"3650d", 315360000}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct result result = RUN("--app", "chat", "--sub", "ann", "--ttl", CASES[i].ttl);
        assert_int_equal(result.status, 0);
        cJSON *claims = verify(result.output.out);
        assert_true(lifetime_s(claims) == CASES[i].seconds);
        cJSON_Delete(claims);
    }
}

/* ---- what it refuses ---- */

static void test_wrong_arguments_are_named_in_one_line(void **state)
{
    (void)state;
#define ANN "--app", "chat", "--sub", "ann"
    static const struct {
        const char *arguments[8], *line;
    } CASES[] = {
        {{"--sub", "ann"}, "--app is missing: for which app? see skerry token --help"},
        {{"--app", "chat"}, "--sub is missing: who is the bearer? see skerry token --help"},
        {{"--app", "chat", "--sub"}, "--sub: a value is missing; see skerry token --help"},
        {{ANN, "--room", "tea"}, "--room: no such option; see skerry token --help"},
        {{ANN, "-xy"}, "-x: no such option; see skerry token --help"},
        {{ANN, "bob"}, "bob: unexpected; see skerry token --help"},
        {{ANN, "--claim", "admin"}, "--claim admin: must be NAME=VALUE, in UTF-8"},
        {{ANN, "--claim", "=1"}, "--claim =1: must be NAME=VALUE, in UTF-8"},
        {{ANN, "--claim", "a=\xff"}, "--claim a=\xff: must be NAME=VALUE, in UTF-8"},
        {{ANN, "--claim", "exp=1"}, "--claim exp: this claim is already there; see skerry token --help"},
        {{ANN, "--claim", "a=1", "--claim"}, "--claim: a value is missing; see skerry token --help"},
        {{ANN, "--ttl", "90"}, "--ttl 90: must be a number and s, m, h or d, such as 90m"},
        {{ANN, "--ttl", "-1h"}, "--ttl -1h: must be a number and s, m, h or d, such as 90m"},
        {{ANN, "--ttl", "0s"}, "--ttl 0s: must be from 1s to 3650d"},
        {{ANN, "--ttl", "18446744073709551617s"}, "--ttl 18446744073709551617s: must be from 1s to 3650d"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct result result = run(CASES[i].arguments);
        struct buf expected = {0};
        buf_printf(&expected, "skerry token: %s\n", CASES[i].line);
        assert_int_equal(result.status, 2);
        assert_string_equal(result.output.out, "");
        assert_string_equal(result.output.err, expected.data);
        buf_release(&expected);
    }
}

static void test_a_token_that_no_server_takes_is_not_printed(void **state)
{
    (void)state;
    char sub[7001];
    memset(sub, 'x', sizeof sub - 1);
    sub[sizeof sub - 1] = '\0';
    struct result result = RUN("--app", "chat", "--sub", sub);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.output.out, "");
    assert_non_null(strstr(result.output.err, "no server takes more than 8192; shorten its claims\n"));
}

int main(void)
{
    /* The examples are found from the top of the sources. */
    const char *srcdir = getenv("srcdir");
    if (srcdir != NULL && chdir(srcdir) < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ann_gets_a_token_for_the_chat),
        cmocka_unit_test(test_the_app_is_a_folder_or_a_name),
        cmocka_unit_test(test_claims_are_json_or_text),
        cmocka_unit_test(test_ttl_has_units),
        cmocka_unit_test(test_wrong_arguments_are_named_in_one_line),
        cmocka_unit_test(test_a_token_that_no_server_takes_is_not_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
