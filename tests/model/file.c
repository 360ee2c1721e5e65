/* Whole files in and out. */
#include "model/file.h"
#include "model/suites.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

START_TEST(written_bytes_are_read_back_with_a_nul_behind) {
    const char *path = scratch("f");
    const char bytes[] = {'a', 0, 'b', (char)0xff};
    for (size_t n = 0; n <= sizeof bytes; n++) {
        char *read = NULL;
        size_t size = 99;
        ck_assert_int_eq(od_file_write(path, bytes, n, NULL), OD_OK);
        ck_assert_int_eq(od_file_read(&read, &size, path, sizeof bytes, NULL), OD_OK);
        ck_assert_uint_eq(size, n);
        ck_assert_int_eq(memcmp(read, bytes, n), 0);
        ck_assert_int_eq(read[n], 0);
        free(read);
    }
    ck_assert_uint_eq(scratch_count(), 1);
}
END_TEST

START_TEST(limit_is_the_last_size_that_is_read) {
    const char *path = scratch("f");
    char *read;
    size_t size;
    od_error e;
    ck_assert_int_eq(od_file_write(path, "12345", 5, NULL), OD_OK);
    ck_assert_int_eq(od_file_read(&read, &size, path, 5, NULL), OD_OK);
    free(read);
    ck_assert_int_eq(od_file_read(&read, &size, path, 4, &e), OD_BAD_INPUT);
    ck_assert_ptr_null(read);
    ck_assert(strstr(e.text, path) && strstr(e.text, "4 bytes"));
}
END_TEST

/* Files of /proc say that they hold 0 bytes and then give more: the growth is read, and the limit holds. */
START_TEST(a_file_larger_than_it_says_is_read_whole) {
    char *read;
    size_t size;
    ck_assert_int_eq(od_file_read(&read, &size, "/proc/self/status", 1 << 20, NULL), OD_OK);
    ck_assert_uint_gt(size, 100);
    ck_assert_uint_eq(strlen(read), size);
    free(read);
    ck_assert_int_eq(od_file_read(&read, &size, "/proc/self/status", 50, NULL), OD_BAD_INPUT);
    ck_assert_ptr_null(read);
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused) {
    const char *fifo = scratch("fifo"), *missing = scratch("none"), *folder = scratch("folder"),
               *under = scratch("none/f");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    const char *paths[] = {fifo, folder, "/dev/zero", missing, under, ""};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char *read;
        size_t size;
        uint64_t bytes, digest;
        od_error e = {OD_OK, ""};
        ck_assert_int_eq(od_file_read(&read, &size, paths[i], 100, &e), OD_BAD_INPUT);
        ck_assert_ptr_nonnull(strstr(e.text, paths[i]));
        ck_assert_int_eq(od_file_digest(&bytes, &digest, paths[i], NULL), OD_BAD_INPUT);
    }
}
END_TEST

START_TEST(writing_replaces_files_and_nothing_else) {
    const char *folder = scratch("folder"), *link = scratch("null");
    od_error e;
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert_int_eq(symlink("/dev/null", link), 0);
    ck_assert_int_eq(od_file_write(folder, "x", 1, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "a folder"));
    ck_assert_int_eq(od_file_write(link, "x", 1, &e), OD_BAD_INPUT);
    ck_assert_int_eq(od_file_write(scratch("none/f"), "x", 1, &e), OD_BAD_INPUT);
    ck_assert_uint_eq(scratch_count(), 2);
}
END_TEST

/* A write that fails half-way leaves the old file and no temporary one. The failure: a limit on the size of files. */
START_TEST(a_failing_write_leaves_the_old_state) {
    const char *path = scratch("f");
    static char large[1 << 16];
    char *read;
    size_t size;
    od_error e;
    ck_assert_int_eq(od_file_write(path, "old", 3, NULL), OD_OK);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, limit = {4096, 4096};
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit.rlim_max = old.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum od_status status = od_file_write(path, large, sizeof large, &e);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_int_eq(status, OD_IO);
    ck_assert_ptr_nonnull(strstr(e.text, path));
    ck_assert_uint_eq(scratch_count(), 1);
    ck_assert_int_eq(od_file_read(&read, &size, path, 100, NULL), OD_OK);
    ck_assert_str_eq(read, "old");
    free(read);
}
END_TEST

