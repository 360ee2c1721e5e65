/* Shrinking: it lands on the smallest case that a lie needs, never on another finding, and keeps its limits. The
 * expected minima follow from the fake engine's knobs alone. */
#include "oracles/shrink.h"

#include <string.h>

#include "oracles/signature.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

static const char *const signature = "accuracy/loc/decode/b5-8.v5-8.s5-8/ref:fast";

static od_case c;
static od_judge judge;
static od_verdict v;
static od_shrink result;
static od_shrink_options options;

/* A large case, and a lie in the third decode that needs two rows, three variates, two sessions and two layers. */
static void setup(void) {
    fake_reset();
    fake_large_case(&c);
    fake_fast_knobs.lie = FAKE_ADD;
    fake_fast_knobs.tensor = 1;
    fake_fast_knobs.call = 3;
    fake_fast_knobs.add = 1;
    fake_fast_knobs.min_batch = 2;
    fake_fast_knobs.min_variates = 3;
    fake_fast_knobs.min_sessions = 2;
    fake_fast_knobs.min_layers = 2;
    od_judge_init(&judge, fake_ref(), fake_fast());
    unsigned speed;
    ck_assert_int_eq(od_oracle_find(&speed, "speed", NULL), OD_OK);
    judge.setup.oracles = fake_oracles();
    options = (od_shrink_options){.runs = OD_SHRINK_RUNS};
    ck_assert_int_eq(od_case_check(&c, NULL), OD_OK);
    ck_assert(od_case_in_domain(&c));
}

static void teardown(void) {
    od_judge_free(&judge);
}

static void shrink(const od_case *from) {
    od_error e = {0};
    enum od_status s = od_shrink_case(&result, &judge, from, signature, &options, &e);
    ck_assert_msg(s == OD_OK, "%s", e.text);
}

/* One prefill each, three decoded patches in one of two sessions, and nothing that the lie does not need. */
static void check_minimum(const od_case *m) {
    od_shrink_size s = od_shrink_measure(m);
    ck_assert_uint_eq(s.entries, 3);
    ck_assert_uint_eq(s.sessions, 2);
    ck_assert_uint_eq(s.batch, 2);
    ck_assert_uint_eq(s.variates, 3);
    ck_assert_uint_eq(s.patches, 4);
    ck_assert_uint_eq(s.layers, 2);
    ck_assert_uint_eq(s.width, 4);
    ck_assert(s.time && !s.space);
    ck_assert_uint_eq(m->config.d_mlp, 1);
    ck_assert_uint_eq(m->config.patch, 1);
    ck_assert_uint_eq(m->n_group + m->left_padding + (m->missing > 0), 0);
    ck_assert_int_eq(m->padded_variate, -1);
    ck_assert_int_eq(m->generator, OD_GEN_CONSTANT);
    ck_assert_double_eq(m->gain, 1);
    ck_assert(m->weight_seed == 1 && m->series_seed == 1);
    ck_assert(!m->options.fused && m->options.streams == 1 && m->options.order == 0);
    ck_assert_uint_eq(m->options.captures, od_options_default().captures);
    ck_assert_int_eq(m->options.cache, OD_CACHE_OFF);
    ck_assert_str_eq(m->note, "");
    ck_assert_int_eq(od_case_check(m, NULL), OD_OK);
}

START_TEST(it_lands_on_the_smallest_case_that_shows_the_finding) {
    const od_setup before = judge.setup;
    shrink(&c);
    ck_assert_int_eq(result.end, OD_SHRINK_MINIMAL);
    check_minimum(&result.best);
    ck_assert(!result.best.options.graph);
    ck_assert(od_case_in_domain(&result.best));
    ck_assert_uint_le(result.runs, 150);
    ck_assert_mem_eq(&before, &judge.setup, sizeof before);
    od_judge_case(&v, &judge, &result.best);
    ck_assert_ptr_nonnull(od_verdict_of_kind(&v, signature));
}
END_TEST

/* Every smaller case has a finding too, a larger one, of another tensor: the search must not follow it. */
START_TEST(it_does_not_drift_to_another_finding) {
    fake_fast_knobs.add_small = 100;
    od_case small = c;
    small.batch = 1;
    od_judge_case(&v, &judge, &small);
    ck_assert_msg(strncmp(v.signature, "accuracy/scale/", 15) == 0, "%s", v.signature);
    shrink(&c);
    ck_assert_int_eq(result.end, OD_SHRINK_MINIMAL);
    check_minimum(&result.best);
}
END_TEST

