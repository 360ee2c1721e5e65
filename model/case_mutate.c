/* One step away from a case, or a mixture of two: what a fuzzer asks for. A step changes one thing, or at times parts
 * of the case for those of one that is drawn; it is repaired to a legal schedule and kept only if the result passes
 * od_case_check, lies in the domain of the contract and costs no more than a generated case or the case that it came
 * from. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "model/case_internal.h"

enum { MAX_STEPS = 24 }; /* tries before a generated case takes the place */

/* ---- schedule ---------------------------------------------------------------------------------------------------- */

static unsigned nudge(unsigned value, unsigned by, unsigned lo, unsigned hi, od_rng *rng) {
    int64_t to = od_pick_chance(rng, 2) ? (int64_t)value + by : (int64_t)value - by;
    return to < lo ? lo : (to > hi ? hi : (unsigned)to);
}

static od_op draw_op(const od_case *c, od_rng *rng) {
    od_op op = {.kind = (enum od_op_kind)od_pick(rng, OD_OP_PREFILL, OD_OP_RECAPTURE)};
    if (op.kind == OD_OP_RECAPTURE) return op;
    unsigned n = od_case_sessions(c);
    op.session = od_pick(rng, 0, n < OD_CASE_MAX_SESSIONS ? n : n - 1);
    if (op.kind == OD_OP_PREFILL) op.steps = od_pick_size(rng, 1, 130);
    if (op.kind == OD_OP_DECODE) {
        op.patches = od_pick_size(rng, 1, 8);
        op.own = od_pick_chance(rng, 3);
    }
    return op;
}

static void insert_op(od_case *c, unsigned at, od_op op) {
    if (c->n_op == OD_CASE_MAX_OPS) return;
    memmove(c->op + at + 1, c->op + at, (c->n_op - at) * sizeof *c->op);
    c->op[at] = op;
    c->n_op++;
}

/* One draw a statement, here and everywhere: which of a call's arguments comes first is the compiler's choice. */
static void insert_drawn(od_case *c, unsigned first, od_rng *rng) {
    const od_op op = draw_op(c, rng);
    insert_op(c, od_pick(rng, first, c->n_op), op);
}

static void remove_op(od_case *c, unsigned at) {
    c->n_op--;
    memmove(c->op + at, c->op + at + 1, (c->n_op - at) * sizeof *c->op);
    c->op[c->n_op] = (od_op){0};
}

static void change_op(od_case *c, od_rng *rng) {
    unsigned p = (unsigned)c->config.patch;
    od_op *op = &c->op[od_pick(rng, 0, c->n_op - 1)];
    switch (op->kind) {
    case OD_OP_PREFILL:
        if (od_pick_chance(rng, 3))
            op->steps = od_pick_size(rng, 1, 130);
        else if (od_pick_chance(rng, 3))
            op->steps = od_pick_steps(rng, od_pick_edge(rng, 1, 513), p);
        else
            op->steps = nudge(op->steps, od_pick_chance(rng, 2) ? 1 : p, 1, OD_CASE_MAX_STEPS, rng);
        break;
    case OD_OP_DECODE:
        if (od_pick_chance(rng, 3))
            op->own = !op->own;
        else if (od_pick_chance(rng, 2))
            op->patches = nudge(op->patches, 1, 1, OD_CASE_MAX_PATCHES, rng);
        else
            op->patches = od_pick_chance(rng, 4) ? od_pick_edge(rng, 1, 129) : od_pick_size(rng, 1, 8);
        break;
    default: *op = draw_op(c, rng); break;
    }
}

static void change_schedule(od_case *c, od_rng *rng) {
    unsigned i = od_pick(rng, 0, c->n_op - 1), j = od_pick(rng, 0, c->n_op - 1);
    switch (od_pick(rng, 0, 6)) {
    case 0: insert_drawn(c, 0, rng); break;
    case 1: remove_op(c, i); break;
    case 2: insert_op(c, i, c->op[i]); break;
    case 3: {
        od_op op = c->op[i];
        c->op[i] = c->op[j];
        c->op[j] = op;
        break;
    }
    case 4:
        if (c->op[i].kind != OD_OP_RECAPTURE) c->op[i].session = od_pick(rng, 0, OD_CASE_MAX_SESSIONS - 1);
        break;
    default: change_op(c, rng); break;
    }
}

