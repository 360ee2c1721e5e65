/* Weights changed in turn: an engine that does not read one is found, and the model is as before. */
#include <stdlib.h>
#include <string.h>

#include "oracles/judge.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_judge judge;
static od_verdict v;
static unsigned vacuity;

static void setup(void) {
    fake_reset();
    fake_case(&c);
    fake_ref_knobs.reads_weights = fake_fast_knobs.reads_weights = true;
    ck_assert_int_eq(od_oracle_find(&vacuity, "vacuity", NULL), OD_OK);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = 1u | 1u << vacuity;
    judge.weights = true;
}

static void teardown(void) {
    od_judge_free(&judge);
}

static const od_ruling *run(void) {
    od_judge_case(&v, &judge, &c);
    return &v.ruling[vacuity];
}

START_TEST(a_tensor_that_is_not_read_is_named) {
    ck_assert_int_eq(run()->outcome, OD_PASS);
    const od_model *model = judge.script.model;
    const size_t n = model->n_weight;
    ck_assert_uint_eq(v.evidence->probe.n, n);
    ck_assert_uint_eq(v.evidence->probe.n_idle, 0);
    for (unsigned blind = 1; blind <= n; blind += 7) {
        char name[OD_NAME_MAX];
        memcpy(name, model->weights[blind - 1].name, sizeof name);
        fake_fast_knobs.blind = blind;
        judge.n_probed = 0;
        const od_ruling *r = run();
        ck_assert_int_eq(r->outcome, OD_FINDING);
        ck_assert_str_eq(r->subject, "weights");
        ck_assert_msg(strncmp(r->reason, name, strlen(name)) == 0, "%s: %s", name, r->reason);
        ck_assert_uint_eq(v.evidence->probe.n_dead, 1);
        model = judge.script.model;
    }
}
END_TEST

/* What the reference does not read either has no say in the case. */
START_TEST(a_tensor_without_a_say_is_no_finding) {
    fake_ref_knobs.blind = fake_fast_knobs.blind = 3;
    ck_assert_int_eq(run()->outcome, OD_PASS);
    ck_assert_uint_eq(v.evidence->probe.n_idle, 1);
    od_tally t;
    od_tally_init(&t);
    od_tally_add(&t, &v, "case");
    ck_assert_uint_eq(t.n_idle, 1);
    ck_assert_uint_eq(t.n_weight, v.evidence->probe.n);
    ck_assert_uint_eq(t.probed, 1);
    ck_assert_int_eq(run()->outcome, OD_PASS);
    ck_assert(v.evidence->probe.ran); /* with other data it might have a say */
    fake_fast_knobs.reads_weights = fake_ref_knobs.reads_weights = false;
    judge.n_probed = 0;
    ck_assert_int_eq(run()->outcome, OD_PASS);
    ck_assert_uint_eq(v.evidence->probe.n_idle, v.evidence->probe.n);
}
END_TEST

START_TEST(the_model_is_as_before) {
    run();
    od_model *fresh = NULL;
    ck_assert_int_eq(od_case_model(&fresh, &c, NULL), OD_OK);
    ck_assert_uint_eq(fresh->n_data, judge.script.model->n_data);
    ck_assert_mem_eq(fresh->data, judge.script.model->data, fresh->n_data * sizeof *fresh->data);
    od_model_destroy(fresh);
    ck_assert_uint_eq(fake_ref_knobs.n_live + fake_fast_knobs.n_live, 0);
}
END_TEST

START_TEST(a_class_is_probed_once) {
    run();
    ck_assert(v.evidence->probe.ran);
    c.series_seed = 7;
    c.weight_seed = 8;
    c.variates = 3;
    run();
    ck_assert(!v.evidence->probe.ran);
    c.options.fused = true;
    run();
    ck_assert(v.evidence->probe.ran);
    c.preset[0] = '\0';
    c.config.n_layer += 1;
    c.config.space_every = 0;
    run();
    ck_assert(v.evidence->probe.ran);
    run();
    ck_assert(!v.evidence->probe.ran);
    c.config.scaler = c.config.scaler == OD_SCALER_STD_MEAN ? OD_SCALER_CAUSAL_STD_MEAN : OD_SCALER_STD_MEAN;
    c.config.stabilize = false;
    run();
    ck_assert(v.evidence->probe.ran);
    fake_fast_knobs.blind = 2; /* a finding comes again */
    c.config.xpos = c.config.xpos == OD_XPOS_ORIGIN ? OD_XPOS_CALL : OD_XPOS_ORIGIN;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(run()->outcome, OD_FINDING);
        ck_assert(v.evidence->probe.ran);
    }
    fake_fast_knobs.blind = 0;
    judge.weights = false;
    judge.n_probed = 0;
    run();
    ck_assert(!v.evidence->probe.ran);
    judge.weights = true;
    judge.setup.oracles = 3; /* vacuity is not asked */
    run();
    ck_assert(!v.evidence->probe.ran);
}
END_TEST

START_TEST(probing_that_fails_says_where) {
    fake_fast_knobs.fail_engines = 5;
    const od_ruling *r = run();
    ck_assert_int_eq(r->outcome, OD_INCONCLUSIVE);
    ck_assert_ptr_nonnull(strstr(r->reason, "changed"));
    ck_assert_ptr_nonnull(strstr(r->reason, "it was told to"));
    ck_assert_int_eq(v.outcome, OD_INCONCLUSIVE);
    od_model *fresh = NULL;
    ck_assert_int_eq(od_case_model(&fresh, &c, NULL), OD_OK);
    ck_assert_mem_eq(fresh->data, judge.script.model->data, fresh->n_data * sizeof *fresh->data);
    od_model_destroy(fresh);
}
END_TEST

Suite *suite_weights(void) {
    Suite *s = suite_create("weights");
    TCase *t = tcase_create("weights");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_tensor_that_is_not_read_is_named);
    tcase_add_test(t, a_tensor_without_a_say_is_no_finding);
    tcase_add_test(t, the_model_is_as_before);
    tcase_add_test(t, a_class_is_probed_once);
    tcase_add_test(t, probing_that_fails_says_where);
    suite_add_tcase(s, t);
    return s;
}