/* The same lie answered with NaN is a finding of other oracles: accuracy's would be drift from finite's. */
START_TEST(the_oracle_is_part_of_the_kind) {
    fake_fast_knobs.lie = FAKE_NAN;
    c.padded_variate = 6;
    od_judge_case(&v, &judge, &c);
    const od_ruling *finite = NULL;
    for (unsigned i = 0; i < OD_ORACLES; i++)
        if (strncmp(v.ruling[i].signature, "finite/", 7) == 0) finite = &v.ruling[i];
    ck_assert_ptr_nonnull(finite);
    od_error e = {0};
    ck_assert_int_eq(od_shrink_case(&result, &judge, &c, finite->signature, &options, &e), OD_OK);
    ck_assert_int_eq(result.end, OD_SHRINK_MINIMAL);
    check_minimum(&result.best);
}
END_TEST

START_TEST(the_passing_neighbour_is_one_move_away_and_passes) {
    fake_fast_knobs.only_graph = true;
    shrink(&c);
    check_minimum(&result.best);
    ck_assert(result.best.options.graph);
    ck_assert(result.has_passes);
    ck_assert_str_eq(result.passes_move->name, "switches");
    ck_assert(!result.passes.options.graph);
    od_case back = result.passes;
    back.options.graph = true;
    ck_assert_uint_eq(od_case_hash(&back), od_case_hash(&result.best));
    od_judge_case(&v, &judge, &result.passes);
    ck_assert_int_eq(v.outcome, OD_PASS);
    od_judge_case(&v, &judge, &back);
    ck_assert_int_eq(v.outcome, OD_FINDING);
}
END_TEST

/* Every candidate that lacks the finding has another one: then no neighbour passes, and none is given. */
START_TEST(a_neighbour_with_another_finding_does_not_pass) {
    fake_fast_knobs.add_small = 100;
    fake_fast_knobs.call = 0;
    fake_fast_knobs.min_batch = fake_fast_knobs.min_sessions = fake_fast_knobs.min_layers = 0;
    od_judge_case(&v, &judge, &c);
    ck_assert_int_eq(od_shrink_case(&result, &judge, &c, v.signature, &options, NULL), OD_OK);
    ck_assert_int_eq(result.end, OD_SHRINK_MINIMAL);
    ck_assert_uint_eq(result.best.variates, 3);
    ck_assert(!result.has_passes && !result.passes_move);
}
END_TEST

/* What passes for the own oracle of the finding may fail for another: here every rerun differs, as determinism sees. */
START_TEST(a_neighbour_passes_by_all_oracles) {
    fake_fast_knobs.drift_runs = true;
    shrink(&c);
    check_minimum(&result.best);
    ck_assert(!result.has_passes);
}
END_TEST

static bool count(const od_shrink_step *step, void *arg) {
    unsigned *n = arg;
    n[0]++;
    n[1] += step->ruling != NULL;
    ck_assert_uint_gt(step->runs, 0);
    return n[1] < n[2];
}

START_TEST(a_search_in_pieces_reaches_the_same_minimum) {
    unsigned pieces = 0;
    shrink(&c);
    const uint64_t whole = od_case_hash(&result.best);
    ck_assert_uint_gt(result.runs, 40);
    options.runs = 40;
    od_case at = c;
    do {
        shrink(&at);
        ck_assert_uint_le(result.runs, 40);
        at = result.best;
        ck_assert_uint_lt(++pieces, 20);
    } while (result.end == OD_SHRINK_LIMIT);
    ck_assert_int_eq(result.end, OD_SHRINK_MINIMAL);
    ck_assert_uint_gt(pieces, 1);
    ck_assert_uint_eq(od_case_hash(&result.best), whole);
}
END_TEST

START_TEST(a_search_that_is_stopped_keeps_the_best_so_far) {
    unsigned n[3] = {0, 0, 2};
    options.step = count;
    options.arg = n;
    shrink(&c);
    ck_assert_int_eq(result.end, OD_SHRINK_STOPPED);
    ck_assert_uint_eq(result.taken, 2);
    ck_assert_uint_eq(n[1], 2);
    ck_assert_uint_lt(od_shrink_measure(&result.best).entries, c.n_op);
    od_judge_case(&v, &judge, &result.best);
    ck_assert_ptr_nonnull(od_verdict_of_kind(&v, signature));
}
END_TEST

