/* Mean shifts, by sums in closed form. */
#include "oracles/shift.h"

#include <math.h>

#include "oracles/judge.h"
#include "oracles/tolerance.h"
#include "tests/oracles/suites.h"

static od_envelope_shift healthy;

static void setup(void) {
    healthy = (od_envelope_shift){.cases = 10000, .mean = 0, .sd = 3e-8};
}

/* n cases (even), half of them mean + sd, half mean - sd. */
static od_shift_sum cases(size_t n, double mean, double sd) {
    return (od_shift_sum){.cases = n, .sum = (double)n * mean, .sum2 = (double)n * (mean * mean + sd * sd)};
}

START_TEST(the_numbers_are_those_that_are_promised) {
    ck_assert_double_eq(od_bounds.shift_z, 5);
    ck_assert_double_eq(od_bounds.shift_floor, 1e-8);
    ck_assert_uint_eq(od_bounds.shift_least, 200);
    ck_assert_double_eq(od_bounds.shift_alarms, 1e-4);
}
END_TEST

START_TEST(mean_and_spread_are_those_of_the_cases) {
    const od_shift_sum sum = cases(1000, -2e-8, 3e-8), one = {.cases = 1, .sum = 4, .sum2 = 16}, none = {0};
    od_envelope_shift s = od_shift_of(&sum);
    ck_assert_double_eq_tol(s.mean, -2e-8, 1e-20);
    ck_assert_double_eq_tol(s.sd, 3e-8 * sqrt(1000.0 / 999), 1e-16);
    s = od_shift_of(&one);
    ck_assert_double_eq(s.mean, 4);
    ck_assert_double_eq(s.sd, 0);
    s = od_shift_of(&none);
    ck_assert_uint_eq(s.cases, 0);
}
END_TEST

/* A case is one witness, however many tensors it has, and signs count. */
START_TEST(the_unit_is_the_case_and_signs_count) {
    od_shifts s = {0};
    od_measure m[] = {{.cls = OD_TENSOR_LOC, .step = OD_STEP_DECODE, .shift = 3e-8},
                      {.cls = OD_TENSOR_LOC, .step = OD_STEP_DECODE, .shift = -1e-8},
                      {.cls = OD_TENSOR_LOC, .step = OD_STEP_DECODE, .shift = -8e-8},
                      {.cls = OD_TENSOR_DF, .step = OD_STEP_DECODE, .shift = 7e-8}};
    od_evidence ev = {.measure = m, .n_measure = 4};
    od_shifts_add(&s, &ev);
    ck_assert_uint_eq(s.of[OD_TENSOR_LOC][OD_STEP_DECODE].cases, 1);
    ck_assert_double_eq_tol(s.of[OD_TENSOR_LOC][OD_STEP_DECODE].sum, -2e-8, 1e-20);
    ck_assert_double_eq_tol(s.of[OD_TENSOR_LOC][OD_STEP_DECODE].sum2, 4e-16, 1e-28);
    ev.n_measure = 3;
    od_shifts_add(&s, &ev);
    ck_assert_uint_eq(s.of[OD_TENSOR_LOC][OD_STEP_DECODE].cases, 2);
    ck_assert_uint_eq(s.of[OD_TENSOR_DF][OD_STEP_DECODE].cases, 1); /* the second case has none */
    ck_assert_uint_eq(s.of[OD_TENSOR_LOC][OD_STEP_OWN].cases, 0);
}
END_TEST

/* Spread 3e-8 on both sides, n large in the envelope: 1,000 cases give a standard error of 3e-8/√1000 · √1.1. */
START_TEST(a_shift_is_held_against_the_healthy_mean) {
    const double error = sqrt(3e-8 * 3e-8 * (1.0 / 999 + 1.0 / 10000));
    od_shift_sum sum = cases(1000, 1e-7, 3e-8);
    od_shift_test t = od_shift_judge(&sum, &healthy);
    ck_assert_int_eq(t.state, OD_SHIFT_ALARM);
    ck_assert_double_eq_tol(t.z, 1e-7 / error, 1e-6);
    sum = cases(1000, -1e-7, 3e-8);
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_ALARM);
    healthy.mean = -1e-7; /* engines that have always leant so */
    t = od_shift_judge(&sum, &healthy);
    ck_assert_int_eq(t.state, OD_SHIFT_HOLDS);
    ck_assert_double_eq_tol(t.shift, 0, 1e-20);
    healthy.mean = 1e-7;
    t = od_shift_judge(&sum, &healthy);
    ck_assert_double_eq_tol(t.z, -2e-7 / error, 1e-6);
}
END_TEST

