/* Curves of errors: growth is no jump, a jump is found at its step, a spike goes back. */
#include "oracles/drift.h"

#include <math.h>

#include "model/rng.h"
#include "tests/oracles/suites.h"

enum { STEPS = 32, CURVES = 2000 };

static double curve[STEPS];
static od_drift d;
static od_error err;

/* Errors about `start`, growing by `growth` a step; scatter: deviation of their logarithms (healthy: 0.2 to 0.4). */
static void make(double start, double growth, double scatter, uint64_t seed) {
    float noise[STEPS];
    od_rng_fill_normal(noise, STEPS, 0, 1, seed, 0);
    for (size_t i = 0; i < STEPS; i++) curve[i] = start * pow(growth, (double)i) * exp(scatter * (double)noise[i]);
}

static void fit(size_t n) {
    ck_assert_int_eq(od_drift_fit(&d, curve, n, &err), OD_OK);
}

START_TEST(scatter_and_growth_are_steady) {
    static const double growths[] = {1, 1.1, 1.3, 0.9};
    unsigned alarms = 0;
    for (unsigned i = 0; i < CURVES; i++) {
        const double growth = growths[i % 4];
        make(1e-7, growth, 0.4, i);
        fit(STEPS);
        alarms += d.kind != OD_DRIFT_STEADY;
        if (growth >= 1) ck_assert_double_eq_tol(d.growth, growth, 0.5);
    }
    ck_assert_uint_le(alarms, CURVES / 1000);
    make(1e-7, 20, 0.1, 1); /* each step far more than a jump would be, but all alike */
    fit(9);
    ck_assert_int_eq(d.kind, OD_DRIFT_STEADY);
    ck_assert_double_eq_tol(d.growth, 20, 4);
}
END_TEST

/* Wherever it is but at the first step, before which there is nothing to compare with. */
START_TEST(a_jump_is_found_at_its_step) {
    for (size_t at = 1; at < STEPS; at++)
        for (unsigned seed = 0; seed < 20; seed++) {
            make(1e-7, 1.02, 0.2, seed);
            for (size_t i = at; i < STEPS; i++) curve[i] *= 100;
            fit(STEPS);
            ck_assert_uint_eq(d.at, at);
            ck_assert_int_eq(d.kind, OD_DRIFT_JUMP);
            ck_assert_double_gt(d.factor, 20);
            ck_assert_double_lt(d.factor, 500);
        }
}
END_TEST

START_TEST(a_spike_goes_back) {
    for (size_t at = 2; at + 3 < STEPS; at++) {
        make(1e-7, 1, 0.2, at);
        curve[at] *= 100;
        fit(STEPS);
        ck_assert_int_eq(d.kind, OD_DRIFT_SPIKE);
        ck_assert_uint_eq(d.at, at);
    }
}
END_TEST

START_TEST(what_is_no_number_is_a_jump) {
    static const double odd[] = {NAN, INFINITY};
    for (size_t k = 0; k < 2; k++)
        for (size_t at = 0; at < STEPS; at += 7) {
            make(1e-7, 1, 0.2, 3);
            curve[at] = odd[k];
            curve[STEPS - 1] = NAN;
            fit(STEPS);
            ck_assert_int_eq(d.kind, OD_DRIFT_JUMP);
            ck_assert_uint_eq(d.at, at);
            ck_assert(isinf(d.factor));
        }
    curve[0] = NAN;
    fit(1);
    ck_assert_int_eq(d.kind, OD_DRIFT_JUMP);
}
END_TEST

START_TEST(little_is_nothing_and_few_are_short) {
    for (size_t i = 0; i < STEPS; i++) curve[i] = i % 3 ? 0 : 1.5e-8;
    fit(STEPS);
    ck_assert_int_eq(d.kind, OD_DRIFT_STEADY);
    ck_assert_double_eq(d.growth, 1);
    curve[20] = 1e-3;
    fit(STEPS);
    ck_assert_int_eq(d.kind, OD_DRIFT_SPIKE);
    ck_assert_uint_eq(d.at, 20);
    fit(0);
    ck_assert_int_eq(d.kind, OD_DRIFT_SHORT);
    fit(OD_DRIFT_LEAST - 1);
    ck_assert_int_eq(d.kind, OD_DRIFT_SHORT);
    fit(OD_DRIFT_LEAST);
    ck_assert_int_eq(d.kind, OD_DRIFT_STEADY);
}
END_TEST

Suite *suite_drift(void) {
    Suite *s = suite_create("drift");
    TCase *t = tcase_create("drift");
    tcase_add_test(t, scatter_and_growth_are_steady);
    tcase_add_test(t, a_jump_is_found_at_its_step);
    tcase_add_test(t, a_spike_goes_back);
    tcase_add_test(t, what_is_no_number_is_a_jump);
    tcase_add_test(t, little_is_nothing_and_few_are_short);
    suite_add_tcase(s, t);
    return s;
}
