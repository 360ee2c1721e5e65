/* Order statistics with closed forms, the bootstrap's interval, the order of turns. */
#include "oracles/pairs.h"

#include <stdlib.h>

#include "model/rng.h"
#include "tests/oracles/suites.h"

START_TEST(quantiles_of_the_first_101_numbers_are_the_numbers_themselves) {
    double x[101];
    od_summary s;
    for (int i = 0; i < 101; i++) x[i] = 1 + i * 37 % 101; /* a permutation of 1 … 101 */
    ck_assert_int_eq(od_summary_make(&s, x, 101, NULL), OD_OK);
    ck_assert_uint_eq(s.n, 101);
    ck_assert_double_eq(s.min, 1);
    ck_assert_double_eq(s.p50, 51);
    ck_assert_double_eq(s.p95, 96);
    ck_assert_double_eq(s.p99, 100);
    ck_assert_double_eq(s.max, 101);
    ck_assert_double_eq(s.mean, 51);
    ck_assert_double_eq(x[1], 38); /* the caller's order stays */
}
END_TEST

START_TEST(quantiles_lie_between_values_and_one_value_is_all_of_them) {
    const double two[] = {3, 1}, one[] = {7};
    od_summary s;
    ck_assert_int_eq(od_summary_make(&s, two, 2, NULL), OD_OK);
    ck_assert_double_eq(s.p50, 2);
    ck_assert_double_eq_tol(s.p95, 2.9, 1e-15);
    ck_assert_int_eq(od_summary_make(&s, one, 1, NULL), OD_OK);
    ck_assert_double_eq(s.p50, 7);
    ck_assert_double_eq(s.p99, 7);
    ck_assert_double_eq(s.mean, 7);
}
END_TEST

/* b times 2 is exact, and so is every resample's ratio where pairs stay together, however b varies. */
START_TEST(pairs_stay_together_in_every_resample) {
    double a[60], b[60];
    od_rng rng = od_rng_make(1, 2);
    for (size_t i = 0; i < 60; i++) {
        b[i] = 1 + od_rng_uniform(&rng);
        a[i] = 2 * b[i];
    }
    const size_t per[] = {1, 2, 3, 60};
    for (size_t k = 0; k < sizeof per / sizeof *per; k++) {
        od_ratio r;
        ck_assert_int_eq(od_ratio_make(&r, a, b, 60 / per[k], per[k], 3, NULL), OD_OK);
        ck_assert_double_eq(r.ratio, 2);
        ck_assert_double_eq(r.low, 2);
        ck_assert_double_eq(r.high, 2);
        ck_assert_uint_eq(r.n_pair, 60 / per[k]);
    }
}
END_TEST

START_TEST(the_ratio_is_that_of_the_medians) {
    const double a[] = {9, 1, 5, 100}, b[] = {2, 8, 4, 1}; /* medians 7 and 3 */
    od_ratio r;
    ck_assert_int_eq(od_ratio_make(&r, a, b, 4, 1, 1, NULL), OD_OK);
    ck_assert_double_eq(r.ratio, 7.0 / 3.0);
    ck_assert_double_le(r.low, r.ratio);
    ck_assert_double_ge(r.high, r.ratio);
}
END_TEST

static void uniform_pair(double *a, double *b, size_t n, uint64_t seed) {
    od_rng rng = od_rng_make(seed, 7);
    for (size_t i = 0; i < n; i++) {
        a[i] = 1.8 + 0.4 * od_rng_uniform(&rng); /* median 2 */
        b[i] = 0.9 + 0.2 * od_rng_uniform(&rng); /* median 1 */
    }
}

/* Of 100 intervals of 95 %, fewer than 85 would hold the truth in one of 20,000 experiments. */
START_TEST(the_interval_holds_the_true_ratio_about_as_often_as_it_says) {
    double a[50], b[50];
    int held = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        od_ratio r;
        uniform_pair(a, b, 50, seed);
        ck_assert_int_eq(od_ratio_make(&r, a, b, 50, 1, seed, NULL), OD_OK);
        ck_assert_double_lt(r.low, r.high);
        held += r.low <= 2 && 2 <= r.high;
    }
    ck_assert_int_ge(held, 85);
}
END_TEST

START_TEST(the_same_seed_gives_the_same_interval) {
    double a[50], b[50];
    od_ratio r, again;
    uniform_pair(a, b, 50, 1);
    ck_assert_int_eq(od_ratio_make(&r, a, b, 50, 1, 5, NULL), OD_OK);
    ck_assert_int_eq(od_ratio_make(&again, a, b, 50, 1, 5, NULL), OD_OK);
    ck_assert_double_eq(r.low, again.low);
    ck_assert_double_eq(r.high, again.high);
}
END_TEST

/* Ten timings of a pair that all share its mood say no more than one of them does. */
START_TEST(timings_of_one_pair_are_no_independent_witnesses) {
    double a[20], b[20], many_a[200], many_b[200];
    od_ratio one, ten, apart;
    uniform_pair(a, b, 20, 3);
    for (size_t i = 0; i < 200; i++) {
        many_a[i] = a[i / 10];
        many_b[i] = b[i / 10];
    }
    ck_assert_int_eq(od_ratio_make(&one, a, b, 20, 1, 1, NULL), OD_OK);
    ck_assert_int_eq(od_ratio_make(&ten, many_a, many_b, 20, 10, 1, NULL), OD_OK);
    ck_assert_int_eq(od_ratio_make(&apart, many_a, many_b, 200, 1, 1, NULL), OD_OK);
    ck_assert_double_eq(ten.low, one.low);
    ck_assert_double_eq(ten.high, one.high);
    ck_assert_double_lt(apart.high - apart.low, ten.high - ten.low);
}
END_TEST

START_TEST(no_pair_is_refused) {
    const double x = 1;
    od_ratio r;
    od_error e = {0};
    ck_assert_int_eq(od_ratio_make(&r, &x, &x, 0, 1, 1, &e), OD_BAD_INPUT);
    ck_assert_int_eq(od_ratio_make(&r, &x, &x, 1, 0, 1, &e), OD_BAD_INPUT);
}
END_TEST

/* Turns in their order are numbered 0, 1, 2, …; were each slower than the last by the same amount, both sides would
 * lose alike over any even number of pairs. */
START_TEST(a_steady_drift_hits_both_sides_alike) {
    size_t place = 0, sum[2] = {0, 0};
    for (size_t pair = 0; pair < 10; pair++) {
        const size_t first = od_pair_first(pair) ? 0 : 1;
        sum[first] += place++;
        sum[1 - first] += place++;
        if (pair % 2 == 1) ck_assert_uint_eq(sum[0], sum[1]);
    }
    ck_assert(od_pair_first(0));
}
END_TEST

Suite *suite_pairs(void) {
    Suite *s = suite_create("pairs");
    TCase *t = tcase_create("pairs");
    tcase_add_test(t, quantiles_of_the_first_101_numbers_are_the_numbers_themselves);
    tcase_add_test(t, quantiles_lie_between_values_and_one_value_is_all_of_them);
    tcase_add_test(t, pairs_stay_together_in_every_resample);
    tcase_add_test(t, the_ratio_is_that_of_the_medians);
    tcase_add_test(t, the_interval_holds_the_true_ratio_about_as_often_as_it_says);
    tcase_add_test(t, the_same_seed_gives_the_same_interval);
    tcase_add_test(t, timings_of_one_pair_are_no_independent_witnesses);
    tcase_add_test(t, no_pair_is_refused);
    tcase_add_test(t, a_steady_drift_hits_both_sides_alike);
    suite_add_tcase(s, t);
    return s;
}
