/* Errors as values, checked sizes, the counting heap, tensors. */
#include "model/status.h"
#include "model/heap.h"
#include "model/suites.h"
#include "model/tensor.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

START_TEST(failure_fills_status_and_text) {
    od_error e = {OD_OK, ""};
    ck_assert_int_eq(od_fail(&e, OD_IO, "%s: %d", "x", 7), OD_IO);
    ck_assert_int_eq(e.status, OD_IO);
    ck_assert_str_eq(e.text, "x: 7");
    ck_assert_int_eq(od_fail(NULL, OD_NO_DEVICE, "nobody listens"), OD_NO_DEVICE);
}
END_TEST

START_TEST(text_stays_one_line) {
    od_error e;
    od_fail(&e, OD_BAD_INPUT, "%s", "a\nb\tc\x1b[31m\x7f\xc3\xa4");
    ck_assert_str_eq(e.text, "a?b?c?[31m?\xc3\xa4");
}
END_TEST

/* The table of RFC 3629, and the two bytes beside each of its bounds; C1 controls are no text either. */
START_TEST(text_is_utf8) {
    static const char *const kept[] = {"\xc2\xa0",     "\xdf\xbf",         "\xe0\xa0\x80",     "\xed\x9f\xbf",
                                       "\xee\x80\x80", "\xef\xbf\xbf",     "\xf0\x90\x80\x80", "\xf1\x80\xbf\x80",
                                       "~ ",           "\xf4\x8f\xbf\xbf", "\xe1\x80\xbf"};
    static const char *const lost[] = {
        "\x80",     "\xbf",    "\xc1\xbf", "\xc2\x80",  "\xc2\x9f",         "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xc3",     "\xc3(",   "\xe2\x82", "\xe2(\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80",
        "\xf5\x80", "\xff\xfe"};
    od_error e;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        od_fail(&e, OD_BAD_INPUT, "%s", kept[i]);
        ck_assert_str_eq(e.text, kept[i]);
    }
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        od_fail(&e, OD_BAD_INPUT, "%s.", lost[i]);
        ck_assert_uint_eq(strlen(e.text), strlen(lost[i]) + 1);
        for (const char *c = e.text; *c != '.'; c++) ck_assert_msg(*c == '?' || *c == '(', "text %zu: %s", i, e.text);
    }
}
END_TEST

START_TEST(a_character_that_is_cut_is_no_text) {
    od_error e;
    char text[2 * sizeof e.text];
    memset(text, 'x', sizeof text);
    memcpy(text + sizeof e.text - 2, "\xc3\xa4", 2); /* the last byte that fits, and the first that does not */
    text[sizeof text - 1] = 0;
    od_fail(&e, OD_BAD_INPUT, "%s", text);
    ck_assert_uint_eq(strlen(e.text), sizeof e.text - 1);
    ck_assert_int_eq(e.text[sizeof e.text - 2], '?');
}
END_TEST

START_TEST(long_text_is_cut_and_ended) {
    od_error e;
    char text[4 * sizeof e.text];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    od_fail(&e, OD_BAD_INPUT, "%s", text);
    ck_assert_uint_eq(strlen(e.text), sizeof e.text - 1);
    ck_assert_int_eq(od_error_prefix(&e, "%s", text), OD_BAD_INPUT);
    ck_assert_uint_lt(strlen(e.text), sizeof e.text);
}
END_TEST

START_TEST(prefix_keeps_status_and_tail) {
    od_error e;
    od_fail(&e, OD_NO_MEMORY, "tail");
    ck_assert_int_eq(od_error_prefix(&e, "head %d", 1), OD_NO_MEMORY);
    ck_assert_int_eq(e.status, OD_NO_MEMORY);
    ck_assert_str_eq(e.text, "head 1: tail");
}
END_TEST

START_TEST(every_status_has_its_own_name) {
    for (int i = OD_OK; i <= OD_UNSUPPORTED; i++)
        for (int j = i + 1; j <= OD_UNSUPPORTED + 1; j++)
            ck_assert_str_ne(od_status_name((enum od_status)i), od_status_name((enum od_status)j));
}
END_TEST

