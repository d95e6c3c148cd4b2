/*
 * replay - runs a fuzz target over its corpus without libFuzzer, and says so in TAP: each file as it is, each of its
 * prefixes, and it with each of its bits turned over.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/file.h"
#include "tests/fuzz/fuzz.h"

/* At its exact length, so that a sanitizer sees a read behind the end. */
static void run(const char *data, size_t len)
{
    char *copy = mem_alloc(len);
    if (len > 0)
        memcpy(copy, data, len);
    LLVMFuzzerTestOneInput((const uint8_t *)copy, len);
    free(copy);
}

static void run_variants(struct buf *input)
{
    for (size_t len = 0; len <= input->len; len++)
        run(input->data, len);
    for (size_t bit = 0; bit < 8 * input->len; bit++) {
        char flip = (char)(1 << bit % 8);
        input->data[bit / 8] = (char)(input->data[bit / 8] ^ flip);
        run(input->data, input->len);
        input->data[bit / 8] = (char)(input->data[bit / 8] ^ flip);
    }
}

/* The corpus is our own: what cannot be read is a mistake. */
static struct buf read_file(const char *dir, const char *name)
{
    char path[512];
    struct buf file = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    enum err err = file_read(path, 1 << 20, &file);
    if (err != ERR_OK) {
        fprintf(stderr, "%s: %s\n", path, err_text(err));
        exit(EXIT_FAILURE);
    }
    return file;
}

static unsigned replay(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    unsigned n = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        struct buf input = read_file(path, entry->d_name);
        run_variants(&input);
        buf_release(&input);
        n++;
    }
    closedir(dir);
    return n;
}

int main(void)
{
    const char *root = getenv("srcdir");
    char path[512];
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s", root == NULL ? "." : root, fuzz_name);
    unsigned n = replay(path);
    printf("1..1\n%sok 1 - fuzz %s: %u inputs and their variants\n", n > 0 ? "" : "not ", fuzz_name, n);
    return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
