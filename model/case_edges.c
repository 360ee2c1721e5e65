/* Profiles for those who look for trouble: `boundary` puts one size of a case at an edge of what code branches on (the
 * tiles of kernels, the buckets of captured graphs, the doubling of a growing cache) and the others near 1; `session`
 * puts its effort into long schedules. Both leave model and series small, so that what they look at is most of a case's
 * work. One in ten of the first has wide products, one in ten more variates than a tile of keys. */
#include <stdio.h>

#include "model/case_internal.h"

unsigned od_pick_edge(od_rng *rng, unsigned lo, unsigned hi) {
    static const unsigned tiles[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
    enum { TRIES = 64 };
    for (int i = 0; i < TRIES; i++) {
        const unsigned tile = tiles[od_pick(rng, 0, sizeof tiles / sizeof *tiles - 1)], at = tile + od_pick(rng, 0, 2);
        if (at > lo && at - 1 <= hi) return at - 1;
    }
    return lo;
}

/* Steps of a context of so many patches: whole ones, one step short of it, one step into the last. */
unsigned od_pick_steps(od_rng *rng, unsigned patches, unsigned patch) {
    const unsigned whole = patches * patch;
    switch (od_pick(rng, 0, 3)) {
    case 0: return patch > 1 ? whole - 1 : whole;
    case 1: return whole - (patch - 1);
    default: return whole;
    }
}

static od_op *add(od_case *c, enum od_op_kind kind, unsigned session) {
    static od_op spare;
    od_op *op = c->n_op < OD_CASE_MAX_OPS ? &c->op[c->n_op++] : &spare;
    *op = (od_op){.kind = kind, .session = session};
    return op;
}

static void add_context(od_case *c, unsigned session, unsigned patches, od_rng *rng) {
    add(c, OD_OP_PREFILL, session)->steps = od_pick_steps(rng, patches, (unsigned)c->config.patch);
}

static void add_steps(od_case *c, unsigned session, unsigned patches, od_rng *rng) {
    od_op *op = add(c, OD_OP_DECODE, session);
    op->patches = patches;
    op->own = patches <= 3 && od_pick_chance(rng, 4);
}

static void draw_small_model(od_case *c, od_rng *rng) {
    c->weight_seed = od_pick_seed(rng);
    c->gain = od_pick_chance(rng, 4) ? 0.5 : 1;
    snprintf(c->preset, sizeof c->preset, "seed-tiny");
    od_config_preset(&c->config, c->preset, NULL);
    if (od_pick_chance(rng, 3)) return;
    c->preset[0] = 0;
    od_pick_config(&c->config, rng);
    if (od_pick_chance(rng, 2)) c->config.patch = od_pick(rng, 1, 4); /* long contexts cost less */
    if (od_pick_chance(rng, 4)) c->config.d_mlp = od_pick_edge(rng, 1, 129);
}

/* Values, missing ones, padding at the edges of patches, groups. */
static void draw_small_series(od_case *c, unsigned steps, od_rng *rng) {
    static const double missing[] = {0.02, 0.1, 0.5};
    const unsigned p = (unsigned)c->config.patch,
                   edges[] = {1, p - 1, p, p + 1, 2 * p, steps > 1 ? steps - 1 : 1, steps};
    c->series_seed = od_pick_seed(rng);
    if (c->generator == OD_GEN_CONSTANT) c->scale = 0.02;
    if (od_pick_chance(rng, 3)) c->missing = missing[od_pick(rng, 0, 2)];
    if (od_pick_chance(rng, 4)) c->left_padding = edges[od_pick(rng, 0, sizeof edges / sizeof *edges - 1)];
    if (od_pick_chance(rng, 8)) c->padded_variate = (int)od_pick(rng, 0, c->variates - 1);
    if (c->variates > 1 && od_pick_chance(rng, 3)) od_pick_groups(c, rng);
}

static void draw_switches(od_case *c, od_rng *rng) {
    c->options.graph = !od_pick_chance(rng, 6);
    c->options.cache = od_pick_chance(rng, 6)   ? OD_CACHE_OFF
                       : od_pick_chance(rng, 2) ? OD_CACHE_DYNAMIC
                                                : OD_CACHE_FIXED;
    c->options.streams = od_pick(rng, 1, 3);
    c->options.order = od_pick_chance(rng, 4) ? 0 : od_pick(rng, 1, 1000000);
    c->options.fused = od_pick_chance(rng, 2);
    if (od_pick_chance(rng, 6)) c->options.captures = od_pick(rng, 1, 8);
}

/* Rows and patches whose product is at the edge of a bucket of 8, 64 or 512 tokens. */
static unsigned draw_tokens(od_case *c, od_rng *rng) {
    static const unsigned buckets[] = {8, 64, 512};
    const unsigned bucket = buckets[od_pick(rng, 0, 2)], tokens = bucket + od_pick(rng, 0, 2) - 1;
    unsigned rows = od_pick(rng, 1, 9);
    while (tokens % rows) rows--;
    c->batch = rows % 2 == 0 && od_pick_chance(rng, 2) ? 2 : 1;
    c->variates = rows / c->batch;
    return tokens / rows;
}

/* A context of so many patches, steps behind it, and now and then the neighbour of that size after it, in the same
 * session or beside it. */
static void draw_edge_schedule(od_case *c, unsigned patches, unsigned run, od_rng *rng) {
    c->n_op = 0;
    add_context(c, 0, patches, rng);
    if (run > 0) add_steps(c, 0, run, rng);
    if (!od_pick_chance(rng, 4)) return;
    const unsigned session = od_pick(rng, 0, 1), next = patches + od_pick(rng, 0, 2);
    if (session == 0) add(c, OD_OP_RESET, 0);
    add_context(c, session, next > 1 ? next - 1 : 1, rng);
    add_steps(c, session, od_pick(rng, 1, 2), rng);
}

/* Groups side by side, the last behind a whole tile half the time: then its variates see none in that tile. */
static void draw_neighbours(od_case *c, od_rng *rng) {
    const unsigned first =
        od_pick_chance(rng, 2) ? od_pick(rng, 64, c->variates - 1) : od_pick_edge(rng, 1, c->variates - 1);
    c->n_group = c->variates;
    for (unsigned v = 0; v < c->variates; v++) c->group[v] = v < first ? 0 : 1;
}

/* A new case of the same generator, with a model of few layers. */
static void draw_flat_model(od_case *c, unsigned n_head, unsigned d_head, unsigned d_mlp, od_rng *rng) {
    const enum od_generator generator = c->generator;
    od_case_init(c);
    c->generator = generator;
    draw_small_model(c, rng);
    c->preset[0] = 0;
    c->config.patch = od_pick(rng, 1, 2);
    c->config.n_head = n_head;
    c->config.d_model = n_head * d_head;
    c->config.d_mlp = d_mlp;
    c->config.n_layer = od_pick(rng, 1, 2);
    c->config.space_every = od_pick(rng, 0, (unsigned)c->config.n_layer);
}

/* Products that are too wide for the kernels of small ones, heads beyond what takes whole tiles of keys, and about as
 * many tokens as a tile of rows. */
static void draw_wide(od_case *c, od_rng *rng) {
    static const unsigned heads_dim[] = {36, 44, 66, 68}, heads[] = {4, 3, 2, 2};
    const unsigned i = od_pick(rng, 0, 3);
    draw_flat_model(c, heads[i], heads_dim[i], od_pick_edge(rng, 15, 65), rng);
    c->config.patch = od_pick(rng, 2, 4); /* a mean forecast of a value or two would be the contract's edge */
    if (c->config.n_component > 3) c->config.n_component = 3;
    c->batch = od_pick(rng, 1, 2);
    c->variates = od_pick(rng, 2, 3);
    add_context(c, 0, 64 / (c->batch * c->variates) - 1 + od_pick(rng, 0, 2), rng);
    if (od_pick_chance(rng, 2)) add_steps(c, 0, 1, rng);
    draw_small_series(c, c->op[0].steps, rng);
    draw_switches(c, rng);
}

/* More variates than a tile of keys. */
static void draw_crowd(od_case *c, od_rng *rng) {
    const unsigned d_mlp = od_pick_edge(rng, 1, 9), d_head = od_pick_chance(rng, 2) ? 4 : 6;
    draw_flat_model(c, od_pick(rng, 1, 2), d_head, d_mlp, rng);
    c->config.space_every = od_pick(rng, 1, (unsigned)c->config.n_layer);
    c->variates = od_pick_edge(rng, 65, OD_CASE_MAX_VARIATES);
    add_context(c, 0, od_pick(rng, 1, 3), rng);
    if (od_pick_chance(rng, 2)) add_steps(c, 0, 1, rng);
    draw_small_series(c, c->op[0].steps, rng);
    if (od_pick_chance(rng, 2)) draw_neighbours(c, rng);
    draw_switches(c, rng);
}

void od_draw_boundary(od_case *c, od_rng *rng) {
    enum { TRIES = 24 };
    unsigned patches = od_pick_edge(rng, 1, 9), run = od_pick(rng, 0, 3);
    c->batch = od_pick(rng, 1, 3);
    c->variates = od_pick(rng, 1, 3);
    switch (od_pick(rng, 0, 4)) {
    case 0: patches = od_pick_edge(rng, 1, 257); break;
    case 1: c->variates = od_pick_edge(rng, 1, OD_CASE_MAX_VARIATES); break;
    case 2: c->batch = od_pick_edge(rng, 1, OD_CASE_MAX_BATCH); break;
    case 3: patches = draw_tokens(c, rng); break;
    default: /* steps over an edge of the cache */
        patches = od_pick_edge(rng, 1, 129);
        run = od_pick(rng, 1, 5);
        patches = patches > 2 ? patches - od_pick(rng, 0, 2) : patches;
        break;
    }
    /* The size stays and the model gives way: drawn anew as a whole, large sizes would be rare. */
    for (int i = 0; i < TRIES; i++) {
        draw_small_model(c, rng);
        draw_edge_schedule(c, patches, run, rng);
        if (od_case_work(c) <= OD_CASE_CHEAP) break;
    }
    draw_small_series(c, c->op[0].steps, rng);
    draw_switches(c, rng);
    const unsigned other = od_pick(rng, 1, 10);
    if (other == 1) draw_wide(c, rng);
    if (other == 2) draw_crowd(c, rng);
}

void od_draw_session(od_case *c, od_rng *rng) {
    const unsigned sessions = od_pick(rng, 1, OD_CASE_MAX_SESSIONS), entries = od_pick(rng, 4, 20),
                   most = od_pick_chance(rng, 4) ? 33 : 5;
    unsigned opened = 0;
    draw_small_model(c, rng);
    c->batch = od_pick(rng, 1, 2);
    c->variates = od_pick(rng, 1, 4);
    add_context(c, opened++, od_pick_edge(rng, 1, most), rng);
    for (unsigned i = 0; i < entries; i++) {
        const unsigned s = od_pick(rng, 0, opened < sessions ? opened : sessions - 1), kind = od_pick(rng, 0, 9);
        if (s == opened) {
            add_context(c, opened++, od_pick_edge(rng, 1, most), rng);
        } else if (kind < 6) {
            add_steps(c, s, od_pick_chance(rng, 5) ? od_pick_edge(rng, 1, 33) : od_pick(rng, 1, 3), rng);
        } else if (kind < 8) {
            add(c, OD_OP_RESET, s);
            add_context(c, s, od_pick_edge(rng, 1, most), rng);
        } else if (kind < 9) {
            add(c, OD_OP_RECAPTURE, 0);
        } else {
            add_steps(c, s, 1, rng);
        }
    }
    if (!od_case_is_stateful(c)) add_steps(c, 0, 2, rng);
    draw_small_series(c, c->op[0].steps, rng);
    draw_switches(c, rng);
}
