/* Random cases. Case i of seed S draws from a stream named by (S, format, profile, i) and from nothing else. What is
 * drawn outside the domain of the contract, or costs too much, is drawn again from the same stream. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/case_internal.h"

enum { MAX_DRAWS = 200 };

static const char *const profile_names[] = {"default", "rate", "base", "boundary", "session", "mixed"};

enum od_status od_profile_parse(enum od_profile *p, const char *name, od_error *e) {
    for (size_t i = 0; i < sizeof profile_names / sizeof *profile_names; i++)
        if (strcmp(name, profile_names[i]) == 0) {
            *p = (enum od_profile)i;
            return OD_OK;
        }
    return od_fail(e, OD_BAD_INPUT, "profile '%s' is none of default, rate, base, boundary, session, mixed", name);
}

static od_op *add_op(od_case *c, enum od_op_kind kind, unsigned session) {
    assert(c->n_op < OD_CASE_MAX_OPS);
    od_op *op = &c->op[c->n_op++];
    *op = (od_op){.kind = kind, .session = session};
    return op;
}

/* ---- rate: seed-tiny, everything uniform --------------------------------------------------------------------------
 */

/* Two generators leave the domain wherever so few values are forecast: large always, so it has no part in this profile;
 * constant unless it is small against the scaler's minimum scale, so it is scaled. */
static void draw_rate(od_case *c, od_rng *rng) {
    c->weight_seed = od_pick_seed(rng);
    c->series_seed = od_pick_seed(rng);
    c->batch = od_pick(rng, 1, 2);
    c->variates = od_pick(rng, 1, 4);
    if (c->generator == OD_GEN_CONSTANT) c->scale = 0.02;
    add_op(c, OD_OP_PREFILL, 0)->steps = od_pick(rng, 1, 16 * 4);
    unsigned patches = od_pick(rng, 0, 8);
    bool own = od_pick_chance(rng, 2);
    if (!patches) return;
    od_op *op = add_op(c, OD_OP_DECODE, 0);
    op->patches = patches;
    op->own = own;
}

/* ---- base: the shape that is shipped --------------------------------------------------------------------------------
 */

/* One variate of 1024 steps and a decode step. Its weights alone take a while: --set threads=N draws them in parallel.
 */
static void draw_base(od_case *c, od_rng *rng) {
    snprintf(c->preset, sizeof c->preset, "toto-open-base");
    od_config_preset(&c->config, c->preset, NULL);
    c->weight_seed = od_pick_seed(rng);
    c->series_seed = od_pick_seed(rng);
    if (c->generator == OD_GEN_CONSTANT) c->scale = 0.02;
    if (od_pick_chance(rng, 4)) c->left_padding = od_pick_size(rng, 1, 130);
    add_op(c, OD_OP_PREFILL, 0)->steps = 1024;
    od_op *op = add_op(c, OD_OP_DECODE, 0);
    op->patches = 1;
    op->own = od_pick_chance(rng, 2);
    c->options.graph = !od_pick_chance(rng, 4);
    c->options.fused = od_pick_chance(rng, 2);
}

/* ---- default: everything ------------------------------------------------------------------------------------------
 */

static void draw_model(od_case *c, od_rng *rng) {
    static const double gains[] = {1, 1, 0.5, 1.25};
    c->weight_seed = od_pick_seed(rng);
    c->gain = gains[od_pick(rng, 0, 3)];
    if (od_pick_chance(rng, 4)) {
        c->config.xpos = od_pick_chance(rng, 3) ? OD_XPOS_ORIGIN : OD_XPOS_CALL;
        return;
    }
    c->preset[0] = 0;
    od_pick_config(&c->config, rng);
}

static void draw_series(od_case *c, od_rng *rng) {
    static const double scales[] = {1, 1, 1, 0.01, 3, 1000}, missing[] = {0.02, 0.1, 0.5};
    c->series_seed = od_pick_seed(rng);
    c->scale = scales[od_pick(rng, 0, 5)];
    c->batch = od_pick(rng, 1, 3);
    c->variates = od_pick_size(rng, 1, od_pick_chance(rng, 6) ? 33 : 7);
    /* A constant is far from zero unless it is small against the minimum scales, sqrt(0.1) and sqrt(1e-3). */
    if (c->generator == OD_GEN_CONSTANT) c->scale = od_pick_chance(rng, 2) ? 0.2 : 0.02;
    if (c->generator == OD_GEN_LARGE) { /* its forecasts need many values, and no padding near 0 */
        unsigned p = (unsigned)c->config.patch;
        c->variates = od_pick(rng, 4, 16);
        c->batch = (300 + p * c->variates - 1) / (p * c->variates);
        if (od_pick_chance(rng, 3)) od_pick_groups(c, rng);
        return;
    }
    if (od_pick_chance(rng, 4)) c->missing = missing[od_pick(rng, 0, 2)];
    if (od_pick_chance(rng, 4)) c->left_padding = od_pick_size(rng, 1, 40);
    if (od_pick_chance(rng, 8)) c->padded_variate = (int)od_pick(rng, 0, c->variates - 1);
    if (c->variates > 1 && od_pick_chance(rng, 3)) od_pick_groups(c, rng);
}