/* Sessions are renumbered as they appear; what cannot be done where it stands is dropped, a second prefill gets its
 * reset. */
static void repair_schedule(od_case *c) {
    od_case from = *c;
    int number[OD_CASE_MAX_SESSIONS] = {-1, -1, -1, -1};
    bool full[OD_CASE_MAX_SESSIONS] = {0};
    unsigned used = 0;
    memset(c->op, 0, sizeof c->op);
    c->n_op = 0;
    for (unsigned i = 0; i < from.n_op && c->n_op + 2 <= OD_CASE_MAX_OPS; i++) {
        od_op op = from.op[i];
        if (op.kind != OD_OP_RECAPTURE) {
            int *n = &number[op.session];
            if (op.kind == OD_OP_PREFILL && *n < 0) *n = (int)used++;
            if (*n < 0) continue; /* decode or reset of a session that has no prefill yet */
            op.session = (unsigned)*n;
            if (op.kind == OD_OP_DECODE && !full[op.session]) continue;
            if (op.kind == OD_OP_PREFILL && full[op.session])
                c->op[c->n_op++] = (od_op){.kind = OD_OP_RESET, .session = op.session};
            full[op.session] = op.kind != OD_OP_RESET;
        }
        c->op[c->n_op++] = op;
    }
    if (used == 0) insert_op(c, 0, (od_op){.kind = OD_OP_PREFILL, .steps = (unsigned)c->config.patch});
}

/* ---- series, model, options -------------------------------------------------------------------------------------- */

static void forget_csv(od_case *c) {
    c->generator = OD_GEN_WALK;
    c->csv = (od_case_file){0};
    memset(c->column, 0, sizeof c->column);
    c->n_column = c->csv_start = c->csv_stride = 0;
}

/* Groups, padded variate and columns fit the number of variates. */
static void repair_series(od_case *c) {
    if (c->generator == OD_GEN_CSV) {
        if (c->variates > c->n_column) c->variates = c->n_column;
        for (; c->n_column > c->variates; c->n_column--) memset(c->column[c->n_column - 1], 0, sizeof c->column[0]);
        c->scale = 1;
    }
    for (unsigned v = c->n_group; c->n_group && v < c->variates; v++) c->group[v] = 0;
    for (unsigned v = c->variates; v < c->n_group; v++) c->group[v] = 0;
    if (c->n_group) c->n_group = c->variates;
    if (c->padded_variate >= (int)c->variates) c->padded_variate = (int)c->variates - 1;
}

static void change_size(od_case *c, od_rng *rng) {
    if (od_pick_chance(rng, 3))
        c->batch = od_pick_chance(rng, 2) ? od_pick(rng, 1, 4) : nudge(c->batch, 1, 1, OD_CASE_MAX_BATCH, rng);
    else if (od_pick_chance(rng, 2))
        c->variates = od_pick_chance(rng, 4) ? od_pick_edge(rng, 1, OD_CASE_MAX_VARIATES) : od_pick_size(rng, 1, 33);
    else
        c->variates = nudge(c->variates, 1, 1, OD_CASE_MAX_VARIATES, rng);
}

static void change_padding(od_case *c, od_rng *rng) {
    static const double missing[] = {0, 0.02, 0.1, 0.5};
    switch (od_pick(rng, 0, 2)) {
    case 0: c->left_padding = c->left_padding && od_pick_chance(rng, 2) ? 0 : od_pick_size(rng, 1, 65); break;
    case 1: c->missing = missing[od_pick(rng, 0, 3)]; break;
    default: c->padded_variate = (int)od_pick(rng, 0, c->variates) - 1; break;
    }
}

static void change_groups(od_case *c, od_rng *rng) {
    if (c->n_group == 0) {
        od_pick_groups(c, rng);
    } else if (od_pick_chance(rng, 3)) {
        memset(c->group, 0, sizeof c->group);
        c->n_group = 0;
    } else {
        const int32_t id = (int32_t)od_pick(rng, 0, 3);
        c->group[od_pick(rng, 0, c->n_group - 1)] = id;
    }
}

static void change_generator(od_case *c, od_rng *rng) {
    static const double scales[] = {0.01, 1, 3, 1000};
    if (od_pick_chance(rng, 3)) {
        c->scale = scales[od_pick(rng, 0, 3)];
        return;
    }
    if (c->generator == OD_GEN_CSV) forget_csv(c);
    c->generator = (enum od_generator)od_pick(rng, OD_GEN_NORMAL, OD_GEN_SMALL);
}