START_TEST(both_bounds_must_be_passed) {
    od_shift_sum sum = cases(1000000, 0.9e-8, 3e-8); /* z = 27, and too small to matter */
    od_shift_test t = od_shift_judge(&sum, &healthy);
    ck_assert_double_gt(t.z, 25);
    ck_assert_int_eq(t.state, OD_SHIFT_HOLDS);
    sum = cases(1000000, 1.1e-8, 3e-8);
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_ALARM);
    healthy.sd = 0;
    sum = cases(400, 1e-6, 4.1e-6); /* z = 4.9 */
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_HOLDS);
    sum = cases(400, 1e-6, 3.9e-6); /* z = 5.1 */
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_ALARM);
}
END_TEST

START_TEST(few_cases_are_not_asked) {
    od_shift_sum sum = cases(199, 1e-6, 1e-9);
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_NOT_ASKED);
    sum = cases(200, 1e-6, 1e-9);
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_ALARM);
    healthy.cases = 199;
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_NOT_ASKED);
}
END_TEST

START_TEST(no_number_is_no_healthy_mean) {
    const double odd[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        od_shift_sum sum = cases(1000, 0, 3e-8);
        sum.sum += odd[i];
        sum.sum2 += odd[i] * odd[i];
        ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_ALARM);
    }
}
END_TEST

/* The scaler: healthy engines agree to the bit, so that any shift is infinitely improbable. */
START_TEST(without_any_spread_only_the_floor_forgives) {
    healthy.sd = 0;
    od_shift_sum sum = cases(1000, 0, 0);
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_HOLDS);
    sum = cases(1024, ldexp(1, -26), 0); /* 1.5e-8 */
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_ALARM);
    sum = cases(1024, ldexp(1, -27), 0); /* 7.5e-9 */
    ck_assert_int_eq(od_shift_judge(&sum, &healthy).state, OD_SHIFT_HOLDS);
}
END_TEST

START_TEST(a_run_with_a_shift_is_exit_1) {
    static od_envelope x;
    od_tally t;
    od_tally_init(&t);
    t.cases = t.outcome[OD_PASS] = t.compared = 1000;
    t.shifts.of[OD_TENSOR_MEAN][OD_STEP_OWN] = cases(1000, 1e-7, 3e-8);
    x.shift[OD_TENSOR_MEAN][OD_STEP_OWN] = healthy;
    ck_assert_int_eq(od_tally_exit(&t, 0, 0), 0); /* by the contract */
    t.envelope = &x;
    ck_assert_int_eq(od_tally_exit(&t, 0, 0), 1);
    t.shifts.of[OD_TENSOR_MEAN][OD_STEP_OWN] = cases(1000, 1e-9, 3e-8);
    ck_assert_int_eq(od_tally_exit(&t, 0, 0), 0);
}
END_TEST

/* What was found need not be found again, and what is known must not be. */
START_TEST(only_cases_that_pass_are_counted) {
    static od_envelope x;
    static od_verdict v;
    od_measure m = {.cls = OD_TENSOR_LOC, .step = OD_STEP_DECODE, .shift = 1e-3};
    od_evidence ev = {.measure = &m, .n_measure = 1};
    od_tally t;
    unsigned number;
    ck_assert_int_eq(od_oracle_find(&number, "envelope", NULL), OD_OK);
    od_tally_init(&t);
    t.envelope = &x;
    v.evidence = &ev;
    v.asked = 1u << number;
    const enum od_outcome outcomes[] = {OD_FINDING, OD_KNOWN, OD_SKIPPED, OD_PASS};
    for (int i = 0; i < 4; i++) {
        v.ruling[number].outcome = outcomes[i];
        v.outcome = outcomes[i] == OD_SKIPPED ? OD_PASS : outcomes[i];
        od_tally_add(&t, &v, "x");
        ck_assert_uint_eq(t.shifts.of[OD_TENSOR_LOC][OD_STEP_DECODE].cases, outcomes[i] == OD_PASS);
    }
    ck_assert_uint_eq(t.outside, 1);
    ck_assert_uint_eq(t.enveloped, 3);
    v.outcome = OD_KNOWN; /* of another oracle */
    od_tally_add(&t, &v, "x");
    ck_assert_uint_eq(t.shifts.of[OD_TENSOR_LOC][OD_STEP_DECODE].cases, 1);
}
END_TEST

Suite *suite_shift(void) {
    Suite *s = suite_create("shift");
    TCase *t = tcase_create("shift");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_numbers_are_those_that_are_promised);
    tcase_add_test(t, mean_and_spread_are_those_of_the_cases);
    tcase_add_test(t, the_unit_is_the_case_and_signs_count);
    tcase_add_test(t, a_shift_is_held_against_the_healthy_mean);
    tcase_add_test(t, both_bounds_must_be_passed);
    tcase_add_test(t, few_cases_are_not_asked);
    tcase_add_test(t, no_number_is_no_healthy_mean);
    tcase_add_test(t, without_any_spread_only_the_floor_forgives);
    tcase_add_test(t, a_run_with_a_shift_is_exit_1);
    tcase_add_test(t, only_cases_that_pass_are_counted);
    suite_add_tcase(s, t);
    return s;
}
