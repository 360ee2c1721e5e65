/* Envelopes: quantiles, bounds and files by numbers made up for the purpose; what a judge makes of one. */
#include "oracles/envelope.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/calibration.h"
#include "oracles/judge.h"
#include "oracles/tolerance.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_envelope x;
static od_judge judge;
static od_verdict v;
static od_case c;

/* Every key was measured: 99.9 % of MAE are within `mae`, of single differences within `max`. */
static void fill(double mae, double max) {
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++) {
            for (int i = 0; i < OD_ENVELOPE_SIZES; i++)
                x.key[t][s][i] = (od_envelope_key){
                    .n = 1000, .mae_p50 = mae / 2, .mae_p999 = mae, .max_p50 = max / 2, .max_p999 = max};
            x.shift[t][s] = (od_envelope_shift){.cases = 1000, .mean = 0, .sd = 1e-8};
        }
}

static void setup(void) {
    x = (od_envelope){.pair = "ref:fast",
                      .ref_device = "a",
                      .fast_device = "b",
                      .ref_math = "float32",
                      .fast_math = "float32",
                      .version = "oracle-diff 0",
                      .time = "2026-01-31T00:00:00Z",
                      .command = "oracle-diff calibrate",
                      .cases = 1000,
                      .domain = {.layers = 6, .width = 32, .patches = 8, .own = 1, .gain = 1}};
    fill(1.5e-7, 5e-7);
    fake_reset();
    fake_case(&c);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = 1u | od_oracle_bit(&od_oracle_accuracy) | od_oracle_bit(&od_oracle_envelope);
    judge.setup.envelope = &x;
    judge.setup.measures = true;
}

static void teardown(void) {
    od_judge_free(&judge);
}

START_TEST(the_numbers_are_those_that_are_promised) {
    ck_assert_double_eq(od_bounds.envelope_quantile, 0.999);
    ck_assert_double_eq(od_bounds.envelope_mae, 2.25);
    ck_assert_double_eq(od_bounds.envelope_max, 4);
    ck_assert_double_eq(od_bounds.envelope_mae_floor, 2.4e-7);
    ck_assert_double_eq(od_bounds.envelope_max_floor, 1e-6);
    ck_assert_uint_eq(od_bounds.envelope_least, 1000);
    ck_assert_double_eq(od_bounds.envelope_gain, 1);
    ck_assert_double_eq(od_bounds.envelope_alarms, 1e-4);
}
END_TEST

/* Of 1 … n the smallest number that at least a share p of them does not exceed. */
START_TEST(a_quantile_is_of_the_nearest_rank) {
    static double numbers[4000];
    const struct {
        size_t n;
        double p, is;
    } table[] = {{1, 0.999, 1},       {2, 0.5, 1},         {3, 0.5, 2},         {999, 0.999, 999},   {1000, 0.999, 999},
                 {1001, 0.999, 1000}, {2000, 0.999, 1998}, {3000, 0.999, 2997}, {4000, 0.999, 3996}, {1000, 1, 1000},
                 {1000, 0.5, 500},    {1001, 0.5, 501},    {10, 1e-9, 1},       {100, 0.07, 7}};
    for (size_t i = 0; i < 4000; i++) numbers[i] = (double)(i + 1);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ck_assert_msg(od_quantile(numbers, table[i].n, table[i].p) == table[i].is, "%g of %zu", table[i].p, table[i].n);
}
END_TEST

START_TEST(sizes_are_powers_of_four) {
    const struct {
        size_t values;
        unsigned size;
    } table[] = {{1, 0},   {4, 0},    {5, 1},    {16, 1},   {17, 2},   {64, 2},    {65, 3},    {256, 3},
                 {257, 4}, {1024, 4}, {1025, 5}, {4096, 5}, {4097, 6}, {16384, 6}, {16385, 7}, {SIZE_MAX, 7}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        size_t lo, hi;
        ck_assert_uint_eq(od_envelope_size(table[i].values), table[i].size);
        od_envelope_range(&lo, &hi, table[i].size);
        ck_assert(lo <= table[i].values && (hi == 0 || table[i].values <= hi));
    }
}
END_TEST