static void change_model(od_case *c, od_rng *rng) {
    static const double gains[] = {0.5, 1, 1.25};
    unsigned what = od_pick(rng, 0, 5);
    od_config fresh;
    if (what == 0) {
        c->gain = gains[od_pick(rng, 0, 2)];
    } else if (what == 1) {
        c->config.xpos = c->config.xpos == OD_XPOS_CALL ? OD_XPOS_ORIGIN : OD_XPOS_CALL;
    } else if (!c->model_folder[0]) {
        c->preset[0] = 0;
        od_pick_config(&fresh, rng);
        if (what == 2) { /* the scaler alone */
            c->config.scaler = fresh.scaler;
            c->config.stabilize = fresh.stabilize;
            c->config.scale_exponent = fresh.scale_exponent;
        } else if (what == 3) { /* the order of layers */
            c->config.n_layer = fresh.n_layer;
            c->config.space_every = fresh.space_every;
            c->config.space_first = fresh.space_first;
        } else if (what == 4) { /* the head */
            c->config.mixture = fresh.mixture;
            c->config.n_component = fresh.n_component;
        } else {
            c->config = fresh;
        }
    }
}

static void change_options(od_case *c, od_rng *rng) {
    switch (od_pick(rng, 0, 5)) {
    case 0: c->options.graph = !c->options.graph; break;
    case 1: c->options.cache = (enum od_cache)od_pick(rng, OD_CACHE_OFF, OD_CACHE_FIXED); break;
    case 2: c->options.streams = od_pick(rng, 1, 4); break;
    case 3: c->options.captures = od_pick(rng, 1, 8); break;
    case 4: c->options.fused = !c->options.fused; break;
    default: c->options.order = od_pick(rng, 0, 1000000); break;
    }
}

/* Parts of a case that is drawn as a night draws them, half the time all: from small seeds single steps do not get to
 * the sizes where kernels change their way, which take several changes at once (tests/faults/bench: more variates than
 * a tile of keys, and groups in them; long contexts of several rows; wide products). */
static void graft(od_case *c, od_rng *rng) {
    const uint64_t index = od_pick(rng, 0, 3), seed = od_pick_seed(rng);
    od_case fresh;
    od_case_generate(&fresh, seed, index, OD_PROFILE_MIXED);
    od_case_take(c, &fresh, od_pick_chance(rng, 2) ? OD_PARTS : od_pick(rng, 1, OD_PARTS));
}

static void change(od_case *c, od_rng *rng) {
    switch (od_pick(rng, 0, 15)) {
    case 0: c->weight_seed = c->model_folder[0] ? 0 : od_pick_seed(rng); break;
    case 1: c->series_seed = od_pick_seed(rng); break;
    case 2: change_size(c, rng); break;
    case 3: change_padding(c, rng); break;
    case 4: change_groups(c, rng); break;
    case 5: change_generator(c, rng); break;
    case 6:
    case 7: change_model(c, rng); break;
    case 8: change_options(c, rng); break;
    case 9:
    case 10: graft(c, rng); break;
    default: change_schedule(c, rng); break;
    }
}

/* ---- the doors --------------------------------------------------------------------------------------------------- */

/* Legal, no dearer than limit, in the domain, and not what it was (a step may have chosen what stood there). */
static bool is_good(const od_case *c, double limit, uint64_t old_hash) {
    return od_case_check(c, NULL) == OD_OK && od_case_work(c) <= limit && od_case_hash(c) != old_hash &&
           od_case_in_domain(c);
}

/* A folder whose model was not read is replaced by generated weights, a file that cannot be read by a walk. */
static void make_readable(od_case *c) {
    od_series s;
    if (c->config.patch == 0) {
        od_case plain;
        od_case_init(&plain);
        memset(c->model_folder, 0, sizeof c->model_folder);
        c->model_config = c->model_weights = (od_case_file){0};
        memcpy(c->preset, plain.preset, sizeof c->preset);
        c->config = plain.config;
    }
    if (c->generator != OD_GEN_CSV) return;
    if (od_case_series(&s, c, 0, NULL))
        forget_csv(c);
    else
        od_series_free(&s);
}

