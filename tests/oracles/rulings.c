/* Oracles on evidence made by hand: the edges that no engine in this house reaches by itself, and what a verdict makes
 * of several rulings. */
#include <math.h>
#include <string.h>

#include "oracles/judge.h"
#include "oracles/tolerance.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_model model;
static od_script script;
static od_setup given;
static od_evidence ev;

/* A pair that did everything: all runs ended, all reruns saw all calls, memory is bounded. */
static void setup(void) {
    fake_reset();
    fake_case(&c);
    ck_assert_int_eq(od_config_preset(&model.config, "seed-tiny", NULL), OD_OK);
    script = (od_script){.c = &c, .model = &model, .n_session = 1, .has_decode = true};
    given = (od_setup){.ref = fake_ref(), .fast = fake_fast(), .process = fake_fast(), .oracles = od_oracles_all()};
    ev = (od_evidence){.script = &script, .setup = &given, .n_compared = 4};
    ev.ref_run.ran = ev.fast_run.ran = ev.plain_run.ran = ev.arbiter_run.ran = true;
    ev.fast.n_call = 3;
    for (int i = 0; i < OD_RERUNS; i++) {
        ev.rerun[i].ran = true;
        ev.difference[i].call = 3;
    }
    ev.fast_stats = ev.plain_stats = (od_stats){.host_peak = 1000, .device_peak = 1000};
    ev.fast_stats.replays = 3;
    ev.fast_end = (od_stats){.replays = 3, .captures = 1, .cache_hits = 1};
    ev.n_live = 3;
    for (int i = 0; i < OD_MAX_REPEAT; i++) ev.host_live[i] = ev.device_live[i] = 1000;
}

static od_ruling ask(const char *name) {
    unsigned n;
    od_ruling r = {0};
    ck_assert_int_eq(od_oracle_find(&n, name, NULL), OD_OK);
    od_oracle_at(n)->judge(&r, &ev);
    return r;
}

START_TEST(healthy_evidence_passes_where_numbers_were_compared) {
    ck_assert_int_eq(ask("engine").outcome, OD_PASS);
    ck_assert_int_eq(ask("determinism").outcome, OD_PASS);
    ck_assert_int_eq(ask("memory").outcome, OD_PASS);
    ck_assert_int_eq(ask("vacuity").outcome, OD_PASS);
}
END_TEST

START_TEST(nothing_compared_is_never_a_pass) {
    ev.n_compared = 0;
    ck_assert_int_eq(ask("accuracy").outcome, OD_INCONCLUSIVE);
    ck_assert_int_eq(ask("vacuity").outcome, OD_INCONCLUSIVE);
}
END_TEST

START_TEST(determinism_needs_every_rerun_to_its_end) {
    for (int i = 0; i < OD_RERUNS; i++) {
        setup();
        ev.rerun[i].ran = false;
        ck_assert_int_eq(ask("determinism").outcome, OD_INCONCLUSIVE);
        setup();
        ev.rerun[i].status = OD_NO_MEMORY;
        ck_assert_int_eq(ask("determinism").outcome, OD_INCONCLUSIVE);
        setup();
        ev.difference[i].call = 2; /* of three */
        ck_assert_int_eq(ask("determinism").outcome, OD_INCONCLUSIVE);
    }
}
END_TEST

START_TEST(every_run_that_faults_is_named) {
    od_attempt *const runs[] = {&ev.ref_run,
                                &ev.fast_run,
                                &ev.rerun[OD_RERUN_RESET],
                                &ev.rerun[OD_RERUN_REOPEN],
                                &ev.rerun[OD_RERUN_FRESH],
                                &ev.rerun[OD_RERUN_PROCESS],
                                &ev.plain_run,
                                &ev.arbiter_run,
                                &ev.ref_end,
                                &ev.fast_end_run};
    const char *const names[] = {"the reference",     "the fast path",   "after a reset", "with new sessions",
                                 "a fresh engine of", "a fresh process", "plain path",    "the arbiter",
                                 "being closed",      "being closed"};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        setup();
        runs[i]->ran = true;
        runs[i]->status = OD_DEVICE_FAULT;
        od_ruling r = ask("engine");
        ck_assert_int_eq(r.outcome, OD_FINDING);
        ck_assert_msg(strstr(r.reason, names[i]) != NULL, "%s", r.reason);
    }
}
END_TEST

