/* Verdicts: signatures, expected findings, counts and exit codes, findings as files. */
#include "oracles/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracles/finding.h"
#include "oracles/signature.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

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
}

static void lie(void) {
    fake_fast_knobs.lie = FAKE_ADD;
    fake_fast_knobs.tensor = 1;
    fake_fast_knobs.call = 2;
    fake_fast_knobs.add = 1;
}

START_TEST(shape_classes_are_powers_of_two) {
    const struct {
        size_t b, n_variates, s;
        const char *text;
    } table[] = {{1, 1, 1, "b1.v1.s1"},
                 {2, 4, 5, "b2-4.v2-4.s5-8"},
                 {4, 2, 8, "b2-4.v2-4.s5-8"},
                 {5, 9, 16, "b5-8.v9-16.s9-16"},
                 {64, 128, 1024, "b33-64.v65-128.s513-1024"},
                 {3, 17, 0, "b2-4.v17-32.s0"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[48];
        od_shape_class(text, sizeof text, table[i].b, table[i].n_variates, table[i].s);
        ck_assert_str_eq(text, table[i].text);
    }
}
END_TEST

/* Other seeds, another value, another element, a neighbouring shape: the same bug, the same line. */
START_TEST(a_signature_names_the_bug_and_not_the_case) {
    lie();
    od_judge_case(&v, &judge, &c);
    ck_assert_str_eq(v.signature, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast");
    uint64_t hash = v.hash;
    c.weight_seed = 9;
    c.series_seed = 11;
    c.variates = 3;
    c.op[0].steps = 12;
    fake_fast_knobs.add = 0.5;
    fake_fast_knobs.element = 2;
    od_judge_case(&v, &judge, &c);
    ck_assert_str_eq(v.signature, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast");
    ck_assert_uint_ne(v.hash, hash);
    ck_assert_uint_eq(strcspn(v.signature, "\n "), strlen(v.signature));
}
END_TEST

START_TEST(kinds_of_findings_have_no_shape) {
    const char *const one = "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast";
    const struct {
        const char *other;
        bool same;
    } table[] = {{"accuracy/loc/decode/b1.v1.s1/ref:fast", true},
                 {"accuracy/loc/decode/b1.v2-4.s2-4/ref:twin", false},
                 {"accuracy/df/decode/b1.v2-4.s2-4/ref:fast", false},
                 {"accuracy/loc/prefill/b1.v2-4.s2-4/ref:fast", false},
                 {"finite/loc/decode/b1.v2-4.s2-4/ref:fast", false},
                 {"accuracy/loc/decode/ref:fast", false},
                 {"accuracy/loc/decode/b1.v1.s1/more/ref:fast", false},
                 {"pass", false},
                 {"", false}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        ck_assert_int_eq(od_signature_same_kind(one, table[i].other), table[i].same);
        ck_assert_int_eq(od_signature_same_kind(table[i].other, one), table[i].same);
    }
    ck_assert(!od_signature_same_kind("", ""));
}
END_TEST

/* The verdict is the gravest ruling's; a finding of another kind in the same case is found all the same. */
START_TEST(a_verdict_is_searched_for_a_kind) {
    lie();
    fake_fast_knobs.captures_anew = fake_fast_knobs.drift_runs = true;
    od_judge_case(&v, &judge, &c);
    const od_ruling *accuracy = od_verdict_of_kind(&v, "accuracy/loc/decode/b64.v1.s1/ref:fast");
    ck_assert_ptr_nonnull(accuracy);
    ck_assert_int_eq(accuracy->outcome, OD_FINDING);
    const od_ruling *other = NULL;
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (v.asked >> i & 1 && v.ruling[i].outcome == OD_FINDING && &v.ruling[i] != accuracy) other = &v.ruling[i];
    ck_assert_ptr_nonnull(other);
    ck_assert_ptr_eq(od_verdict_of_kind(&v, other->signature), other);
    ck_assert_ptr_null(od_verdict_of_kind(&v, "accuracy/scale/decode/b1.v1.s1/ref:fast"));
    fake_reset();
    od_judge_case(&v, &judge, &c);
    ck_assert_ptr_null(od_verdict_of_kind(&v, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast"));
}
END_TEST

START_TEST(an_expected_finding_is_known_and_its_absence_is_a_finding) {
    strcpy(c.expect, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast");
    lie();
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_KNOWN);
    ck_assert_str_eq(v.signature, c.expect);
    fake_fast_knobs.tensor = 2; /* another bug than the one expected */
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_ptr_nonnull(strstr(v.signature, "accuracy/scale/"));
    fake_fast_knobs.lie = FAKE_HONEST;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_str_eq(v.signature, "expect/absent/-/b1.v2-4.s2-4/ref:fast");
    strcpy(c.expect, "pass");
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_PASS);
}
END_TEST

START_TEST(a_known_finding_hides_no_other_one) {
    strcpy(c.expect, "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast");
    lie();
    fake_fast_knobs.no_replay = true;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_ptr_nonnull(strstr(v.signature, "vacuity/graph/"));
}
END_TEST

START_TEST(a_case_that_cannot_be_built_is_bad_input) {
    strcpy(c.model_folder, "/nonexistent-folder-of-a-model");
    c.preset[0] = '\0';
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_ERROR);
    ck_assert(v.bad_input);
    ck_assert_str_ne(v.reason, "");
}
END_TEST

/* A tally with so many of each; `compared` tensors. */
static od_tally tally(unsigned findings, unsigned bad, unsigned errors, unsigned inconclusive, unsigned compared) {
    od_tally t;
    od_tally_init(&t);
    t.outcome[OD_FINDING] = findings;
    t.bad_input = bad;
    t.outcome[OD_ERROR] = errors;
    t.outcome[OD_INCONCLUSIVE] = inconclusive;
    t.outcome[OD_PASS] = 1;
    t.compared = compared;
    return t;
}

START_TEST(the_first_exit_code_that_applies_wins) {
    const struct {
        unsigned findings, bad, errors, inconclusive, compared;
        int code;
    } table[] = {{0, 0, 0, 0, 9, 0}, {1, 1, 1, 1, 9, 1}, {0, 1, 1, 1, 9, 2}, {0, 0, 1, 1, 9, 3},
                 {0, 0, 0, 1, 9, 4}, {0, 0, 0, 0, 0, 4}, {1, 0, 0, 0, 0, 1}, {0, 1, 0, 0, 0, 2}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        od_tally t = tally(table[i].findings, table[i].bad, table[i].errors, table[i].inconclusive, table[i].compared);
        ck_assert_int_eq(od_tally_exit(&t, od_oracles_required(), 0), table[i].code);
    }
}
END_TEST

START_TEST(speed_counts_only_where_it_is_required_by_name) {
    unsigned speed, memory;
    ck_assert_int_eq(od_oracle_find(&speed, "speed", NULL), OD_OK);
    ck_assert_int_eq(od_oracle_find(&memory, "memory", NULL), OD_OK);
    od_tally t = tally(0, 0, 0, 0, 9);
    t.open[speed] = 1;
    t.ruled[memory] = 1;
    ck_assert_int_eq(od_tally_exit(&t, od_oracles_required(), 0), 0);
    ck_assert_int_eq(od_tally_exit(&t, od_oracles_required(), 1u << speed), 4);
    ck_assert_int_eq(od_tally_exit(&t, od_oracles_required(), 1u << memory), 0);
    t.open[speed] = 0; /* never ran at all */
    ck_assert_int_eq(od_tally_exit(&t, od_oracles_required(), 1u << speed), 4);
    t.ruled[speed] = 1;
    ck_assert_int_eq(od_tally_exit(&t, od_oracles_required(), 1u << speed), 0);
    t.open[memory] = 1;
    ck_assert_int_eq(od_tally_exit(&t, od_oracles_required(), 0), 4);
}
END_TEST

START_TEST(a_skipped_oracle_leaves_the_case_its_verdict) {
    judge.setup.oracles = 1u << 5; /* speed, and the case asks for the plain path itself */
    c.options.graph = false;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_PASS);
    ck_assert_int_eq(v.ruling[5].outcome, OD_SKIPPED);
}
END_TEST

START_TEST(a_tally_remembers_the_worst_and_where_it_was) {
    od_tally t;
    od_tally_init(&t);
    od_judge_case(&v, &judge, &c);
    od_tally_add(&t, &v, "healthy");
    ck_assert_double_eq(t.worst_mae, 0);
    lie();
    od_judge_case(&v, &judge, &c);
    od_tally_add(&t, &v, "liar");
    ck_assert_str_eq(t.worst_mae_case, "liar");
    ck_assert_int_eq(t.worst_mae_cls, OD_TENSOR_LOC);
    ck_assert_int_eq(t.worst_mae_step, OD_STEP_DECODE);
    ck_assert_double_eq(t.worst_mae, 1.0 / 8);
    fake_fast_knobs.lie = FAKE_NAN;
    od_judge_case(&v, &judge, &c);
    od_tally_add(&t, &v, "nan");
    ck_assert(isnan(t.worst_mae)); /* and stays */
    fake_fast_knobs.lie = FAKE_ADD;
    od_judge_case(&v, &judge, &c);
    od_tally_add(&t, &v, "liar");
    ck_assert(isnan(t.worst_mae));
    ck_assert_str_eq(t.worst_mae_case, "nan");
    ck_assert_uint_eq(t.cases, 4);
    ck_assert_uint_eq(t.outcome[OD_FINDING], 3);
    ck_assert_uint_eq(t.compared, 96);
}
END_TEST

START_TEST(unknown_oracles_are_refused_with_the_list) {
    unsigned n;
    od_error e;
    ck_assert_int_eq(od_oracle_find(&n, "accurcy", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "accuracy"));
    ck_assert_ptr_nonnull(strstr(e.text, "vacuity"));
}
END_TEST

START_TEST(a_finding_is_a_case_that_says_what_was_found) {
    char dir[] = "/tmp/od-finding-XXXXXX", path[256], again[256];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    od_error e = {0};
    lie();
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(od_finding_write(path, sizeof path, dir, &c, &v, "here and now", &e) == OD_OK, "%s", e.text);
    od_case read;
    ck_assert_msg(od_case_read(&read, path, &e) == OD_OK, "%s", e.text);
    ck_assert_str_eq(read.found_verdict, "FINDING");
    ck_assert_str_eq(read.found_signature, v.signature);
    ck_assert_str_eq(read.found_pair, "ref:fast");
    ck_assert_str_eq(read.found_environment, "here and now");
    ck_assert_double_eq(read.found_bound, 1e-6);
    ck_assert_uint_eq(od_case_hash(&read), v.hash); /* what was found decides nothing */
    uint64_t hash = v.hash;
    od_judge_case(&v, &judge, &read);
    ck_assert_int_eq(v.outcome, OD_FINDING); /* it reproduces alone */
    ck_assert_uint_eq(v.hash, hash);
    ck_assert_int_eq(od_finding_write(again, sizeof again, dir, &read, &v, "later", &e), OD_OK);
    ck_assert_str_eq(again, path);
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    rmdir(dir);
}
END_TEST

START_TEST(a_folder_that_cannot_be_made_is_an_error_in_one_line) {
    od_error e = {0};
    ck_assert_int_eq(od_make_folder("/dev/null/findings", &e), OD_IO);
    ck_assert_ptr_nonnull(strstr(e.text, "/dev/null"));
}
END_TEST

Suite *suite_judge(void) {
    Suite *s = suite_create("judge");
    TCase *t = tcase_create("judge");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, shape_classes_are_powers_of_two);
    tcase_add_test(t, a_signature_names_the_bug_and_not_the_case);
    tcase_add_test(t, kinds_of_findings_have_no_shape);
    tcase_add_test(t, a_verdict_is_searched_for_a_kind);
    tcase_add_test(t, an_expected_finding_is_known_and_its_absence_is_a_finding);
    tcase_add_test(t, a_known_finding_hides_no_other_one);
    tcase_add_test(t, a_case_that_cannot_be_built_is_bad_input);
    tcase_add_test(t, the_first_exit_code_that_applies_wins);
    tcase_add_test(t, speed_counts_only_where_it_is_required_by_name);
    tcase_add_test(t, a_skipped_oracle_leaves_the_case_its_verdict);
    tcase_add_test(t, a_tally_remembers_the_worst_and_where_it_was);
    tcase_add_test(t, unknown_oracles_are_refused_with_the_list);
    tcase_add_test(t, a_finding_is_a_case_that_says_what_was_found);
    tcase_add_test(t, a_folder_that_cannot_be_made_is_an_error_in_one_line);
    suite_add_tcase(s, t);
    return s;
}
