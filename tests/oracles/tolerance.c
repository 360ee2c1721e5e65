/* The bounds as numbers that the documents promise, and their edges. */
#include "oracles/tolerance.h"

#include <math.h>

#include "tests/oracles/suites.h"

START_TEST(a_bound_met_exactly_holds_and_the_next_number_does_not) {
    ck_assert(od_within(od_bounds.mae, od_bounds.mae));
    ck_assert(!od_within(nextafter(od_bounds.mae, 1), od_bounds.mae));
    ck_assert(od_within(nextafter(od_bounds.mae, 0), od_bounds.mae));
}
END_TEST

START_TEST(no_number_is_within_no_bound) {
    ck_assert(!od_within(NAN, 1));
    ck_assert(!od_within(NAN, INFINITY));
    ck_assert(!od_within(0, NAN));
    ck_assert(!od_within(INFINITY, 1e300));
}
END_TEST

START_TEST(the_contract_is_used_up_exactly_at_its_bounds) {
    ck_assert_double_eq(od_contract_share(1e-6, 0), 1);
    ck_assert_double_eq(od_contract_share(0, 5e-5), 1);
    ck_assert_double_eq(od_contract_share(5e-7, 0), 0.5);
    ck_assert_double_gt(od_contract_share(nextafter(1e-6, 1), 0), 1);
    ck_assert_double_gt(od_contract_share(0, nextafter(5e-5, 1)), 1);
    ck_assert(isinf(od_contract_share(NAN, 0)));
    ck_assert(isinf(od_contract_share(0, NAN)));
}
END_TEST

START_TEST(the_numbers_are_those_that_are_promised) {
    ck_assert_double_eq(od_bounds.mae, 1e-6);
    ck_assert_double_eq(od_bounds.max_abs, 5e-5);
    ck_assert_double_eq(od_bounds.free_mae, 1e-5);
    ck_assert_double_eq(od_bounds.golden, 1e-11);
    ck_assert_double_eq(od_bounds.arbiter_share, 0.2);
    ck_assert_double_eq(od_bounds.gain_limit, 1.25);
    ck_assert_double_eq(od_bounds.memory_ratio, 1.5);
    ck_assert_double_eq(od_bounds.speed_ratio, 2);
}
END_TEST

/* Bounds whose derivation (tolerance.c) names a size that decides: a page in 16 requests, a page, 16 pages, 8 KiB; the
 * README says the second and third of users' memory. */
START_TEST(bounds_of_memory_are_pages_and_kibibytes) {
    ck_assert_double_eq(od_bounds.witness_slope, 4096.0 / 16);
    ck_assert_double_eq(od_bounds.witness_step, 4 * 1024);
    ck_assert_double_eq(od_bounds.witness_pages, 64 * 1024);
    ck_assert_double_eq(od_bounds.graph_bytes, 8 * 1024);
}
END_TEST

/* Twice what calls were measured to need, or one wait more (tolerance.c). */
START_TEST(bounds_of_waits_and_copies_are_those_of_their_derivation) {
    ck_assert_double_eq(od_bounds.waits_call, 2 + 1);
    ck_assert_double_eq(od_bounds.copied_call, 1 << 10);
    ck_assert_double_eq(od_bounds.copied_windows, 2);
}
END_TEST

/* The one-sided normal quantile of 99.9 % is 3.0902. */
START_TEST(the_witnesses_quantile_is_of_999_in_1000) {
    ck_assert_double_eq_tol(0.5 * erfc(od_bounds.witness_z / sqrt(2)), 1e-3, 2e-6);
}
END_TEST

START_TEST(fewer_values_than_are_promised_blame_nobody) {
    ck_assert_uint_eq(od_bounds.near_values, 8);
    ck_assert_uint_eq(od_bounds.near_class, 10 * 1000);
    ck_assert_double_eq(od_bounds.near_floor, 1e-9);
}
END_TEST

/* -ffast-math would make these true at compile time and every comparison above blind. */
START_TEST(the_compiler_believes_in_nan) {
    volatile double zero = 0;
    double nan = zero / zero;
    ck_assert(isnan(nan));
    ck_assert(!(nan <= 1));
    ck_assert(!(nan > 1));
    ck_assert(nan != nan);
}
END_TEST

Suite *suite_tolerance(void) {
    Suite *s = suite_create("tolerance");
    TCase *t = tcase_create("tolerance");
    tcase_add_test(t, a_bound_met_exactly_holds_and_the_next_number_does_not);
    tcase_add_test(t, no_number_is_within_no_bound);
    tcase_add_test(t, the_contract_is_used_up_exactly_at_its_bounds);
    tcase_add_test(t, the_numbers_are_those_that_are_promised);
    tcase_add_test(t, bounds_of_memory_are_pages_and_kibibytes);
    tcase_add_test(t, bounds_of_waits_and_copies_are_those_of_their_derivation);
    tcase_add_test(t, the_witnesses_quantile_is_of_999_in_1000);
    tcase_add_test(t, fewer_values_than_are_promised_blame_nobody);
    tcase_add_test(t, the_compiler_believes_in_nan);
    suite_add_tcase(s, t);
    return s;
}
