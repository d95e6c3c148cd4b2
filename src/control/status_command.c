/*
 * skerry status - how a running server is: a line for each shard, and what is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shards/worker.h"
#include "src/control/app_check.h"
#include "src/control/commands.h"
#include "src/control/console_options.h"
#include "src/control/shard_call.h"

static const struct usage USAGE = {
    .command = "status",
    .arguments = "",
    .allowed = CONSOLE_DATA | CONSOLE_RUN | CONSOLE_JSON,
    .about = "Says how a running server is: a line for each shard, and each scope that is in trouble.",
    .success = "all is well",
    .failure = "something is in trouble, or does not answer",
};

static void keep_answer(void *arg, const cJSON *line)
{
    cJSON **answer = arg;
    cJSON_Delete(*answer);
    *answer = cJSON_Duplicate(line, true);
}

/* What a shard says of itself; or else why it does not. */
static cJSON *ask(const char *run_dir, unsigned shard)
{
    cJSON *answer = NULL;
    struct problems problems = {0};
    struct shard_call call = {.run_dir = run_dir,
                              .path = "/status",
                              .patience_ms = SHARD_PATIENCE_MS,
                              .arg = &answer,
                              .on_line = keep_answer};
    if (!shard_call_run(&call, shard, &problems)) {
        cJSON_Delete(answer);
        answer = cJSON_CreateObject();
        cJSON_AddNumberToObject(answer, "shard", shard);
        buf_append(&problems.text, "", 1);
        problems.text.data[strcspn(problems.text.data, "\n")] = '\0';
        cJSON_AddStringToObject(answer, "error", problems.text.data);
    }
    problems_release(&problems);
    return answer;
}

static cJSON *ask_all(const char *run_dir)
{
    cJSON *all = cJSON_CreateArray(), *first = ask(run_dir, 0);
    double n = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(first, "shards"));
    cJSON_AddItemToArray(all, first);
    for (unsigned i = 1; i < n && i < WORKER_SHARDS_MAX; i++)
        cJSON_AddItemToArray(all, ask(run_dir, i));
    return all;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text == NULL ? "" : text;
}

static double number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* `ok`, or what is wrong with it. */
static const char *journal_state(const cJSON *journal, char text[200])
{
    snprintf(text, 200, "%s", text_of(journal, "state"));
    if (cJSON_HasObjectItem(journal, "error"))
        snprintf(text, 200, "%s: %s: %s", text_of(journal, "state"), text_of(journal, "doing"),
                 text_of(journal, "error"));
    return text;
}

static void print_shard(const cJSON *shard)
{
    char state[200];
    const cJSON *journal = cJSON_GetObjectItemCaseSensitive(shard, "journal");
    const cJSON *gate = cJSON_GetObjectItemCaseSensitive(shard, "gate");
    if (cJSON_HasObjectItem(shard, "error")) {
        printf("%5.0f  %s\n", number_of(shard, "shard"), text_of(shard, "error"));
        return;
    }
    double position = number_of(journal, "position"), durable = number_of(journal, "durable");
    printf("%5.0f  %7.0f  %8.0f  %7.0f  %16.0f  %11.0f  %12.0f  %s\n", number_of(shard, "shard"),
           number_of(shard, "scopes"), number_of(shard, "sessions"), number_of(shard, "unsaved"), position,
           position - durable, number_of(gate, "held"), journal_state(journal, state));
}

static void print_damaged(const cJSON *scope)
{
    printf("%s\n  closed: %s\n  see %s\n", text_of(scope, "scope"), text_of(scope, "why"), text_of(scope, "marker"));
}

static void print_time(const char *what, double ms)
{
    char text[32];
    struct tm tm;
    time_t s = (time_t)(ms / 1000);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&s, &tm));
    printf(", %s %s", what, text);
}

static void print_trouble(const cJSON *scope)
{
    printf("%s\n  closed: its file failed (%s): %s\n  %.0f records are kept", text_of(scope, "scope"),
           text_of(scope, "after"), text_of(scope, "why"), number_of(scope, "kept"));
    print_time("since", number_of(scope, "sinceMs"));
    print_time("next try", number_of(scope, "nextMs"));
    printf("\n");
}

static void print_full(const cJSON *scope)
{
    printf("%s\n  full: %s", text_of(scope, "scope"), text_of(scope, "why"));
    print_time("since", number_of(scope, "sinceMs"));
    printf("\n");
}

static void print_each(const cJSON *all, const char *list, void (*print)(const cJSON *scope))
{
    for (const cJSON *shard = all->child; shard != NULL; shard = shard->next) {
        const cJSON *scopes = cJSON_GetObjectItemCaseSensitive(shard, list);
        for (const cJSON *scope = scopes == NULL ? NULL : scopes->child; scope != NULL; scope = scope->next)
            print(scope);
    }
}

static void print_all(const cJSON *all)
{
    printf("shard   scopes  sessions  unsaved  journal position  not durable  outputs held  journal\n");
    for (const cJSON *shard = all->child; shard != NULL; shard = shard->next)
        print_shard(shard);
    print_each(all, "trouble", print_trouble);
    print_each(all, "damaged", print_damaged);
    print_each(all, "full", print_full);
}

static bool names_none(const cJSON *shard, const char *list)
{
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(shard, list)) == 0;
}

static bool is_shard_well(const cJSON *shard)
{
    const cJSON *journal = cJSON_GetObjectItemCaseSensitive(shard, "journal");
    return !cJSON_HasObjectItem(shard, "error") && strcmp(text_of(journal, "state"), "ok") == 0 &&
           names_none(shard, "trouble") && names_none(shard, "damaged") && names_none(shard, "full");
}

static bool is_well(const cJSON *all)
{
    bool is_well = true;
    for (const cJSON *shard = all->child; shard != NULL; shard = shard->next)
        is_well = is_shard_well(shard) && is_well;
    return is_well;
}

int status_command(int argc, char **argv)
{
    struct console_options options;
    if (!console_options_parse(&USAGE, argc, argv, &options))
        return EXIT_USAGE;
    cJSON *all = ask_all(options.run_dir);
    int status = is_well(all) ? 0 : 1;
    if ((options.given & CONSOLE_JSON) != 0) {
        char *text = cJSON_Print(all);
        puts(text);
        cJSON_free(text);
    } else {
        print_all(all);
    }
    cJSON_Delete(all);
    console_options_release(&options);
    return status;
}
