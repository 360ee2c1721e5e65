/* What a case is like and what it showed, as features (features.h). */
#include <math.h>
#include <string.h>

#include "oracles/features.h"

typedef struct list {
    uint16_t *id;
    size_t n, cap;
    const od_case *c;
    size_t patch;
} list;

static void put(list *l, enum od_feature_family f, size_t i, size_t j, size_t k) {
    if (l->n < l->cap) l->id[l->n++] = (uint16_t)od_feature_id(f, (unsigned)i, (unsigned)j, (unsigned)k);
}

/* ---- shape ------------------------------------------------------------------------------------------------------- */

static unsigned coarse(size_t n) {
    return n < 2 ? 0 : n < 5 ? 1 : n < 17 ? 2 : n < 65 ? 3 : 4;
}

static size_t patches_of(const list *l, const od_op *op) {
    return (op->steps + l->patch - 1) / l->patch;
}

static void put_shape(list *l) {
    const od_case *c = l->c;
    size_t longest = 0;
    for (unsigned i = 0; i < c->n_op; i++) {
        const od_op *op = &c->op[i];
        if (op->kind != OD_OP_PREFILL) continue;
        const size_t rest = op->steps % l->patch, n = patches_of(l, op);
        put(l, OD_FEATURE_CONTEXT, rest == 0 ? 0 : rest == 1 ? 2 : rest == l->patch - 1 ? 1 : 3, 0, 0);
        put(l, OD_FEATURE_PATCHES, od_edge_class(n), 0, 0);
        if (n > longest) longest = n;
    }
    put(l, OD_FEATURE_BATCH, od_edge_class(c->batch), 0, 0);
    put(l, OD_FEATURE_VARIATES, od_edge_class(c->variates), 0, 0);
    put(l, OD_FEATURE_SHAPE, coarse(c->batch), coarse(c->variates), coarse(longest));
}

/* ---- series, model, switches ------------------------------------------------------------------------------------- */

static void put_padding(list *l) {
    const od_case *c = l->c;
    const size_t left = c->left_padding;
    put(l, OD_FEATURE_PADDING,
        left == 0              ? 0
        : left < l->patch      ? 1
        : left % l->patch == 0 ? 2
                               : 3,
        c->missing > 0.25 ? 2 : c->missing > 0, c->padded_variate >= 0);
}

static void put_groups(list *l) {
    const od_case *c = l->c;
    size_t n = 1, changes = 0;
    for (unsigned v = 1; v < c->n_group; v++) {
        bool seen = false;
        for (unsigned u = 0; u < v; u++) seen = seen || c->group[u] == c->group[v];
        n += !seen;
        changes += c->group[v] != c->group[v - 1];
    }
    const size_t kind = n < 3 ? n - 1 : n == c->n_group ? 3 : 2;
    put(l, OD_FEATURE_GROUPS, kind, changes > n - 1, 0);
}

static size_t head_dim_class(size_t d) {
    static const size_t tops[] = {4, 6, 8, 14, 16, 30, 32, 62};
    size_t i = 0;
    while (i < sizeof tops / sizeof *tops && d > tops[i]) i++;
    return i;
}

/* fused, and how keys are kept: which of the fast path's ways it takes. */
static size_t path_of(const od_case *c) {
    return 2 * (size_t)c->options.cache + c->options.fused;
}

static void put_model(list *l) {
    const od_case *c = l->c;
    const od_config *m = &c->config;
    const size_t space = m->space_every == 0 ? 0 : m->space_every == 1 ? 3 : m->space_first ? 1 : 2, k = m->n_component;
    put(l, OD_FEATURE_SERIES, c->generator, (size_t)m->scaler + m->stabilize, 0);
    put(l, OD_FEATURE_LAYERS, m->n_layer, space, 0);
    put(l, OD_FEATURE_HEAD, !m->mixture ? 0 : k < 2 ? 1 : k < 5 ? 2 : k < 9 ? 3 : 4, 0, 0);
    put(l, OD_FEATURE_PATCH, od_edge_class(m->patch), 0, 0);
    put(l, OD_FEATURE_HEAD_DIM, head_dim_class(m->d_model / m->n_head), 0, 0);
    put(l, OD_FEATURE_MLP, od_edge_class(m->d_mlp), 0, 0);
    put(l, OD_FEATURE_SWITCHES, path_of(c), c->options.graph, m->xpos == OD_XPOS_ORIGIN);
    const size_t limit = c->options.captures;
    put(l, OD_FEATURE_LIMITS, limit < 2 ? 0 : limit < 4 ? 1 : limit < 8 ? 2 : 3, c->options.streams - 1, 0);
}

/* ---- schedule ---------------------------------------------------------------------------------------------------- */

/* A walk along the schedule: what each session holds. */
typedef struct walk {
    size_t steps[OD_CASE_MAX_SESSIONS];   /* of its last context; 0: none yet */
    size_t patches[OD_CASE_MAX_SESSIONS]; /* context and steps */
    size_t decoded[OD_CASE_MAX_SESSIONS], own[OD_CASE_MAX_SESSIONS];
    size_t most_decoded, most_own, lives, recaptures;
    unsigned bucket; /* of the call before; 10: none */
} walk;

/* The fused path's graphs serve 8, 64, 512, … tokens. */
static unsigned bucket_of(size_t tokens, bool step) {
    unsigned b = 0;
    for (size_t top = 8; tokens > top && b < 4; top *= 8) b++;
    return b + (step ? 5 : 0);
}

