/* Bisection: the switches that a planted dependence needs are named, whatever else differs; what cannot be told is not
 * called vanished; chance is counted. */
#include "oracles/bisect.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "oracles/rate.h"
#include "tests/oracles/fake_engine.h"
#include "tests/oracles/suites.h"

enum { LOC = 1, SCALE = 2, HONEST = -1, RUNS = 500 };

static const char finding[] = "accuracy/loc/decode/b1.v2-4.s2-4/ref:fast";
static od_case c;
static od_judge judge;
static od_bisect b;
static od_error e;
static unsigned asked; /* engines whose options were looked at */

static void setup(void) {
    fake_reset();
    fake_case(&c);
    od_judge_init(&judge, fake_ref(), fake_fast());
    judge.setup.oracles = 1u | 1u << 1 | 1u << 4; /* engine, accuracy, memory */
    b = (od_bisect){0};
    asked = 0;
    fake_fast_knobs.lie = FAKE_ADD;
    fake_fast_knobs.call = 2;
    fake_fast_knobs.add = 1;
    fake_fast_knobs.tensor = LOC;
}

static void teardown(void) {
    ck_assert_uint_eq(fake_fast_knobs.n_live, 0);
    od_bisect_free(&b);
    od_judge_free(&judge);
}

static void bisect(const char *signature, unsigned limit) {
    od_bisect_free(&b);
    ck_assert_msg(od_bisect_case(&b, &judge, &c, signature, limit, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_le(b.runs, limit);
}

/* The switches of a word: "graph", "graph cache". */
static unsigned bits(const char *names) {
    unsigned set = 0;
    for (unsigned i = 0; od_options_name(i); i++)
        if (strstr(names, od_options_name(i))) set |= 1u << i;
    return set;
}

/* The sets are exactly those of the words, which end with NULL. */
static void has_sets(const od_bisect_set *sets, size_t n, const char *const *words) {
    size_t expected = 0;
    for (; words[expected]; expected++) {
        bool found = false;
        for (size_t i = 0; i < n; i++) found = found || sets[i].switches == bits(words[expected]);
        ck_assert_msg(found, "no set %s", words[expected]);
    }
    ck_assert_uint_eq(n, expected);
}

#define HAS_OFF(...) has_sets(b.off, b.n_off, (const char *const[]){__VA_ARGS__, NULL})
#define HAS_ON(...)  has_sets(b.on, b.n_on, (const char *const[]){__VA_ARGS__, NULL})

static int with_graph(const od_options *o) {
    return o->graph ? LOC : HONEST;
}

static int with_graph_and_fixed_cache(const od_options *o) {
    return o->graph && o->cache == OD_CACHE_FIXED ? LOC : HONEST;
}

static int with_graph_or_streams(const od_options *o) {
    return o->graph || o->streams > 1 ? LOC : HONEST;
}

static int without_fused(const od_options *o) {
    return o->fused ? HONEST : LOC;
}

static int without_graph_or_cache(const od_options *o) {
    return o->graph || o->cache != OD_CACHE_OFF ? HONEST : LOC;
}

static int elsewhere_without_graph(const od_options *o) {
    return o->graph ? LOC : SCALE;
}

static int elsewhere_without_cache(const od_options *o) {
    return o->cache != OD_CACHE_OFF ? LOC : SCALE;
}

static int every_third_with_graph(const od_options *o) {
    return o->graph && asked++ % 3 == 0 ? LOC : HONEST;
}

static int ten_times_with_graph(const od_options *o) {
    return o->graph && asked++ < 10 ? LOC : HONEST;
}

static int with_cache(const od_options *o) {
    return o->cache != OD_CACHE_OFF ? LOC : HONEST;
}

static bool is_without_graph(const od_options *o) {
    return !o->graph;
}

/* A switch that is added to the model and not here would never be turned. */
START_TEST(every_switch_can_be_turned_plain) {
    static const char *const fast[] = {"graph=on",  "cache=fixed", "fused=on",   "autotune=on", "tf32=on",
                                       "threads=2", "streams=2",   "captures=8", "order=1"};
    od_options o = od_options_default();
    for (size_t i = 0; i < sizeof fast / sizeof fast[0]; i++) ck_assert_int_eq(od_options_set(&o, fast[i], &e), OD_OK);
    for (size_t i = 0; od_options_name(i); i++) {
        char text[64];
        const char *value = NULL, *last;
        for (unsigned k = 0; (last = od_bisect_turn(&o, i, k)); k++) value = last;
        ck_assert_msg(value != NULL, "%s has no plain value", od_options_name(i));
        snprintf(text, sizeof text, "%s=%s", od_options_name(i), value);
        ck_assert_int_eq(od_options_set(&o, text, &e), OD_OK);
        ck_assert_ptr_null(od_bisect_turn(&o, i, 0));
    }
    ck_assert_int_eq(od_options_set(&o, "cache=dynamic", &e), OD_OK);
    ck_assert_str_eq(od_bisect_turn(&o, 1, 0), "off");
    ck_assert_ptr_null(od_bisect_turn(&o, 1, 1));
}
END_TEST

START_TEST(one_switch_is_named) {
    fake_fast_knobs.where = with_graph;
    const unsigned oracles = judge.setup.oracles;
    bisect(NULL, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_NAMED);
    ck_assert_str_eq(b.signature, finding);
    HAS_OFF("graph");
    HAS_ON("graph");
    ck_assert_uint_eq(b.turnable, bits("graph cache streams captures order"));
    ck_assert_uint_eq(b.setting[0].shown, OD_BISECT_SHOWN);
    ck_assert_double_eq_tol(b.low, pow(0.025, 1.0 / OD_BISECT_SHOWN), 1e-12);
    ck_assert_uint_eq(b.repeats, 4);
    ck_assert_uint_eq(b.setting[b.off[0].at].clean, 4);
    ck_assert(!b.setting[b.off[0].at].options.graph);
    ck_assert_int_eq(b.setting[b.all_plain].state, OD_BISECT_CLEAN);
    ck_assert_uint_eq(b.again.shown, 1);
    ck_assert(!b.limited);
    ck_assert_uint_eq(judge.setup.oracles, oracles);
}
END_TEST

START_TEST(a_switch_is_turned_no_further_than_it_needs) {
    fake_fast_knobs.where = with_cache;
    bisect(finding, RUNS);
    HAS_OFF("cache");
    ck_assert_int_eq(b.setting[b.off[0].at].options.cache, OD_CACHE_OFF);
    fake_fast_knobs.where = with_graph_and_fixed_cache;
    bisect(finding, RUNS);
    HAS_OFF("graph", "cache");
    ck_assert_int_eq(b.setting[b.off[1].at].options.cache, OD_CACHE_DYNAMIC);
    c.options.cache = OD_CACHE_OFF;
    fake_fast_knobs.where = with_graph;
    bisect(finding, RUNS);
    ck_assert_uint_eq(b.turnable, bits("graph streams captures order"));
}
END_TEST

START_TEST(two_that_are_needed_are_each_enough_to_turn_off) {
    fake_fast_knobs.where = with_graph_and_fixed_cache;
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_NAMED);
    HAS_OFF("graph", "cache");
    HAS_ON("graph cache");
    ck_assert_uint_eq(b.n_setting, 8); /* the case, five turns (cache=off is none after dynamic), all plain, both on */
}
END_TEST

START_TEST(where_either_is_enough_both_must_be_turned_off) {
    fake_fast_knobs.where = with_graph_or_streams;
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_NAMED);
    HAS_OFF("graph streams");
    HAS_ON("graph", "streams");
}
END_TEST

