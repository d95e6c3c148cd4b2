/*
 * skerry backup - writes a copy of a scope, taken while it is in use, to a file of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "src/control/app_check.h"
#include "src/control/checksum.h"
#include "src/control/commands.h"
#include "src/control/console_options.h"
#include "src/control/shard_call.h"

static const struct usage USAGE = {
    .command = "backup",
    .arguments = "APP/KIND/ID FILE",
    .n_arguments = 2,
    .allowed = CONSOLE_DATA | CONSOLE_RUN | CONSOLE_FORCE,
    .about = "Copies a scope of a running server to FILE, as it is at one moment, while clients go on.\n\n"
             "FILE is an SQLite database that needs nothing beside it. FILE.sha256 holds its checksum, for\n"
             "`sha256sum -c` and `skerry restore`.",
    .success = "FILE is whole, and on disk",
    .failure = "there is no copy; standard error says why",
};

struct backup {
    const char *file;
    char *part; /* what is written, until it is whole */
    FILE *out;
    struct checksum *checksum;
    double bytes, seq; /* as told */
    double written;
    int error; /* errno of a write that failed */
    bool has_terminal;
};

static void show(const struct backup *backup, const char *what, int percent)
{
    if (backup->has_terminal)
        fprintf(stderr, "\r%s %3d %%", what, percent);
}

static void on_line(void *arg, const cJSON *line)
{
    struct backup *backup = arg;
    const cJSON *percent = cJSON_GetObjectItemCaseSensitive(line, "percent");
    if (percent != NULL)
        show(backup, "copying", percent->valueint);
    backup->bytes = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(line, "bytes"));
    backup->seq = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(line, "seq"));
}

static void on_bytes(void *arg, struct slice bytes)
{
    struct backup *backup = arg;
    if (backup->error == 0 && fwrite(bytes.data, 1, bytes.len, backup->out) != bytes.len)
        backup->error = errno;
    checksum_add(backup->checksum, bytes);
    backup->written += (double)bytes.len;
    show(backup, "writing", (int)(100 * backup->written / backup->bytes));
}

/* The file is whole and durable before it gets its name. */
static bool keep(struct backup *backup, const char *sum, struct problems *problems)
{
    char *copy = mem_dup(slice_str(backup->file));
    bool ok = backup->error == 0 && fflush(backup->out) == 0 && fsync(fileno(backup->out)) == 0 &&
              checksum_write(backup->file, sum) == ERR_OK && rename(backup->part, backup->file) == 0 &&
              dir_sync(dirname(copy)) == ERR_OK;
    if (!ok)
        problems_add(problems, "%s: %s", backup->file, strerror(backup->error != 0 ? backup->error : errno));
    free(copy);
    return ok;
}

static bool fetch(struct backup *backup, const struct console_options *options, struct problems *problems)
{
    char sum[CHECKSUM_TEXT], *path = shard_call_path("backup", &options->scope);
    struct shard_call call = {.run_dir = options->run_dir,
                              .path = path,
                              .patience_ms = SHARD_PATIENCE_MS,
                              .is_long = true,
                              .if_lost = "there is no copy; run skerry backup again",
                              .arg = backup,
                              .on_line = on_line,
                              .on_bytes = on_bytes};
    bool ok = shard_call_run(&call, 0, problems);
    free(path);
    checksum_end(backup->checksum, sum);
    if (backup->has_terminal)
        fprintf(stderr, "\r\033[K");
    if (ok && backup->written != backup->bytes) {
        problems_add(problems, "the copy broke off after %.0f of %.0f bytes", backup->written, backup->bytes);
        ok = false;
    }
    ok = ok && keep(backup, sum, problems);
    if (ok)
        printf("scope   %s\nseq     %.0f\nbytes   %.0f\nsha256  %s\nfile    %s\n", options->scope.text, backup->seq,
               backup->bytes, sum, backup->file);
    return ok;
}

static bool run(const struct console_options *options, struct problems *problems)
{
    struct backup backup = {.file = options->file, .has_terminal = isatty(STDERR_FILENO)};
    if (access(options->file, F_OK) == 0 && (options->given & CONSOLE_FORCE) == 0) {
        problems_add(problems, "%s: is there already; --force overwrites it", options->file);
        return false;
    }
    if (asprintf(&backup.part, "%s.part", options->file) < 0)
        abort();
    int fd = open(backup.part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0;
    if (!ok)
        problems_add(problems, "%s: %s", backup.part, strerror(errno));
    if (ok) {
        backup.out = fdopen(fd, "w");
        backup.checksum = checksum_new();
        ok = fetch(&backup, options, problems);
        fclose(backup.out);
        unlink(backup.part); /* unless it has its name */
    }
    free(backup.part);
    return ok;
}

int backup_command(int argc, char **argv)
{
    struct console_options options;
    struct problems problems = {0};
    if (!console_options_parse(&USAGE, argc, argv, &options))
        return EXIT_USAGE;
    bool ok = run(&options, &problems);
    problems_print(&problems);
    problems_release(&problems);
    console_options_release(&options);
    return ok ? 0 : 1;
}