static od_envelope_bound of(double mae, double max) {
    fill(mae, max);
    return od_envelope_bound_of(&x, OD_TENSOR_LOC, OD_STEP_OWN, 20);
}

START_TEST(the_tighter_of_contract_and_envelope_holds) {
    od_envelope_bound b = of(2e-7, 5e-7);
    ck_assert_double_eq_tol(b.mae, 4.5e-7, 1e-20);
    ck_assert_double_eq_tol(b.max_abs, 2e-6, 1e-20);
    ck_assert_ptr_eq(b.mae_key, &x.key[OD_TENSOR_LOC][OD_STEP_OWN][2]);
    b = of(1e-6, 1e-4); /* engines that are healthy and far apart: the contract all the same */
    ck_assert_double_eq(b.mae, 1e-6);
    ck_assert_double_eq(b.max_abs, 5e-5);
    b = of(0, 0); /* engines that agree to the bit: one last place is no fault */
    ck_assert_double_eq(b.mae, 2.4e-7);
    ck_assert_double_eq(b.max_abs, 1e-6);
    b = of(NAN, NAN);
    ck_assert_double_eq(b.mae, 1e-6);
    ck_assert_double_eq(b.max_abs, 5e-5);
}
END_TEST

/* MAE scatters more over fewer values, the largest of more values is larger: either neighbour errs on the wide side. */
START_TEST(a_key_of_few_comparisons_takes_the_wider_neighbour) {
    od_envelope_key *keys = x.key[OD_TENSOR_LOC][OD_STEP_OWN];
    for (int i = 0; i < OD_ENVELOPE_SIZES; i++) {
        keys[i].mae_p999 = 3e-7 - 1e-8 * i;
        keys[i].max_p999 = 3e-7 + 1e-7 * i;
    }
    keys[2].n = 999;
    od_envelope_bound b = od_envelope_bound_of(&x, OD_TENSOR_LOC, OD_STEP_OWN, 64);
    ck_assert_double_eq_tol(b.mae, 2.25 * 2.9e-7, 1e-20);
    ck_assert_double_eq_tol(b.max_abs, 4 * 6e-7, 1e-20);
    keys[2].n = 1000;
    b = od_envelope_bound_of(&x, OD_TENSOR_LOC, OD_STEP_OWN, 64);
    ck_assert_double_eq_tol(b.mae, 2.25 * 2.8e-7, 1e-20);
    ck_assert_double_eq_tol(b.max_abs, 4 * 5e-7, 1e-20);
    for (int i = 0; i < OD_ENVELOPE_SIZES; i++) keys[i].n = i == 2 ? 1000 : 0;
    b = od_envelope_bound_of(&x, OD_TENSOR_LOC, OD_STEP_OWN, 16);
    ck_assert_double_eq(b.mae, 1e-6); /* fewer values than any that were measured */
    ck_assert_double_eq_tol(b.max_abs, 4 * 5e-7, 1e-20);
    b = od_envelope_bound_of(&x, OD_TENSOR_LOC, OD_STEP_OWN, 65);
    ck_assert_double_eq_tol(b.mae, 2.25 * 2.8e-7, 1e-20);
    ck_assert_double_eq(b.max_abs, 5e-5);
    ck_assert_ptr_null(b.max_key);
    keys[2].n = 0;
    b = od_envelope_bound_of(&x, OD_TENSOR_LOC, OD_STEP_OWN, 20);
    ck_assert_double_eq(b.mae, 1e-6);
    ck_assert_double_eq(b.max_abs, 5e-5);
}
END_TEST

START_TEST(a_case_beyond_what_was_measured_is_outside) {
    char text[120];
    const od_envelope_domain inside = x.domain;
    od_envelope_outside(text, sizeof text, &x, &inside);
    ck_assert_str_eq(text, "");
    for (int i = 0; i < 5; i++) {
        static const char *const words[] = {"7 layers", "33 wide", "9 patches", "2 own", "gain 1.25"};
        od_envelope_domain d = inside;
        if (i == 0) d.layers++;
        if (i == 1) d.width++;
        if (i == 2) d.patches++;
        if (i == 3) d.own++;
        if (i == 4) d.gain = 1.25;
        od_envelope_outside(text, sizeof text, &x, &d);
        ck_assert_msg(strstr(text, words[i]) != NULL, "%s: %s", words[i], text);
    }
}
END_TEST

