/* What oracles say: subject, step, numbers and text of rulings on evidence made by hand, so that a reader can find the
 * place, and believe the figures; and the list of the oracles itself. rulings.c has what makes a ruling. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "oracles/tolerance.h"
#include "tests/oracles/by_hand.h"

static od_envelope envelope;
static od_measure measures[3];

/* ---- the list ---------------------------------------------------------------------------------------------------- */

START_TEST(an_unknown_name_is_answered_with_all_names) {
    unsigned n = 77;
    od_error e;
    ck_assert_int_eq(od_oracle_find(&n, "accurate", &e), OD_BAD_INPUT);
    ck_assert_str_eq(e.text, "no oracle is called 'accurate' (there are engine, accuracy, finite, determinism, memory, "
                             "speed, vacuity, captures, consistency, envelope)");
    ck_assert_uint_eq(n, 77);
}
END_TEST

START_TEST(an_oracle_of_nobody_has_no_bit) {
    const od_oracle stranger = {.name = "stranger"};
    ck_assert_uint_eq(od_oracle_bit(&stranger), 0);
    for (unsigned i = 0; i < OD_ORACLES; i++) ck_assert_uint_eq(od_oracle_bit(od_oracle_at(i)), 1u << i);
}
END_TEST

/* What fuzz asks by itself costs no time and no further plays of other cases; what must have an answer is all that does
 * not hang on a clock or on an envelope. What each reads of further runs is what it needs. */
START_TEST(each_oracle_has_its_runs_and_its_place) {
    static const struct {
        const char *name;
        bool in_fuzz, required;
        unsigned needs;
    } table[OD_ORACLES] = {{"engine", true, true, 0},
                           {"accuracy", true, true, 0},
                           {"finite", true, true, 0},
                           {"determinism", true, true, OD_NEED_RERUN + OD_NEED_FRESH},
                           {"memory", true, true, OD_NEED_RERUN + OD_NEED_PLAIN + OD_NEED_WITNESSES},
                           {"speed", false, false, OD_NEED_TIME},
                           {"vacuity", true, true, 0},
                           {"captures", true, true, OD_NEED_RERUN},
                           {"consistency", false, true, OD_NEED_RELATIONS},
                           {"envelope", false, false, 0}};
    unsigned fuzz = 0, required = 0;
    for (unsigned i = 0; i < OD_ORACLES; i++) {
        unsigned n;
        ck_assert_int_eq(od_oracle_find(&n, table[i].name, NULL), OD_OK);
        ck_assert_uint_eq(n, i);
        ck_assert_uint_eq(od_oracle_at(i)->needs, table[i].needs);
        ck_assert_int_eq(od_oracle_at(i)->in_fuzz, table[i].in_fuzz);
        ck_assert_int_eq(od_oracle_at(i)->required, table[i].required);
        fuzz += table[i].in_fuzz ? 1u << i : 0;
        required += table[i].required ? 1u << i : 0;
    }
    ck_assert_uint_eq(od_oracles_fuzz(), fuzz);
    ck_assert_uint_eq(od_oracles_required(), required);
    ck_assert_uint_eq(od_oracles_all(), 0x1ff); /* the first nine */
}
END_TEST

/* ---- engine ------------------------------------------------------------------------------------------------------ */

START_TEST(a_fault_a_crash_and_a_hang_have_names_and_no_numbers) {
    static const struct {
        enum od_status status;
        const char *subject;
    } table[] = {{OD_DEVICE_FAULT, "fault"}, {OD_CRASHED, "crash"}, {OD_HUNG, "hang"}};
    for (int i = 0; i < 3; i++) {
        setup();
        ev.fast_run = (od_attempt){.ran = true, .status = table[i].status, .at = AT, .error = {.text = "it broke"}};
        finds("engine", table[i].subject, "decode", 0, 0, "the fast path: it broke");
        ev.fast_run.closing = true;
        finds("engine", table[i].subject, "-", 0, 0, "the fast path: it broke");
    }
}
END_TEST

START_TEST(a_refusal_is_the_one_engine_s_alone) {
    const od_attempt refused = {.ran = true, .status = OD_BAD_INPUT, .at = AT, .error = {.text = "not this"}};
    ev.ref_run = refused;
    finds("engine", "refusal", "decode", 0, 0, "only the reference refuses: not this");
    ev.fast_run = refused;
    is("engine", OD_ERROR, "both engines refuse the case: not this");
    ev.fast_run.status = OD_CRASHED; /* the graver of two, and no refusal of one alone */
    finds("engine", "crash", "decode", 0, 0, "the fast path: not this");
    ev.ref_run = (od_attempt){.ran = true};
    ev.fast_run.status = OD_BAD_INPUT;
    finds("engine", "refusal", "decode", 0, 0, "only the fast path refuses: not this");
    ev.fast_run.status = OD_UNSUPPORTED;
    is("engine", OD_SKIPPED, "the fast path: not this");
    ev.fast_run.status = OD_NO_MEMORY;
    is("engine", OD_ERROR, "the fast path: not this");
}
END_TEST

