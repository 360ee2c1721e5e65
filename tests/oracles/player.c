/* The schedule's walk: which steps an engine is given, and what is kept of its answers. */
#include <math.h>
#include <string.h>

#include "oracles/trace.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_script script;

static void setup(void) {
    fake_reset();
    fake_case(&c);
}

static void begin(od_player *p) {
    od_error e = {0};
    ck_assert_msg(od_script_create(&script, &c, &e) == OD_OK, "%s", e.text);
    ck_assert_int_eq(od_player_open(p, fake_fast(), &script, &c.options, &e), OD_OK);
}

static void finish(od_player *p) {
    od_player_close(p);
    od_script_destroy(&script);
    ck_assert_uint_eq(fake_fast_knobs.n_live, 0); /* every engine and session was closed */
}

/* P = 4: prefill of 8 steps from step 0, patches at 8 and 12, an own one (which takes step 16's place), then one of
 * the series again, at 20. */
START_TEST(teacher_forced_patches_count_own_ones) {
    c.n_op = 4;
    c.op[3] = (od_op){.kind = OD_OP_DECODE, .patches = 1};
    od_player p;
    begin(&p);
    ck_assert_int_eq(od_player_play(&p, NULL, NULL, NULL, NULL), OD_OK);
    const size_t from[] = {0, 8, 12, 0, 20}, steps[] = {8, 4, 4, 0, 4};
    ck_assert_uint_eq(fake_fast_knobs.n_seen, 5);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(fake_fast_knobs.seen[i].own, i == 3);
        ck_assert_uint_eq(fake_fast_knobs.seen[i].n_step, steps[i]);
        if (i != 3) ck_assert_float_eq(fake_fast_knobs.seen[i].first, script.series[0].value[from[i]]);
    }
    ck_assert_uint_ge(fake_fast_knobs.last_limit, 24);
    finish(&p);
}
END_TEST

/* Two sessions, of which one is only named behind two calls of the other. */
START_TEST(a_late_session_is_opened_ahead_of_its_first_call) {
    c.n_op = 4;
    c.op[2] = (od_op){.kind = OD_OP_PREFILL, .session = 1, .steps = 4};
    c.op[3] = (od_op){.kind = OD_OP_DECODE, .session = 1, .patches = 1};
    od_player p;
    od_progress at = {0};
    od_call_at where;
    od_error e = {0};
    bool more = true;
    const unsigned open[] = {1, 1, 1, 2, 2};
    ck_assert_msg(od_script_create(&script, &c, &e) == OD_OK, "%s", e.text);
    ck_assert_int_eq(od_player_open_late(&p, fake_fast(), &script, &c.options, &e), OD_OK);
    ck_assert_uint_eq(fake_fast_knobs.n_open, 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(od_player_step(&p, &at, &where, NULL, &more, &e), OD_OK);
        ck_assert(more);
        ck_assert_uint_eq(fake_fast_knobs.n_open, open[i]);
    }
    ck_assert_int_eq(od_player_step(&p, &at, &where, NULL, &more, &e), OD_OK);
    ck_assert(!more);
    ck_assert_uint_eq(fake_fast_knobs.last_limit, script.limit[1]);
    finish(&p);
}
END_TEST

START_TEST(a_reset_begins_the_series_anew_and_recapture_reaches_the_engine) {
    c.n_op = 5;
    c.op[3] = (od_op){.kind = OD_OP_RESET};
    c.op[4] = (od_op){.kind = OD_OP_PREFILL, .steps = 4};
    c.op[2] = (od_op){.kind = OD_OP_RECAPTURE};
    od_player p;
    begin(&p);
    ck_assert_int_eq(od_player_play(&p, NULL, NULL, NULL, NULL), OD_OK);
    ck_assert_uint_eq(fake_fast_knobs.n_recapture, 1);
    ck_assert_uint_eq(fake_fast_knobs.n_reset, 1);
    ck_assert_uint_eq(fake_fast_knobs.n_seen, 4);
    ck_assert_uint_eq(fake_fast_knobs.seen[3].n_step, 4);
    ck_assert_float_eq(fake_fast_knobs.seen[3].first, script.series[0].value[0]);
    finish(&p);
}
END_TEST

