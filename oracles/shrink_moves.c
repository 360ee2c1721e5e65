/* How a case gets smaller: the moves in the order of the search, big cuts before fine ones. A move may leave what
 * od_case_check refuses; the search looks. Numbers go down by the whole way, a half, a quarter, …, one, so that few
 * runs reach a minimum and the last of them shows that it is one. */
#include <string.h>

#include "oracles/shrink.h"

/* Small seeds are 1 … SEEDS, since one may be unlucky; so many are tried to get rid of a whole kind of layers. */
enum { SEEDS = 3, KIND_SEEDS = 16 };

/* Lowers *value towards least by (value - least) / 2^k; false where that is nothing. */
static bool lower(size_t *value, size_t least, unsigned k) {
    if (*value <= least || k >= 64) return false;
    size_t by = (*value - least) >> k;
    *value -= by;
    return by > 0;
}

static bool lower_count(unsigned *value, unsigned least, unsigned k) {
    size_t wide = *value;
    bool changed = lower(&wide, least, k);
    *value = (unsigned)wide;
    return changed;
}

/* So many values of k lower it. */
static unsigned rungs(size_t value, size_t least) {
    unsigned n = 0;
    for (; value > least && (value - least) >> n; n++) {
    }
    return n;
}

/* Is it this list's turn? Else k is counted down by the list's length. */
static bool in_list(unsigned *k, unsigned length) {
    if (*k < length) return true;
    *k -= length;
    return false;
}

/* ---- schedule ---------------------------------------------------------------------------------------------------- */

/* Sessions are numbered as they appear; entries that no longer make sense where they stand go. */
static void settle(od_case *c) {
    int number[OD_CASE_MAX_SESSIONS] = {-1, -1, -1, -1};
    bool full[OD_CASE_MAX_SESSIONS] = {0};
    unsigned used = 0, n = 0;
    for (unsigned i = 0; i < c->n_op; i++) {
        od_op op = c->op[i];
        if (op.kind != OD_OP_RECAPTURE) {
            int *to = &number[op.session];
            if (op.kind == OD_OP_PREFILL && *to < 0) *to = (int)used++;
            if (*to < 0 || full[*to] == (op.kind == OD_OP_PREFILL)) continue;
            op.session = (unsigned)*to;
            full[op.session] = op.kind != OD_OP_RESET;
        }
        c->op[n++] = op;
    }
    memset(c->op + n, 0, (c->n_op - n) * sizeof *c->op);
    c->n_op = n;
}

static void cut(od_case *c, unsigned at, unsigned n) {
    memmove(c->op + at, c->op + at + n, (c->n_op - at - n) * sizeof *c->op);
    memset(c->op + c->n_op - n, 0, n * sizeof *c->op);
    c->n_op -= n;
}

/* Chunks of half of the entries, of a quarter, …, of one, from the end on. */
static bool drop_entries(od_case *c, unsigned k) {
    for (unsigned chunk = c->n_op / 2; chunk > 0; chunk /= 2) {
        unsigned n = (c->n_op + chunk - 1) / chunk;
        if (!in_list(&k, n)) continue;
        unsigned at = (n - 1 - k) * chunk, length = c->n_op - at < chunk ? c->n_op - at : chunk;
        cut(c, at, length);
        settle(c);
        return true;
    }
    return false;
}

/* A session leaves, or goes on as another. */
static bool join_sessions(od_case *c, unsigned k) {
    unsigned n = od_case_sessions(c);
    if (n < 2 || k >= n + n * n) return false;
    bool leaves = in_list(&k, n);
    unsigned from = n - 1 - (leaves ? k : k / n), to = k % n;
    for (unsigned i = c->n_op; i-- > 0;) {
        if (c->op[i].kind == OD_OP_RECAPTURE || c->op[i].session != from) continue;
        if (leaves)
            cut(c, i, 1);
        else
            c->op[i].session = to;
    }
    settle(c);
    return true;
}