/* ---- accuracy, finite, determinism ------------------------------------------------------------------------------- */

static od_row row(double mae, double max_abs) {
    return (od_row){.cls = OD_TENSOR_SCALE,
                    .step = OD_STEP_DECODE,
                    .contract = true,
                    .compared = 1,
                    .worst = {.mae = mae, .max_abs = max_abs, .worst = 11, .ref_worst = 0.25, .fast_worst = 0.5},
                    .share = od_contract_share(mae, max_abs),
                    .most_mae = mae,
                    .at = AT,
                    .name = "scale"};
}

START_TEST(accuracy_names_place_values_and_bound) {
    od_row *const worst = &ev.row[OD_TENSOR_SCALE][OD_STEP_DECODE][1];
    *worst = row(2e-6, 3e-5);
    finds("accuracy", "scale", "decode", 2e-6, 1e-6,
          "scale at op 3 call 5 session 7: MAE 2e-06 exceeds 1e-06; worst at [11]: 0.5, reference 0.25");
    *worst = row(2e-7, 6e-5);
    finds("accuracy", "scale", "decode", 6e-5, 5e-5,
          "scale at op 3 call 5 session 7: a difference of 6e-05 at [11] exceeds 5e-05: 0.5, reference 0.25");
    *worst = row(2e-6, 6e-5); /* both: the mean is what is held first */
    finds("accuracy", "scale", "decode", 2e-6, 1e-6,
          "scale at op 3 call 5 session 7: MAE 2e-06 exceeds 1e-06; worst at [11]: 0.5, reference 0.25");
    *worst = row(2e-7, 3e-5);
    is("accuracy", OD_PASS, "");
    ck_assert_double_eq(r.value, 2e-7);
    ck_assert_double_eq(r.bound, 1e-6);
}
END_TEST

/* The larger share decides, though the other tensor has the larger MAE; what is no part of the contract never does. */
START_TEST(accuracy_judges_the_tensor_that_uses_most_of_the_contract) {
    ev.row[OD_TENSOR_LOC][OD_STEP_OWN][1] = row(9e-7, 1e-6);
    ev.row[OD_TENSOR_SCALE][OD_STEP_DECODE][1] = row(1e-7, 4.9e-5);
    ev.row[OD_TENSOR_LOC][OD_STEP_OWN][0] = row(1, 1);
    is("accuracy", OD_PASS, "");
    ck_assert_double_eq(r.value, 1e-7);
    ev.row[OD_TENSOR_LOC][OD_STEP_OWN][1] = ev.row[OD_TENSOR_SCALE][OD_STEP_DECODE][1] = (od_row){0};
    is("accuracy", OD_INCONCLUSIVE, "no contractual tensor was compared");
}
END_TEST

START_TEST(accuracy_tells_of_answers_that_are_built_otherwise) {
    ev.structure_differs = true;
    ev.structure_at = AT;
    strcpy(ev.structure, "one tensor more");
    ev.structure_cls = OD_TENSORS;
    finds("accuracy", "answer", "decode", 0, 0, "one tensor more");
    ev.structure_cls = OD_TENSORS - 1;
    finds("accuracy", od_tensor_class_name(OD_TENSORS - 1), "decode", 0, 0, "one tensor more");
}
END_TEST

START_TEST(finite_counts_and_names_the_first) {
    ev.mismatch = true;
    ev.mismatch_row = row(NAN, NAN);
    ev.mismatch_row.worst =
        (od_comparison){.mismatch = 2, .first_mismatch = 9, .ref_nan = 1, .fast_nan = 3, .ref_inf = 4, .fast_inf = 5};
    finds("finite", "scale", "decode", 2, 0,
          "scale at op 3 call 5 session 7: 2 NaN or Inf in one engine only, the first at [9] (NaN: 1 reference, 3 "
          "fast; Inf: 4, 5)");
}
END_TEST

START_TEST(finite_tells_of_values_replaced_by_zero) {
    is("finite", OD_PASS, "");
    ev.ref_stats.replaced = ev.fast_stats.replaced = 1;
    is("finite", OD_PASS, "both replaced 1 forecast values by zero");
    ev.fast_stats.replaced = 4;
    finds("finite", "mean", "-", 4, 1, "forecast values replaced by zero: 1 in the reference, 4 in the fast path");
}
END_TEST

