/* compare: closed forms, and everything that is no number. */
#include "oracles/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "oracles/witness.h"
#include "tests/common/sanitized.h"
#include "tests/oracles/suites.h"

static od_tensor f32(const float *x, size_t n) {
    od_tensor t;
    od_tensor_set(&t, "loc", OD_F32, 1, &n, x);
    return t;
}

static od_comparison compare(const float *a, const float *b, size_t n, double unit) {
    od_tensor x = f32(a, n), y = f32(b, n);
    od_comparison c;
    ck_assert_int_eq(od_compare(&c, &x, &y, unit, true, NULL), OD_OK);
    return c;
}

START_TEST(errors_are_those_of_the_closed_form) {
    const float a[] = {1, 2, 3, 4}, b[] = {1, 2.5f, 3, 2};
    od_comparison c = compare(a, b, 4, 2);
    ck_assert_double_eq(c.mae, (0.5 + 2) / 4 / 2);
    ck_assert_double_eq(c.max_abs, 1);
    ck_assert_double_eq(c.rmse, sqrt(4.25 / 4) / 2);
    ck_assert_double_eq(c.nmse, 4.25 / 30); /* the unit cancels */
    ck_assert_uint_eq(c.worst, 3);
    ck_assert_double_eq(c.ref_worst, 4);
    ck_assert_double_eq(c.fast_worst, 2);
    ck_assert_uint_eq(c.mismatch, 0);
    ck_assert(!c.all_zero);
}
END_TEST

/* Errors of opposite signs: MAE 0.625 in all, and a mean of -0.375, over a unit of 2. */
START_TEST(a_shift_keeps_its_sign) {
    const float a[] = {1, 2, 3, 4}, b[] = {1, 2.5f, 3, 2}, nan[] = {1, NAN, 3, 2}, inf[] = {1, INFINITY, 3, 2};
    ck_assert_double_eq(compare(a, b, 4, 2).shift, (0.5 - 2) / 4 / 2);
    ck_assert_double_eq(compare(b, a, 4, 2).shift, (2 - 0.5) / 4 / 2);
    ck_assert_double_eq(compare(a, a, 4, 2).shift, 0);
    ck_assert(isnan(compare(a, nan, 4, 2).shift));
    ck_assert(isnan(compare(a, a, 0, 1).shift));
    ck_assert(!isfinite(compare(a, inf, 4, 2).shift));
    ck_assert(!isfinite(compare(inf, a, 4, 2).shift));
    ck_assert_double_eq(compare(inf, inf, 4, 2).shift, 0);
}
END_TEST

START_TEST(equal_tensors_differ_by_nothing) {
    const float a[] = {0, -1.5f, 3e38f};
    od_comparison c = compare(a, a, 3, 1);
    ck_assert_double_eq(c.mae, 0);
    ck_assert_double_eq(c.max_abs, 0);
    ck_assert_double_eq(c.nmse, 0);
    ck_assert_double_eq(c.ulp_max, 0);
}
END_TEST

/* A NaN at element i of either side, or of both: no bound holds. */
START_TEST(nan_fails_every_bound_wherever_it_stands) {
    for (int side = 1; side <= 3; side++)
        for (int i = 0; i < 3; i++) {
            float a[] = {1, 2, 3}, b[] = {1, 2, 3};
            if (side & 1) a[i] = NAN;
            if (side & 2) b[i] = NAN;
            od_comparison c = compare(a, b, 3, 1);
            ck_assert(!(c.mae <= 1e300));
            ck_assert(!(c.max_abs <= 1e300));
            ck_assert(!(c.rmse <= 1e300));
            ck_assert(!(c.nmse <= 1e300));
            ck_assert_uint_eq(c.worst, (size_t)i);
            ck_assert_uint_eq(c.ref_nan, side & 1);
            ck_assert_uint_eq(c.fast_nan, (side & 2) / 2);
            ck_assert_uint_eq(c.mismatch, side == 3 ? 0 : 1);
            ck_assert_uint_eq(c.first_mismatch, side == 3 ? 0 : (size_t)i);
        }
}
END_TEST

START_TEST(a_nan_is_worse_than_any_difference_before_or_behind_it) {
    const float a[] = {0, 0, 0, 0}, b[] = {1e30f, NAN, INFINITY, 2e30f};
    od_comparison c = compare(a, b, 4, 1);
    ck_assert_uint_eq(c.worst, 1);
    ck_assert(isnan(c.max_abs));
}
END_TEST

START_TEST(infinities_of_one_sign_are_equal) {
    const float a[] = {INFINITY, -INFINITY, 1}, b[] = {INFINITY, -INFINITY, 1};
    od_comparison c = compare(a, b, 3, 1);
    ck_assert_double_eq(c.mae, 0);
    ck_assert_uint_eq(c.mismatch, 0);
    ck_assert_uint_eq(c.ref_inf, 2);
    ck_assert_uint_eq(c.fast_inf, 2);
}
END_TEST