static void put_call(list *l, walk *w, const od_op *op, size_t n_patch) {
    const od_case *c = l->c;
    const bool decode = op->kind == OD_OP_DECODE, step = decode && c->options.cache != OD_CACHE_OFF;
    const size_t tokens = (size_t)c->batch * c->variates * (step ? 1 : n_patch);
    const unsigned bucket = bucket_of(tokens, step);
    put(l, OD_FEATURE_TOKENS, decode, od_edge_class(tokens), 0);
    if (decode) put(l, OD_FEATURE_KEYS, od_edge_class(n_patch), 0, 0);
    if (w->bucket < 10) put(l, OD_FEATURE_BUCKETS, w->bucket, bucket, 0);
    w->bucket = bucket;
}

/* One of name_op's kinds; the calls of the entry are put as well. */
static unsigned take_op(list *l, walk *w, const od_op *op) {
    const unsigned s = op->session;
    unsigned kind = 9;
    switch (op->kind) {
    case OD_OP_PREFILL:
        kind = w->steps[s] == 0 ? 0 : op->steps < w->steps[s] ? 1 : op->steps == w->steps[s] ? 2 : 3;
        w->steps[s] = op->steps;
        w->patches[s] = patches_of(l, op);
        w->decoded[s] = w->own[s] = 0;
        w->lives++;
        put_call(l, w, op, w->patches[s]);
        break;
    case OD_OP_DECODE:
        kind = (op->own ? 6 : 4) + (op->patches > 1);
        for (unsigned k = 0; k < op->patches; k++) put_call(l, w, op, ++w->patches[s]);
        w->decoded[s] += op->patches;
        w->own[s] += op->own ? op->patches : 0;
        if (w->decoded[s] > w->most_decoded) w->most_decoded = w->decoded[s];
        if (w->own[s] > w->most_own) w->most_own = w->own[s];
        break;
    case OD_OP_RESET: kind = 8; break;
    case OD_OP_RECAPTURE: w->recaptures++; break;
    }
    return kind;
}

/* Context, steps, own steps, reset, recapture. */
static unsigned broad(unsigned kind) {
    return kind < 4 ? 0 : kind < 6 ? 1 : kind < 8 ? 2 : kind - 5;
}

static void put_grams(list *l, const unsigned *kind, const unsigned *session, unsigned at) {
    if (at > 0) put(l, OD_FEATURE_OPS, kind[at - 1], kind[at], session[at - 1] != session[at]);
    if (at < 2) return;
    const unsigned a = session[at - 2], b = session[at - 1], c = session[at];
    const unsigned pattern = a == b ? (b == c ? 0 : 1) : a == c ? 2 : b == c ? 3 : 4;
    put(l, OD_FEATURE_TRIGRAM, broad(kind[at - 2]) * 25 + broad(kind[at - 1]) * 5 + broad(kind[at]), pattern, 0);
}

static void put_schedule(list *l) {
    const od_case *c = l->c;
    walk w = {.bucket = 10};
    unsigned kind[OD_CASE_MAX_OPS], session[OD_CASE_MAX_OPS];
    for (unsigned i = 0; i < c->n_op; i++) {
        kind[i] = take_op(l, &w, &c->op[i]);
        session[i] = c->op[i].kind == OD_OP_RECAPTURE ? (i > 0 ? session[i - 1] : 0) : c->op[i].session;
        put_grams(l, kind, session, i);
    }
    put(l, OD_FEATURE_SESSIONS, od_case_sessions(c), 0, 0);
    const size_t run[] = {w.most_decoded, w.most_own, w.lives, c->n_op, w.recaptures};
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) put(l, OD_FEATURE_RUN, i, od_count_class(run[i]), 0);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* Calls of the session since its context, at a place in the schedule. */
static size_t calls_before(const od_case *c, const od_call_at *at) {
    size_t n = at->call;
    if (at->step == OD_STEP_PREFILL) return 0;
    for (unsigned i = at->op; i-- > 0;) {
        const od_op *op = &c->op[i];
        if (op->kind == OD_OP_RECAPTURE || op->session != at->session) continue;
        if (op->kind != OD_OP_DECODE) return op->kind == OD_OP_PREFILL ? n + 1 : n;
        n += op->patches;
    }
    return n;
}

static void put_answers(list *l, const od_evidence *ev) {
    const od_stats *s = &ev->fast_stats;
    const uint64_t counter[] = {s->captures, s->replays, s->cache_hits, s->fallbacks, s->launches, s->replaced};
    for (size_t i = 0; i < sizeof counter / sizeof *counter; i++)
        put(l, OD_FEATURE_COUNTER, i, od_count_class(counter[i]), 0);
    for (int t = 0; t < OD_TENSORS; t++)
        for (int step = 0; step < OD_STEPS; step++) {
            const od_row *row = &ev->row[t][step][1];
            if (row->compared == 0) continue;
            const unsigned share = od_share_class(row->share);
            put(l, OD_FEATURE_ERROR, (size_t)t, (size_t)step, share);
            put(l, OD_FEATURE_DRIFT, od_count_class(calls_before(l->c, &row->at)), share, 0);
            put(l, OD_FEATURE_ERROR_OF_PATH, path_of(l->c), share, 0);
        }
}

size_t od_features_of(uint16_t *id, size_t cap, const od_case *c, const od_verdict *v) {
    list l = {.id = id, .cap = cap, .c = c, .patch = c->config.patch};
    if (l.patch == 0) return 0; /* a folder whose model could not be read */
    put_shape(&l);
    put_padding(&l);
    put_groups(&l);
    put_model(&l);
    if (v && v->evidence) put_answers(&l, v->evidence); /* before the schedule, which may be long */
    put_schedule(&l);
    return l.n;
}
