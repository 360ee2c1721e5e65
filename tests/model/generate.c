/* The generator and the mutator: legal, in the domain, reproducible, and with every kind of thing in them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/case_internal.h"
#include "model/suites.h"
#include "tests/common/sanitized.h"

enum { MANY = TEST_SANITIZED ? 2000 : 12000, FEW = MANY / 4 };

static void check_good(const od_case *c, const char *what, uint64_t i) {
    od_error e = {0};
    ck_assert_msg(od_case_check(c, &e) == OD_OK, "%s %llu: %s", what, (unsigned long long)i, e.text);
    ck_assert_msg(od_case_in_domain(c), "%s %llu is outside the domain", what, (unsigned long long)i);
    ck_assert_msg(od_case_work(c) <= 1 << 24, "%s %llu costs %g multiply-adds", what, (unsigned long long)i,
                  od_case_work(c));
}

START_TEST(generated_cases_are_good) {
    od_case c;
    for (uint64_t i = 0; i < MANY; i++) {
        od_case_generate(&c, 1, i, (enum od_profile)_i);
        check_good(&c, "case", i);
    }
}
END_TEST

START_TEST(a_case_depends_on_seed_index_and_profile_alone) {
    od_case c;
    uint64_t forward[200];
    for (uint64_t i = 0; i < 200; i++) {
        od_case_generate(&c, 5, i, (enum od_profile)_i);
        forward[i] = od_case_hash(&c);
        for (uint64_t j = 0; j < i; j++) ck_assert_uint_ne(forward[i], forward[j]);
    }
    for (uint64_t i = 200; i-- > 0;) {
        memset(&c, 0xa5, sizeof c); /* what stood there before plays no part */
        od_case_generate(&c, 5, i, (enum od_profile)_i);
        ck_assert_uint_eq(od_case_hash(&c), forward[i]);
        od_case_generate(&c, 6, i, (enum od_profile)_i);
        ck_assert_uint_ne(od_case_hash(&c), forward[i]);
        od_case_generate(&c, 5, i, (enum od_profile) !_i);
        ck_assert_uint_ne(od_case_hash(&c), forward[i]);
    }
}
END_TEST

START_TEST(base_is_the_shipped_shape_one_variate_and_a_step) {
    od_case c;
    bool own[2] = {0}, fused[2] = {0}, graph[2] = {0};
    for (uint64_t i = 0; i < 200; i++) {
        od_case_generate(&c, 6, i, OD_PROFILE_BASE);
        ck_assert_int_eq(od_case_check(&c, NULL), OD_OK);
        ck_assert(od_case_in_domain(&c));
        ck_assert_str_eq(c.preset, "toto-open-base");
        ck_assert(c.config.n_layer == 12 && c.config.d_model == 768 && c.batch == 1 && c.variates == 1);
        ck_assert(c.n_op == 2 && c.op[0].kind == OD_OP_PREFILL && c.op[0].steps == 1024);
        ck_assert(c.op[1].kind == OD_OP_DECODE && c.op[1].patches == 1);
        own[c.op[1].own] = fused[c.options.fused] = graph[c.options.graph] = true;
    }
    ck_assert(own[0] && own[1] && fused[0] && fused[1] && graph[0] && graph[1]);
}
END_TEST