START_TEST(no_switch_matters_to_what_shows_without_any) {
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_ALWAYS);
    ck_assert_uint_eq(b.n_off + b.n_on + b.n_hides, 0);
    ck_assert_uint_eq(b.n_setting, 9); /* the case, six turns, all plain; no pairs; fused=on */
    ck_assert(b.setting[8].options.fused);
    ck_assert_int_eq(b.setting[8].state, OD_BISECT_SHOWS);
    const char *const plain[] = {"graph=off", "cache=off", "streams=1", "captures=1", "order=0"};
    for (int i = 0; i < 5; i++) ck_assert_int_eq(od_options_set(&c.options, plain[i], &e), OD_OK);
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_ALWAYS);
    ck_assert_uint_eq(b.turnable, 0);
    ck_assert_uint_eq(b.runs, OD_BISECT_SHOWN + OD_BISECT_HIDING);
}
END_TEST

/* What is plain in the case and hides it: the path that is wrong is the plain one. */
START_TEST(what_shows_without_any_switch_may_vanish_with_one) {
    fake_fast_knobs.where = without_fused;
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_ALWAYS);
    has_sets(b.hides, b.n_hides, (const char *const[]){"fused", NULL});
    ck_assert(b.setting[b.hides[0].at].options.fused && b.setting[b.hides[0].at].options.graph);
    ck_assert_uint_eq(b.setting[b.hides[0].at].clean, b.repeats);
    c.options.graph = false;
    c.options.cache = OD_CACHE_OFF;
    fake_fast_knobs.where = without_graph_or_cache;
    bisect(finding, RUNS);
    has_sets(b.hides, b.n_hides, (const char *const[]){"graph", "cache", NULL});
}
END_TEST

