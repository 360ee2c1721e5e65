/* Where the seconds of a case go: every call of the engines is counted, once, and the arbiter apart. */
#include "oracles/judge.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static od_case c;
static od_judge judge;
static od_verdict v;

enum { EACH = 300 }; /* microseconds that a call takes at least */

static void setup(void) {
    fake_reset();
    fake_case(&c);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = fake_oracles();
    fake_fast_knobs.each_microseconds = EACH;
}

static void teardown(void) {
    od_judge_free(&judge);
}

static double least(void) {
    return 1e-6 * EACH * fake_fast_knobs.n_each;
}

static void check_sum(void) {
    const od_spent *s = &v.spent;
    ck_assert(s->engines > 0 && s->generation > 0 && s->arbiter >= 0 && s->judging > 0);
    ck_assert_double_eq_tol(s->engines + s->arbiter + s->generation + s->judging, v.seconds, 1e-9);
}

/* A case with a reset and a recapture; all the reruns of the oracles that the engine is for. */
START_TEST(every_call_of_an_engine_is_the_engines_time) {
    c.n_op = 6;
    c.op[3] = (od_op){.kind = OD_OP_RESET};
    c.op[4] = (od_op){.kind = OD_OP_RECAPTURE};
    c.op[5] = (od_op){.kind = OD_OP_PREFILL, .steps = 4};
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    check_sum();
    ck_assert_uint_gt(fake_fast_knobs.n_each, 40);
    ck_assert_double_ge(v.spent.engines, least());
    ck_assert_double_eq(v.spent.arbiter, 0);
    fake_ref_knobs.each_microseconds = EACH; /* the reference's as well */
    fake_fast_knobs.each_microseconds = 0;
    fake_ref_knobs.n_each = fake_fast_knobs.n_each = 0;
    od_judge_case(&v, &judge, &c);
    ck_assert_double_ge(v.spent.engines, 1e-6 * EACH * fake_ref_knobs.n_each);
}
END_TEST

/* What the rate profile's oracles cost, in plays, which no loaded machine changes: the reference's; the fast path's
 * first, the rerun behind a reset, that of new sessions, the plain path and a fresh engine. A sixth would cost a sixth
 * more. */
START_TEST(a_case_takes_five_plays_of_the_fast_path_and_one_of_the_reference) {
    judge.setup.oracles = 1 | od_oracle_bit(&od_oracle_accuracy) | od_oracle_bit(&od_oracle_finite) |
                          od_oracle_bit(&od_oracle_determinism) | od_oracle_bit(&od_oracle_memory);
    judge.setup.crowded = true; /* or what this process takes of memory could have a say */
    fake_fast_knobs.each_microseconds = 0;
    od_judge_case(&v, &judge, &c);
    ck_assert_msg(v.outcome == OD_PASS, "%s", v.reason);
    ck_assert_uint_eq(fake_ref_knobs.n_create, 1);
    ck_assert_uint_eq(fake_ref_knobs.n_seen, 4);
    ck_assert_uint_eq(fake_fast_knobs.n_create, 3);
    ck_assert_uint_eq(fake_fast_knobs.n_open, 4);
    ck_assert_uint_eq(fake_fast_knobs.n_seen, 5 * 4); /* calls of this case: 4 a play */
}
END_TEST

/* The relations play on further engines and scripts. */
START_TEST(plays_of_relations_are_the_engines_time) {
    judge.setup.oracles = 1 | od_oracle_bit(&od_oracle_consistency);
    od_judge_case(&v, &judge, &c);
    check_sum();
    ck_assert_double_ge(v.spent.engines, least());
}
END_TEST

/* The fast path of one engine, the arbiter of the other: what is played for the arbiter is not the engines' time. */
START_TEST(the_arbiter_stands_apart) {
    judge.setup.oracles = 1 | od_oracle_bit(&od_oracle_accuracy);
    od_judge_case(&v, &judge, &c);
    const unsigned alone = fake_fast_knobs.n_each;
    const double engines = v.spent.engines;
    judge.setup.arbiter = fake_ref();
    judge.setup.always_arbiter = true;
    for (int i = 0; i < 20; i++) { /* on a busy machine a call may take any time */
        const unsigned before = fake_fast_knobs.n_each;
        od_judge_case(&v, &judge, &c);
        check_sum();
        ck_assert_uint_ge(fake_fast_knobs.n_each - before, 2 * alone); /* once for the verdict, once for the arbiter */
        ck_assert_double_ge(v.spent.arbiter, 1e-6 * EACH * alone);
        if (v.spent.engines < engines + 1e-6 * EACH * alone) return;
    }
    ck_abort_msg("engines %g s, without an arbiter %g s", v.spent.engines, engines);
}
END_TEST

START_TEST(a_run_adds_its_cases_up) {
    od_tally t;
    od_tally_init(&t);
    ck_assert_double_eq(od_spent_share(&t.spent), 0);
    v = (od_verdict){.outcome = OD_PASS, .spent = {.engines = 4, .arbiter = 1, .generation = 2, .judging = 0.5}};
    od_tally_add(&t, &v, "a");
    od_tally_add(&t, &v, "b");
    ck_assert_double_eq(t.spent.engines, 8);
    ck_assert_double_eq(t.spent.arbiter, 2);
    ck_assert_double_eq(t.spent.generation, 4);
    ck_assert_double_eq(t.spent.judging, 1);
    ck_assert_double_eq(od_spent_share(&t.spent), 0.125);
}
END_TEST

Suite *suite_spent(void) {
    Suite *s = suite_create("spent");
    TCase *t = tcase_create("spent");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_call_of_an_engine_is_the_engines_time);
    tcase_add_test(t, a_case_takes_five_plays_of_the_fast_path_and_one_of_the_reference);
    tcase_add_test(t, plays_of_relations_are_the_engines_time);
    tcase_add_test(t, the_arbiter_stands_apart);
    tcase_add_test(t, a_run_adds_its_cases_up);
    suite_add_tcase(s, t);
    return s;
}