/* Decode entry k takes over the patches of the session's next decode entry. */
static bool join_decodes(od_case *c, unsigned k) {
    for (; k < c->n_op; k++) {
        if (c->op[k].kind != OD_OP_DECODE) continue;
        unsigned next = k + 1;
        while (next < c->n_op && (c->op[next].kind == OD_OP_RECAPTURE || c->op[next].session != c->op[k].session))
            next++;
        if (next == c->n_op || c->op[next].kind != OD_OP_DECODE) return true;
        c->op[k].patches += c->op[next].patches;
        cut(c, next, 1);
        return true;
    }
    return false;
}

static bool lower_decodes(od_case *c, unsigned k) {
    if (k < 2) { /* all of them at once */
        for (unsigned i = 0; i < c->n_op; i++)
            if (c->op[i].kind == OD_OP_DECODE) lower_count(&c->op[i].patches, 1, k);
        return true;
    }
    k -= 2;
    for (unsigned i = 0; i < c->n_op; i++)
        if (c->op[i].kind == OD_OP_DECODE && in_list(&k, rungs(c->op[i].patches, 1)))
            return lower_count(&c->op[i].patches, 1, k);
    return false;
}

/* A context of whole patches, fewer by rung k. */
static void lower_context(od_op *op, size_t patch, unsigned k) {
    size_t n = (op->steps + patch - 1) / patch;
    lower(&n, 1, k);
    op->steps = (unsigned)(n * patch);
}

static bool lower_prefills(od_case *c, unsigned k) {
    size_t patch = c->config.patch;
    if (k < 3) { /* all of them at once: one patch, half of the patches, whole patches */
        for (unsigned i = 0; i < c->n_op; i++)
            if (c->op[i].kind == OD_OP_PREFILL) lower_context(&c->op[i], patch, k < 2 ? k : 64);
        return true;
    }
    k -= 3;
    for (unsigned i = 0; i < c->n_op; i++) {
        od_op *op = &c->op[i];
        if (op->kind != OD_OP_PREFILL) continue;
        size_t n = (op->steps + patch - 1) / patch;
        unsigned n_rung = rungs(n, 1);
        if (in_list(&k, n_rung)) {
            lower_context(op, patch, k);
            return true;
        }
        if (op->steps % patch == 0 || !in_list(&k, n_rung)) continue;
        size_t fewer = n; /* the incomplete patch stays */
        lower(&fewer, 1, k);
        op->steps -= (unsigned)((n - fewer) * patch);
        return true;
    }
    return false;
}

static bool feed_from_series(od_case *c, unsigned k) {
    for (; k < c->n_op; k++) {
        if (c->op[k].kind != OD_OP_DECODE) continue;
        c->op[k].own = false;
        return true;
    }
    return false;
}

/* ---- model ------------------------------------------------------------------------------------------------------- */

/* The dimensions, spelled out; NULL where a folder holds them. */
static od_config *open_config(od_case *c) {
    if (c->model_folder[0]) return NULL;
    memset(c->preset, 0, sizeof c->preset);
    return &c->config;
}

/* One narrow layer of a kind that the model has, then no more than seed-tiny has. */
static bool small_model(od_case *c, unsigned k) {
    od_config *m = c->model_folder[0] ? NULL : &c->config, tiny;
    if (!m || od_config_preset(&tiny, "seed-tiny", NULL) != OD_OK) return false;
    bool is_smallest = m->n_layer == 1 && m->d_model == 4 && m->d_mlp == 1;
    unsigned n_kind = is_smallest ? 0 : m->space_every > 1 ? 2 : 1;
    if (in_list(&k, n_kind)) {
        open_config(c);
        m->space_every = n_kind == 2 ? k : m->space_every;
        m->d_model = 4; /* the least that rotary pairs allow */
        m->n_layer = m->n_head = m->d_mlp = 1;
        return true;
    }
    if (k > 0 || m->n_layer < tiny.n_layer || m->d_model <= tiny.d_model || m->d_mlp < tiny.d_mlp) return false;
    open_config(c);
    m->d_model = tiny.d_model;
    m->n_head = tiny.n_head;
    m->d_mlp = tiny.d_mlp;
    m->n_layer = tiny.n_layer;
    m->space_every = m->space_every > 1 ? tiny.space_every : m->space_every;
    return true;
}

/* Time-wise layers alone, space-wise layers alone; then the same with other weights, since which tensor is the worst
 * one, and so the kind of a finding, is a matter of luck. */