START_TEST(sizes_overflow_detectably) {
    size_t r = 5;
    ck_assert(od_size_mul(&r, SIZE_MAX / 2, 2) && r == SIZE_MAX - 1);
    ck_assert(od_size_add(&r, SIZE_MAX - 1, 1) && r == SIZE_MAX);
    r = 5;
    ck_assert(!od_size_mul(&r, SIZE_MAX / 2 + 1, 2));
    ck_assert(!od_size_add(&r, SIZE_MAX, 1));
    ck_assert_uint_eq(r, 5);
    ck_assert(od_size_mul(&r, SIZE_MAX, 0) && r == 0);
}
END_TEST

START_TEST(blocks_are_zero_aligned_and_counted) {
    od_heap heap = {0};
    od_error e;
    size_t sizes[] = {0, 1, 63, 64, 65, 4096}, live = 0;
    char *blocks[6];
    for (int i = 0; i < 6; i++) {
        blocks[i] = od_heap_alloc(&heap, sizes[i], 1, "block", &e);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 64, 0);
        for (size_t j = 0; j < sizes[i]; j++) ck_assert_int_eq(blocks[i][j], 0);
        memset(blocks[i], 0xa5, sizes[i]);
        live += sizes[i];
        ck_assert_uint_eq(heap.live, live);
    }
    ck_assert_uint_eq(heap.calls, 6);
    for (int i = 0; i < 6; i++) {
        od_heap_free(&heap, blocks[i]);
        live -= sizes[i];
        ck_assert_uint_eq(heap.live, live);
    }
    ck_assert_uint_eq(heap.peak, 0 + 1 + 63 + 64 + 65 + 4096);
    od_heap_free(&heap, NULL);
    ck_assert_uint_eq(heap.live, 0);
}
END_TEST

START_TEST(peak_is_the_largest_live_sum) {
    od_heap heap = {0};
    void *a = od_heap_alloc(&heap, 100, 1, "a", NULL), *b = od_heap_alloc(&heap, 50, 2, "b", NULL);
    od_heap_free(&heap, a);
    void *c = od_heap_alloc(&heap, 10, 1, "c", NULL);
    ck_assert_uint_eq(heap.live, 110);
    ck_assert_uint_eq(heap.peak, 200);
    od_heap_free(&heap, b);
    od_heap_free(&heap, c);
}
END_TEST

START_TEST(planned_failure_hits_that_call_and_all_later_ones) {
    for (uint64_t n = 1; n <= 4; n++) {
        od_heap heap = {.fail_at = n};
        for (uint64_t call = 1; call <= 5; call++) {
            od_error e = {OD_OK, ""};
            void *block = od_heap_alloc(&heap, 1, 8, "a thing", &e);
            ck_assert_int_eq(block != NULL, call < n);
            if (!block) ck_assert(e.status == OD_NO_MEMORY && strstr(e.text, "a thing") && strstr(e.text, "8 bytes"));
            od_heap_free(&heap, block);
        }
        ck_assert_uint_eq(heap.live, 0);
    }
}
END_TEST

START_TEST(impossible_sizes_are_refused) {
    od_heap heap = {0};
    od_error e;
    ck_assert_ptr_null(od_heap_alloc(&heap, SIZE_MAX, 2, "x", &e));
    ck_assert(e.status == OD_NO_MEMORY && strstr(e.text, "overflow"));
    ck_assert_ptr_null(od_heap_alloc(&heap, SIZE_MAX, 1, "x", &e));
    ck_assert(strstr(e.text, "overflow"));
    ck_assert_ptr_null(od_heap_alloc(&heap, (size_t)1 << 60, 4, "x", &e));
    ck_assert_int_eq(e.status, OD_NO_MEMORY);
    ck_assert_uint_eq(heap.live, 0);
    ck_assert_uint_eq(heap.peak, 0);
}
END_TEST