/* ---- file -------------------------------------------------------------------------------------------------------- */

START_TEST(a_file_gives_back_what_was_written) {
    char *text, *again;
    size_t size, more;
    od_envelope y;
    od_error e = {0};
    x.shift[OD_TENSOR_LOC][OD_STEP_OWN].mean = -1.25e-9;
    x.key[OD_TENSOR_DF][OD_STEP_PREFILL][7].n = 0; /* never measured: not written */
    ck_assert_int_eq(od_envelope_format(&text, &size, &x, &e), OD_OK);
    ck_assert_msg(od_envelope_parse(&y, text, size, "x", &e) == OD_OK, "%s", e.text);
    ck_assert_str_eq(y.pair, "ref:fast");
    ck_assert_str_eq(y.command, "oracle-diff calibrate");
    ck_assert_uint_eq(y.domain.patches, 8);
    ck_assert_uint_eq(y.key[OD_TENSOR_DF][OD_STEP_PREFILL][7].n, 0);
    ck_assert_uint_eq(y.key[OD_TENSOR_PROBS][OD_STEP_OWN][7].n, 1000);
    ck_assert_double_eq_tol(y.key[OD_TENSOR_LOC][OD_STEP_DECODE][3].mae_p999, 1.5e-7, 1e-20);
    ck_assert_double_eq_tol(y.key[OD_TENSOR_LOC][OD_STEP_DECODE][3].max_p50, 2.5e-7, 1e-20);
    ck_assert_double_eq_tol(y.shift[OD_TENSOR_LOC][OD_STEP_OWN].mean, -1.25e-9, 1e-20);
    ck_assert_double_eq_tol(y.shift[OD_TENSOR_LOC][OD_STEP_OWN].sd, 1e-8, 1e-20);
    ck_assert_int_eq(od_envelope_format(&again, &more, &y, &e), OD_OK);
    ck_assert_str_eq(again, text);
    free(text);
    free(again);
}
END_TEST

/* The text with the first `was` changed; the message must hold `word`. */
static void refused(const char *was, const char *is, const char *word) {
    char *text, *spoilt = NULL;
    size_t size;
    od_error e = {0};
    od_envelope y;
    ck_assert_int_eq(od_envelope_format(&text, &size, &x, NULL), OD_OK);
    char *at = strstr(text, was);
    ck_assert_msg(at != NULL, "%s", was);
    ck_assert(asprintf(&spoilt, "%.*s%s%s", (int)(at - text), text, is, at + strlen(was)) > 0);
    ck_assert_msg(od_envelope_parse(&y, spoilt, strlen(spoilt), "FILE", &e) == OD_BAD_INPUT, "%s", is);
    ck_assert_msg(strstr(e.text, word) && strncmp(e.text, "FILE", 4) == 0, "%s: %s", is, e.text);
    free(text);
    free(spoilt);
}

START_TEST(a_spoilt_file_is_refused_by_name) {
    refused("\"format\": 1", "\"format\": 2", "format");
    refused("\"pair\"", "\"pear\"", "pear");
    refused("{\"tensor\": \"df\"", "{\"tensor\": \"dg\"", "dg");
    refused("\"step\": \"prefill\"", "\"step\": \"refill\"", "refill");
    refused("\"values\": \"1-4\"", "\"values\": \"1-5\"", "1-5");
    refused("\"values\": \"5-16\"", "\"values\": \"1-4\"", "once");
    refused("\"n\": 1000", "\"n\": 0", "keys[0].n");
    refused("\"n\": 1000", "\"n\": 1e3", "keys[0].n");
    refused("\"mae_p999\": 1.5e-7", "\"mae_p999\": -1", "keys[0].mae_p999");
    refused("\"mae_p999\": 1.5e-7", "\"mae_p999\": 1e-9", "no less than mae_p50");
    refused("\"max_p999\": 5e-7", "\"max_p999\": 1e-9", "no less than max_p50");
    refused("\"mae_p999\": 1.5e-7", "\"mae_p999\": \"x\"", "a number");
    refused("\"mae_p999\": 1.5e-7, ", "", "mae_p999");
    refused("\"sd\": 1e-8", "\"sd\": -1.0", "shifts[0].sd");
    refused("\"cases\": 1000,\n", "\"cases\": 0,\n", "cases");
    refused("\"layers\"", "\"layer\"", "layer");
    refused("\"keys\": [", "\"keys\": [1,", "keys[0]");
    refused("{\n", "", "line 1");
}
END_TEST