void od_case_mutate(od_case *c, uint64_t seed) {
    od_rng rng = od_rng_make(seed, od_rng_name_key("case/mutate"));
    assert(od_case_check(c, NULL) == OD_OK);
    od_case_forget_verdict(c);
    make_readable(c);
    const od_case before = *c;
    double limit = fmax(OD_CASE_CHEAP, od_case_work(c)); /* a dear case may stay as dear as it is */
    uint64_t old_hash = od_case_hash(c);
    for (int i = 0; i < MAX_STEPS; i++) {
        *c = before;
        change(c, &rng);
        if (i > MAX_STEPS / 2) {                  /* two steps may get where one does not */
            if (c->n_op == 0) repair_schedule(c); /* the first may have taken all that there was */
            change(c, &rng);
        }
        repair_series(c);
        repair_schedule(c);
        if (is_good(c, limit, old_hash)) return;
    }
    od_case_generate(c, seed, 0, OD_PROFILE_DEFAULT);
    memcpy(c->path, before.path, sizeof c->path);
}

void od_case_cross(od_case *c, const od_case *other, uint64_t seed) {
    od_rng rng = od_rng_make(seed, od_rng_name_key("case/cross"));
    assert(od_case_check(c, NULL) == OD_OK && od_case_check(other, NULL) == OD_OK);
    od_case_forget_verdict(c);
    make_readable(c);
    const od_case before = *c;
    double limit = fmax(OD_CASE_CHEAP, od_case_work(c));
    uint64_t old_hash = od_case_hash(c);
    for (int i = 0; i < MAX_STEPS; i++) {
        *c = before;
        od_case_take(c, other, od_pick(&rng, 1, OD_PARTS - 1)); /* neither nothing nor all of the other */
        repair_series(c);
        repair_schedule(c);
        if (is_good(c, limit, old_hash)) return;
    }
    *c = before;
    od_case_mutate(c, seed);
}

/* ---- narrowing --------------------------------------------------------------------------------------------------- */

void od_case_keep_prefills(od_case *c) {
    const unsigned before = c->n_op;
    unsigned n = 0;
    for (unsigned i = 0; i < before; i++)
        if (c->op[i].kind != OD_OP_DECODE) c->op[n++] = c->op[i];
    memset(c->op + n, 0, (OD_CASE_MAX_OPS - n) * sizeof *c->op);
    c->n_op = n;
    if (n < before) od_case_forget_verdict(c);
}

bool od_case_is_stateful(const od_case *c) {
    unsigned patches = 0, others = 0;
    for (unsigned i = 0; i < c->n_op; i++) {
        const od_op *op = &c->op[i];
        patches += op->patches;
        others +=
            op->kind == OD_OP_RESET || op->kind == OD_OP_RECAPTURE || (op->kind == OD_OP_PREFILL && op->session > 0);
    }
    return patches > 0 && patches + others > 1;
}

/* A few steps behind one of the contexts, and some other entries wherever. */
static void add_state(od_case *c, od_rng *rng) {
    unsigned prefill[OD_CASE_MAX_OPS], n = 0;
    for (unsigned i = 0; i < c->n_op; i++)
        if (c->op[i].kind == OD_OP_PREFILL) prefill[n++] = i;
    const unsigned at = prefill[od_pick(rng, 0, n - 1)];
    od_op steps = {.kind = OD_OP_DECODE, .session = c->op[at].session, .patches = od_pick_size(rng, 1, 8)};
    steps.own = od_pick_chance(rng, 3);
    insert_op(c, at + 1, steps);
    for (unsigned more = od_pick(rng, 1, 4); more > 0; more--) insert_drawn(c, at + 1, rng);
}

void od_case_make_stateful(od_case *c, uint64_t seed) {
    if (od_case_is_stateful(c)) return;
    od_rng rng = od_rng_make(seed, od_rng_name_key("case/stateful"));
    od_case_forget_verdict(c);
    make_readable(c);
    const od_case before = *c;
    const double limit = fmax(OD_CASE_CHEAP, 2 * od_case_work(c));
    for (int i = 0; i < MAX_STEPS; i++) {
        *c = before;
        add_state(c, &rng);
        repair_schedule(c);
        if (od_case_is_stateful(c) && is_good(c, limit, 0)) return;
    }
    for (uint64_t i = 0; i == 0 || !od_case_is_stateful(c); i++) od_case_generate(c, seed, i, OD_PROFILE_SESSION);
    memcpy(c->path, before.path, sizeof c->path);
}
