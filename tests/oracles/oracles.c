/* Each oracle passes the healthy engine and fails on the misbehaviour that it is for, and on that alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "oracles/judge.h"
#include "oracles/tolerance.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

enum { ENGINE, ACCURACY, FINITE, DETERMINISM, MEMORY, SPEED, VACUITY, CAPTURES };

static od_case c;
static od_judge judge;
static od_verdict v;

static void setup(void) {
    fake_reset();
    fake_case(&c);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
}

static void teardown(void) {
    od_judge_free(&judge);
    ck_assert_uint_eq(fake_ref_knobs.n_live, 0);
    ck_assert_uint_eq(fake_fast_knobs.n_live, 0);
}

static void run(void) {
    od_judge_case(&v, &judge, &c);
}

/* Exactly one oracle found something, and its signature begins with `head`. */
static void expect_finding(unsigned oracle, const char *head) {
    ck_assert_msg(v.outcome == OD_FINDING, "%s: %s", od_outcome_name(v.outcome), v.reason);
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (v.asked >> i & 1)
            ck_assert_msg((v.ruling[i].outcome == OD_FINDING) == (i == oracle), "%s: %s", od_oracle_at(i)->name,
                          v.ruling[i].reason);
    ck_assert_msg(strncmp(v.signature, head, strlen(head)) == 0, "%s", v.signature);
}

static void lie(enum fake_lie what, int tensor, int call, size_t element, double add) {
    fake_fast_knobs.lie = what;
    fake_fast_knobs.tensor = tensor;
    fake_fast_knobs.call = call;
    fake_fast_knobs.element = element;
    fake_fast_knobs.add = add;
}

START_TEST(a_healthy_pair_passes_with_five_runs_of_the_fast_path) {
    run();
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    ck_assert_str_eq(v.signature, "");
    ck_assert_uint_eq(v.asked, fake_oracles());
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (v.asked >> i & 1) ck_assert_int_eq(v.ruling[i].outcome, OD_PASS);
    ck_assert_uint_eq(v.evidence->n_compared, 24); /* 4 calls of 6 tensors */
    ck_assert_uint_eq(fake_ref_knobs.n_seen, 4);
    ck_assert_uint_eq(fake_fast_knobs.n_seen, 5 * 4);
    ck_assert_uint_eq(fake_fast_knobs.n_create, 3); /* fast, plain, fresh */
    ck_assert_uint_eq(fake_fast_knobs.n_poison, 1);
}
END_TEST

START_TEST(accuracy_sees_one_wrong_value_in_any_tensor_at_any_step) {
    static const char *const names[] = {"df", "loc", "scale", "mean", "scaler", "scaler"};
    static const char *const steps[] = {"prefill", "decode", "decode", "own"};
    for (int t = 0; t < 6; t++)
        for (int k = 0; k < 4; k++) {
            char head[64];
            lie(FAKE_ADD, t, k, 1, 0.01);
            run();
            snprintf(head, sizeof head, "accuracy/%s/%s/b1.v2-4.s2-4/ref:fast", names[t], steps[k]);
            expect_finding(ACCURACY, head);
        }
}
END_TEST

/* loc of the first decode has 1·2·4 elements: one of them off by d gives MAE d/8. 2^-17 = 7.6e-6 → 9.5e-7 holds;
 * 2^-16 → 1.9e-6 does not. In data space (mean; unit 2) twice as much is allowed. */
START_TEST(accuracy_holds_the_mean_error_to_its_bound_in_model_space) {
    lie(FAKE_ADD, 1, 1, 3, 0x1p-17);
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
    ck_assert_double_eq(od_evidence_worst(v.evidence, true)->worst.mae, 0x1p-20);
    lie(FAKE_ADD, 1, 1, 3, 0x1p-16);
    run();
    expect_finding(ACCURACY, "accuracy/loc/decode/");
    ck_assert_double_eq(v.value, 0x1p-19);
    ck_assert_double_eq(v.bound, 1e-6);
    lie(FAKE_ADD, 3, 1, 3, 0x1p-16);
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
    lie(FAKE_ADD, 3, 1, 3, 0x1p-15);
    run();
    expect_finding(ACCURACY, "accuracy/mean/decode/");
}
END_TEST

