/*
 * skerry restore - puts the copy of a scope, as `skerry backup` made it, in the place of a scope of a running server.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/control/app_check.h"
#include "src/control/checksum.h"
#include "src/control/commands.h"
#include "src/control/console_options.h"
#include "src/control/shard_call.h"

enum { CHUNK = 256 << 10, UNDER_WAY_MAX = 1 << 20 };

static const struct usage USAGE = {
    .command = "restore",
    .arguments = "APP/KIND/ID FILE",
    .n_arguments = 2,
    .allowed = CONSOLE_DATA | CONSOLE_RUN | CONSOLE_DISCARD | CONSOLE_NO_CHECKSUM,
    .about =
        "Puts FILE, a backup, in the place of a scope of a running server.\n\n"
        "FILE must have its FILE.sha256 beside it and be of a scope of the same app and kind; another id is fine.\n"
        "Clients that are there have to come back, and every client gets a reset: what was confirmed after the\n"
        "backup is gone. The old file is kept beside the scope's.",
    .success = "the scope is what FILE holds, and it is on disk",
    .failure = "it was not restored, or did not answer; standard error says which",
};

#define IF_LOST "the scope was restored or not, never half; run skerry restore again"

struct restore {
    const struct console_options *options;
    struct problems *problems;
    FILE *in;
    double bytes, sent, taken;
    char expected[CHECKSUM_TEXT]; /* empty: none */
    struct checksum *checksum;    /* NULL once all was sent */
    cJSON *answer;
    bool is_ready, has_begun, has_failed;
    bool is_bad; /* the file is not what its checksum says */
    bool has_terminal;
};

static void on_line(void *arg, const cJSON *line)
{
    struct restore *restore = arg;
    const cJSON *taken = cJSON_GetObjectItemCaseSensitive(line, "taken");
    if (cJSON_HasObjectItem(line, "ready")) {
        restore->is_ready = true;
    } else if (taken != NULL) {
        restore->taken = taken->valuedouble;
        if (restore->has_terminal)
            fprintf(stderr, "\rsending %3d %%", (int)(100 * restore->taken / restore->bytes));
    } else {
        cJSON_Delete(restore->answer);
        restore->answer = cJSON_Duplicate(line, true);
    }
}

static void fail(struct restore *restore, const char *why)
{
    problems_add(restore->problems, "%s: %s", restore->options->file, why);
    restore->has_failed = true;
}

/* All was sent: the shard goes on only if it was what the checksum says. */
static void finish(struct restore *restore, struct buf *out)
{
    char sum[CHECKSUM_TEXT];
    checksum_end(restore->checksum, sum);
    restore->checksum = NULL;
    if (restore->expected[0] != '\0' && strcmp(sum, restore->expected) != 0)
        problems_add(restore->problems,
                     "%s: is not what its .sha256 says: the backup is damaged, and nothing was restored",
                     restore->options->file);
    restore->is_bad = restore->problems->n > 0;
    buf_printf(out, "%s\n", restore->is_bad ? "stop" : "go");
}

static void send_chunk(struct restore *restore, struct buf *out)
{
    char *chunk = buf_reserve(out, CHUNK);
    size_t len = fread(chunk, 1, CHUNK, restore->in);
    if (len == 0) {
        fail(restore, ferror(restore->in) ? strerror(errno) : "became shorter");
        return;
    }
    if (restore->sent + (double)len > restore->bytes)
        len = (size_t)(restore->bytes - restore->sent);
    checksum_add(restore->checksum, slice_of(chunk, len));
    out->len += len;
    restore->sent += (double)len;
}

/* As much as the shard takes. */
static bool send_some(void *arg, struct buf *out)
{
    struct restore *restore = arg;
    if (restore->is_ready && !restore->has_begun) {
        bool discards = (restore->options->given & CONSOLE_DISCARD) != 0;
        buf_printf(out, "{\"bytes\":%.0f,\"discard\":%s}\n", restore->bytes, discards ? "true" : "false");
        restore->has_begun = true;
    }
    while (restore->has_begun && !restore->has_failed && restore->sent < restore->bytes &&
           restore->sent - restore->taken < UNDER_WAY_MAX)
        send_chunk(restore, out);
    if (restore->has_begun && !restore->has_failed && restore->sent == restore->bytes && restore->checksum != NULL)
        finish(restore, out);
    return !restore->has_failed;
}

static void print_answer(const struct restore *restore)
{
    const cJSON *seq = cJSON_GetObjectItemCaseSensitive(restore->answer, "seq");
    const char *from = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(restore->answer, "from"));
    const char *kept = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(restore->answer, "kept"));
    printf("scope   %s\n", restore->options->scope.text);
    if (from != NULL && strcmp(from, restore->options->scope.text) != 0)
        printf("from    %s\n", from);
    printf("seq     %.0f\n", cJSON_GetNumberValue(seq));
    if (kept != NULL && kept[0] != '\0')
        printf("before  %s\n", kept);
}

static bool send_file(struct restore *restore)
{
    char *path = shard_call_path("restore", &restore->options->scope);
    struct shard_call call = {.run_dir = restore->options->run_dir,
                              .path = path,
                              .patience_ms = SHARD_PATIENCE_MS,
                              .is_long = true,
                              .if_lost = IF_LOST,
                              .arg = restore,
                              .on_line = on_line,
                              .send = send_some};
    restore->checksum = checksum_new();
    bool ok = shard_call_run(&call, 0, restore->problems) && !restore->has_failed && !restore->is_bad;
    free(path);
    if (restore->has_terminal)
        fprintf(stderr, "\r\033[K");
    if (ok && restore->answer == NULL) {
        fail(restore, "the server went away before it had answered; " IF_LOST);
        ok = false;
    }
    if (ok)
        print_answer(restore);
    if (restore->checksum != NULL) {
        char ignored[CHECKSUM_TEXT];
        checksum_end(restore->checksum, ignored);
    }
    cJSON_Delete(restore->answer);
    return ok;
}

static bool open_file(struct restore *restore)
{
    struct stat stat_buf = {0};
    const char *file = restore->options->file;
    restore->in = fopen(file, "re");
    if (restore->in == NULL || fstat(fileno(restore->in), &stat_buf) < 0) {
        fail(restore, strerror(errno));
        return false;
    }
    restore->bytes = (double)stat_buf.st_size;
    if (!S_ISREG(stat_buf.st_mode) || stat_buf.st_size == 0)
        fail(restore, "is no backup");
    else if ((restore->options->given & CONSOLE_NO_CHECKSUM) == 0 && checksum_read(file, restore->expected) != ERR_OK)
        fail(restore, "there is no checksum beside it, FILE.sha256; --no-checksum does without");
    return !restore->has_failed;
}

int restore_command(int argc, char **argv)
{
    struct console_options options;
    struct problems problems = {0};
    if (!console_options_parse(&USAGE, argc, argv, &options))
        return EXIT_USAGE;
    struct restore restore = {.options = &options, .problems = &problems, .has_terminal = isatty(STDERR_FILENO)};
    bool ok = open_file(&restore) && send_file(&restore);
    if (restore.in != NULL)
        fclose(restore.in);
    problems_print(&problems);
    problems_release(&problems);
    console_options_release(&options);
    return ok ? 0 : 1;
}
