/* Where a call stands in its session, and what a rerun of one engine, or a relation's second play, changes first. */
#include <string.h>

#include "oracles/explain.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_script script;

static void begin(void) {
    fake_reset();
    fake_case(&c);
}

static void end(void) {
    od_script_destroy(&script);
}

/* Two sessions by turns; 9 steps are 3 patches of 4. */
START_TEST(places_count_from_each_session_s_prefill) {
    const od_op ops[] = {{.kind = OD_OP_PREFILL, .session = 1, .steps = 9},
                         {.kind = OD_OP_DECODE, .session = 1, .patches = 2},
                         {.kind = OD_OP_RECAPTURE},
                         {.kind = OD_OP_PREFILL, .session = 0, .steps = 4},
                         {.kind = OD_OP_DECODE, .session = 1, .patches = 3, .own = true},
                         {.kind = OD_OP_RESET, .session = 1},
                         {.kind = OD_OP_PREFILL, .session = 1, .steps = 8},
                         {.kind = OD_OP_DECODE, .session = 1, .patches = 1}};
    c.n_op = sizeof ops / sizeof ops[0];
    memcpy(c.op, ops, sizeof ops);
    ck_assert_int_eq(od_script_create(&script, &c, NULL), OD_OK);
    const od_call_at calls[] = {{.op = 0, .session = 1},
                                {.op = 1, .session = 1},
                                {.op = 1, .session = 1, .call = 1},
                                {.op = 3},
                                {.op = 4, .session = 1},
                                {.op = 4, .session = 1, .call = 2},
                                {.op = 6, .session = 1},
                                {.op = 7, .session = 1}};
    const unsigned step[] = {0, 1, 2, 0, 3, 5, 0, 1};
    const size_t first[] = {0, 3, 4, 0, 5, 7, 0, 2}, n[] = {3, 1, 1, 1, 1, 1, 2, 1};
    for (int i = 0; i < 8; i++) {
        const od_call_place p = od_call_place_of(&script, &calls[i]);
        ck_assert_uint_eq(p.step, step[i]);
        ck_assert_uint_eq(p.first_patch, first[i]);
        ck_assert_uint_eq(p.n_patch, n[i]);
    }
}
END_TEST

START_TEST(the_first_tensor_that_a_rerun_changes_is_named) {
    od_rerun_parting r;
    od_error e = {0};
    ck_assert_int_eq(od_script_create(&script, &c, &e), OD_OK);
    for (int which = 0; which < OD_RERUNS; which++) {
        fake_fast_knobs = (fake_knobs){0};
        ck_assert_int_eq(od_explain_rerun(&r, &script, fake_fast(), fake_fast(), (enum od_rerun)which, true, &e),
                         OD_OK);
        ck_assert(!r.found);
        fake_fast_knobs = (fake_knobs){.drift_runs = which == OD_RERUN_RESET,
                                       .drift_opens = which == OD_RERUN_REOPEN,
                                       .drift_engines = which == OD_RERUN_FRESH || which == OD_RERUN_PROCESS};
        ck_assert_int_eq(od_explain_rerun(&r, &script, fake_fast(), fake_fast(), (enum od_rerun)which, true, &e),
                         OD_OK);
        ck_assert(r.found && r.again);
        ck_assert_str_eq(r.name, "scaler_loc"); /* the 5th that the engine gives, the first that it computes */
        ck_assert_uint_eq(r.stage, OD_STAGE_SCALER);
        ck_assert_uint_eq(r.place.step, 0);
        ck_assert_double_ne(r.was, r.is);
        ck_assert_uint_eq(fake_fast_knobs.n_live, 0);
        ck_assert_uint_eq(fake_fast_knobs.n_poison, which == OD_RERUN_REOPEN ? 2 : 0);
    }
    fake_fast_knobs = (fake_knobs){.drift_runs = true, .drift_late = true};
    ck_assert_int_eq(od_explain_rerun(&r, &script, fake_fast(), fake_fast(), OD_RERUN_RESET, true, &e), OD_OK);
    ck_assert_str_eq(r.name, "mean"); /* a later call's scaler comes after it */
    ck_assert_uint_eq(r.place.at.op, 0);
    fake_fast_knobs = (fake_knobs){.fail = OD_NO_MEMORY, .call = 1, .fail_from = 1};
    ck_assert_int_eq(od_explain_rerun(&r, &script, fake_fast(), fake_fast(), OD_RERUN_RESET, true, &e), OD_NO_MEMORY);
    ck_assert_uint_eq(fake_fast_knobs.n_live, 0);
}
END_TEST