/* 1024 values of which one is off by 2^-14 = 6.1e-5: the mean error is 6e-8. */
START_TEST(accuracy_sees_one_bad_value_that_a_mean_hides) {
    c.batch = 64;
    lie(FAKE_ADD, 1, 0, 777, 0x1p-14);
    run();
    expect_finding(ACCURACY, "accuracy/loc/prefill/b33-64.v2-4.s2-4/");
    ck_assert_double_eq(v.bound, 5e-5);
    lie(FAKE_ADD, 1, 0, 777, 0x1p-15);
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
}
END_TEST

START_TEST(accuracy_sees_missing_and_misshapen_tensors) {
    lie(FAKE_MISSING, 0, 0, 0, 0);
    run();
    expect_finding(ACCURACY, "accuracy/df/prefill/");
    ck_assert_ptr_nonnull(strstr(v.reason, "missing"));
    lie(FAKE_SHAPE, 1, 2, 0, 0);
    run();
    expect_finding(ACCURACY, "accuracy/loc/decode/");
    ck_assert_ptr_nonnull(strstr(v.reason, "[8, 1, 1]"));
}
END_TEST

START_TEST(free_running_tensors_are_not_judged_above_the_gain_limit) {
    lie(FAKE_ADD, 1, 3, 1, 0.01); /* the own patch's answer */
    c.gain = nextafter(1.25, 2);
    run();
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    ck_assert_double_eq_tol(v.evidence->row[OD_TENSOR_LOC][OD_STEP_OWN][0].worst.max_abs, 0.01, 1e-6);
    ck_assert_uint_eq(v.evidence->row[OD_TENSOR_LOC][OD_STEP_OWN][1].compared, 0);
    c.gain = 1.25;
    run();
    expect_finding(ACCURACY, "accuracy/loc/own/");
    c.gain = 1.5;
    lie(FAKE_ADD, 1, 2, 1, 0.01); /* teacher-forced before it */
    run();
    expect_finding(ACCURACY, "accuracy/loc/decode/");
}
END_TEST

START_TEST(finite_sees_nan_and_infinity_in_one_engine) {
    for (int k = 0; k < 4; k++)
        for (int what = FAKE_NAN; what <= FAKE_INF; what++) {
            lie((enum fake_lie)what, 2, k, 0, 0);
            run();
            ck_assert_int_eq(v.ruling[FINITE].outcome, OD_FINDING);
            ck_assert_int_eq(v.ruling[ACCURACY].outcome, OD_FINDING); /* no bound lets it through either */
            ck_assert_ptr_nonnull(strstr(v.ruling[FINITE].signature, "finite/scale/"));
        }
}
END_TEST

START_TEST(finite_reaches_where_the_contract_does_not) {
    c.gain = 2;
    lie(FAKE_NAN, 1, 3, 2, 0);
    run();
    expect_finding(FINITE, "finite/loc/own/");
}
END_TEST

START_TEST(nan_in_both_engines_still_fails) {
    lie(FAKE_NAN, 1, 1, 2, 0);
    fake_ref_knobs = fake_fast_knobs;
    run();
    expect_finding(ACCURACY, "accuracy/loc/decode/");
}
END_TEST

START_TEST(finite_sees_values_replaced_by_one_engine_only) {
    fake_fast_knobs.replaced = 3;
    run();
    expect_finding(FINITE, "finite/mean/-/");
    fake_ref_knobs.replaced = 3;
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
    ck_assert_ptr_nonnull(strstr(v.ruling[FINITE].reason, "12")); /* 4 calls */
}
END_TEST