START_TEST(any_other_infinity_is_an_infinite_difference) {
    const float pairs[][2] = {{INFINITY, -INFINITY}, {INFINITY, 3e38f}, {1, -INFINITY}};
    for (int i = 0; i < 3; i++) {
        od_comparison c = compare(&pairs[i][0], &pairs[i][1], 1, 1);
        ck_assert(isinf(c.mae) && isinf(c.max_abs));
        ck_assert_uint_eq(c.mismatch, 1);
        ck_assert_uint_eq(c.first_mismatch, 0);
    }
}
END_TEST

START_TEST(nothing_compared_is_no_agreement) {
    od_comparison c = compare(NULL, NULL, 0, 1);
    ck_assert_uint_eq(c.n, 0);
    ck_assert(!(c.mae <= 1e300));
    ck_assert(!(c.max_abs <= 1e300));
    ck_assert(!c.all_zero);
}
END_TEST

START_TEST(zeros_on_both_sides_are_marked) {
    const float zero[] = {0, -0.0f}, one[] = {0, 1};
    ck_assert(compare(zero, zero, 2, 1).all_zero);
    ck_assert(!compare(zero, one, 2, 1).all_zero);
    ck_assert(!compare(one, zero, 2, 1).all_zero);
    ck_assert(isinf(compare(zero, one, 2, 1).nmse)); /* an error against no energy at all */
}
END_TEST

START_TEST(neighbouring_floats_are_one_ulp_apart) {
    const float x[] = {1, -1, 0, 1e-45f, 3.4028234e38f, -2e-38f};
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) {
        ck_assert_uint_eq(od_ulp_f32(x[i], nextafterf(x[i], INFINITY)), 1);
        ck_assert_uint_eq(od_ulp_f32(nextafterf(x[i], -INFINITY), x[i]), 1);
        ck_assert_uint_eq(od_ulp_f64(x[i], nextafter(x[i], INFINITY)), 1);
    }
    ck_assert_uint_eq(od_ulp_f32(0.0f, -0.0f), 0);
    ck_assert_uint_eq(od_ulp_f32(-1e-45f, 1e-45f), 2); /* the smallest on either side of zero */
    ck_assert_uint_eq(od_ulp_f32(1, 2), 1u << 23);
    ck_assert_uint_eq(od_ulp_f64(1, 2), UINT64_C(1) << 52);
    ck_assert_uint_eq(od_ulp_f32(NAN, 1), UINT64_MAX);
    ck_assert_uint_eq(od_ulp_f64(-INFINITY, INFINITY), 2 * UINT64_C(0x7ff0000000000000));
}
END_TEST

/* Nearest rank: the 99th percentile is the value of rank ceil(0.99 n), of 99 values and fewer the largest. */
START_TEST(the_99th_percentile_of_99_values_is_the_largest) {
    float a[101], b[101];
    for (int i = 0; i < 101; i++) a[i] = b[i] = 1;
    b[50] = 1 + 8 * 0x1p-23f;
    ck_assert_double_eq(compare(a, b, 99, 1).ulp_p99, 8);
    ck_assert_double_eq(compare(a, b, 100, 1).ulp_p99, 0); /* rank 99 of 100 */
    ck_assert_double_eq(compare(a, b, 101, 1).ulp_p99, 0); /* rank 100 of 101 */
}
END_TEST

/* 100 elements of which one is 8 ulp and one 2 ulp off: half and 98 % are 0, the 99th percentile is the smaller. */
START_TEST(ulp_quantiles_rank_the_elements) {
    float a[100], b[100];
    for (int i = 0; i < 100; i++) a[i] = b[i] = 1;
    b[3] = 1 + 8 * 0x1p-23f;
    b[70] = 1 + 2 * 0x1p-23f;
    od_comparison c = compare(a, b, 100, 1);
    ck_assert_double_eq(c.ulp_p50, 0);
    ck_assert_double_eq(c.ulp_p99, 2);
    ck_assert_double_eq(c.ulp_max, 8);
}
END_TEST

START_TEST(types_may_differ_and_shapes_may_not) {
    const float a[] = {1, 2};
    const double b[] = {1, 2 + 1e-9};
    size_t two = 2, column[] = {2, 1};
    od_tensor x = f32(a, 2), y, z;
    od_tensor_set(&y, "loc", OD_F64, 1, &two, b);
    od_tensor_set(&z, "loc", OD_F64, 2, column, b);
    od_comparison c;
    od_error e;
    ck_assert_int_eq(od_compare(&c, &x, &y, 1, true, &e), OD_OK);
    ck_assert_double_eq_tol(c.max_abs, 1e-9, 1e-15);
    ck_assert_double_eq(c.ulp_max, 0); /* less than a float32's */
    ck_assert_int_eq(od_compare(&c, &y, &y, 1, true, &e), OD_OK);
    ck_assert_int_eq(od_compare(&c, &x, &z, 1, true, &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "[2]"));
    ck_assert_ptr_nonnull(strstr(e.text, "[2, 1]"));
}
END_TEST