/* 3 graphs of which 2 may be alive: the allowance is that of 2. */
START_TEST(memory_leaves_out_the_graphs_that_may_be_alive_and_no_more) {
    double plain = 1e6, allowed = 2 * od_bounds.graph_bytes;
    c.options.captures = 2;
    ev.fast_stats.captures = 3;
    ev.plain_stats = (od_stats){.host_peak = (size_t)plain};
    ev.fast_stats.device_peak = 0;
    ev.fast_stats.host_peak = (size_t)(1.5 * plain + allowed);
    ck_assert_int_eq(ask("memory").outcome, OD_PASS);
    ev.fast_stats.host_peak++;
    ck_assert_int_eq(ask("memory").outcome, OD_FINDING);
    ev.fast_stats.captures = 1;
    ev.fast_stats.host_peak = (size_t)(1.5 * plain + allowed / 2);
    ck_assert_int_eq(ask("memory").outcome, OD_PASS);
    ev.fast_stats.host_peak++;
    ck_assert_int_eq(ask("memory").outcome, OD_FINDING);
}
END_TEST

/* A graph of the twin's is 11 KB: a bound beyond that would hide whole graphs. */
START_TEST(memory_allows_a_graph_no_more_than_it_takes) {
    ck_assert_double_le(od_bounds.graph_bytes, 11 * 1024);
}
END_TEST

START_TEST(memory_sees_a_device_buffer_that_the_plain_path_has_not) {
    ev.plain_stats.device_peak = 0;
    ev.fast_stats = (od_stats){.host_peak = 1000, .device_peak = 1};
    od_ruling r = ask("memory");
    ck_assert_int_eq(r.outcome, OD_FINDING);
    ck_assert_str_eq(r.subject, "peak");
}
END_TEST

START_TEST(memory_needs_three_requests_and_counters) {
    ev.n_live = 2;
    ck_assert_int_eq(ask("memory").outcome, OD_INCONCLUSIVE);
    setup();
    ev.fast_stats = ev.plain_stats = (od_stats){0};
    ck_assert_int_eq(ask("memory").outcome, OD_INCONCLUSIVE);
}
END_TEST

/* Live bytes after the first request say nothing: buffers find their size. After the second they stand. */
START_TEST(memory_grows_from_the_second_request_on) {
    ev.device_live[0] = 10;
    ck_assert_int_eq(ask("memory").outcome, OD_PASS);
    ev.device_live[0] = 1600;
    ev.device_live[2] = 1501;
    od_ruling r = ask("memory");
    ck_assert_int_eq(r.outcome, OD_FINDING);
    ck_assert_str_eq(r.subject, "growth");
}
END_TEST

/* Flat for so long, then a page with each request: the middle of all slopes is above 0 in both, the lower end of their
 * interval in one (witness.c). A series that is not whole was broken off because nothing grew. */
START_TEST(memory_judges_witnesses_by_the_lower_end) {
    for (int w = 0; w < OD_WITNESSES; w++)
        for (size_t flat = 7; flat <= 8; flat++) {
            setup();
            ev.witnessed.n = OD_WITNESS_REPEAT;
            for (size_t i = 0; i < OD_WITNESS_REPEAT; i++)
                ev.witnessed.bytes[w][i] = 10000 + (i < flat ? 0 : (i + 1 - flat) * 4096);
            ck_assert_double_gt(od_slope_fit(ev.witnessed.bytes[w], OD_WITNESS_REPEAT, 3.09).value, 1000);
            const od_ruling r = ask("memory");
            ck_assert_int_eq(r.outcome, flat == 7 ? OD_FINDING : OD_PASS);
            if (r.outcome == OD_FINDING) ck_assert_ptr_eq(strstr(r.reason, od_witness_name(w)), r.reason);
            for (size_t i = 0; i < OD_WITNESS_REPEAT; i++) ev.witnessed.bytes[w][i] = 10000 * i;
            ck_assert_int_eq(ask("memory").outcome, OD_FINDING);
            ev.witnessed.n--;
            ck_assert_int_eq(ask("memory").outcome, OD_PASS);
        }
}
END_TEST

START_TEST(vacuity_asks_for_replays_of_engines_that_have_graphs) {
    ev.fast_end.replays = 0;
    ck_assert_str_eq(ask("vacuity").subject, "graph");
    given.fast = fake_ref(); /* cannot recapture: has no graphs */
    ck_assert_int_eq(ask("vacuity").outcome, OD_PASS);
}
END_TEST