START_TEST(another_finding_of_the_oracle_is_not_vanished) {
    fake_fast_knobs.where = elsewhere_without_graph;
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_UNSETTLED);
    ck_assert_uint_eq(b.n_off, 0);
    ck_assert_int_eq(b.setting[1].state, OD_BISECT_OPEN);
    ck_assert(!b.setting[1].options.graph);
    ck_assert_ptr_nonnull(strstr(b.setting[1].reason, "accuracy/scale/"));
    for (size_t i = 2; i < b.n_setting; i++) { /* larger sets do without it */
        ck_assert(b.setting[i].options.graph);
        ck_assert_int_eq(b.setting[i].state, OD_BISECT_SHOWS);
    }
}
END_TEST

/* cache=off gives another finding, cache=dynamic the same: the switch was judged. */
START_TEST(a_switch_is_judged_where_one_of_its_turns_is) {
    fake_fast_knobs.where = elsewhere_without_cache;
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_ALWAYS);
    ck_assert_int_eq(b.setting[b.all_plain].options.cache, OD_CACHE_DYNAMIC);
    ck_assert(!b.setting[b.all_plain].options.graph);
}
END_TEST

START_TEST(what_cannot_run_is_not_vanished) {
    fake_fast_knobs.where = with_graph;
    fake_fast_knobs.refuses = is_without_graph;
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_UNSETTLED);
    ck_assert_int_eq(b.setting[1].state, OD_BISECT_OPEN);
    ck_assert_ptr_nonnull(strstr(b.setting[1].reason, "SKIPPED: fast cannot: it was told so"));
    fake_fast_knobs.rolled_back = true; /* the engine ignores the switches */
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_UNABLE);
    ck_assert_ptr_nonnull(strstr(b.setting[0].reason, "OD_DISABLE_FAST"));
}
END_TEST

/* The plain path's peak is the plain path's peak: that says nothing. */
START_TEST(a_peak_is_not_vanished_where_nothing_is_held_against_it) {
    fake_fast_knobs.lie = FAKE_HONEST;
    fake_fast_knobs.peak_factor = 2;
    bisect(NULL, RUNS);
    ck_assert_ptr_nonnull(strstr(b.signature, "memory/peak/"));
    ck_assert_int_eq(b.answer, OD_BISECT_UNSETTLED);
    c.options.fused = true;
    bisect(NULL, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_NAMED);
    HAS_OFF("graph");
}
END_TEST