static void check_same(const od_case *a, const od_case *b) {
    const od_config *m = &a->config, *n = &b->config;
    ck_assert_str_eq(a->preset, b->preset);
    ck_assert(m->patch == n->patch && m->d_model == n->d_model && m->n_layer == n->n_layer && m->n_head == n->n_head);
    ck_assert(m->d_mlp == n->d_mlp && m->space_every == n->space_every && m->space_first == n->space_first);
    ck_assert(m->scaler == n->scaler && m->stabilize == n->stabilize && m->scale_exponent == n->scale_exponent);
    ck_assert(m->mixture == n->mixture && m->n_component == n->n_component && m->xpos == n->xpos);
    ck_assert(a->weight_seed == b->weight_seed && a->gain == b->gain && a->batch == b->batch);
    ck_assert(a->variates == b->variates && a->generator == b->generator && a->series_seed == b->series_seed);
    ck_assert(a->scale == b->scale && a->missing == b->missing && a->left_padding == b->left_padding);
    ck_assert(a->padded_variate == b->padded_variate && a->n_group == b->n_group && a->n_op == b->n_op);
    ck_assert_mem_eq(a->group, b->group, a->n_group * sizeof a->group[0]);
    for (unsigned i = 0; i < a->n_op; i++) {
        ck_assert(a->op[i].kind == b->op[i].kind && a->op[i].session == b->op[i].session);
        ck_assert(a->op[i].steps == b->op[i].steps && a->op[i].patches == b->op[i].patches);
        ck_assert(a->op[i].own == b->op[i].own);
    }
    const od_options *o = &a->options, *p = &b->options;
    ck_assert(o->graph == p->graph && o->cache == p->cache && o->fused == p->fused && o->autotune == p->autotune);
    ck_assert(o->tf32 == p->tf32 && o->threads == p->threads && o->streams == p->streams);
    ck_assert(o->captures == p->captures && o->order == p->order);
    ck_assert_int_eq(a->only_scaler, b->only_scaler);
    ck_assert_str_eq(a->expect, b->expect);
}

static void check_round_trip(const od_case *c) {
    od_case back;
    char *text, *again;
    size_t size, size_again;
    od_error e = {0};
    ck_assert_msg(od_case_format(&text, &size, c, NULL, &e) == OD_OK, "%s", e.text);
    ck_assert_msg(od_case_parse(&back, text, size, "", &e) == OD_OK, "%s\n%s", e.text, text);
    check_same(c, &back);
    ck_assert_int_eq(od_case_format(&again, &size_again, &back, NULL, &e), OD_OK);
    ck_assert_str_eq(text, again);
    free(text);
    free(again);
}

START_TEST(generated_cases_come_back_from_their_text) {
    od_case c;
    for (uint64_t i = 0; i < MANY / 7; i++) {
        od_case_generate(&c, 2, i, (enum od_profile)_i);
        check_round_trip(&c);
    }
}
END_TEST

START_TEST(the_rate_profile_is_what_it_says) {
    unsigned batch[3] = {0}, variates[5] = {0}, patches[17] = {0}, cached[9] = {0}, odd = 0, own = 0;
    unsigned generator[OD_GENERATORS] = {0};
    od_options o = od_options_default();
    for (uint64_t i = 0; i < FEW; i++) {
        od_case c;
        od_case_generate(&c, 3, i, OD_PROFILE_RATE);
        ck_assert_str_eq(c.preset, "seed-tiny");
        ck_assert(c.batch >= 1 && c.batch <= 2 && c.variates >= 1 && c.variates <= 4 && c.n_op <= 2);
        ck_assert(c.op[0].kind == OD_OP_PREFILL && c.op[0].steps <= 64);
        ck_assert(c.n_op < 2 || (c.op[1].kind == OD_OP_DECODE && c.op[1].patches <= 8));
        ck_assert(c.options.cache == o.cache && c.options.streams == o.streams && c.options.order == o.order);
        ck_assert(c.options.graph && c.gain == 1 && c.missing == 0 && !c.n_group);
        batch[c.batch]++;
        variates[c.variates]++;
        patches[(c.op[0].steps + 3) / 4]++;
        cached[c.n_op > 1 ? c.op[1].patches : 0]++;
        generator[c.generator]++;
        odd += c.op[0].steps % 4 != 0;
        own += c.n_op > 1 && c.op[1].own;
    }
    /* Uniform up to what the domain takes away: each of k values at least a quarter of its share. */
    for (int i = 1; i <= 2; i++) ck_assert_uint_gt(batch[i], FEW / 2 / 4);
    for (int i = 1; i <= 4; i++) ck_assert_uint_gt(variates[i], FEW / 4 / 4);
    for (int i = 1; i <= 16; i++) ck_assert_uint_gt(patches[i], FEW / 16 / 4);
    for (int i = 0; i <= 8; i++) ck_assert_uint_gt(cached[i], FEW / 9 / 4);
    for (int i = 0; i < OD_GEN_CSV; i++) /* large lies outside the domain of so few values */
        ck_assert(i == OD_GEN_LARGE ? generator[i] == 0 : generator[i] > FEW / 8 / 2);
    ck_assert_uint_gt(odd, FEW / 4);
    ck_assert_uint_gt(own, FEW / 8);
}
END_TEST