/* Two engines a call at a time: both are at the same place, and past the last call there is none, however often asked.
 */
START_TEST(steps_are_the_calls_of_a_play) {
    c.n_op = 5;
    c.op[2] = (od_op){.kind = OD_OP_RECAPTURE};
    c.op[3] = (od_op){.kind = OD_OP_RESET};
    c.op[4] = (od_op){.kind = OD_OP_PREFILL, .steps = 4};
    od_player p, other = {0};
    od_progress at = {0}, other_at = {0};
    od_call_at where, other_where;
    od_outputs out;
    bool more = true;
    begin(&p);
    ck_assert_int_eq(od_player_open(&other, fake_ref(), &script, &c.options, NULL), OD_OK);
    const unsigned op[] = {0, 1, 1, 4}, call[] = {0, 0, 1, 0};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(od_player_step(&p, &at, &where, &out, &more, NULL), OD_OK);
        ck_assert(more && where.op == op[i] && where.call == call[i] && out.n_tensor == 6);
        ck_assert_int_eq(od_player_step(&other, &other_at, &other_where, NULL, &more, NULL), OD_OK);
        ck_assert(more && other_where.op == where.op && other_where.call == where.call);
    }
    ck_assert_uint_eq(fake_fast_knobs.n_recapture, 1);
    ck_assert_uint_eq(fake_fast_knobs.n_reset, 1);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(od_player_step(&p, &at, &where, &out, &more, NULL), OD_OK);
        ck_assert(!more);
    }
    ck_assert_uint_eq(fake_fast_knobs.n_seen, 4);
    od_player_close(&other);
    finish(&p);
}
END_TEST

START_TEST(a_trace_keeps_every_answer_with_its_place) {
    od_player p;
    od_trace t = {0};
    begin(&p);
    od_trace_clear(&t);
    ck_assert_int_eq(od_player_play(&p, od_trace_record, &t, NULL, NULL), OD_OK);
    ck_assert_uint_eq(t.n_call, 4);
    ck_assert_uint_eq(t.n_tensor, 24);
    const enum od_step_class steps[] = {OD_STEP_PREFILL, OD_STEP_DECODE, OD_STEP_DECODE, OD_STEP_OWN};
    for (unsigned k = 0; k < 4; k++) {
        ck_assert_int_eq(t.call[k].at.step, steps[k]);
        ck_assert_uint_eq(t.call[k].at.n_own, k == 3);
        ck_assert_double_eq(t.call[k].unit, 2); /* mean of the prefill's scaler_scale */
        od_tensor loc = od_trace_view(&t, t.call[k].first + 1);
        ck_assert_str_eq(loc.name, "loc");
        ck_assert_uint_eq(loc.shape[2], k == 0 ? 8 : 4);
        for (size_t i = 0; i < od_tensor_size(&loc); i++)
            ck_assert_double_eq(od_tensor_at(&loc, i), fake_value(1, k, i));
    }
    ck_assert_uint_eq(t.call[2].at.op, 1);
    ck_assert_uint_eq(t.call[2].at.call, 1);
    od_trace_free(&t);
    finish(&p);
}
END_TEST