START_TEST(an_envelope_is_for_its_pair_and_math_modes) {
    od_error e;
    ck_assert_int_eq(od_envelope_fits(&x, "F", "ref:fast", "float32", "float32", &e), OD_OK);
    ck_assert_int_eq(od_envelope_fits(&x, "F", "ref:gpu", "float32", "float32", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "calibrate --ref ref --fast gpu --out FILE"));
    ck_assert_int_eq(od_envelope_fits(&x, "F", "ref:fast", "float32", "tf32", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "tf32"));
    ck_assert_int_eq(od_envelope_fits(&x, "F", "ref:fast", "float64", "float32", &e), OD_BAD_INPUT);
}
END_TEST

/* ---- calibration ------------------------------------------------------------------------------------------------- */

/* Evidence of a case by hand, with n comparisons of one key. */
static od_measure measures[2000];
static od_model model;
static od_script script;
static od_evidence ev;

static void evidence(size_t n) {
    for (size_t i = 0; i < n; i++) /* 1 … n times 1e-9, in no order: 7 and n have no common divisor */
        measures[i] = (od_measure){.cls = OD_TENSOR_LOC,
                                   .step = OD_STEP_DECODE,
                                   .n = 5,
                                   .mae = 1e-9 * (double)(1 + i * 7 % n),
                                   .max_abs = 1e-8 * (double)(1 + i * 7 % n),
                                   .shift = i % 2 ? 1e-9 : -3e-9};
    model.config = c.config;
    script = (od_script){.c = &c, .model = &model, .n_session = 2, .limit = {4, 12}};
    ev = (od_evidence){.script = &script, .measure = measures, .n_measure = n};
}

START_TEST(a_calibration_draws_the_quantiles_of_each_key) {
    od_calibration k = {0};
    evidence(1000);
    ck_assert_int_eq(od_calibration_add(&k, &ev, NULL), OD_OK);
    od_calibration_make(&x, &k);
    const od_envelope_key *key = &x.key[OD_TENSOR_LOC][OD_STEP_DECODE][1];
    ck_assert_uint_eq(key->n, 1000);
    ck_assert_double_eq_tol(key->mae_p50, 500e-9, 1e-20);
    ck_assert_double_eq_tol(key->mae_p999, 999e-9, 1e-20);
    ck_assert_double_eq_tol(key->max_p50, 500e-8, 1e-20);
    ck_assert_double_eq_tol(key->max_p999, 999e-8, 1e-20);
    ck_assert_uint_eq(x.key[OD_TENSOR_LOC][OD_STEP_DECODE][0].n, 0);
    ck_assert_uint_eq(x.key[OD_TENSOR_LOC][OD_STEP_OWN][1].n, 0);
    ck_assert_uint_eq(x.cases, 1);
    ck_assert_uint_eq(x.domain.layers, c.config.n_layer);
    ck_assert_uint_eq(x.domain.width, c.config.d_model);
    ck_assert_uint_eq(x.domain.patches, 3); /* the longer session's */
    ck_assert_double_eq_tol(x.shift[OD_TENSOR_LOC][OD_STEP_DECODE].mean, -1e-9, 1e-20);
    ck_assert_uint_eq(x.shift[OD_TENSOR_LOC][OD_STEP_DECODE].cases, 1);
    od_calibration_free(&k);
}
END_TEST