/* Whether a case has thing i of a list; NULL-terminated names in `what`. */
static const char *const what[] = {"normal",
                                   "walk",
                                   "season",
                                   "spike",
                                   "sparse",
                                   "constant",
                                   "large",
                                   "small",
                                   "std-mean",
                                   "causal-std",
                                   "causal-patch",
                                   "stabilised",
                                   "unstabilised patch scaler",
                                   "clamped",
                                   "mixture",
                                   "one Student-T",
                                   "no space layer",
                                   "space layers only",
                                   "space last",
                                   "xpos origin",
                                   "gain 0.5",
                                   "gain 1.25",
                                   "groups",
                                   "left padding",
                                   "missing",
                                   "padded variate",
                                   "two sessions",
                                   "three sessions",
                                   "reset",
                                   "recapture",
                                   "own",
                                   "teacher",
                                   "cache off",
                                   "graph off",
                                   "cache dynamic",
                                   "fused",
                                   "fused off",
                                   "one patch",
                                   "length no multiple of P",
                                   "P = 1",
                                   "one variate",
                                   "more than 16 variates",
                                   "more than 16 patches",
                                   "own, then teacher",
                                   "preset",
                                   NULL};

static bool has(const od_case *c, int i) {
    const od_config *m = &c->config;
    bool reset = false, recapture = false, own = false, teacher = false, one = false, odd = false, mixed = false;
    size_t most = 0;
    for (unsigned k = 0; k < c->n_op; k++) {
        const od_op *op = &c->op[k];
        reset |= op->kind == OD_OP_RESET;
        recapture |= op->kind == OD_OP_RECAPTURE;
        own |= op->kind == OD_OP_DECODE && op->own;
        teacher |= op->kind == OD_OP_DECODE && !op->own;
        mixed |= own && op->kind == OD_OP_DECODE && !op->own;
        one |= op->kind == OD_OP_PREFILL && op->steps <= m->patch;
        odd |= op->kind == OD_OP_PREFILL && op->steps % m->patch != 0;
    }
    for (unsigned s = 0; s < od_case_sessions(c); s++)
        if (most < od_case_limit(c, s) / m->patch) most = od_case_limit(c, s) / m->patch;
    const bool all[] = {
        c->generator == OD_GEN_NORMAL,
        c->generator == OD_GEN_WALK,
        c->generator == OD_GEN_SEASON,
        c->generator == OD_GEN_SPIKE,
        c->generator == OD_GEN_SPARSE,
        c->generator == OD_GEN_CONSTANT,
        c->generator == OD_GEN_LARGE,
        c->generator == OD_GEN_SMALL,
        m->scaler == OD_SCALER_STD_MEAN,
        m->scaler == OD_SCALER_CAUSAL_STD_MEAN,
        m->scaler == OD_SCALER_CAUSAL_PATCH_STD_MEAN,
        m->stabilize,
        m->scaler == OD_SCALER_CAUSAL_PATCH_STD_MEAN && !m->stabilize,
        m->stabilize &&
            m->scale_exponent<1, m->mixture, !m->mixture, m->space_every == 0, m->space_every == 1, m->space_every> 1 &&
            !m->space_first,
        m->xpos == OD_XPOS_ORIGIN,
        c->gain == 0.5,
        c->gain == 1.25,
        c->n_group > 0,
        c->left_padding > 0,
        c->missing > 0,
        c->padded_variate >= 0,
        od_case_sessions(c) == 2,
        od_case_sessions(c) >= 3,
        reset,
        recapture,
        own,
        teacher,
        c->options.cache == OD_CACHE_OFF,
        !c->options.graph,
        c->options.cache == OD_CACHE_DYNAMIC,
        c->options.fused,
        !c->options.fused,
        one,
        odd,
        m->patch == 1,
        c->variates == 1,
        c->variates > 16,
        most > 16,
        mixed,
        c->preset[0] != 0};
    return all[i];
}