START_TEST(determinism_sees_one_bit_on_every_kind_of_rerun) {
    fake_fast_knobs.drift_runs = true;
    run();
    expect_finding(DETERMINISM, "determinism/df/prefill/");
    ck_assert_ptr_nonnull(strstr(v.reason, "after a reset"));
    fake_fast_knobs.drift_runs = false;
    fake_fast_knobs.drift_opens = true;
    run();
    expect_finding(DETERMINISM, "determinism/df/prefill/");
    ck_assert_ptr_nonnull(strstr(v.reason, "new sessions"));
    fake_fast_knobs = (fake_knobs){.drift_engines = true};
    run();
    expect_finding(DETERMINISM, "determinism/df/prefill/");
    ck_assert_ptr_nonnull(strstr(v.reason, "fresh engine"));
}
END_TEST

/* Played in order nothing is wrong: what the call before left is what the next one wants. */
START_TEST(determinism_sees_a_call_that_depends_on_the_call_before) {
    fake_fast_knobs.reads_stale = true;
    run();
    expect_finding(DETERMINISM, "determinism/df/decode/");
    ck_assert_ptr_nonnull(strstr(v.reason, "over overwritten memory"));
    ck_assert_uint_eq(fake_fast_knobs.n_scramble, 4); /* before each call of one play */
    fake_fast_knobs = (fake_knobs){.fail_scramble = OD_DEVICE_FAULT};
    run();
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_msg(strncmp(v.signature, "engine/", 7) == 0, "%s", v.signature);
}
END_TEST

START_TEST(memory_sees_a_peak_above_its_bound_over_the_plain_path) {
    fake_fast_knobs.peak_factor = 1.5;
    run();
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    fake_fast_knobs.peak_factor = 1.51;
    run();
    expect_finding(MEMORY, "memory/peak/-/");
    ck_assert_double_eq_tol(v.value, 1.51, 1e-9);
    fake_fast_knobs.peak_factor = 0;
    fake_fast_knobs.host_factor = 4; /* host and device together: 300,000 over 150,000 */
    run();
    expect_finding(MEMORY, "memory/peak/-/");
}
END_TEST

START_TEST(memory_sees_leaks_on_host_and_device) {
    fake_fast_knobs.leak_host = 1;
    run();
    expect_finding(MEMORY, "memory/slope/-/");
    ck_assert_double_eq(v.value, 1);
    fake_fast_knobs = (fake_knobs){.leak_device = 64};
    run();
    expect_finding(MEMORY, "memory/slope/-/");
    fake_fast_knobs = (fake_knobs){.leak_host = 1000000};
    run();
    expect_finding(MEMORY, "memory/growth/-/");
    fake_fast_knobs = (fake_knobs){.leak_open = 24}; /* new sessions come once, unless bytes were seen to grow */
    run();
    expect_finding(MEMORY, "memory/slope/-/");
    ck_assert_double_eq(v.value, 24);
}
END_TEST

START_TEST(memory_forgives_a_buffer_that_found_its_size) {
    fake_fast_knobs.leak_once = 1000; /* 2 % of the host's bytes, once */
    run();
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    fake_fast_knobs.leak_once = 40000;
    run();
    expect_finding(MEMORY, "memory/growth/-/");
}
END_TEST

START_TEST(memory_compares_no_peaks_where_the_case_asks_for_the_plain_path) {
    c.options.graph = false;
    fake_fast_knobs.n_create = 0;
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
    ck_assert_uint_eq(fake_fast_knobs.n_create, 2); /* no engine for the plain path */
    fake_fast_knobs.leak_host = 8;
    run();
    expect_finding(MEMORY, "memory/slope/-/");
}
END_TEST

