/* Curves of errors: growth is no jump, a jump is found at its step, a spike goes back. */
#include "oracles/drift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/rng.h"
#include "oracles/explain.h"
#include "tests/oracles/fake_engine.h"
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

/* What explain prints of the fake engine's case with eight given steps and six own ones, in two lives of a session; a
 * lie at call 3, which is decode step 3 of each. */
START_TEST(explain_tells_the_curves_of_each_life) {
    static od_case c;
    static od_explanation x;
    od_script script;
    od_error e = {0};
    char *text = NULL;
    size_t size;
    fake_reset();
    fake_case(&c);
    c.op[1].patches = 8;
    c.op[2].patches = 6;
    c.op[3] = (od_op){.kind = OD_OP_RESET};
    c.op[4] = (od_op){.kind = OD_OP_PREFILL, .steps = 8};
    c.op[5] = (od_op){.kind = OD_OP_DECODE, .patches = 5};
    c.op[6] = (od_op){.kind = OD_OP_PREFILL, .session = 1, .steps = 8};
    c.op[7] = (od_op){.kind = OD_OP_DECODE, .session = 1, .patches = 6};
    c.n_op = 8;
    fake_fast_knobs = (fake_knobs){.lie = FAKE_ADD, .tensor = 1, .call = 3, .element = 0, .add = 1};
    const od_setup setup = {.ref = fake_ref(), .fast = fake_fast(), .arbiter = fake_ref()};
    ck_assert_msg(!od_script_create(&script, &c, &e), "%s", e.text);
    ck_assert_msg(!od_explain(&x, &script, &setup, true, NULL, &e), "%s", e.text);
    FILE *f = open_memstream(&text, &size);
    ck_assert(od_explain_drift(f, &x));
    fclose(f);
    const char *line[5] = {0};
    size_t n = 0;
    for (char *at = strtok(text, "\n"); at && n < 5; at = strtok(NULL, "\n")) line[n++] = at;
    ck_assert_uint_eq(n, 4);
    ck_assert_ptr_nonnull(strstr(line[0], "session 0, given steps 1 to 8: stands out alone at step 3,"));
    ck_assert_ptr_nonnull(strstr(line[1], "session 0, own steps 9 to 14: 0.0e+00 to 0.0e+00 from float64, 1.00 times"));
    ck_assert_msg(strstr(line[2], "session 0, given steps 1 to 5: stands out alone at step 3,") != NULL, "%s", line[2]);
    ck_assert_ptr_nonnull(strstr(line[3], "session 1, given steps 1 to 6: stands out alone at step 3,"));
    free(text);
    od_explanation_free(&x);
    od_script_destroy(&script);
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
    tcase_add_test(t, explain_tells_the_curves_of_each_life);
    suite_add_tcase(s, t);
    return s;
}