START_TEST(pieces_are_written_in_order) {
    const char *path = scratch("f");
    const od_piece pieces[] = {{"ab", 2}, {NULL, 0}, {"c", 1}, {"def", 3}};
    char *read;
    size_t size;
    ck_assert_int_eq(od_file_write_pieces(path, pieces, 4, NULL), OD_OK);
    ck_assert_int_eq(od_file_read(&read, &size, path, 100, NULL), OD_OK);
    ck_assert_str_eq(read, "abcdef");
    free(read);
}
END_TEST

/* XXH64 of "" and "abc" are published; of a file longer than a piece, the one-shot function's answer. */
START_TEST(digests_are_xxh64_of_the_whole_file) {
    enum { N = (1 << 16) + 1 };
    const char *path = scratch("f");
    char *bytes = malloc(N);
    uint64_t size, digest;
    ck_assert_int_eq(od_file_write(path, "abc", 3, NULL), OD_OK);
    ck_assert_int_eq(od_file_digest(&size, &digest, path, NULL), OD_OK);
    ck_assert(size == 3 && digest == 0x44bc2cf5ad770999);
    ck_assert_int_eq(od_file_write(path, "", 0, NULL), OD_OK);
    ck_assert_int_eq(od_file_digest(&size, &digest, path, NULL), OD_OK);
    ck_assert(size == 0 && digest == 0xef46db3751d8e999);
    for (size_t i = 0; i < N; i++) bytes[i] = (char)(i * i >> 3);
    for (size_t n = N - 2; n <= N; n++) {
        ck_assert_int_eq(od_file_write(path, bytes, n, NULL), OD_OK);
        ck_assert_int_eq(od_file_digest(&size, &digest, path, NULL), OD_OK);
        ck_assert(size == n && digest == XXH64(bytes, n, 0));
    }
    free(bytes);
}
END_TEST

START_TEST(relative_paths_lie_beside_their_file) {
    const struct {
        const char *base, *path, *joined;
    } cases[] = {{"a/b/case.json", "x.csv", "a/b/x.csv"},
                 {"case.json", "x.csv", "x.csv"},
                 {"", "x.csv", "x.csv"},
                 {"a/case.json", "../x.csv", "a/../x.csv"},
                 {"/case.json", "x.csv", "/x.csv"},
                 {"a/case.json", "/x.csv", "/x.csv"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[64];
        ck_assert_int_eq(od_path_beside(out, sizeof out, cases[i].base, cases[i].path, NULL), OD_OK);
        ck_assert_str_eq(out, cases[i].joined);
    }
    char tight[8];
    ck_assert_int_eq(od_path_beside(tight, sizeof tight, "ab/c", "1234", NULL), OD_OK);
    ck_assert_int_eq(od_path_beside(tight, sizeof tight, "ab/c", "12345", NULL), OD_BAD_INPUT);
    ck_assert_int_eq(od_path_beside(tight, sizeof tight, "ab/c", "", NULL), OD_BAD_INPUT);
}
END_TEST

Suite *suite_file(void) {
    Suite *s = suite_create("file");
    TCase *t = tcase_create("file");
    tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
    tcase_add_test(t, written_bytes_are_read_back_with_a_nul_behind);
    tcase_add_test(t, limit_is_the_last_size_that_is_read);
    tcase_add_test(t, a_file_larger_than_it_says_is_read_whole);
    tcase_add_test(t, what_is_no_regular_file_is_refused);
    tcase_add_test(t, writing_replaces_files_and_nothing_else);
    tcase_add_test(t, a_failing_write_leaves_the_old_state);
    tcase_add_test(t, pieces_are_written_in_order);
    tcase_add_test(t, digests_are_xxh64_of_the_whole_file);
    tcase_add_test(t, relative_paths_lie_beside_their_file);
    suite_add_tcase(s, t);
    return s;
}