START_TEST(the_default_profile_has_everything) {
    enum { N = 5000 };
    unsigned seen[64] = {0};
    for (uint64_t i = 0; i < N; i++) {
        od_case c;
        od_case_generate(&c, 4, i, OD_PROFILE_DEFAULT);
        for (int k = 0; what[k]; k++) seen[k] += has(&c, k);
    }
    for (int k = 0; what[k]; k++) ck_assert_msg(seen[k] >= N / 100, "%s: in %u of %d cases", what[k], seen[k], N);
}
END_TEST

START_TEST(profiles_have_names) {
    enum od_profile p = OD_PROFILE_DEFAULT;
    od_error e = {0};
    ck_assert_int_eq(od_profile_parse(&p, "rate", &e), OD_OK);
    ck_assert_int_eq(p, OD_PROFILE_RATE);
    ck_assert_int_eq(od_profile_parse(&p, "default", &e), OD_OK);
    ck_assert_int_eq(p, OD_PROFILE_DEFAULT);
    ck_assert_int_eq(od_profile_parse(&p, "fast", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "default, rate, base"));
}
END_TEST

/* ---- mutants ----------------------------------------------------------------------------------------------------- */

START_TEST(mutants_are_good_and_new) {
    od_case c;
    for (uint64_t i = 0; i < MANY; i++) {
        if (i % 20 == 0) od_case_generate(&c, 8, i, (enum od_profile)(i / 20 % 2));
        uint64_t before = od_case_hash(&c);
        od_case_mutate(&c, i);
        check_good(&c, "mutant", i);
        ck_assert_msg(od_case_hash(&c) != before, "mutant %llu is its parent", (unsigned long long)i);
        if (i % 10 == 0) check_round_trip(&c);
    }
}
END_TEST

START_TEST(mutation_depends_on_case_and_seed_alone) {
    for (uint64_t i = 0; i < 300; i++) {
        od_case a, b;
        od_case_generate(&a, 9, i, OD_PROFILE_DEFAULT);
        b = a;
        strcpy(b.note, "said of the parent");
        strcpy(b.expect, "accuracy");
        strcpy(b.found_verdict, "FINDING");
        od_case_mutate(&a, i);
        od_case_mutate(&b, i);
        ck_assert_uint_eq(od_case_hash(&a), od_case_hash(&b));
        ck_assert(b.note[0] == 0 && b.found_verdict[0] == 0); /* the mutant is another case */
        ck_assert_str_eq(b.expect, "pass");
    }
}
END_TEST

/* From one plain case everything is within reach of 200 steps, in one of 200 walks. */
START_TEST(mutation_reaches_everything) {
    unsigned seen[64] = {0};
    for (uint64_t walk = 0; walk < 200; walk++) {
        od_case c;
        od_case_init(&c);
        c.op[c.n_op++] = (od_op){.kind = OD_OP_PREFILL, .steps = 16};
        for (uint64_t i = 0; i < 60; i++) {
            od_case_mutate(&c, walk * 1000 + i);
            for (int k = 0; what[k]; k++) seen[k] += has(&c, k);
        }
    }
    for (int k = 0; what[k]; k++) ck_assert_msg(seen[k] > 0, "%s: never reached", what[k]);
}
END_TEST

START_TEST(mutants_stay_near) {
    unsigned model = 0, series = 0, schedule = 0, n = 2000;
    for (uint64_t i = 0; i < n; i++) {
        od_case a, b;
        od_case_generate(&a, 12, i, OD_PROFILE_DEFAULT);
        b = a;
        od_case_mutate(&b, i);
        model += a.weight_seed == b.weight_seed;
        series += a.series_seed == b.series_seed;
        schedule += a.n_op == b.n_op && memcmp(a.op, b.op, a.n_op * sizeof a.op[0]) == 0;
    }
    /* One thing changes at a step: most mutants keep each of the three. */
    ck_assert_uint_gt(model, n * 3 / 4);
    ck_assert_uint_gt(series, n * 3 / 4);
    ck_assert_uint_gt(schedule, n / 3);
}
END_TEST

