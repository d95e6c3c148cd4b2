/*
 * replay - runs a fuzz target over its corpus, one TAP test a file, where the build has no libFuzzer.
 *
 *   fuzz_NAME [FOLDER]     without FOLDER: $srcdir/tests/fuzz/corpus/NAME
 *
 * A file passes by coming back: what is wrong ends the process, by an assertion or a sanitizer, and the last name that
 * was printed tells which file did it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { FILE_BYTES_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In memory of exactly its size, so that the address sanitizer sees a read past the end. */
static void run(struct slice input)
{
    uint8_t *copy = malloc(input.len > 0 ? input.len : 1);
    if (copy == NULL)
        abort();
    if (input.len > 0)
        memcpy(copy, input.data, input.len);
    LLVMFuzzerTestOneInput(copy, input.len);
    free(copy);
}

static bool replay(const char *folder, const char *name, int number)
{
    char path[4096];
    struct buf input = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    printf("# %s\n", path);
    fflush(stdout);
    bool read = file_read(path, FILE_BYTES_MAX, &input) == ERR_OK;
    if (read)
        run(buf_slice(&input));
    printf("%s %d - %s\n", read ? "ok" : "not ok", number, name);
    buf_release(&input);
    return read;
}

int main(int argc, char **argv)
{
    char folder[2048];
    struct dirent **names;
    const char *srcdir = getenv("srcdir"), *target = program_invocation_short_name + strlen("fuzz_");
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".", target);
    if (argc > 1)
        snprintf(folder, sizeof folder, "%s", argv[1]);
    int n = scandir(folder, &names, is_visible, alphasort), failed = 0;
    if (n <= 0) {
        printf("Bail out! nothing to replay in %s: %s\n", folder, n < 0 ? strerror(errno) : "it is empty");
        return 1;
    }
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        failed += !replay(folder, names[i]->d_name, i + 1);
        free(names[i]);
    }
    free(names);
    return failed > 0;
}
