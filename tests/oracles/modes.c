/* What oracles make of a fast path's modes: graphs that are captured again, fused kernels on an emulated device. */
#include <string.h>

#include "oracles/judge.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_judge judge;
static od_verdict v;
static unsigned captures, speed;

static void setup(void) {
    fake_reset();
    fake_case(&c);
    ck_assert_int_eq(od_oracle_find(&captures, "captures", NULL), OD_OK);
    ck_assert_int_eq(od_oracle_find(&speed, "speed", NULL), OD_OK);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
}

static void teardown(void) {
    od_judge_free(&judge);
}

/* A pair that played its schedule three times on one engine: `first` graphs at the first, `all` in the end. */
static od_ruling captures_of(uint64_t first, uint64_t all, unsigned recaptures) {
    static od_script script;
    static od_setup given;
    static od_model model;
    od_evidence ev = {.script = &script, .setup = &given, .n_live = 3, .n_played = 3};
    od_ruling r = {0};
    ck_assert_int_eq(od_config_preset(&model.config, "seed-tiny", NULL), OD_OK);
    script.c = &c;
    script.model = &model;
    given.fast = fake_fast();
    fake_case(&c);
    for (unsigned i = 0; i < recaptures; i++) c.op[c.n_op++] = (od_op){.kind = OD_OP_RECAPTURE};
    ev.fast_stats.captures = first;
    ev.fast_end.captures = all;
    od_oracle_at(captures)->judge(&r, &ev);
    return r;
}

START_TEST(a_graph_captured_once_passes_and_one_captured_again_is_a_finding) {
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    ck_assert_int_eq(v.ruling[captures].outcome, OD_PASS);
    fake_fast_knobs.captures_anew = true;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_FINDING);
    ck_assert_msg(strncmp(v.signature, "captures/again/-/", 17) == 0, "%s", v.signature);
    ck_assert_double_eq(v.value, 2); /* two plays behind the first */
}
END_TEST

START_TEST(captures_are_held_to_the_limit) {
    ck_assert_int_eq(captures_of(8, 8, 0).outcome, OD_PASS);
    od_ruling r = captures_of(9, 9, 0);
    ck_assert_int_eq(r.outcome, OD_FINDING);
    ck_assert_str_eq(r.subject, "limit");
    ck_assert_double_eq(r.value, 9);
    ck_assert_double_eq(r.bound, 8);
}
END_TEST

/* One re-capture a play: three plays may capture what the first did, three times, and 8·(1 + 3) graphs in all. */
START_TEST(captures_that_the_schedule_asks_for_are_allowed) {
    ck_assert_int_eq(captures_of(3, 9, 1).outcome, OD_PASS);
    ck_assert_str_eq(captures_of(3, 10, 1).subject, "again");
    ck_assert_int_eq(captures_of(16, 32, 1).outcome, OD_PASS);
    ck_assert_str_eq(captures_of(16, 33, 1).subject, "limit");
    ck_assert_str_eq(captures_of(3, 4, 0).subject, "again");
}
END_TEST

START_TEST(captures_need_a_second_play_and_an_engine_with_graphs) {
    od_script script = {.c = &c};
    od_setup given = {.fast = fake_fast()};
    od_evidence ev = {.script = &script, .setup = &given, .n_live = 1};
    od_ruling r = {0};
    od_oracle_at(captures)->judge(&r, &ev);
    ck_assert_int_eq(r.outcome, OD_INCONCLUSIVE);
    c.options.graph = false;
    od_oracle_at(captures)->judge(&r, &ev);
    ck_assert_int_eq(r.outcome, OD_SKIPPED);
    c.options.graph = true;
    given.fast = fake_ref();
    od_oracle_at(captures)->judge(&r, &ev);
    ck_assert_int_eq(r.outcome, OD_SKIPPED);
}
END_TEST

/* Timings of fused kernels on an emulated device are not even taken; of plain kernels there, or of fused ones on a real
 * device, they are. */
START_TEST(fused_kernels_are_not_timed_where_the_device_is_emulated) {
    judge.setup.oracles |= 1u << speed;
    judge.setup.speed_seconds = 1e-9;
    for (int emulated = 0; emulated < 2; emulated++)
        for (int fused = 0; fused < 2; fused++) {
            fake_fast_knobs.emulated = emulated;
            c.options.fused = fused;
            od_judge_case(&v, &judge, &c);
            const bool is_void = emulated && fused;
            ck_assert_int_eq(v.ruling[speed].outcome == OD_SKIPPED, is_void);
            ck_assert_int_eq(v.evidence->n_pair == 0, is_void);
            if (is_void) ck_assert_ptr_nonnull(strstr(v.ruling[speed].reason, "emulated"));
            if (is_void) ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
        }
}
END_TEST

START_TEST(required_by_name_a_speed_that_was_skipped_is_no_pass) {
    judge.setup.oracles |= 1u << speed;
    fake_fast_knobs.emulated = c.options.fused = true;
    od_judge_case(&v, &judge, &c);
    od_tally t;
    od_tally_init(&t);
    od_tally_add(&t, &v, "emulated");
    ck_assert_int_eq(od_tally_exit(&t, od_oracles_required(), 0), 0);
    ck_assert_int_eq(od_tally_exit(&t, od_oracles_required(), 1u << speed), 4);
}
END_TEST

/* An engine that was told to ignore what the case asks for proves nothing of it, and has done nothing wrong. */
START_TEST(a_rolled_back_engine_is_no_pass_and_no_finding) {
    unsigned vacuity;
    ck_assert_int_eq(od_oracle_find(&vacuity, "vacuity", NULL), OD_OK);
    judge.setup.oracles |= 1u << speed;
    judge.setup.speed_seconds = 1e-9;
    fake_fast_knobs.rolled_back = fake_fast_knobs.no_replay = true;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(v.outcome, OD_INCONCLUSIVE);
    ck_assert_int_eq(v.ruling[vacuity].outcome, OD_INCONCLUSIVE);
    ck_assert_int_eq(v.ruling[speed].outcome, OD_SKIPPED);
    ck_assert_ptr_nonnull(strstr(v.reason, "OD_DISABLE_FAST"));
    c.options.graph = false; /* nothing was taken from it */
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
}
END_TEST

Suite *suite_modes(void) {
    Suite *s = suite_create("modes");
    TCase *t = tcase_create("modes");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_graph_captured_once_passes_and_one_captured_again_is_a_finding);
    tcase_add_test(t, captures_are_held_to_the_limit);
    tcase_add_test(t, captures_that_the_schedule_asks_for_are_allowed);
    tcase_add_test(t, captures_need_a_second_play_and_an_engine_with_graphs);
    tcase_add_test(t, fused_kernels_are_not_timed_where_the_device_is_emulated);
    tcase_add_test(t, required_by_name_a_speed_that_was_skipped_is_no_pass);
    tcase_add_test(t, a_rolled_back_engine_is_no_pass_and_no_finding);
    suite_add_tcase(s, t);
    return s;
}