static bool one_kind(od_case *c, unsigned k) {
    od_config *m = k < 2 * (1 + KIND_SEEDS) && c->config.space_every > 1 ? open_config(c) : NULL;
    if (!m) return false;
    m->space_every = k % 2;
    if (k >= 2) c->weight_seed = k / 2;
    return true;
}

static bool lower_layers(od_case *c, unsigned k) {
    od_config *m = open_config(c);
    if (!m) return false;
    if (m->space_every <= 1) return lower(&m->n_layer, 1, k);
    size_t blocks = m->n_layer / m->space_every;
    bool lowered = in_list(&k, rungs(blocks, 1)) ? lower(&blocks, 1, k) : lower(&m->space_every, 2, k);
    m->n_layer = blocks * m->space_every;
    return lowered;
}

/* Heads, then pairs of each head, then heads of a width that stays. */
static bool lower_width(od_case *c, unsigned k) {
    od_config *m = open_config(c);
    if (!m) return false;
    size_t per_head = m->d_model / m->n_head, pairs = per_head / 2;
    if (in_list(&k, rungs(m->n_head, 1))) {
        lower(&m->n_head, 1, k);
        m->d_model = m->n_head * per_head;
        return true;
    }
    if (in_list(&k, rungs(pairs, 2))) {
        lower(&pairs, 2, k);
        m->d_model = m->n_head * pairs * 2;
        return true;
    }
    return lower(&m->n_head, 1, k);
}

static bool lower_mlp(od_case *c, unsigned k) {
    od_config *m = open_config(c);
    return m && lower(&m->d_mlp, 1, k);
}

static bool simpler_head(od_case *c, unsigned k) {
    od_config *m = c->config.mixture ? open_config(c) : NULL;
    if (!m) return false;
    if (k > 0) return lower(&m->n_component, 1, k - 1);
    m->mixture = false;
    m->n_component = 1;
    return true;
}

/* Contexts keep their number of patches. */
static bool lower_patch(od_case *c, unsigned k) {
    od_config *m = open_config(c);
    size_t before = c->config.patch;
    if (!m || !lower(&m->patch, 1, k)) return false;
    for (unsigned i = 0; i < c->n_op; i++)
        if (c->op[i].kind == OD_OP_PREFILL)
            c->op[i].steps = (unsigned)((c->op[i].steps * m->patch + before - 1) / before);
    c->left_padding = (unsigned)(c->left_padding * m->patch / before);
    return true;
}

static bool simpler_scaler(od_case *c, unsigned k) {
    od_config *m = k < 3 && c->config.scaler != OD_SCALER_STD_MEAN ? open_config(c) : NULL;
    if (!m) return false;
    if (k == 0) m->scaler = OD_SCALER_STD_MEAN;
    if (k == 1) m->scaler = OD_SCALER_CAUSAL_STD_MEAN;
    m->stabilize = false;
    m->scale_exponent = 10; /* the official default, of no effect */
    return true;
}

static bool usual_weights(od_case *c, unsigned k) {
    if (k == 0) c->gain = 1;
    if (k == 1) c->config.xpos = OD_XPOS_CALL;
    return k < 2;
}

/* ---- series ------------------------------------------------------------------------------------------------------ */

/* A case has a column and an id for each variate. */
static void cut_variate(od_case *c, unsigned at) {
    unsigned behind = --c->variates - at;
    if (c->n_group) {
        memmove(c->group + at, c->group + at + 1, behind * sizeof *c->group);
        c->group[--c->n_group] = 0;
    }
    if (c->n_column) {
        memmove(c->column + at, c->column + at + 1, behind * sizeof *c->column);
        memset(c->column[--c->n_column], 0, sizeof *c->column);
    }
    if (c->padded_variate > (int)at || c->padded_variate == (int)c->variates) c->padded_variate--;
}

static bool lower_variates(od_case *c, unsigned k) {
    unsigned to = c->variates;
    if (in_list(&k, rungs(to, 1))) {
        lower_count(&to, 1, k);
        while (c->variates > to) cut_variate(c, c->variates - 1);
        return true;
    }
    if (c->variates < 2 || k >= c->variates) return false;
    cut_variate(c, k); /* the ones in front, which differ from those behind by group, column or padding */
    return true;
}