START_TEST(tensor_count_is_the_product_and_overflow_is_refused) {
    od_tensor t;
    od_error e;
    size_t count = 99;
    od_tensor_set(&t, "t", OD_F32, 3, (size_t[]){2, 3, 5}, NULL);
    ck_assert_int_eq(od_tensor_count(&count, &t, &e), OD_OK);
    ck_assert_uint_eq(count, 30);
    ck_assert_uint_eq(od_tensor_size(&t), 30);
    od_tensor_set(&t, "scalar", OD_F64, 0, NULL, NULL);
    ck_assert_uint_eq(od_tensor_size(&t), 1);
    od_tensor_set(&t, "empty", OD_F64, 2, (size_t[]){7, 0}, NULL);
    ck_assert_uint_eq(od_tensor_size(&t), 0);
    od_tensor_set(&t, "huge", OD_U8, 2, (size_t[]){(size_t)1 << 32, (size_t)1 << 32}, NULL);
    ck_assert_int_eq(od_tensor_count(&count, &t, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "huge"));
    od_tensor_set(&t, "bytes", OD_F64, 1, (size_t[]){(size_t)1 << 61}, NULL);
    ck_assert_int_eq(od_tensor_count(&count, &t, &e), OD_BAD_INPUT);
}
END_TEST

START_TEST(elements_of_every_type_read_as_doubles) {
    const float f[] = {1.5f, -0.25f};
    const double d[] = {1e300, -3};
    const uint8_t u[] = {0, 255};
    const int32_t i[] = {INT32_MIN, 7};
    const int64_t l[] = {-5, (int64_t)1 << 52};
    const struct {
        enum od_dtype dtype;
        size_t size;
        const char *name;
        const void *data;
        double values[2];
    } cases[] = {{OD_F32, 4, "F32", f, {1.5, -0.25}},
                 {OD_F64, 8, "F64", d, {1e300, -3}},
                 {OD_U8, 1, "U8", u, {0, 255}},
                 {OD_I32, 4, "I32", i, {-2147483648.0, 7}},
                 {OD_I64, 8, "I64", l, {-5, 4503599627370496.0}}};
    for (size_t c = 0; c < 5; c++) {
        od_tensor t;
        od_tensor_set(&t, "t", cases[c].dtype, 1, (size_t[]){2}, cases[c].data);
        ck_assert_uint_eq(od_dtype_size(t.dtype), cases[c].size);
        ck_assert_str_eq(od_dtype_name(t.dtype), cases[c].name);
        ck_assert(od_tensor_at(&t, 0) == cases[c].values[0] && od_tensor_at(&t, 1) == cases[c].values[1]);
    }
}
END_TEST

START_TEST(shapes_print_and_long_names_are_cut) {
    char text[32], small[8];
    ck_assert_str_eq(od_shape_text(text, sizeof text, 3, (size_t[]){2, 4, 32}), "[2, 4, 32]");
    ck_assert_str_eq(od_shape_text(text, sizeof text, 0, NULL), "[]");
    ck_assert_str_eq(od_shape_text(small, sizeof small, 3, (size_t[]){2, 4, 32}), "[2, 4, ");
    char name[300];
    memset(name, 'n', sizeof name);
    name[299] = 0;
    od_tensor t;
    od_tensor_set(&t, name, OD_U8, 0, NULL, NULL);
    ck_assert_uint_eq(strlen(t.name), OD_NAME_MAX - 1);
}
END_TEST

Suite *suite_status(void) {
    Suite *s = suite_create("status");
    TCase *t = tcase_create("status");
    tcase_add_test(t, failure_fills_status_and_text);
    tcase_add_test(t, text_stays_one_line);
    tcase_add_test(t, text_is_utf8);
    tcase_add_test(t, a_character_that_is_cut_is_no_text);
    tcase_add_test(t, long_text_is_cut_and_ended);
    tcase_add_test(t, prefix_keeps_status_and_tail);
    tcase_add_test(t, every_status_has_its_own_name);
    tcase_add_test(t, sizes_overflow_detectably);
    suite_add_tcase(s, t);
    t = tcase_create("heap");
    tcase_add_test(t, blocks_are_zero_aligned_and_counted);
    tcase_add_test(t, peak_is_the_largest_live_sum);
    tcase_add_test(t, planned_failure_hits_that_call_and_all_later_ones);
    tcase_add_test(t, impossible_sizes_are_refused);
    suite_add_tcase(s, t);
    t = tcase_create("tensor");
    tcase_add_test(t, tensor_count_is_the_product_and_overflow_is_refused);
    tcase_add_test(t, elements_of_every_type_read_as_doubles);
    tcase_add_test(t, shapes_print_and_long_names_are_cut);
    suite_add_tcase(s, t);
    return s;
}