START_TEST(what_is_not_healthy_is_no_part_of_a_calibration) {
    od_calibration k = {0};
    od_error e;
    evidence(10);
    c.gain = 1.25;
    ck_assert_int_eq(od_calibration_add(&k, &ev, &e), OD_OK);
    ck_assert_uint_eq(k.wide, 1);
    ck_assert_uint_eq(k.cases, 0);
    c.gain = 1;
    measures[9].mae = NAN;
    ck_assert_int_eq(od_calibration_add(&k, &ev, &e), OD_BAD_INPUT);
    measures[9].mae = 1e-9;
    measures[9].shift = NAN;
    ck_assert_int_eq(od_calibration_add(&k, &ev, &e), OD_BAD_INPUT);
    measures[9].shift = 0;
    ev.measures_lost = true;
    ck_assert_int_eq(od_calibration_add(&k, &ev, &e), OD_NO_MEMORY);
    od_calibration_free(&k);
}
END_TEST

/* Own patches at a gain above the limit are no part of the contract, nor of what is measured. */
START_TEST(what_is_kept_is_every_contractual_comparison) {
    od_judge_case(&v, &judge, &c);
    const size_t all = v.evidence->n_measure;
    ck_assert_uint_eq(all, v.evidence->n_compared);
    c.gain = 1.3;
    od_judge_case(&v, &judge, &c);
    ck_assert_uint_eq(v.evidence->n_measure, v.evidence->n_compared);
    ck_assert_uint_lt(v.evidence->n_measure, all);
    for (size_t i = 0; i < v.evidence->n_measure; i++) ck_assert_int_ne(v.evidence->measure[i].step, OD_STEP_OWN);
    judge.setup.measures = false;
    od_judge_case(&v, &judge, &c);
    ck_assert_uint_eq(v.evidence->n_measure, 0);
}
END_TEST

/* ---- oracle ------------------------------------------------------------------------------------------------------ */

static const od_ruling *ruling(const od_oracle *oracle) {
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (od_oracle_at(i) == oracle) return &v.ruling[i];
    return NULL;
}

/* loc at the second call lies in [1, 2): four last places are exact. */
START_TEST(a_fault_within_the_contract_is_outside_of_the_envelope) {
    fake_fast_knobs.tensor = 1;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_PASS);
    fake_fast_knobs.add_all = ldexp(4, -23);
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_int_eq(ruling(&od_oracle_accuracy)->outcome, OD_PASS);
    ck_assert_str_eq(v.signature, "envelope/loc/decode/b1.v2-4.s2-4/ref:fast");
    ck_assert_double_eq(v.value, ldexp(4, -23));
    ck_assert_double_eq_tol(v.bound, 2.25 * 1.5e-7, 1e-20);
    ck_assert_ptr_nonnull(strstr(v.reason, "MAE 4.77e-07 exceeds the envelope's 3.37e-07"));
    ck_assert_ptr_nonnull(strstr(v.reason, "p50 7.5e-08, p99.9 1.5e-07"));
    ck_assert_ptr_nonnull(strstr(v.reason, "the contract holds"));
    fake_fast_knobs.add_all = -ldexp(4, -23); /* either way */
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
}
END_TEST

START_TEST(a_single_value_is_held_to_the_envelope_too) {
    fake_fast_knobs = (fake_knobs){.lie = FAKE_ADD, .tensor = 1, .call = 2, .add = ldexp(20, -23)}; /* of 8 values */
    fill(1e-6, 5e-7);
    od_judge_case(&v, &judge, &c);
    ck_assert_str_eq(v.signature, "envelope/loc/decode/b1.v2-4.s2-4/ref:fast");
    ck_assert_ptr_nonnull(strstr(v.reason, "a difference of 2.38e-06 exceeds the envelope's 2e-06"));
    fill(1e-6, 6e-7);
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_PASS);
}
END_TEST