START_TEST(speed_sees_a_fast_path_that_is_many_times_slower) {
    judge.setup.oracles |= 1u << SPEED;
    judge.setup.speed_seconds = 0.05;
    fake_fast_knobs.microseconds = 400;
    fake_fast_knobs.graph_factor = 8;
    run();
    ck_assert_msg(v.ruling[SPEED].outcome == OD_FINDING || v.ruling[SPEED].outcome == OD_INCONCLUSIVE, "%s",
                  v.ruling[SPEED].reason);
    ck_assert_double_gt(v.ruling[SPEED].value, 2);
    fake_fast_knobs.graph_factor = 0.5;
    run();
    ck_assert_int_ne(v.ruling[SPEED].outcome, OD_FINDING);
}
END_TEST

/* The rule itself, on timings made by hand: plain takes 1 s each. */
static od_ruling speed_of(const double *fast, size_t n) {
    od_script script = {.c = &c};
    od_evidence ev = {.script = &script, .n_pair = n};
    for (size_t i = 0; i < n; i++) {
        ev.fast_seconds[i] = fast[i];
        ev.plain_seconds[i] = 1;
    }
    od_ruling r = {0};
    od_oracle_at(SPEED)->judge(&r, &ev);
    return r;
}

START_TEST(speed_is_a_finding_only_if_even_the_best_pair_is_too_slow) {
    const double slow[] = {2.1, 2.5, 9}, bound[] = {2, 2, 2}, mixed[] = {1.9, 2.5, 2.6}, noisy[] = {0.5, 1, 5, 0.6, 4},
                 quiet[] = {1, 1.1, 1.05, 1, 2.5};
    ck_assert_int_eq(speed_of(slow, 3).outcome, OD_FINDING);
    ck_assert_double_eq(speed_of(slow, 3).value, 2.5);
    ck_assert_int_eq(speed_of(bound, 3).outcome, OD_PASS);
    ck_assert_int_eq(speed_of(mixed, 3).outcome, OD_INCONCLUSIVE);
    ck_assert_int_eq(speed_of(noisy, 5).outcome, OD_INCONCLUSIVE);
    ck_assert_int_eq(speed_of(quiet, 5).outcome, OD_PASS);
    ck_assert_int_eq(speed_of(quiet, 0).outcome, OD_INCONCLUSIVE);
}
END_TEST

START_TEST(vacuity_sees_a_fast_path_that_was_not_taken) {
    fake_fast_knobs.no_replay = true;
    run();
    expect_finding(VACUITY, "vacuity/graph/-/");
    c.options.graph = false;
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
    fake_fast_knobs.no_hit = true;
    run();
    expect_finding(VACUITY, "vacuity/cache/-/");
    c.options.cache = OD_CACHE_OFF;
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
    c.options.cache = OD_CACHE_FIXED;
    c.n_op = 1; /* nothing to decode, nothing to cache */
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
}
END_TEST

START_TEST(vacuity_sees_calls_that_leave_the_fast_path_in_silence) {
    fake_fast_knobs.silent = true;
    run();
    expect_finding(VACUITY, "vacuity/graph/-/");
    ck_assert_ptr_nonnull(strstr(v.reason, "of 4 calls 1 replayed a graph"));
    fake_fast_knobs.fallbacks = 1; /* what is said is no silence */
    run();
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
}
END_TEST

/* A play has 4 calls: 3 waits each, and one for the reading; a kilobyte each, and twice the windows: 2 series of 8
 * steps and two patches of 4, 9 bytes a step. */
START_TEST(captures_count_waits_and_copies_up_to_what_calls_need) {
    fake_fast_knobs = (fake_knobs){.waits = 3, .copied = 1024 + 2 * 9 * 2 * 16 / 4};
    run();
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    fake_fast_knobs.waits = 4;
    run();
    expect_finding(CAPTURES, "captures/waits/-/");
    ck_assert_double_eq(v.value, 16);
    ck_assert_double_eq(v.bound, 13);
    fake_fast_knobs.waits = 0;
    fake_fast_knobs.copied++;
    run();
    expect_finding(CAPTURES, "captures/copies/-/");
    ck_assert_double_eq(v.value - v.bound, 4);
    c.options.graph = false; /* plain launches may not either */
    run();
    expect_finding(CAPTURES, "captures/copies/-/");
}
END_TEST

