/* Findings judged again: how often they came is counted right, and the finding remains one. */
#include "oracles/recheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracles/finding.h"
#include "oracles/worker.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_judge judge, again;
static od_verdict v;
static char text[160];

static void setup(void) {
    fake_reset();
    fake_case(&c);
    again = (od_judge){0};
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = od_oracle_bit(&od_oracle_accuracy) | 1;
    fake_fast_knobs = (fake_knobs){.lie = FAKE_ADD, .tensor = 1, .call = 2, .add = 1};
}

static void teardown(void) {
    od_judge_free(&judge);
    od_judge_free(&again);
    od_worker_engines_end(NULL);
}

static const od_engine_api *worker(const char *mode, bool fresh, double timeout) {
    const char *const argv[] = {"/proc/self/exe", "worker", mode, NULL};
    const od_worker_terms terms = {.argv = argv, .timeout = timeout, .fresh = fresh};
    const od_engine_api *api = NULL;
    od_error e = {0};
    ck_assert_msg(od_worker_engine(&api, &terms, &e) == OD_OK, "%s", e.text);
    return api;
}

static const od_engine_api *process(const char *mode) {
    return worker(mode, true, 60);
}

static const od_engine_api *hanging(bool fresh) {
    return worker("hang-decode", fresh, 0.5);
}

static const char *recheck(const od_engine_api *fresh) {
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_uint_eq(v.recheck.judged, 0);
    od_recheck_finding(&v, &again, &judge, &c, fresh);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    return od_recheck_text(text, sizeof text, &v.recheck);
}

