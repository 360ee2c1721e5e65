/* Distances from float64: what is near enough, by numbers made up for the purpose; and that an engine's are counted. */
#include "oracles/nearness.h"

#include <math.h>
#include <string.h>

#include "oracles/judge.h"
#include "oracles/tolerance.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static const od_call_at nowhere;

static od_nearness of(double ref, double fast, size_t values) {
    od_nearness near = {0};
    od_nearness_add(&near, ref, fast, values, "loc", &nowhere);
    return near;
}

START_TEST(the_bounds_are_those_that_are_promised) {
    ck_assert_double_eq(od_bounds.near_mean, 1.5);
    ck_assert_double_eq(od_bounds.near_each, 4);
    ck_assert_double_eq(od_bounds.near_abs, 1e-7);
}
END_TEST

/* Ratios 1/2, 2, 4 and 1/4 have the geometric mean 1, where the arithmetic one is 1.69. */
START_TEST(the_mean_is_geometric) {
    od_nearness near = {0};
    const double ratios[] = {0.5, 2, 4, 0.25};
    for (int i = 0; i < 4; i++) od_nearness_add(&near, 1e-6, 1e-6 * ratios[i], 100, "loc", &nowhere);
    ck_assert_uint_eq(near.n, 4);
    ck_assert_uint_eq(near.values, 400);
    ck_assert_double_eq_tol(od_nearness_mean(&near), 1, 1e-12);
    ck_assert(isnan(od_nearness_mean(&(od_nearness){0})));
    ck_assert(od_nearness_holds(&(od_nearness){0}));
}
END_TEST

/* Too far is what exceeds both bounds of one tensor. */
START_TEST(a_tensor_may_break_one_of_its_bounds) {
    ck_assert(od_nearness_holds(&(od_nearness){0}));
    const od_nearness small = of(1e-9, 1e-7, 100), equal = of(1e-6, 4e-6, 100), far = of(1e-6, 4.001e-6, 100),
                      just = of(2e-8, nextafter(1e-7, 1), 100);
    ck_assert(od_nearness_holds(&small));
    ck_assert_double_eq_tol(small.ratio, 100, 1e-9);
    ck_assert(od_nearness_holds(&equal));
    ck_assert(!od_nearness_holds(&far));
    ck_assert_uint_eq(far.n_far, 1);
    ck_assert(!od_nearness_holds(&just));
}
END_TEST

START_TEST(few_values_decide_nothing_but_count) {
    const size_t few = od_bounds.near_values - 1;
    od_nearness near = of(1e-6, 1e-4, few);
    ck_assert(od_nearness_holds(&near));
    ck_assert_double_eq_tol(od_nearness_mean(&near), 100, 1e-9);
    near = of(1e-6, 1e-4, few + 1);
    ck_assert(!od_nearness_holds(&near));
    near = of(1e-6, NAN, few); /* no number is never near */
    ck_assert(!od_nearness_holds(&near));
}
END_TEST

START_TEST(the_mean_is_held_to_its_bound_where_there_are_values_enough) {
    od_nearness near = of(1e-6, 1.6e-6, od_bounds.near_class - 1);
    ck_assert(!od_nearness_is_judged(&near));
    ck_assert(od_nearness_holds(&near));
    near = of(1e-6, 1.6e-6, od_bounds.near_class);
    ck_assert(od_nearness_is_judged(&near));
    ck_assert(!od_nearness_holds(&near));
    ck_assert_uint_eq(near.n_far, 0);
    near = of(1e-6, 1.49e-6, od_bounds.near_class);
    ck_assert(od_nearness_holds(&near));
}
END_TEST

START_TEST(exact_tensors_divide_by_no_zero) {
    const od_nearness both = of(0, 0, 100), ref = of(0, 1e-10, 100), fast = of(1e-8, 0, 100);
    ck_assert_double_eq(both.ratio, 1);
    ck_assert_double_eq(ref.ratio, 1);
    ck_assert_double_eq_tol(fast.ratio, 0.1, 1e-12);
}
END_TEST

START_TEST(no_number_is_infinitely_far) {
    const double odd[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        const od_nearness fast = of(1e-8, odd[i], 100), ref = of(odd[i], 1e-8, 100);
        ck_assert(!od_nearness_holds(&fast));
        ck_assert(!od_nearness_holds(&ref));
        ck_assert(isinf(od_nearness_mean(&fast)));
    }
}
END_TEST