START_TEST(a_breach_of_the_contract_is_accuracy_s_finding) {
    fake_fast_knobs = (fake_knobs){.lie = FAKE_ADD, .tensor = 1, .call = 2, .add = 1};
    od_judge_case(&v, &judge, &c);
    ck_assert_str_eq(v.signature, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast");
    ck_assert_int_eq(ruling(&od_oracle_envelope)->outcome, OD_FINDING);
    ck_assert_ptr_null(strstr(ruling(&od_oracle_envelope)->reason, "the contract holds"));
}
END_TEST

/* The arbiter plays all again, with hidden states: what was compared before keeps its name. */
START_TEST(a_finding_keeps_its_name_beside_the_arbiter) {
    judge.setup.arbiter = fake_ref();
    judge.setup.always_arbiter = true;
    fake_fast_knobs = (fake_knobs){.lie = FAKE_ADD, .tensor = 3, .call = 3, .add = ldexp(64, -23)}; /* mean */
    od_judge_case(&v, &judge, &c);
    ck_assert_str_eq(v.signature, "envelope/mean/own/b1.v2-4.s2-4/ref:fast");
    ck_assert_msg(strncmp(v.reason, "mean at op ", 11) == 0, "%s", v.reason);
}
END_TEST

START_TEST(no_number_is_within_no_envelope) {
    fake_fast_knobs = (fake_knobs){.lie = FAKE_NAN, .tensor = 1, .call = 2};
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(ruling(&od_oracle_envelope)->outcome, OD_FINDING);
    fake_ref_knobs = fake_fast_knobs; /* of both: nothing was shown to agree */
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(ruling(&od_oracle_envelope)->outcome, OD_FINDING);
    fake_reset();
    fake_fast_knobs = (fake_knobs){.lie = FAKE_INF, .tensor = 1, .call = 2};
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(ruling(&od_oracle_envelope)->outcome, OD_FINDING);
}
END_TEST

START_TEST(outside_of_the_envelope_the_contract_alone_holds) {
    fake_fast_knobs.tensor = 1;
    fake_fast_knobs.add_all = ldexp(4, -23);
    x.domain.layers = 5;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_PASS);
    ck_assert_int_eq(ruling(&od_oracle_envelope)->outcome, OD_SKIPPED);
    ck_assert_ptr_nonnull(strstr(ruling(&od_oracle_envelope)->reason, "6 layers"));
    judge.setup.envelope = NULL;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(ruling(&od_oracle_envelope)->outcome, OD_SKIPPED);
    ck_assert(!(od_oracles_all() & od_oracle_bit(&od_oracle_envelope))); /* asked only where there is one */
}
END_TEST

Suite *suite_envelope(void) {
    Suite *s = suite_create("envelope");
    TCase *t = tcase_create("envelope");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_numbers_are_those_that_are_promised);
    tcase_add_test(t, a_quantile_is_of_the_nearest_rank);
    tcase_add_test(t, sizes_are_powers_of_four);
    tcase_add_test(t, the_tighter_of_contract_and_envelope_holds);
    tcase_add_test(t, a_key_of_few_comparisons_takes_the_wider_neighbour);
    tcase_add_test(t, a_case_beyond_what_was_measured_is_outside);
    tcase_add_test(t, a_file_gives_back_what_was_written);
    tcase_add_test(t, a_spoilt_file_is_refused_by_name);
    tcase_add_test(t, an_envelope_is_for_its_pair_and_math_modes);
    tcase_add_test(t, a_calibration_draws_the_quantiles_of_each_key);
    tcase_add_test(t, what_is_not_healthy_is_no_part_of_a_calibration);
    tcase_add_test(t, what_is_kept_is_every_contractual_comparison);
    tcase_add_test(t, a_fault_within_the_contract_is_outside_of_the_envelope);
    tcase_add_test(t, a_single_value_is_held_to_the_envelope_too);
    tcase_add_test(t, a_breach_of_the_contract_is_accuracy_s_finding);
    tcase_add_test(t, a_finding_keeps_its_name_beside_the_arbiter);
    tcase_add_test(t, no_number_is_within_no_envelope);
    tcase_add_test(t, outside_of_the_envelope_the_contract_alone_holds);
    suite_add_tcase(s, t);
    return s;
}
