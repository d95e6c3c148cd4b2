#include "src/control/checksum.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

enum { SUM_BYTES = 32, FILE_MAX = 8192 };

struct checksum {
    EVP_MD_CTX *context;
};

struct checksum *checksum_new(void)
{
    struct checksum *checksum = mem_zero(1, sizeof *checksum);
    checksum->context = EVP_MD_CTX_new();
    int ok = EVP_DigestInit_ex(checksum->context, EVP_sha256(), NULL);
    assert(ok == 1);
    return checksum;
}

void checksum_add(struct checksum *checksum, struct slice bytes)
{
    EVP_DigestUpdate(checksum->context, bytes.data, bytes.len);
}

void checksum_end(struct checksum *checksum, char ret_text[CHECKSUM_TEXT])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_DigestFinal_ex(checksum->context, sum, &len);
    assert(len == SUM_BYTES);
    for (unsigned i = 0; i < len; i++)
        snprintf(ret_text + (size_t)2 * i, 3, "%02x", sum[i]);
    EVP_MD_CTX_free(checksum->context);
    free(checksum);
}

static char *path_of(const char *file)
{
    char *path = NULL;
    if (asprintf(&path, "%s.sha256", file) < 0)
        abort();
    return path;
}

/* Named without its folder: sha256sum is run where the two files are. */
enum err checksum_write(const char *file, const char *text)
{
    struct buf line = {0};
    const char *slash = strrchr(file, '/');
    char *path = path_of(file);
    buf_printf(&line, "%s  %s\n", text, slash == NULL ? file : slash + 1);
    enum err err = file_write(path, buf_slice(&line));
    buf_release(&line);
    free(path);
    return err;
}

enum err checksum_read(const char *file, char ret_text[CHECKSUM_TEXT])
{
    struct buf line = {0};
    char *path = path_of(file);
    enum err err = file_read(path, FILE_MAX, &line);
    buf_append(&line, "", 1);
    if (err == ERR_OK && strspn(line.data, "0123456789abcdef") != CHECKSUM_TEXT - 1)
        err = ERR_INVALID;
    if (err == ERR_OK) {
        memcpy(ret_text, line.data, CHECKSUM_TEXT - 1);
        ret_text[CHECKSUM_TEXT - 1] = '\0';
    }
    buf_release(&line);
    free(path);
    return err;
}