/* A million values of 1 in float32: a float sum would have stopped at 2^24 steps, a double's is exact. */
START_TEST(means_are_summed_in_double) {
    enum { N = 20 * 1000 * 1000 };
    float *x = malloc(N * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (int i = 0; i < N; i++) x[i] = 1;
    od_tensor t = f32(x, N);
    ck_assert_double_eq(od_tensor_mean(&t), 1);
    free(x);
}
END_TEST

START_TEST(a_mean_is_of_the_values_and_of_nothing_behind_them) {
    const float x[] = {1, 2, 6, NAN};
    for (size_t n = 1; n <= 3; n++) {
        od_tensor t = f32(x, n);
        ck_assert_double_eq(od_tensor_mean(&t), n == 1 ? 1 : n == 2 ? 1.5 : 3);
    }
}
END_TEST

START_TEST(a_single_zero_is_all_zero) {
    const float zero[] = {0}, one[] = {1};
    ck_assert(compare(zero, zero, 1, 1).all_zero);
    ck_assert(!compare(one, one, 1, 1).all_zero);
}
END_TEST

/* Ranks of 100 values are 800 bytes: kept, they would come to 80,000. malloc may leave a splinter. */
START_TEST(a_comparison_keeps_no_memory) {
    const float a[100] = {0}, b[100] = {1};
    const od_tensor x = f32(a, 100), y = f32(b, 100);
    od_comparison c;
    const size_t before = od_witness_malloc(); /* 0 under ASan, which has an eye of its own */
    for (int i = 0; i < 100; i++) od_compare(&c, &x, &y, 1, true, NULL);
    ck_assert_uint_lt(od_witness_malloc(), before + 40000);
}
END_TEST

static size_t data_bytes(void) {
    char line[128];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmData: %lu", &kib) == 1) break;
    if (f) fclose(f);
    return kib * 1024;
}

/* Ranking 2^22 values takes 8 bytes each: 32 MiB, where 8 MiB are left to this process. */
START_TEST(no_memory_to_rank_is_said_and_nothing_else) {
    enum { N = 1 << 22 };
    if (TEST_SANITIZED) return; /* its shadow is data too */
    float *x = calloc(N, sizeof *x);
    ck_assert_ptr_nonnull(x);
    od_tensor t = f32(x, N);
    od_comparison c;
    od_error e = {0};
    struct rlimit was, tight;
    const size_t used = data_bytes();
    ck_assert_uint_gt(used, 0);
    ck_assert_int_eq(getrlimit(RLIMIT_DATA, &was), 0);
    tight = (struct rlimit){.rlim_cur = used + (8 << 20), .rlim_max = was.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_DATA, &tight), 0);
    const enum od_status ranked = od_compare(&c, &t, &t, 1, true, &e);
    const enum od_status plain = od_compare(&c, &t, &t, 1, false, NULL);
    ck_assert_int_eq(setrlimit(RLIMIT_DATA, &was), 0);
    ck_assert_int_eq(ranked, OD_NO_MEMORY);
    ck_assert_int_eq(e.status, OD_NO_MEMORY);
    ck_assert_str_eq(e.text, "no 33554432 bytes to rank the differences of loc");
    ck_assert_int_eq(plain, OD_OK);
    free(x);
}
END_TEST

Suite *suite_compare(void) {
    Suite *s = suite_create("compare");
    TCase *t = tcase_create("compare");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, errors_are_those_of_the_closed_form);
    tcase_add_test(t, a_shift_keeps_its_sign);
    tcase_add_test(t, equal_tensors_differ_by_nothing);
    tcase_add_test(t, nan_fails_every_bound_wherever_it_stands);
    tcase_add_test(t, a_nan_is_worse_than_any_difference_before_or_behind_it);
    tcase_add_test(t, infinities_of_one_sign_are_equal);
    tcase_add_test(t, any_other_infinity_is_an_infinite_difference);
    tcase_add_test(t, nothing_compared_is_no_agreement);
    tcase_add_test(t, zeros_on_both_sides_are_marked);
    tcase_add_test(t, neighbouring_floats_are_one_ulp_apart);
    tcase_add_test(t, ulp_quantiles_rank_the_elements);
    tcase_add_test(t, the_99th_percentile_of_99_values_is_the_largest);
    tcase_add_test(t, types_may_differ_and_shapes_may_not);
    tcase_add_test(t, means_are_summed_in_double);
    tcase_add_test(t, a_mean_is_of_the_values_and_of_nothing_behind_them);
    tcase_add_test(t, a_single_zero_is_all_zero);
    tcase_add_test(t, a_comparison_keeps_no_memory);
    tcase_add_test(t, no_memory_to_rank_is_said_and_nothing_else);
    suite_add_tcase(s, t);
    return s;
}