START_TEST(a_finding_now_and_then_is_named_with_its_rate) {
    fake_fast_knobs.where = every_third_with_graph;
    bisect(finding, RUNS);
    const od_bisect_setting *own = &b.setting[0];
    ck_assert_int_eq(b.answer, OD_BISECT_NAMED);
    HAS_OFF("graph");
    HAS_ON("graph");
    ck_assert_uint_eq(own->shown, OD_BISECT_SHOWN);
    ck_assert_uint_eq(own->shown + own->clean, 3 * OD_BISECT_SHOWN - 2);
    ck_assert_double_lt(b.low, 1.0 / 3);
    ck_assert_double_gt(b.high, 1.0 / 3);
    ck_assert_double_le(pow(1 - b.low, b.repeats), OD_BISECT_CHANCE);
    ck_assert_double_gt(pow(1 - b.low, b.repeats - 1), OD_BISECT_CHANCE);
    ck_assert_uint_eq(b.setting[b.off[0].at].clean, b.repeats);
    for (size_t i = 1; i < b.n_setting; i++) /* a few clean runs do not acquit */
        if (b.setting[i].options.graph) ck_assert_int_eq(b.setting[i].state, OD_BISECT_SHOWS);
}
END_TEST

START_TEST(a_finding_that_went_away_by_itself_proves_nothing) {
    fake_fast_knobs.where = ten_times_with_graph;
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_FADED);
    ck_assert_uint_eq(b.again.clean, b.repeats);
    ck_assert_uint_eq(b.again.shown, 0);
}
END_TEST

START_TEST(the_limit_of_runs_holds_and_is_told) {
    fake_fast_knobs.where = with_graph_or_streams;
    for (unsigned limit = 1; limit < 40; limit += 3) {
        bisect(finding, limit);
        ck_assert(b.limited);
        ck_assert_uint_eq(b.runs, limit);
        ck_assert(b.answer == OD_BISECT_UNSETTLED || b.n_off > 0);
    }
    bisect(NULL, 1);
    ck_assert_int_eq(b.answer, OD_BISECT_UNABLE);
    ck_assert_str_ne(b.setting[0].reason, "");
    /* One clean setting is seen, all plain: the answer, but perhaps not the smallest. */
    bisect(finding, 20);
    ck_assert_int_eq(b.answer, OD_BISECT_NAMED);
    HAS_OFF("graph cache streams captures order");
}
END_TEST

START_TEST(without_a_finding_there_is_nothing_to_bisect) {
    fake_fast_knobs.lie = FAKE_HONEST;
    bisect(NULL, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_NOTHING);
    ck_assert_uint_eq(b.setting[0].clean, OD_BISECT_PATIENCE);
    bisect(finding, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_NOTHING);
    ck_assert_uint_eq(b.runs, OD_BISECT_PATIENCE);
    ck_assert_double_eq(b.low, 0);
    ck_assert_double_eq_tol(b.high, 1 - pow(0.025, 1.0 / OD_BISECT_PATIENCE), 1e-12);
    fake_fast_knobs.cannot = true;
    for (int known = 0; known < 2; known++) {
        bisect(known ? finding : NULL, RUNS);
        ck_assert_int_eq(b.answer, OD_BISECT_UNABLE);
        ck_assert_int_eq(b.outcome, OD_SKIPPED);
        ck_assert_ptr_nonnull(strstr(b.setting[0].reason, "it was told so"));
    }
}
END_TEST

START_TEST(an_expected_finding_is_bisected_like_any_other) {
    fake_fast_knobs.where = with_graph;
    strcpy(c.expect, finding);
    bisect(NULL, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_NAMED);
    HAS_OFF("graph");
    strcpy(c.expect, "accuracy/df/own/b1.v1.s1/ref:fast"); /* its absence is no finding here */
    fake_fast_knobs.lie = FAKE_HONEST;
    bisect(NULL, RUNS);
    ck_assert_int_eq(b.answer, OD_BISECT_NOTHING);
}
END_TEST

START_TEST(no_signature_is_bad_input) {
    const char *const bad[] = {"pass", "accuracy/loc", "acuracy/loc/decode/b1.v1.s1/ref:fast"};
    for (int i = 0; i < 3; i++) {
        od_bisect_free(&b);
        ck_assert_int_eq(od_bisect_case(&b, &judge, &c, bad[i], RUNS, &e), OD_BAD_INPUT);
        ck_assert_ptr_nonnull(strstr(e.text, bad[i]));
    }
}
END_TEST

