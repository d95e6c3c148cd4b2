/*
 * A small file is read whole, or not at all.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

/* Makes a file of `len` times `x`; `path` is a template of mkstemp. */
static void make_file(char *path, size_t len)
{
    int fd = mkstemp(path);
    char *data = mem_alloc(len + 1);
    memset(data, 'x', len);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
    free(data);
}

static enum err read_file_of(size_t len, size_t max, struct buf *ret)
{
    char path[] = "/tmp/skerry-test-file-XXXXXX";
    make_file(path, len);
    enum err err = file_read(path, max, ret);
    unlink(path);
    return err;
}

static void test_a_file_is_appended_whole(void **state)
{
    (void)state;
    static const size_t LENGTHS[] = {0, 1, 16383, 16384, 16385, 100000};
    for (size_t i = 0; i < sizeof LENGTHS / sizeof LENGTHS[0]; i++) {
        struct buf text = {0};
        buf_append_slice(&text, SLICE("before"));
        assert_int_equal(read_file_of(LENGTHS[i], 100000, &text), ERR_OK);
        assert_int_equal(text.len, strlen("before") + LENGTHS[i]);
        assert_memory_equal(text.data, "before", strlen("before"));
        if (LENGTHS[i] > 0)
            assert_int_equal(text.data[text.len - 1], 'x');
        buf_release(&text);
    }
}

static void test_one_byte_too_many_is_too_many(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_append_slice(&text, SLICE("before"));
    assert_int_equal(read_file_of(20001, 20000, &text), ERR_TOO_LARGE);
    assert_int_equal(text.len, strlen("before"));
    assert_int_equal(read_file_of(1, 0, &text), ERR_TOO_LARGE);
    assert_int_equal(read_file_of(0, 0, &text), ERR_OK);
    assert_int_equal(text.len, strlen("before"));
    buf_release(&text);
}

static void test_only_a_regular_file_is_read(void **state)
{
    (void)state;
    struct buf text = {0};
    char pipe_path[] = "/tmp/skerry-test-file-XXXXXX";
    make_file(pipe_path, 0);
    unlink(pipe_path);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(file_read(pipe_path, 10, &text), ERR_INVALID); /* and does not wait for a writer */
    unlink(pipe_path);
    assert_int_equal(file_read("/", 10, &text), ERR_INVALID);
    assert_int_equal(file_read("/no/such/file", 10, &text), ERR_NOT_FOUND);
    assert_int_equal(text.len, 0);
    buf_release(&text);
}

static void test_what_cannot_be_looked_for_is_not_missing(void **state)
{
    (void)state;
    char path[64], file[] = "/tmp/skerry-test-file-XXXXXX";
    make_file(file, 0);
    snprintf(path, sizeof path, "%s/below", file);
    assert_int_equal(file_find(file), ERR_OK);
    assert_int_equal(file_find(path), ERR_IO);
    unlink(file);
    assert_int_equal(file_find(file), ERR_NOT_FOUND);
}

static void test_a_folder_is_made_once(void **state)
{
    (void)state;
    char path[64], dir[] = "/tmp/skerry-test-file-XXXXXX";
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/slot/", dir);
    assert_int_equal(dir_make(path), ERR_OK);
    assert_int_equal(dir_make(path), ERR_OK);
    assert_int_equal(dir_sync(path), ERR_OK);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(dir_sync(path), ERR_IO);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(dir_make(path), ERR_IO);
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_appended_whole),
        cmocka_unit_test(test_one_byte_too_many_is_too_many),
        cmocka_unit_test(test_only_a_regular_file_is_read),
        cmocka_unit_test(test_what_cannot_be_looked_for_is_not_missing),
        cmocka_unit_test(test_a_folder_is_made_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