START_TEST(vacuity_asks_for_a_cache_only_where_layers_look_back_in_time) {
    ev.fast_end.cache_hits = 0;
    ck_assert_str_eq(ask("vacuity").subject, "cache");
    model.config.space_every = 1;
    ck_assert_uint_eq(od_config_time_layers(&model.config), 0);
    ck_assert_int_eq(ask("vacuity").outcome, OD_PASS);
}
END_TEST

/* Two comparisons of one class: `a` has the larger share by one value, `b` the larger MAE. */
START_TEST(the_worst_mae_is_the_largest_of_the_class) {
    od_judge judge;
    static od_verdict v;
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    c.batch = 64; /* prefill: 64·2·8 values, a decode: 64·2·4 */
    fake_fast_knobs.lie = FAKE_ADD;
    fake_fast_knobs.tensor = 1;
    fake_fast_knobs.call = 1;
    fake_fast_knobs.element = 3;
    fake_fast_knobs.add = 0x1p-15;     /* 61 % of what a single value may be, 6 % as an MAE */
    fake_fast_knobs.add_all = 0x1p-22; /* call 2: 2.4e-7 everywhere: 24 % as an MAE */
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    const od_row *row = &v.evidence->row[OD_TENSOR_LOC][OD_STEP_DECODE][1];
    ck_assert_uint_eq(row->at.call, 0);
    ck_assert_double_eq(row->worst.max_abs, 0x1p-15);
    ck_assert_double_eq(row->most_mae, 0x1p-22);
    ck_assert_ptr_eq(od_evidence_worst(v.evidence, true), row);
    od_tally t;
    od_tally_init(&t);
    od_tally_add(&t, &v, "both");
    ck_assert_double_eq(t.worst_mae, 0x1p-22);
    ck_assert_double_eq(t.worst_share, row->share);
    od_judge_free(&judge);
}
END_TEST

/* The jitter is the fake engine's, but the clock is real: on a busy machine a run may come out otherwise. */
static void judge_until_inconclusive(od_verdict *v, od_judge *judge, unsigned oracle) {
    for (int i = 0; i < 20; i++) {
        od_judge_case(v, judge, &c);
        if (v->ruling[oracle].outcome == OD_INCONCLUSIVE) return;
    }
}

START_TEST(inconclusive_counts_where_the_oracle_is_required) {
    unsigned speed, determinism;
    od_judge judge;
    static od_verdict v;
    ck_assert_int_eq(od_oracle_find(&speed, "speed", NULL), OD_OK);
    ck_assert_int_eq(od_oracle_find(&determinism, "determinism", NULL), OD_OK);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = 1u | 1u << speed;
    fake_fast_knobs.microseconds = 200;
    fake_fast_knobs.graph_jitter = 8; /* every other play is so much slower than the plain path's */
    judge.setup.speed_seconds = 1e-9; /* spent at once: the fewest pairs of one play each */
    judge_until_inconclusive(&v, &judge, speed);
    ck_assert_uint_eq(v.evidence->n_pair, 3);
    ck_assert_uint_eq(v.evidence->per_pair, 1);
    ck_assert_msg(v.ruling[speed].outcome == OD_INCONCLUSIVE, "%s", v.ruling[speed].reason);
    ck_assert_int_eq(v.outcome, OD_PASS);
    od_tally t;
    od_tally_init(&t);
    od_tally_add(&t, &v, "noisy");
    ck_assert_uint_eq(t.open[speed], 1);
    ck_assert_uint_eq(t.ruled[speed], 0);
    judge.required |= 1u << speed;
    judge_until_inconclusive(&v, &judge, speed);
    ck_assert_int_eq(v.outcome, OD_INCONCLUSIVE);
    fake_fast_knobs = (fake_knobs){0};
    judge.setup.speed_seconds = 10;
    od_judge_case(&v, &judge, &c);
    ck_assert_uint_eq(v.evidence->n_pair, OD_MAX_PAIR); /* a budget is used */
    ck_assert_uint_ge(v.evidence->per_pair, 5);
    od_judge_free(&judge);
}
END_TEST