/* Ends in closed form; between them the values of the tables of Clopper and Pearson, and symmetry. */
START_TEST(rates_have_the_interval_of_clopper_and_pearson) {
    double low, high, mirrored_low, mirrored_high;
    for (unsigned n = 1; n <= 1000; n = n * 3 + 1) {
        od_rate_interval(&low, &high, 0, n);
        ck_assert_double_eq(low, 0);
        ck_assert_double_eq_tol(high, 1 - pow(0.025, 1.0 / n), 1e-12);
        od_rate_interval(&low, &high, n, n);
        ck_assert_double_eq(high, 1);
        ck_assert_double_eq_tol(low, pow(0.025, 1.0 / n), 1e-12);
    }
    const struct {
        unsigned k, n;
        double low, high;
    } table[] = {{5, 10, 0.1871, 0.8129}, {1, 10, 0.0025, 0.4450}, {10, 100, 0.0490, 0.1762}, {1, 2, 0.0126, 0.9874}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        od_rate_interval(&low, &high, table[i].k, table[i].n);
        ck_assert_double_eq_tol(low, table[i].low, 5e-5);
        ck_assert_double_eq_tol(high, table[i].high, 5e-5);
        od_rate_interval(&mirrored_low, &mirrored_high, table[i].n - table[i].k, table[i].n);
        ck_assert_double_eq_tol(mirrored_low, 1 - high, 1e-12);
        ck_assert_double_eq_tol(mirrored_high, 1 - low, 1e-12);
    }
}
END_TEST

START_TEST(clean_runs_make_chance_improbable) {
    ck_assert_uint_eq(od_rate_trials(1, 0.01), 1);
    ck_assert_uint_eq(od_rate_trials(0.995, 0.01), 1);
    ck_assert_uint_eq(od_rate_trials(0.5, 0.01), 7); /* 2^-7 = 0.0078, 2^-6 = 0.016 */
    ck_assert_uint_eq(od_rate_trials(0.5, 0.126), 3);
    ck_assert_uint_eq(od_rate_trials(0, 0.01), UINT_MAX);
    ck_assert_uint_eq(od_rate_trials(1e-300, 0.01), UINT_MAX);
}
END_TEST

Suite *suite_bisect(void) {
    Suite *s = suite_create("bisect");
    TCase *t = tcase_create("bisect");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_switch_can_be_turned_plain);
    tcase_add_test(t, one_switch_is_named);
    tcase_add_test(t, a_switch_is_turned_no_further_than_it_needs);
    tcase_add_test(t, two_that_are_needed_are_each_enough_to_turn_off);
    tcase_add_test(t, where_either_is_enough_both_must_be_turned_off);
    tcase_add_test(t, no_switch_matters_to_what_shows_without_any);
    tcase_add_test(t, what_shows_without_any_switch_may_vanish_with_one);
    tcase_add_test(t, another_finding_of_the_oracle_is_not_vanished);
    tcase_add_test(t, a_switch_is_judged_where_one_of_its_turns_is);
    tcase_add_test(t, what_cannot_run_is_not_vanished);
    tcase_add_test(t, a_peak_is_not_vanished_where_nothing_is_held_against_it);
    tcase_add_test(t, a_finding_now_and_then_is_named_with_its_rate);
    tcase_add_test(t, a_finding_that_went_away_by_itself_proves_nothing);
    tcase_add_test(t, the_limit_of_runs_holds_and_is_told);
    tcase_add_test(t, without_a_finding_there_is_nothing_to_bisect);
    tcase_add_test(t, an_expected_finding_is_bisected_like_any_other);
    tcase_add_test(t, no_signature_is_bad_input);
    tcase_add_test(t, rates_have_the_interval_of_clopper_and_pearson);
    tcase_add_test(t, clean_runs_make_chance_improbable);
    suite_add_tcase(s, t);
    return s;
}