START_TEST(kept_candidates_were_judged_twice_and_none_beyond_the_limit) {
    unsigned n[3] = {0, 0, 1000};
    options.step = count;
    options.arg = n;
    options.runs = 60;
    fake_fast_knobs.n_create = 0;
    shrink(&c);
    ck_assert_uint_le(result.runs, 60);
    ck_assert_uint_eq(n[1], result.taken);
    ck_assert_uint_le(n[0] + n[1], result.runs);
    ck_assert_uint_ge(n[0] + n[1] + 3, result.runs);
}
END_TEST

START_TEST(a_finding_that_comes_and_goes_takes_nothing_away) {
    fake_fast_knobs.steady = 2;
    shrink(&c);
    ck_assert_int_eq(result.end, OD_SHRINK_MINIMAL);
    ck_assert_uint_eq(result.taken, 0);
    ck_assert_uint_eq(od_case_hash(&result.best), od_case_hash(&c));
    fake_fast_knobs.steady = 1;
    fake_fast_knobs.n_create = 0;
    shrink(&c);
    ck_assert_int_eq(result.end, OD_SHRINK_LOST);
    ck_assert_uint_eq(result.runs, 0);
}
END_TEST

START_TEST(a_case_that_passes_is_lost) {
    fake_fast_knobs.lie = FAKE_HONEST;
    shrink(&c);
    ck_assert_int_eq(result.end, OD_SHRINK_LOST);
    ck_assert_uint_eq(result.runs, 0);
    ck_assert(!result.has_passes);
}
END_TEST

static bool keep_graph(od_case *candidate, void *arg) {
    candidate->options.graph = true;
    return true;
}

START_TEST(what_is_pinned_stays) {
    options.pin = keep_graph;
    shrink(&c);
    ck_assert(result.best.options.graph);
    check_minimum(&result.best);
}
END_TEST

START_TEST(a_signature_names_an_oracle) {
    od_error e = {0};
    ck_assert_int_eq(od_shrink_case(&result, &judge, &c, "expect/absent/-/b1.v1.s1/ref:fast", &options, &e),
                     OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "expect"));
}
END_TEST

/* From 7 to 6 of 7 variates: neither the whole way nor a half is right. */
START_TEST(numbers_go_down_to_the_last_one_that_works) {
    fake_fast_knobs.min_variates = 6;
    fake_fast_knobs.min_batch = 4;
    fake_fast_knobs.min_layers = 5;
    fake_fast_knobs.call = 6;
    shrink(&c);
    od_shrink_size s = od_shrink_measure(&result.best);
    ck_assert_uint_eq(s.variates, 6);
    ck_assert_uint_eq(s.batch, 4);
    ck_assert_uint_eq(s.layers, 5);
    ck_assert_uint_eq(s.patches, 7);
}
END_TEST

Suite *suite_shrink(void) {
    Suite *s = suite_create("shrink");
    TCase *t = tcase_create("shrink");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, it_lands_on_the_smallest_case_that_shows_the_finding);
    tcase_add_test(t, it_does_not_drift_to_another_finding);
    tcase_add_test(t, the_oracle_is_part_of_the_kind);
    tcase_add_test(t, the_passing_neighbour_is_one_move_away_and_passes);
    tcase_add_test(t, a_neighbour_with_another_finding_does_not_pass);
    tcase_add_test(t, a_neighbour_passes_by_all_oracles);
    tcase_add_test(t, a_search_in_pieces_reaches_the_same_minimum);
    tcase_add_test(t, a_search_that_is_stopped_keeps_the_best_so_far);
    tcase_add_test(t, kept_candidates_were_judged_twice_and_none_beyond_the_limit);
    tcase_add_test(t, a_finding_that_comes_and_goes_takes_nothing_away);
    tcase_add_test(t, a_case_that_passes_is_lost);
    tcase_add_test(t, what_is_pinned_stays);
    tcase_add_test(t, a_signature_names_an_oracle);
    tcase_add_test(t, numbers_go_down_to_the_last_one_that_works);
    suite_add_tcase(s, t);
    return s;
}