START_TEST(vacuity_sees_answers_that_are_all_zero) {
    lie(FAKE_ZERO_ALL, 0, 0, 0, 0);
    fake_ref_knobs = fake_fast_knobs;
    run();
    expect_finding(VACUITY, "vacuity/zero/-/");
}
END_TEST

/* The network's answers are wrong everywhere, and nobody looks. */
START_TEST(vacuity_sees_that_the_scaler_alone_is_compared) {
    lie(FAKE_ADD, 1, 1, 2, 0.01);
    c.only_scaler = true;
    run();
    expect_finding(VACUITY, "vacuity/scaler/-/");
    ck_assert_uint_eq(v.evidence->n_compared, 4 * 2);
    ck_assert_ptr_nonnull(strstr(v.reason, "only the scaler's loc and scale are compared"));
    strcpy(c.expect, "vacuity/scaler/-/*/*");
    run();
    ck_assert_int_eq(v.outcome, OD_KNOWN);
    strcpy(c.expect, "vacuity/zero/-/*/*");
    run();
    ck_assert_int_eq(v.outcome, OD_FINDING);
    strcpy(c.expect, "vacuity/scaler/-/*/*");
    c.only_scaler = false;
    fake_fast_knobs.lie = FAKE_HONEST;
    run();
    ck_assert_msg(strncmp(v.signature, "expect/absent/", 14) == 0, "%s", v.signature);
}
END_TEST

START_TEST(vacuity_notes_calls_that_left_the_fast_path) {
    fake_fast_knobs.fallbacks = 1;
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
    ck_assert_ptr_nonnull(strstr(v.ruling[VACUITY].reason, "12 calls")); /* three plays of 4 calls */
}
END_TEST

START_TEST(an_engine_that_faults_or_refuses_alone_is_a_finding) {
    fake_fast_knobs.fail = OD_DEVICE_FAULT;
    fake_fast_knobs.call = 1;
    run();
    expect_finding(ENGINE, "engine/fault/decode/");
    fake_fast_knobs.fail_from = 2; /* not at first, but after two resets */
    run();
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_ptr_nonnull(strstr(v.signature, "engine/fault/decode/"));
    fake_fast_knobs = (fake_knobs){.fail = OD_BAD_INPUT};
    run();
    expect_finding(ENGINE, "engine/refusal/prefill/");
    fake_fast_knobs = (fake_knobs){0};
    fake_ref_knobs = (fake_knobs){.fail = OD_BAD_INPUT};
    run();
    expect_finding(ENGINE, "engine/refusal/prefill/");
}
END_TEST

START_TEST(trouble_that_is_no_fault_is_told_apart) {
    fake_fast_knobs.fail = OD_NO_MEMORY;
    run();
    ck_assert_int_eq(v.outcome, OD_ERROR);
    fake_fast_knobs.fail = OD_UNSUPPORTED;
    run();
    ck_assert_int_eq(v.outcome, OD_SKIPPED);
    fake_fast_knobs.fail = fake_ref_knobs.fail = OD_BAD_INPUT;
    run();
    ck_assert_int_eq(v.outcome, OD_ERROR);
}
END_TEST

START_TEST(what_an_engine_cannot_is_skipped_with_its_reason) {
    fake_fast_knobs.cannot = true;
    run();
    ck_assert_int_eq(v.outcome, OD_SKIPPED);
    ck_assert_str_eq(v.reason, "fast cannot: it was told so");
    ck_assert_ptr_null(v.evidence);
}
END_TEST

START_TEST(tf32_reaches_the_fast_path_and_never_the_reference) {
    c.options.tf32 = true;
    run();
    ck_assert_int_eq(v.outcome, OD_PASS);
    ck_assert(fake_fast_knobs.saw_tf32);
    ck_assert(!fake_ref_knobs.saw_tf32);
}
END_TEST