START_TEST(the_first_tensor_in_which_a_relation_s_plays_differ_is_named) {
    const od_setup setup = {.ref = fake_ref(), .fast = fake_fast()};
    od_rerun_parting r;
    od_error e = {0};
    unsigned graph;
    ck_assert_int_eq(od_relation_find(&graph, "graph", &e), OD_OK); /* its second play is on a new engine */
    ck_assert_int_eq(od_script_create(&script, &c, &e), OD_OK);
    ck_assert_int_eq(od_explain_relation(&r, &script, &setup, graph, true, &e), OD_OK);
    ck_assert(!r.found);
    fake_fast_knobs = (fake_knobs){.drift_engines = true};
    ck_assert_int_eq(od_explain_relation(&r, &script, &setup, graph, true, &e), OD_OK);
    ck_assert(r.found && r.again);
    ck_assert_str_eq(r.name, "scaler_loc"); /* the first that is computed, not the first that is given */
    ck_assert_uint_eq(r.stage, OD_STAGE_SCALER);
    ck_assert_uint_eq(r.place.at.op, 0);
    ck_assert_uint_eq(r.place.n_patch, 2);
    ck_assert_double_ne(r.was, r.is);
    fake_fast_knobs = (fake_knobs){.drift_engines = true, .drift_late = true};
    ck_assert_int_eq(od_explain_relation(&r, &script, &setup, graph, false, &e), OD_OK);
    ck_assert_str_eq(r.name, "mean"); /* a later call's scaler comes after it */
    ck_assert_uint_lt(r.row, 2);
    fake_fast_knobs = (fake_knobs){.fail_engines = 1}; /* the second one */
    ck_assert_int_eq(od_explain_relation(&r, &script, &setup, graph, true, &e), OD_NO_MEMORY);
    ck_assert(!r.found && e.text[0]);
    ck_assert_uint_eq(fake_fast_knobs.n_live, 0);
    ck_assert(!script.c->options.hidden); /* the case is as it was */
}
END_TEST

START_TEST(why_nothing_was_found_is_told) {
    const od_setup setup = {.ref = fake_ref(), .fast = fake_fast()};
    od_rerun_parting r;
    od_error e = {0};
    unsigned graph, batch;
    ck_assert_int_eq(od_relation_find(&graph, "graph", &e), OD_OK);
    ck_assert_int_eq(od_relation_find(&batch, "batch", &e), OD_OK);
    ck_assert_int_eq(od_script_create(&script, &c, &e), OD_OK);
    ck_assert_int_eq(od_explain_relation(&r, &script, &setup, graph, true, &e), OD_OK);
    ck_assert_str_eq(r.why, "it holds");
    ck_assert_int_eq(od_explain_relation(&r, &script, &setup, batch, true, &e), OD_OK); /* the case has one row */
    ck_assert_str_eq(r.why, "not played: batch 1");
}
END_TEST

Suite *suite_rerun(void) {
    Suite *s = suite_create("rerun");
    TCase *t = tcase_create("rerun");
    tcase_add_checked_fixture(t, begin, end);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, places_count_from_each_session_s_prefill);
    tcase_add_test(t, the_first_tensor_that_a_rerun_changes_is_named);
    tcase_add_test(t, the_first_tensor_in_which_a_relation_s_plays_differ_is_named);
    tcase_add_test(t, why_nothing_was_found_is_told);
    suite_add_tcase(s, t);
    return s;
}