static bool lower_batch(od_case *c, unsigned k) {
    return lower_count(&c->batch, 1, k);
}

/* The small constant is for scalers whose smallest scale makes a larger one's last place weigh (case_domain.c). */
static bool simpler_values(od_case *c, unsigned k) {
    static const struct {
        enum od_generator generator;
        double scale;
    } simple[] = {{OD_GEN_CONSTANT, 1}, {OD_GEN_CONSTANT, 0.01}, {OD_GEN_NORMAL, 1}};
    enum { SIMPLE = sizeof simple / sizeof simple[0] };
    if (k == SIMPLE && c->generator != OD_GEN_CSV) c->scale = 1;
    if (k >= SIMPLE) return k == SIMPLE;
    for (unsigned i = 0; i <= k; i++) /* never back to what is less simple */
        if (c->generator == simple[i].generator && c->scale == simple[i].scale) return false;
    c->generator = simple[k].generator;
    c->scale = simple[k].scale;
    c->csv = (od_case_file){0};
    memset(c->column, 0, sizeof c->column);
    c->n_column = c->csv_start = c->csv_stride = 0;
    return true;
}

static bool less_masked(od_case *c, unsigned k) {
    switch (k) {
    case 0: c->missing = 0; return true;
    case 1: c->padded_variate = -1; return true;
    case 2:
        memset(c->group, 0, sizeof c->group);
        c->n_group = 0;
        return true;
    default: return lower_count(&c->left_padding, 0, k - 3);
    }
}

static bool compare_all(od_case *c, unsigned k) {
    c->only_scaler = false;
    return k < 1;
}

static bool small_seeds(od_case *c, unsigned k) {
    uint64_t *seed = k < SEEDS ? &c->weight_seed : &c->series_seed, to = 1 + k % SEEDS;
    if (*seed > to && !(k < SEEDS && c->model_folder[0])) *seed = to;
    return k < 2 * SEEDS;
}

/* ---- switches ---------------------------------------------------------------------------------------------------- */

/* All at once, then one by one towards plain calls. */
static bool plain_switches(od_case *c, unsigned k) {
    od_options *o = &c->options;
    enum { SWITCHES = 10 };
    if (k == 0 || k == 1) o->cache = OD_CACHE_OFF;
    if (k == 2 && o->cache == OD_CACHE_FIXED) o->cache = OD_CACHE_DYNAMIC;
    if (k == 0 || k == 3) o->captures = od_options_default().captures;
    if (k == 0 || k == 4) o->threads = 1;
    if (k == 0 || k == 5) o->order = 0;
    if (k == 0 || k == 6) o->streams = 1;
    if (k == 0 || k == 7) o->tf32 = false;
    if (k == 0 || k == 8) o->autotune = false;
    if (k == 0 || k == 9) o->fused = false;
    if (k == 0 || k == 10) o->graph = false;
    return k <= SWITCHES;
}

/* The model first: it is what makes a run slow. near: a switch says most, then one call, one row, one layer less; other
 * values or weights say least. */
static const od_shrink_move moves[] = {
    {"model", 2, small_model},        {"schedule", 1, drop_entries},     {"sessions", 1, join_sessions},
    {"batch", 1, lower_batch},        {"variates", 1, lower_variates},   {"decodes", 1, lower_decodes},
    {"contexts", 1, lower_prefills},  {"entries", 1, join_decodes},      {"layer kinds", 2, one_kind},
    {"layers", 2, lower_layers},      {"width", 2, lower_width},         {"mlp", 2, lower_mlp},
    {"patch", 2, lower_patch},        {"head", 2, simpler_head},         {"scaler", 2, simpler_scaler},
    {"gain, xPos", 2, usual_weights}, {"masks, groups", 1, less_masked}, {"values", 3, simpler_values},
    {"feed", 1, feed_from_series},    {"comparison", 1, compare_all},    {"seeds", 4, small_seeds},
    {"switches", 0, plain_switches},
};

const od_shrink_move *od_shrink_move_at(unsigned i) {
    return i < sizeof moves / sizeof moves[0] ? &moves[i] : NULL;
}