START_TEST(determinism_names_the_rerun_and_the_element) {
    static const char *const reruns[OD_RERUNS] = {"after a reset", "with new sessions over overwritten memory",
                                                  "on a fresh engine", "in a fresh process"};
    for (int i = 0; i < OD_RERUNS; i++)
        for (int known = 0; known <= 1; known++) {
            char reason[200];
            setup();
            ev.difference[i] = (od_difference){.differs = true,
                                               .at = AT,
                                               .cls = known ? OD_TENSORS - 1 : OD_TENSORS,
                                               .name = "odd",
                                               .was = 0.5,
                                               .is = 0.75,
                                               .index = 13};
            snprintf(reason, sizeof reason, "odd at op 3 call 5 session 7 differs %s: [13] was 0.5, is 0.75",
                     reruns[i]);
            finds("determinism", known ? od_tensor_class_name(OD_TENSORS - 1) : "answer", "decode", 0.75, 0.5, reason);
        }
}
END_TEST

START_TEST(determinism_names_the_play_that_came_to_no_end) {
    given.process = fake_fast();
    ev.fast.n_call = 3;
    for (int i = 0; i < OD_RERUNS; i++) {
        ev.rerun[i].ran = true;
        ev.difference[i].call = 3;
    }
    is("determinism", OD_PASS, "");
    ev.rerun[OD_RERUN_PROCESS].ran = false;
    is("determinism", OD_INCONCLUSIVE, "no play in a fresh process came to its end");
    given.process = NULL; /* there is none to play in */
    is("determinism", OD_PASS, "");
    ev.rerun[OD_RERUN_FRESH].ran = false;
    is("determinism", OD_INCONCLUSIVE, "no play on a fresh engine came to its end");
}
END_TEST

/* ---- envelope ---------------------------------------------------------------------------------------------------- */

/* 64 values; every key has half and all of: MAE 1e-7, a difference of 4e-7; their bounds are 2.4e-7 (the floor) and
 * 1.6e-6. */
static void measure(int i, double mae, double max_abs) {
    measures[i] = (od_measure){.cls = OD_TENSOR_SCALE,
                               .step = OD_STEP_DECODE,
                               .n = 64,
                               .mae = mae,
                               .max_abs = max_abs,
                               .at = AT,
                               .name = "scale",
                               .worst = 11,
                               .ref_worst = 0.25,
                               .fast_worst = 0.5};
    ev.measure = measures;
    ev.n_measure = (size_t)i + 1;
}

static void enveloped(void) {
    envelope = (od_envelope){.domain = {.layers = 100, .width = 1000, .patches = 100, .own = 100, .gain = 1}};
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++)
            for (int i = 0; i < OD_ENVELOPE_SIZES; i++)
                envelope.key[t][s][i] = (od_envelope_key){1000, 5e-8, 1e-7, 2e-7, 4e-7};
    given.envelope = &envelope;
}

START_TEST(envelope_names_place_values_and_bound) {
    enveloped();
    measure(0, 4.5e-7, 1e-6);
    finds("envelope", "scale", "decode", 4.5e-7, 2.4e-7,
          "scale at op 3 call 5 session 7: MAE 4.5e-07 exceeds the envelope's 2.4e-07 (healthy: p50 5e-08, p99.9 "
          "1e-07); the contract holds; worst at [11]: 0.5, reference 0.25");
    measure(0, 1e-7, 3.5e-6);
    ask("envelope");
    ck_assert_double_eq_tol(r.bound, 1.6e-6, 1e-20);
    finds("envelope", "scale", "decode", 3.5e-6, r.bound,
          "scale at op 3 call 5 session 7: a difference of 3.5e-06 exceeds the envelope's 1.6e-06 (healthy: p50 2e-07, "
          "p99.9 4e-07); the contract holds; worst at [11]: 0.5, reference 0.25");
    measure(0, 1e-7, 6e-5); /* beyond the contract by the one, within it by the other */
    ask("envelope");
    ck_assert_ptr_nonnull(strstr(r.reason, "; so does the contract's; worst"));
    measure(0, 2e-6, 6e-7);
    ask("envelope");
    ck_assert_ptr_nonnull(strstr(r.reason, "; so does the contract's; worst"));
}
END_TEST