START_TEST(a_mutant_of_a_real_series_stays_readable) {
    od_case c;
    od_error e = {0};
    for (uint64_t i = 0; i < 200; i++) {
        ck_assert_int_eq(od_case_read(&c, OD_SOURCE_DIR "/corpus/forward/real-elnino-seasons-grouped.json", &e), OD_OK);
        od_case_mutate(&c, i);
        check_good(&c, "mutant", i);
        /* without the folder the file is out of reach: a generated series takes its place */
        ck_assert_int_eq(od_case_read(&c, OD_SOURCE_DIR "/corpus/forward/real-elnino-seasons-grouped.json", &e), OD_OK);
        strcpy(c.path, "/nowhere/case.json");
        od_case_mutate(&c, i);
        check_good(&c, "mutant", i);
        ck_assert_int_ne(c.generator, OD_GEN_CSV);
    }
}
END_TEST

/* Nothing that is drawn leads back into the domain, so that every try fails; the last of them take two steps at once,
 * and the first step may take the only operation. */
START_TEST(a_case_outside_the_domain_has_good_mutants) {
    for (uint64_t i = 0; i < FEW; i++) {
        od_case c;
        od_case_init(&c);
        c.options.tf32 = true;
        c.n_op = 1;
        c.op[0] = (od_op){.kind = OD_OP_PREFILL, .steps = 8};
        od_case_mutate(&c, i);
        check_good(&c, "mutant", i);
    }
}
END_TEST

START_TEST(crosses_are_good) {
    unsigned mixed = 0;
    for (uint64_t i = 0; i < FEW; i++) {
        od_case a, b, c;
        od_case_generate(&a, 10, i, OD_PROFILE_DEFAULT);
        od_case_generate(&b, 11, i, OD_PROFILE_DEFAULT);
        c = a;
        od_case_cross(&c, &b, i);
        check_good(&c, "cross", i);
        bool from_a = c.weight_seed == a.weight_seed || c.series_seed == a.series_seed;
        bool from_b = c.weight_seed == b.weight_seed || c.series_seed == b.series_seed;
        mixed += from_a && from_b;
    }
    ck_assert_uint_gt(mixed, FEW / 5);
}
END_TEST

Suite *suite_generate(void) {
    Suite *s = suite_create("generate");
    TCase *t = tcase_create("generate");
    tcase_set_timeout(t, 240);
    tcase_add_test(t, base_is_the_shipped_shape_one_variate_and_a_step);
    tcase_add_loop_test(t, generated_cases_are_good, OD_PROFILE_DEFAULT, OD_PROFILE_RATE + 1);
    tcase_add_loop_test(t, a_case_depends_on_seed_index_and_profile_alone, OD_PROFILE_DEFAULT, OD_PROFILE_RATE + 1);
    tcase_add_loop_test(t, generated_cases_come_back_from_their_text, OD_PROFILE_DEFAULT, OD_PROFILE_RATE + 1);
    tcase_add_test(t, the_rate_profile_is_what_it_says);
    tcase_add_test(t, the_default_profile_has_everything);
    tcase_add_test(t, profiles_have_names);
    tcase_add_test(t, mutants_are_good_and_new);
    tcase_add_test(t, mutation_depends_on_case_and_seed_alone);
    tcase_add_test(t, mutation_reaches_everything);
    tcase_add_test(t, mutants_stay_near);
    tcase_add_test(t, a_mutant_of_a_real_series_stays_readable);
    tcase_add_test(t, a_case_outside_the_domain_has_good_mutants);
    tcase_add_test(t, crosses_are_good);
    suite_add_tcase(s, t);
    return s;
}