START_TEST(zeros_in_the_last_tensor_alone_are_not_all_zero) {
    od_judge judge;
    static od_verdict v;
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    fake_fast_knobs.tensor = 5; /* the scaler's scale, 2 everywhere, is 0 at the last call */
    fake_fast_knobs.call = 2;
    fake_fast_knobs.add_all = -2;
    fake_ref_knobs = fake_fast_knobs;
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    od_judge_free(&judge);
}
END_TEST

START_TEST(a_tensor_that_the_reference_lacks_is_a_finding) {
    od_judge judge;
    static od_verdict v;
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    fake_ref_knobs.lie = FAKE_MISSING;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_ptr_nonnull(strstr(v.reason, "more tensors"));
    od_judge_free(&judge);
}
END_TEST

START_TEST(what_is_not_contractual_is_not_counted_as_compared) {
    od_judge judge;
    static od_verdict v;
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    c.gain = 1.5;
    od_judge_case(&v, &judge, &c);
    ck_assert_uint_eq(v.evidence->n_compared, 18); /* 3 of 4 calls of 6 tensors; the fourth is fed its own mean */
    od_judge_free(&judge);
}
END_TEST

/* Two comparisons of one class: call 2 has the larger share by its MAE, call 1 the larger single difference. */
START_TEST(the_smallest_tolerance_is_that_of_all_tensors) {
    od_judge judge;
    static od_verdict v;
    double mae, max_abs;
    char text[160];
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    c.batch = 64;
    od_judge_case(&v, &judge, &c);
    ck_assert(od_evidence_needed(&mae, &max_abs, v.evidence) && mae == 0 && max_abs == 0);
    ck_assert_str_eq(od_evidence_needed_text(text, sizeof text, v.evidence), "");
    fake_fast_knobs.lie = FAKE_ADD;
    fake_fast_knobs.tensor = 1;
    fake_fast_knobs.call = 1;
    fake_fast_knobs.element = 3;
    fake_fast_knobs.add = 0x1p-16;     /* 1.526e-5 */
    fake_fast_knobs.add_all = 0x1p-19; /* 1.907e-6 */
    od_judge_case(&v, &judge, &c);
    const od_row *row = &v.evidence->row[OD_TENSOR_LOC][OD_STEP_DECODE][1];
    ck_assert_uint_eq(row->at.call, 1); /* of the decode: call 2 of the session */
    ck_assert_double_eq(row->worst.max_abs, 0x1p-19);
    ck_assert_double_eq(row->most_abs, 0x1p-16);
    ck_assert(od_evidence_needed(&mae, &max_abs, v.evidence));
    ck_assert_double_eq(mae, 0x1p-19);
    ck_assert_double_eq(max_abs, 0x1p-16);
    od_evidence_needed_text(text, sizeof text, v.evidence);
    ck_assert_msg(strstr(text, "MAE 2.0e-06 and a difference of 1.6e-05 would have passed") == text, "%s", text);
    fake_fast_knobs.lie = FAKE_NAN;
    od_judge_case(&v, &judge, &c);
    ck_assert(od_evidence_needed(&mae, &max_abs, v.evidence) && isnan(mae) && isnan(max_abs));
    ck_assert_ptr_eq(strstr(od_evidence_needed_text(text, sizeof text, v.evidence), "no bounds"), text);
    od_judge_free(&judge);
}
END_TEST

/* At a gain above 1.25 an own patch is beyond the contract's reach, and a NaN there a finding all the same. */
START_TEST(a_nan_beyond_the_contract_is_shown_to_the_arbiter) {
    od_judge judge;
    static od_verdict v;
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.arbiter = fake_ref();
    judge.setup.oracles = fake_oracles();
    c.gain = 1.5;
    fake_fast_knobs.lie = FAKE_NAN;
    fake_fast_knobs.tensor = 1;
    fake_fast_knobs.call = 3;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert(v.evidence->arbitration.ran);
    ck_assert_int_eq(v.evidence->arbitration.step, OD_STEP_OWN);
    ck_assert_str_eq(v.evidence->arbitration.nearer, "ref");
    od_judge_free(&judge);
}
END_TEST