static unsigned draw_steps(const od_case *c, od_rng *rng) {
    unsigned p = (unsigned)c->config.patch, patches = od_pick_size(rng, 1, od_pick_chance(rng, 8) ? 65 : 12);
    return patches * p - (od_pick_chance(rng, 2) ? od_pick(rng, 0, p - 1) : 0);
}

/* Prefills and decodes of up to three sessions, interleaved, some of them reset and filled again. */
static void draw_schedule(od_case *c, od_rng *rng) {
    static const unsigned counts[] = {1, 1, 1, 1, 1, 2, 2, 3};
    unsigned sessions = counts[od_pick(rng, 0, 7)], rounds = sessions + od_pick(rng, 0, 5), opened = 0;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned s = od_pick(rng, 0, opened < sessions ? opened : sessions - 1);
        unsigned kind = od_pick(rng, 0, 9);
        if (s == opened) {
            add_op(c, OD_OP_PREFILL, s)->steps = draw_steps(c, rng);
            opened++;
        } else if (kind < 7) {
            od_op *op = add_op(c, OD_OP_DECODE, s);
            op->patches = od_pick_size(rng, 1, 8);
            op->own = od_pick_chance(rng, 3);
        } else if (kind < 9) {
            add_op(c, OD_OP_RESET, s);
            add_op(c, OD_OP_PREFILL, s)->steps = draw_steps(c, rng);
        } else {
            add_op(c, OD_OP_RECAPTURE, 0);
        }
    }
}

static void draw_options(od_case *c, od_rng *rng) {
    c->options.graph = !od_pick_chance(rng, 4);
    c->options.cache = od_pick_chance(rng, 4) ? OD_CACHE_OFF : OD_CACHE_FIXED;
    c->options.streams = od_pick(rng, 1, 3);
    c->options.order = od_pick_chance(rng, 4) ? 0 : od_pick(rng, 1, 1000000);
    if (od_pick_chance(rng, 10)) c->options.captures = od_pick(rng, 1, 8);
    c->options.fused = od_pick_chance(rng, 2);
    if (c->options.cache == OD_CACHE_FIXED && od_pick_chance(rng, 3)) c->options.cache = OD_CACHE_DYNAMIC;
}

static void draw_default(od_case *c, od_rng *rng) {
    draw_model(c, rng);
    draw_series(c, rng);
    draw_schedule(c, rng);
    draw_options(c, rng);
}

/* What always lies in the domain, should nothing that was drawn do so. */
static void fall_back(od_case *c, od_rng *rng) {
    od_case_init(c);
    c->weight_seed = od_pick_seed(rng);
    c->series_seed = od_pick_seed(rng);
    add_op(c, OD_OP_PREFILL, 0)->steps = 32;
    add_op(c, OD_OP_DECODE, 0)->patches = 1;
}

void od_case_generate(od_case *c, uint64_t seed, uint64_t index, enum od_profile profile) {
    static const enum od_profile turns[] = {OD_PROFILE_DEFAULT, OD_PROFILE_BOUNDARY, OD_PROFILE_DEFAULT,
                                            OD_PROFILE_SESSION};
    char name[64];
    if (profile == OD_PROFILE_MIXED) profile = turns[index % (sizeof turns / sizeof *turns)];
    snprintf(name, sizeof name, "case/%d/%s/%" PRIu64, OD_CASE_FORMAT, profile_names[profile], index);
    od_rng rng = od_rng_make(seed, od_rng_name_key(name));
    /* Drawn once, lest the generators that often leave the domain become rare. */
    enum od_generator generator = (enum od_generator)od_pick(&rng, OD_GEN_NORMAL, OD_GEN_SMALL);
    while (profile != OD_PROFILE_DEFAULT && generator == OD_GEN_LARGE)
        generator = (enum od_generator)od_pick(&rng, OD_GEN_NORMAL, OD_GEN_SMALL);
    for (int i = 0; i < MAX_DRAWS; i++) {
        od_case_init(c);
        c->generator = generator;
        if (profile == OD_PROFILE_RATE)
            draw_rate(c, &rng);
        else if (profile == OD_PROFILE_BASE)
            draw_base(c, &rng);
        else if (profile == OD_PROFILE_BOUNDARY)
            od_draw_boundary(c, &rng);
        else if (profile == OD_PROFILE_SESSION)
            od_draw_session(c, &rng);
        else
            draw_default(c, &rng);
        const bool affordable = profile == OD_PROFILE_BASE || od_case_work(c) <= OD_CASE_CHEAP;
        if (affordable && od_case_check(c, NULL) == OD_OK && od_case_in_domain(c)) return;
    }
    fall_back(c, &rng);
    assert(od_case_check(c, NULL) == OD_OK);
}