START_TEST(envelope_judges_the_comparison_that_uses_most_of_its_bounds) {
    enveloped();
    measure(0, 1.2e-7, 1e-7); /* half */
    measure(1, 1e-7, 1.2e-6); /* three quarters */
    measure(2, 1.2e-7, 2e-7); /* half again */
    is("envelope", OD_PASS, "");
    ck_assert_double_eq(r.value, 1e-7);
    ck_assert_double_eq(r.bound, 2.4e-7);
    measures[0].mae = 2.16e-7; /* nine tenths by the one, and a sixteenth by the other */
    is("envelope", OD_PASS, "");
    ck_assert_double_eq(r.value, 2.16e-7);
    measures[1].max_abs = 1e-7;
    measures[1].step = OD_STEP_OWN; /* the same bounds: the first of equals is named */
    ev.n_measure = 2;
    measures[0].mae = measures[1].mae = 3e-7;
    ck_assert_str_eq(ask("envelope")->step, "decode");
    measures[0].mae = 1.2e-7;
    ck_assert_str_eq(ask("envelope")->step, "own");
    ev.n_measure = 3;
    measures[2].mae = NAN;
    ck_assert_int_eq(ask("envelope")->outcome, OD_FINDING);
    ck_assert(isnan(r.value));
    measures[2].mae = 1e-7;
    measures[2].max_abs = NAN;
    ck_assert_int_eq(ask("envelope")->outcome, OD_FINDING);
    ev.n_measure = 1;
    measures[0].mae = measures[0].max_abs = 0; /* equal to the bit, and compared */
    is("envelope", OD_PASS, "");
    ev.n_measure = 0;
    is("envelope", OD_INCONCLUSIVE, "no contractual tensor was compared");
    ev.measures_lost = true;
    is("envelope", OD_ERROR, "no memory to keep every comparison");
    given.envelope = NULL;
    is("envelope", OD_SKIPPED, "there is no envelope");
}
END_TEST

/* A key of too few takes the wider neighbour's bound, MAE that of fewer values, a single difference that of more: the
 * healthy figures are those of the neighbour, by the same. */
START_TEST(envelope_shows_the_figures_of_the_key_that_bounds) {
    enveloped();
    od_envelope_key *keys = envelope.key[OD_TENSOR_SCALE][OD_STEP_DECODE];
    keys[1] = (od_envelope_key){1000, 6e-8, 1.1e-7, 2.1e-7, 4.1e-7};
    keys[2].n = 0; /* of 17 to 64 values */
    keys[3] = (od_envelope_key){1000, 7e-8, 1.2e-7, 3e-7, 5e-7};
    measure(0, 4.5e-7, 1e-6);
    ask("envelope");
    ck_assert_ptr_nonnull(strstr(r.reason, " (healthy: p50 6e-08, p99.9 1.1e-07); "));
    measure(0, 1e-7, 3.5e-6);
    ask("envelope");
    ck_assert_ptr_nonnull(strstr(r.reason, " (healthy: p50 3e-07, p99.9 5e-07); "));
}
END_TEST

/* Keys of too few: the contract's bounds, and no healthy figures to show. */
START_TEST(envelope_without_a_key_holds_the_contract) {
    enveloped();
    for (int i = 0; i < OD_ENVELOPE_SIZES; i++) envelope.key[OD_TENSOR_SCALE][OD_STEP_DECODE][i].n = 0;
    measure(0, 2e-6, 1e-6);
    finds("envelope", "scale", "decode", 2e-6, 1e-6,
          "scale at op 3 call 5 session 7: MAE 2e-06 exceeds the envelope's 1e-06; so does the contract's; worst at "
          "[11]: 0.5, reference 0.25");
}
END_TEST

Suite *suite_reasons(void) {
    Suite *s = suite_create("reasons");
    TCase *t = tcase_create("reasons");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, an_unknown_name_is_answered_with_all_names);
    tcase_add_test(t, an_oracle_of_nobody_has_no_bit);
    tcase_add_test(t, each_oracle_has_its_runs_and_its_place);
    tcase_add_test(t, a_fault_a_crash_and_a_hang_have_names_and_no_numbers);
    tcase_add_test(t, a_refusal_is_the_one_engine_s_alone);
    tcase_add_test(t, accuracy_names_place_values_and_bound);
    tcase_add_test(t, accuracy_judges_the_tensor_that_uses_most_of_the_contract);
    tcase_add_test(t, accuracy_tells_of_answers_that_are_built_otherwise);
    tcase_add_test(t, finite_counts_and_names_the_first);
    tcase_add_test(t, finite_tells_of_values_replaced_by_zero);
    tcase_add_test(t, determinism_names_the_rerun_and_the_element);
    tcase_add_test(t, determinism_names_the_play_that_came_to_no_end);
    tcase_add_test(t, envelope_names_place_values_and_bound);
    tcase_add_test(t, envelope_judges_the_comparison_that_uses_most_of_its_bounds);
    tcase_add_test(t, envelope_shows_the_figures_of_the_key_that_bounds);
    tcase_add_test(t, envelope_without_a_key_holds_the_contract);
    suite_add_tcase(s, t);
    return s;
}