START_TEST(a_match_names_the_first_bit_that_differs) {
    od_player p;
    od_trace t = {0};
    begin(&p);
    od_trace_clear(&t);
    ck_assert_int_eq(od_player_play(&p, od_trace_record, &t, NULL, NULL), OD_OK);
    od_difference same = {.trace = &t}, other = {.trace = &t};
    ck_assert_int_eq(od_player_reset(&p, NULL), OD_OK);
    ck_assert_int_eq(od_player_play(&p, od_trace_match, &same, NULL, NULL), OD_OK);
    ck_assert(!same.differs);
    ck_assert_uint_eq(same.call, 4);
    fake_fast_knobs.lie = FAKE_ADD;
    fake_fast_knobs.tensor = 3;
    fake_fast_knobs.call = 2;
    fake_fast_knobs.element = 5;
    fake_fast_knobs.add = 0x1p-20;
    ck_assert_int_eq(od_player_reset(&p, NULL), OD_OK);
    ck_assert_int_eq(od_player_play(&p, od_trace_match, &other, NULL, NULL), OD_OK);
    ck_assert(other.differs);
    ck_assert_str_eq(other.name, "mean");
    ck_assert_int_eq(other.cls, OD_TENSOR_MEAN);
    ck_assert_uint_eq(other.at.op, 1);
    ck_assert_uint_eq(other.at.call, 1);
    ck_assert_uint_eq(other.index, 5);
    ck_assert_double_eq(other.is - other.was, 0x1p-20);
    od_difference shape = {.trace = &t};
    fake_fast_knobs.lie = FAKE_SHAPE; /* the same bytes */
    ck_assert_int_eq(od_player_reset(&p, NULL), OD_OK);
    ck_assert_int_eq(od_player_play(&p, od_trace_match, &shape, NULL, NULL), OD_OK);
    ck_assert(shape.differs);
    od_trace_free(&t);
    finish(&p);
}
END_TEST

START_TEST(an_engines_error_says_where_in_the_schedule) {
    od_player p;
    od_error e = {0};
    od_call_at at;
    begin(&p);
    fake_fast_knobs.fail = OD_DEVICE_FAULT;
    fake_fast_knobs.call = 2;
    ck_assert_int_eq(od_player_play(&p, NULL, NULL, &at, &e), OD_DEVICE_FAULT);
    ck_assert_ptr_nonnull(strstr(e.text, "op 1 call 1 (decode of session 0)"));
    ck_assert_uint_eq(at.op, 1);
    ck_assert_uint_eq(at.call, 1);
    finish(&p);
}
END_TEST

START_TEST(outputs_are_classed_by_name) {
    ck_assert_int_eq(od_tensor_classify("df"), OD_TENSOR_DF);
    ck_assert_int_eq(od_tensor_classify("scale"), OD_TENSOR_SCALE);
    ck_assert_int_eq(od_tensor_classify("scaler_scale"), OD_TENSOR_SCALER);
    ck_assert_int_eq(od_tensor_classify("scaler_loc"), OD_TENSOR_SCALER);
    ck_assert_int_eq(od_tensor_classify("hidden.11"), OD_TENSOR_HIDDEN);
    ck_assert_int_eq(od_tensor_classify("scaler"), OD_TENSORS);
    ck_assert_int_eq(od_tensor_classify("logits"), OD_TENSORS);
    ck_assert(od_tensor_in_data_space(OD_TENSOR_MEAN) && od_tensor_in_data_space(OD_TENSOR_SCALER));
    ck_assert(!od_tensor_in_data_space(OD_TENSOR_LOC) && !od_tensor_in_data_space(OD_TENSOR_DF));
}
END_TEST

Suite *suite_player(void) {
    Suite *s = suite_create("player");
    TCase *t = tcase_create("player");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, teacher_forced_patches_count_own_ones);
    tcase_add_test(t, a_late_session_is_opened_ahead_of_its_first_call);
    tcase_add_test(t, a_reset_begins_the_series_anew_and_recapture_reaches_the_engine);
    tcase_add_test(t, steps_are_the_calls_of_a_play);
    tcase_add_test(t, a_trace_keeps_every_answer_with_its_place);
    tcase_add_test(t, a_match_names_the_first_bit_that_differs);
    tcase_add_test(t, an_engines_error_says_where_in_the_schedule);
    tcase_add_test(t, outputs_are_classed_by_name);
    suite_add_tcase(s, t);
    return s;
}