START_TEST(the_worst_is_kept_by_what_it_uses_of_its_bounds) {
    od_nearness near = {0}, other = {0};
    od_nearness_add(&near, 1e-9, 9e-9, 100, "high ratio, near zero", &nowhere);
    od_nearness_add(&near, 1e-6, 2e-6, 100, "worst", &nowhere);
    od_nearness_add(&near, 1e-6, 1e-6, 100, "equal", &nowhere);
    ck_assert_str_eq(near.name, "worst");
    ck_assert_double_eq(near.use, 0.5);
    od_nearness_add(&other, 1e-6, 3e-6, 100, "worse", &nowhere);
    ck_assert(od_nearness_merge(&near, &other));
    ck_assert(!od_nearness_merge(&near, &(od_nearness){0}));
    ck_assert_str_eq(near.name, "worse");
    ck_assert_uint_eq(near.n, 4);
    ck_assert_double_eq_tol(near.log_ratio, log(9) + log(2) + log(3), 1e-12);
}
END_TEST

/* Fake engines: the arbiter is the exact one, so the reference is off by nothing, and one of the fast path's 16 loc of
 * the prefill by 2^-18: 2.4e-7 as a mean, 238 floors. On request every tensor is counted; else none. */
START_TEST(every_contractual_tensor_of_a_case_is_counted_on_request) {
    static od_case c;
    static od_verdict v;
    od_judge judge;
    od_tally t;
    unsigned speed;
    fake_reset();
    fake_case(&c);
    ck_assert_int_eq(od_oracle_find(&speed, "speed", NULL), OD_OK);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    judge.setup.arbiter = fake_ref();
    fake_fast_knobs = (fake_knobs){.lie = FAKE_ADD, .tensor = 1, .call = 0, .element = 3, .add = 0x1p-18};
    for (int always = 0; always < 2; always++) {
        judge.setup.always_arbiter = always;
        od_judge_case(&v, &judge, &c);
        ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
        od_tally_init(&t);
        od_tally_add(&t, &v, "case");
        ck_assert_uint_eq(t.near[OD_TENSOR_LOC].n, always ? 4 : 0);
        ck_assert_uint_eq(t.near[OD_TENSOR_SCALER].n, always ? 8 : 0);
        ck_assert(od_tally_is_near(&t) == !always);
        ck_assert_int_eq(od_tally_exit(&t, 0, 0), always ? 1 : 0);
    }
    const od_nearness *loc = &t.near[OD_TENSOR_LOC];
    ck_assert_uint_eq(loc->values, 16 + 3 * 8);
    ck_assert_uint_eq(loc->n_far, 1);
    ck_assert_double_eq(loc->fast, 0x1p-22);
    ck_assert_double_eq_tol(loc->ratio, 0x1p-22 / 1e-9, 1e-6);
    ck_assert_int_eq(loc->at.step, OD_STEP_PREFILL);
    ck_assert_str_eq(t.near_case[OD_TENSOR_LOC], "case");
    c.gain = 1.5; /* what follows the own patch is not contractual */
    od_judge_case(&v, &judge, &c);
    ck_assert_uint_eq(v.evidence->arbitration.near[OD_TENSOR_LOC].n, 3);
    fake_fast_knobs.lie = FAKE_MISSING; /* df */
    od_judge_case(&v, &judge, &c);
    ck_assert_uint_eq(v.evidence->arbitration.near[OD_TENSOR_DF].n_far, 3);
    od_judge_free(&judge);
}
END_TEST

Suite *suite_nearness(void) {
    Suite *s = suite_create("nearness");
    TCase *t = tcase_create("nearness");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_bounds_are_those_that_are_promised);
    tcase_add_test(t, the_mean_is_geometric);
    tcase_add_test(t, a_tensor_may_break_one_of_its_bounds);
    tcase_add_test(t, few_values_decide_nothing_but_count);
    tcase_add_test(t, the_mean_is_held_to_its_bound_where_there_are_values_enough);
    tcase_add_test(t, exact_tensors_divide_by_no_zero);
    tcase_add_test(t, no_number_is_infinitely_far);
    tcase_add_test(t, the_worst_is_kept_by_what_it_uses_of_its_bounds);
    tcase_add_test(t, every_contractual_tensor_of_a_case_is_counted_on_request);
    suite_add_tcase(s, t);
    return s;
}