START_TEST(no_number_on_either_side_has_no_nearer_one) {
    od_judge judge;
    static od_verdict v;
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.arbiter = fake_ref();
    judge.setup.oracles = fake_oracles();
    fake_fast_knobs.lie = FAKE_NAN;
    od_judge_case(&v, &judge, &c);
    ck_assert_str_eq(v.evidence->arbitration.nearer, "ref");
    fake_ref_knobs.lie = FAKE_NAN;
    od_judge_case(&v, &judge, &c);
    ck_assert_str_eq(v.evidence->arbitration.nearer, "unknown");
    od_judge_free(&judge);
}
END_TEST

START_TEST(an_expected_finding_cannot_be_missed_by_a_case_that_did_not_run) {
    od_judge judge;
    static od_verdict v;
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    strcpy(c.expect, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast");
    fake_fast_knobs.cannot = true;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_SKIPPED);
    fake_fast_knobs = (fake_knobs){.fail = OD_NO_MEMORY};
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_ERROR);
    ck_assert(!v.bad_input);
    od_judge_free(&judge);
}
END_TEST

START_TEST(bad_input_is_counted_and_a_lack_of_memory_is_none) {
    static od_verdict v;
    od_tally t;
    od_tally_init(&t);
    v = (od_verdict){.outcome = OD_ERROR, .bad_input = true};
    od_tally_add(&t, &v, "bad");
    ck_assert_uint_eq(t.bad_input, 1);
    v.bad_input = false;
    od_tally_add(&t, &v, "poor");
    ck_assert_uint_eq(t.bad_input, 1);
    ck_assert_int_eq(od_tally_exit(&t, 0, 0), 2);
}
END_TEST

START_TEST(the_largest_share_is_kept_whenever_it_comes) {
    static od_verdict v;
    od_tally t;
    od_tally_init(&t);
    for (int i = 0; i < 3; i++) {
        const double shares[] = {0.1, 0.7, 0.3};
        ev.row[OD_TENSOR_LOC][OD_STEP_OWN][1] =
            (od_row){.cls = OD_TENSOR_LOC, .step = OD_STEP_OWN, .contract = true, .compared = 1, .share = shares[i]};
        v = (od_verdict){.outcome = OD_PASS, .evidence = &ev};
        od_tally_add(&t, &v, i == 1 ? "worst" : "other");
    }
    ck_assert_double_eq(t.worst_share, 0.7);
    ck_assert_str_eq(t.worst_share_case, "worst");
}
END_TEST

Suite *suite_rulings(void) {
    Suite *s = suite_create("rulings");
    TCase *t = tcase_create("rulings");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, healthy_evidence_passes_where_numbers_were_compared);
    tcase_add_test(t, nothing_compared_is_never_a_pass);
    tcase_add_test(t, determinism_needs_every_rerun_to_its_end);
    tcase_add_test(t, every_run_that_faults_is_named);
    tcase_add_test(t, memory_leaves_out_the_graphs_that_may_be_alive_and_no_more);
    tcase_add_test(t, memory_allows_a_graph_no_more_than_it_takes);
    tcase_add_test(t, memory_sees_a_device_buffer_that_the_plain_path_has_not);
    tcase_add_test(t, memory_needs_three_requests_and_counters);
    tcase_add_test(t, memory_grows_from_the_second_request_on);
    tcase_add_test(t, memory_judges_witnesses_by_the_lower_end);
    tcase_add_test(t, vacuity_asks_for_replays_of_engines_that_have_graphs);
    tcase_add_test(t, vacuity_asks_for_a_cache_only_where_layers_look_back_in_time);
    tcase_add_test(t, the_worst_mae_is_the_largest_of_the_class);
    tcase_add_test(t, inconclusive_counts_where_the_oracle_is_required);
    tcase_add_test(t, zeros_in_the_last_tensor_alone_are_not_all_zero);
    tcase_add_test(t, a_tensor_that_the_reference_lacks_is_a_finding);
    tcase_add_test(t, what_is_not_contractual_is_not_counted_as_compared);
    tcase_add_test(t, the_smallest_tolerance_is_that_of_all_tensors);
    tcase_add_test(t, a_nan_beyond_the_contract_is_shown_to_the_arbiter);
    tcase_add_test(t, no_number_on_either_side_has_no_nearer_one);
    tcase_add_test(t, an_expected_finding_cannot_be_missed_by_a_case_that_did_not_run);
    tcase_add_test(t, bad_input_is_counted_and_a_lack_of_memory_is_none);
    tcase_add_test(t, the_largest_share_is_kept_whenever_it_comes);
    suite_add_tcase(s, t);
    return s;
}
