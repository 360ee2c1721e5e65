/* What libFuzzer relies on: every input that the mutator hands out is a canonical case, of a legal size, and depends on
 * its inputs and the seed alone. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/target_case.h"
#include "model/file.h"

/* A target that wants every case marked. */
static void narrow(od_case *c, uint64_t seed) {
    snprintf(c->note, sizeof c->note, "narrowed");
}

const od_target od_this_target = {.name = "mutator_test", .narrow = narrow};

static uint8_t *example;
static size_t example_size;

static void read_example(void) {
    od_error e;
    ck_assert_msg(od_file_read((char **)&example, &example_size, OD_SOURCE_DIR "/model/case.example.json",
                               OD_CASE_MAX_BYTES, &e) == OD_OK,
                  "%s", e.text);
}

static void free_example(void) {
    free(example);
}

static void assert_canonical(const uint8_t *data, size_t size) {
    static od_case c;
    od_error e;
    char *text = NULL;
    size_t length = 0;
    ck_assert_msg(od_case_parse(&c, (const char *)data, size, "", &e) == OD_OK, "%s", e.text);
    ck_assert_msg(od_case_format(&text, &length, &c, NULL, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(length, size);
    ck_assert_mem_eq(text, data, size);
    free(text);
}

/* The mutant of data under the seed, in out[OD_CASE_MAX_BYTES]; its size. */
static size_t mutant(uint8_t *out, const void *data, size_t size, unsigned seed) {
    memcpy(out, data, size);
    return LLVMFuzzerCustomMutator(out, size, OD_CASE_MAX_BYTES, seed);
}

START_TEST(a_mutant_is_a_canonical_case) {
    static uint8_t out[OD_CASE_MAX_BYTES];
    for (unsigned seed = 0; seed < 100; seed++) {
        size_t size = mutant(out, example, example_size, seed);
        ck_assert_uint_le(size, sizeof out);
        assert_canonical(out, size);
        ck_assert_msg(memmem(out, size, "narrowed", 8) != NULL, "a mutant that is not the target's business");
    }
}
END_TEST

START_TEST(bytes_that_are_no_case_become_one) {
    static uint8_t out[OD_CASE_MAX_BYTES];
    const char *junk[] = {"\n", "{}", "{\"format\": 1}", "\0\0\0"};
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) assert_canonical(out, mutant(out, junk[i], 2, 1));
}
END_TEST

START_TEST(equal_seeds_give_equal_mutants_and_others_differ) {
    static uint8_t a[OD_CASE_MAX_BYTES], b[OD_CASE_MAX_BYTES];
    unsigned n_different = 0;
    for (unsigned seed = 0; seed < 20; seed++) {
        size_t na = mutant(a, example, example_size, seed), nb = mutant(b, example, example_size, seed);
        ck_assert_uint_eq(na, nb);
        ck_assert_mem_eq(a, b, na);
        nb = mutant(b, example, example_size, seed + 1000);
        n_different += na != nb || memcmp(a, b, na) != 0;
    }
    ck_assert_uint_ge(n_different, 10);
}
END_TEST

START_TEST(a_mutant_that_does_not_fit_leaves_the_input_alone) {
    static uint8_t out[OD_CASE_MAX_BYTES];
    memcpy(out, "{}", 2);
    ck_assert_uint_eq(LLVMFuzzerCustomMutator(out, 2, 2, 7), 2);
    ck_assert_mem_eq(out, "{}", 2);
    ck_assert_uint_eq(LLVMFuzzerCustomCrossOver(example, example_size, example, example_size, out, 2, 7), 0);
}
END_TEST

START_TEST(a_cross_is_a_canonical_case) {
    static uint8_t other[OD_CASE_MAX_BYTES], out[OD_CASE_MAX_BYTES];
    for (unsigned seed = 0; seed < 50; seed++) {
        size_t size = mutant(other, "x", 1, seed);
        size = LLVMFuzzerCustomCrossOver(example, example_size, other, size, out, sizeof out, seed);
        ck_assert_uint_gt(size, 0);
        assert_canonical(out, size);
    }
}
END_TEST

START_TEST(a_case_is_read_as_it_stands) {
    static od_case direct, read;
    od_error e;
    ck_assert(od_case_parse(&direct, (const char *)example, example_size, "dir/x", &e) == OD_OK);
    od_fuzz_case(&read, example, example_size, "dir/x");
    ck_assert_uint_eq(od_case_hash(&read), od_case_hash(&direct));
    ck_assert_str_eq(read.path, "dir/x");
}
END_TEST

START_TEST(arguments_of_the_caller_come_after_the_defaults) {
    char *given[] = {"fuzz_forward", "-max_len=7", "folder", NULL}, **argv = given;
    int argc = 3;
    ck_assert_int_eq(LLVMFuzzerInitialize(&argc, &argv), 0);
    ck_assert_int_gt(argc, 3);
    ck_assert_str_eq(argv[0], "fuzz_forward");
    ck_assert_str_eq(argv[argc - 2], "-max_len=7");
    ck_assert_str_eq(argv[argc - 1], "folder");
    ck_assert_ptr_null(argv[argc]);
    ck_assert_str_eq(argv[1], "-max_len=16384"); /* as many bytes as a case may have */
    free(argv);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fuzz");
    TCase *tests = tcase_create("mutator");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, read_example, free_example);
    tcase_add_test(tests, a_mutant_is_a_canonical_case);
    tcase_add_test(tests, bytes_that_are_no_case_become_one);
    tcase_add_test(tests, equal_seeds_give_equal_mutants_and_others_differ);
    tcase_add_test(tests, a_mutant_that_does_not_fit_leaves_the_input_alone);
    tcase_add_test(tests, a_cross_is_a_canonical_case);
    tcase_add_test(tests, a_case_is_read_as_it_stands);
    tcase_add_test(tests, arguments_of_the_caller_come_after_the_defaults);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