START_TEST(what_comes_each_time_is_counted_and_judged_no_further) {
    ck_assert_str_eq(recheck(NULL), "2 of 2");
    ck_assert_str_eq(recheck(process("lie")), "3 of 3, 1 of them in a fresh process");
    ck_assert(!od_recheck_is_flaky(&v.recheck));
    ck_assert_str_eq(v.signature, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast");
    ck_assert_ptr_eq(v.evidence, &judge.evidence);
    ck_assert_double_eq(od_evidence_worst(v.evidence, false)->worst.max_abs, 1);
}
END_TEST

/* The first engine lies, and then every second one. Clopper and Pearson give 5 of 10 the interval 18.7 % to 81.3 %. */
START_TEST(what_comes_at_times_is_flaky_and_still_a_finding) {
    fake_fast_knobs.steady = 1;
    ck_assert_str_eq(recheck(process("lie")), "flaky: 5 of 10 (95 % interval 19 % to 81 %)");
    ck_assert(od_recheck_is_flaky(&v.recheck));
    ck_assert_uint_eq(v.recheck.process_judged, 0);
    od_tally t;
    od_tally_init(&t);
    od_tally_add(&t, &v, "case");
    ck_assert_uint_eq(t.flaky, 1);
    ck_assert_int_eq(od_tally_exit(&t, judge.required, 0), 1);
}
END_TEST

START_TEST(what_never_comes_in_a_fresh_process_needs_what_ran_before) {
    ck_assert_str_eq(recheck(process("fake")), "2 of 2 here, 0 of 10 in a fresh process: it needs what ran before it");
    ck_assert(!od_recheck_is_flaky(&v.recheck));
}
END_TEST

START_TEST(what_comes_in_some_processes_is_flaky) {
    v.recheck = (od_recheck){.judged = 2, .shown = 2, .process_judged = 10, .process_shown = 4};
    ck_assert(od_recheck_is_flaky(&v.recheck));
    ck_assert_msg(strstr(od_recheck_text(text, sizeof text, &v.recheck), "flaky: 6 of 12 (95"), "%s", text);
    ck_assert_str_eq(od_recheck_mark(text, sizeof text, &v.recheck), "flaky 6 of 12");
}
END_TEST

/* Every judging has a finding; the one that is rechecked is larger, and every second engine's alone. */
START_TEST(another_finding_is_not_the_same_again) {
    fake_fast_knobs.steady = 1;
    fake_fast_knobs.add = 1000;
    fake_fast_knobs.add_all = 1;
    ck_assert_msg(strncmp(recheck(NULL), "flaky: 5 of 10", 14) == 0, "%s", text);
    ck_assert_str_eq(v.signature, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast");
    fake_fast_knobs.n_create = 1; /* one without it */
    od_judge_case(&v, &judge, &c);
    ck_assert_str_eq(v.signature, "accuracy/loc/own/b1.v2-4.s2-4/ref:fast");
}
END_TEST

/* The oracle `engine` has no runs of its own: all that were asked are asked again. */
START_TEST(a_fault_in_a_later_play_comes_again) {
    fake_fast_knobs = (fake_knobs){.fail = OD_DEVICE_FAULT, .call = 1, .fail_from = 1};
    judge.setup.oracles = fake_oracles();
    ck_assert_str_eq(recheck(NULL), "2 of 2");
    ck_assert_str_eq(v.signature, "engine/fault/decode/b1.v2-4.s2-4/ref:fast");
}
END_TEST

START_TEST(an_absent_expectation_comes_again) {
    fake_reset();
    strcpy(c.expect, "accuracy/loc/own/b1.v1.s1/ref:fast");
    ck_assert_str_eq(recheck(NULL), "2 of 2");
    ck_assert_msg(strncmp(v.signature, "expect/absent/", 14) == 0, "%s", v.signature);
}
END_TEST

/* A difference between this process and a fresh one is judged between two processes only. */
START_TEST(a_difference_between_processes_is_judged_here) {
    fake_reset();
    judge.setup.oracles = fake_oracles();
    judge.setup.process = process("drop");
    ck_assert_str_eq(recheck(judge.setup.process), "2 of 2");
    ck_assert_msg(strncmp(v.signature, "determinism/df/", 15) == 0, "%s", v.signature);
}
END_TEST

/* Nothing is wrong here, and a process that nothing else has run in ends badly each time: that is no finding that needs
 * what ran before it. */
START_TEST(what_a_fresh_process_alone_does_wrong_is_judged_here) {
    static const char *const table[][2] = {{"exit-end", "engine/crash/-/b2-4.v2-4.s2-4/ref:fast"},
                                           {"crash-decode", "engine/crash/decode/b2-4.v2-4.s2-4/ref:fast"}};
    fake_reset();
    c.batch = 3;
    judge.setup.oracles = fake_oracles();
    for (int i = 0; i < 2; i++) {
        judge.setup.process = process(table[i][0]);
        ck_assert_str_eq(recheck(judge.setup.process), "2 of 2");
        ck_assert_str_eq(v.signature, table[i][1]);
        ck_assert_msg(strstr(v.reason, "the fast path in a fresh process: "), "%s", v.reason);
    }
}
END_TEST

/* The fresh process crashes while it is closed: another case must not be told. */
START_TEST(nothing_of_a_recheck_is_left_to_the_next_case) {
    od_error e = {0};
    const od_engine_api *fresh = process("crash-destroy");
    c.batch = 3;
    fake_ref_knobs = fake_fast_knobs; /* it is the reference that lies: the finding comes in every process */
    fake_fast_knobs = (fake_knobs){0};
    ck_assert_str_eq(recheck(fresh), "3 of 3, 1 of them in a fresh process");
    ck_assert_msg(fresh->probe(&e) == OD_OK, "%s", e.text);
}
END_TEST

/* It takes a call's whole time each time. */
START_TEST(a_hang_is_judged_once_more_at_most) {
    c.batch = 3;
    fake_reset();
    judge.setup.oracles = fake_oracles();
    judge.setup.isolated = true;
    judge.setup.fast = hanging(false);
    ck_assert_str_eq(recheck(hanging(true)), "2 of 2, 1 of them in a fresh process");
    ck_assert_uint_eq(v.recheck.judged, 1);
    ck_assert_str_eq(v.signature, "engine/hang/decode/b2-4.v2-4.s2-4/ref:fast");
    ck_assert_str_eq(recheck(process("fake")), "1 of 1 here, 0 of 1 in a fresh process");
    ck_assert(!od_recheck_is_flaky(&v.recheck));
    judge.setup.fast = fake_fast();
    judge.setup.process = hanging(true);
    ck_assert_str_eq(recheck(judge.setup.process), "2 of 2");
    ck_assert_uint_eq(v.recheck.process_judged, 0);
}
END_TEST

START_TEST(a_finding_s_file_says_how_often) {
    char dir[] = "/tmp/od-recheck-XXXXXX", path[300], folder[300];
    static od_case read;
    od_error e = {0};
    fake_fast_knobs.steady = 1;
    recheck(NULL);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_msg(od_finding_write(path, sizeof path, dir, &c, &v, "here and now", &e) == OD_OK, "%s", e.text);
    ck_assert_msg(od_case_read(&read, path, &e) == OD_OK, "%s", e.text);
    ck_assert_str_eq(read.found_verdict, "FINDING flaky 5 of 10");
    ck_assert_uint_eq(od_case_hash(&read), od_case_hash(&c));
    unlink(path);
    snprintf(folder, sizeof folder, "%s/findings", dir);
    rmdir(folder);
    rmdir(dir);
}
END_TEST

Suite *suite_recheck(void) {
    Suite *s = suite_create("recheck");
    TCase *t = tcase_create("recheck");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, what_comes_each_time_is_counted_and_judged_no_further);
    tcase_add_test(t, what_comes_at_times_is_flaky_and_still_a_finding);
    tcase_add_test(t, what_never_comes_in_a_fresh_process_needs_what_ran_before);
    tcase_add_test(t, what_comes_in_some_processes_is_flaky);
    tcase_add_test(t, another_finding_is_not_the_same_again);
    tcase_add_test(t, a_fault_in_a_later_play_comes_again);
    tcase_add_test(t, an_absent_expectation_comes_again);
    tcase_add_test(t, a_difference_between_processes_is_judged_here);
    tcase_add_test(t, what_a_fresh_process_alone_does_wrong_is_judged_here);
    tcase_add_test(t, nothing_of_a_recheck_is_left_to_the_next_case);
    tcase_add_test(t, a_hang_is_judged_once_more_at_most);
    tcase_add_test(t, a_finding_s_file_says_how_often);
    suite_add_tcase(s, t);
    return s;
}
