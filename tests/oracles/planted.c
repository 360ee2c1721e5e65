/* Faults below the contract, planted on the twin: the envelope that is built in sees 5e-7 in single cases, and the mean
 * over 1,000 cases 1e-7 of constant sign; without a fault neither sees anything. A program of its own: the others of
 * this room have no engines. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "oracles/judge.h"
#include "oracles/tolerance.h"
#include "ref/ref.h"
#include "tests/common/sanitized.h"
#include "tests/oracles/shifted_engine.h"

enum { SEED = 31 };

static od_envelope envelope;
static od_judge judge;
static od_tally tally;
static od_verdict v;
static od_case c;

static void setup(void) {
    od_error e = {0};
    shifted = (shifted_knobs){0};
    ck_assert_msg(od_envelope_read(&envelope, OD_SOURCE_DIR "/oracles/envelope.ref-twin.json", &e) == OD_OK, "%s",
                  e.text);
    od_judge_init(&judge, od_ref_engine(), shifted_engine());
    judge.setup.oracles = 1u | od_oracle_bit(&od_oracle_accuracy) | od_oracle_bit(&od_oracle_envelope);
    judge.setup.envelope = &envelope;
    judge.setup.measures = true;
    od_tally_init(&tally);
    tally.envelope = &envelope;
}

static void teardown(void) {
    od_judge_free(&judge);
}

static const od_ruling *ruling(const od_oracle *oracle) {
    unsigned i = 0;
    while (od_oracle_at(i) != oracle) i++;
    return &v.ruling[i];
}

/* Judges n cases of profile rate; how many the envelope, and it alone, finds. */
static unsigned found(unsigned n) {
    unsigned k = 0;
    for (unsigned i = 0; i < n; i++) {
        od_case_generate(&c, SEED, i, OD_PROFILE_RATE);
        od_judge_case(&v, &judge, &c);
        od_tally_add(&tally, &v, "rate");
        ck_assert_msg(ruling(&od_oracle_accuracy)->outcome == OD_PASS, "case %u: %s", i, v.reason);
        k += v.outcome == OD_FINDING;
    }
    printf("%s%+g: %u of %u cases\n", shifted.tensor ? shifted.tensor : "no fault ", shifted.by, k, n);
    return k;
}

/* Outputs of few values may be up to 2.8e-7 apart when healthy, times the margin: there 5e-7 is within the envelope. */
START_TEST(a_fault_of_half_the_contract_shows_in_single_cases) {
    static const char *const tensors[] = {"loc", "scale"};
    shifted = (shifted_knobs){.tensor = tensors[_i / 2], .by = _i % 2 ? -5e-7 : 5e-7};
    ck_assert_uint_ge(found(60), 54);
    ck_assert_int_eq(od_tally_exit(&tally, 0, 0), 1);
}
END_TEST

START_TEST(a_fault_of_a_tenth_shows_in_the_mean_of_many) {
    shifted = (shifted_knobs){.tensor = "loc", .by = _i ? -1e-7 : 1e-7};
    ck_assert_uint_le(found(1000), 20); /* of single cases it is in most no fault */
    ck_assert(!od_tally_is_steady(&tally));
    for (int s = 0; s < OD_STEPS; s++) {
        const od_shift_test t = od_shift_judge(&tally.shifts.of[OD_TENSOR_LOC][s], &envelope.shift[OD_TENSOR_LOC][s]);
        printf("loc/%s: %+.2e, z %.1f\n", od_step_class_name((enum od_step_class)s), t.seen.mean, t.z);
        ck_assert_int_eq(t.state, OD_SHIFT_ALARM);
        ck_assert_double_eq_tol(t.shift, shifted.by, 2e-8);
    }
    const od_shift_test other =
        od_shift_judge(&tally.shifts.of[OD_TENSOR_SCALE][OD_STEP_PREFILL], &envelope.shift[OD_TENSOR_SCALE][0]);
    ck_assert_int_eq(other.state, OD_SHIFT_HOLDS);
    ck_assert_int_eq(od_tally_exit(&tally, 0, 0), 1);
}
END_TEST

START_TEST(healthy_engines_are_within_the_envelope) {
    ck_assert_uint_eq(found(1000), 0);
    ck_assert(od_tally_is_steady(&tally));
    ck_assert_uint_eq(tally.outside, 0);
    ck_assert_uint_ge(tally.shifts.of[OD_TENSOR_LOC][OD_STEP_OWN].cases, od_bounds.shift_least);
    ck_assert_int_eq(od_tally_exit(&tally, 0, 0), 0);
}
END_TEST

/* The contract's finding; the envelope does not let it pass, and the mean does not count it. */
START_TEST(no_number_is_healthy) {
    shifted = (shifted_knobs){.tensor = "loc", .nan = true};
    od_case_generate(&c, SEED, 0, OD_PROFILE_RATE);
    od_judge_case(&v, &judge, &c);
    od_tally_add(&tally, &v, "rate");
    ck_assert_int_eq(ruling(&od_oracle_accuracy)->outcome, OD_FINDING);
    ck_assert_int_eq(ruling(&od_oracle_envelope)->outcome, OD_FINDING);
    ck_assert_uint_eq(tally.shifts.of[OD_TENSOR_LOC][OD_STEP_PREFILL].cases, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("planted");
    TCase *t = tcase_create("planted");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_fault_of_half_the_contract_shows_in_single_cases, 0, 4);
    tcase_add_loop_test(t, a_fault_of_a_tenth_shows_in_the_mean_of_many, 0, TEST_SANITIZED ? 1 : 2);
    tcase_add_test(t, healthy_engines_are_within_the_envelope);
    tcase_add_test(t, no_number_is_healthy);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int run = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return run > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