START_TEST(the_arbiter_speaks_above_its_share_and_says_who_is_nearer) {
    judge.setup.arbiter = fake_ref();
    run();
    ck_assert(!v.evidence->arbitration.ran);
    lie(FAKE_ADD, 1, 1, 3, 0x1p-19); /* MAE 2.4e-7: 24 % */
    run();
    ck_assert(v.evidence->arbitration.ran);
    ck_assert_str_eq(v.evidence->arbitration.nearer, "ref");
    ck_assert_double_eq(v.evidence->arbitration.fast_mae, 0x1p-22);
    ck_assert_double_eq(v.evidence->arbitration.ref_mae, 0);
    ck_assert_int_eq(v.outcome, OD_PASS);
    lie(FAKE_ADD, 1, 1, 3, 0x1p-20); /* 12 % */
    run();
    ck_assert(!v.evidence->arbitration.ran);
    judge.setup.always_arbiter = true;
    run();
    ck_assert(v.evidence->arbitration.ran);
}
END_TEST

Suite *suite_oracles(void) {
    Suite *s = suite_create("oracles");
    TCase *t = tcase_create("oracles");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_healthy_pair_passes_with_five_runs_of_the_fast_path);
    tcase_add_test(t, accuracy_sees_one_wrong_value_in_any_tensor_at_any_step);
    tcase_add_test(t, accuracy_holds_the_mean_error_to_its_bound_in_model_space);
    tcase_add_test(t, accuracy_sees_one_bad_value_that_a_mean_hides);
    tcase_add_test(t, accuracy_sees_missing_and_misshapen_tensors);
    tcase_add_test(t, free_running_tensors_are_not_judged_above_the_gain_limit);
    tcase_add_test(t, finite_sees_nan_and_infinity_in_one_engine);
    tcase_add_test(t, finite_reaches_where_the_contract_does_not);
    tcase_add_test(t, nan_in_both_engines_still_fails);
    tcase_add_test(t, finite_sees_values_replaced_by_one_engine_only);
    tcase_add_test(t, determinism_sees_one_bit_on_every_kind_of_rerun);
    tcase_add_test(t, determinism_sees_a_call_that_depends_on_the_call_before);
    tcase_add_test(t, memory_sees_a_peak_above_its_bound_over_the_plain_path);
    tcase_add_test(t, memory_sees_leaks_on_host_and_device);
    tcase_add_test(t, memory_forgives_a_buffer_that_found_its_size);
    tcase_add_test(t, memory_compares_no_peaks_where_the_case_asks_for_the_plain_path);
    tcase_add_test(t, speed_sees_a_fast_path_that_is_many_times_slower);
    tcase_add_test(t, speed_is_a_finding_only_if_even_the_best_pair_is_too_slow);
    tcase_add_test(t, vacuity_sees_a_fast_path_that_was_not_taken);
    tcase_add_test(t, vacuity_sees_calls_that_leave_the_fast_path_in_silence);
    tcase_add_test(t, captures_count_waits_and_copies_up_to_what_calls_need);
    tcase_add_test(t, vacuity_sees_answers_that_are_all_zero);
    tcase_add_test(t, vacuity_sees_that_the_scaler_alone_is_compared);
    tcase_add_test(t, vacuity_notes_calls_that_left_the_fast_path);
    tcase_add_test(t, an_engine_that_faults_or_refuses_alone_is_a_finding);
    tcase_add_test(t, trouble_that_is_no_fault_is_told_apart);
    tcase_add_test(t, what_an_engine_cannot_is_skipped_with_its_reason);
    tcase_add_test(t, tf32_reaches_the_fast_path_and_never_the_reference);
    tcase_add_test(t, the_arbiter_speaks_above_its_share_and_says_who_is_nearer);
    suite_add_tcase(s, t);
    return s;
}
