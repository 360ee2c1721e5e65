/* The walk of three engines side by side (explain.h). */
#include "oracles/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "oracles/tolerance.h"

static const char *const walker_names[OD_WALKERS] = {"the reference", "the fast path", "the arbiter"};

od_call_place od_call_place_of(const od_script *script, const od_call_at *at) {
    const od_case *c = script->c;
    const size_t patch = script->model->config.patch;
    od_call_place p = {.at = *at};
    size_t context = 0;
    for (unsigned i = 0; i <= at->op; i++) {
        const od_op *op = &c->op[i];
        if (op->session != at->session) continue;
        if (op->kind == OD_OP_PREFILL) {
            context = (op->steps + patch - 1) / patch;
            p.step = 0;
        } else if (op->kind == OD_OP_DECODE) {
            p.step += i < at->op ? op->patches : at->call + 1;
        }
    }
    p.first_patch = p.step ? context + p.step - 1 : 0;
    p.n_patch = p.step ? 1 : context;
    return p;
}

/* What the walk has under way. */
typedef struct walk {
    od_explanation *x;
    const od_trace *seen;
    od_player player[OD_WALKERS];
    od_progress progress[OD_WALKERS];
    od_outputs out[OD_WALKERS];
    double unit[OD_CASE_MAX_SESSIONS]; /* as in od_trace_call */
    od_call_place place;
} walk;

static const od_tensor *find(const od_outputs *out, const char *name) {
    for (size_t i = 0; i < out->n_tensor; i++)
        if (strcmp(out->tensor[i].name, name) == 0) return &out->tensor[i];
    return NULL;
}

/* Is `one` far from float64, held against the other? Both are numbers. */
static bool is_far(const od_comparison *one, const od_comparison *other) {
    const od_call_at nowhere = {0};
    od_nearness near = {0};
    od_nearness_add(&near, other->mae, one->mae, one->n, "", &nowhere);
    return near.n_far > 0 || (!od_within(one->max_abs, od_bounds.max_abs) &&
                              !od_within(one->max_abs, od_bounds.near_each * other->max_abs));
}

static enum od_blame blame(const od_comparison *ref, const od_comparison *fast) {
    bool bad_ref = ref->mismatch > 0, bad_fast = fast->mismatch > 0;
    if (!bad_ref && !bad_fast && isfinite(ref->mae) && isfinite(fast->mae)) {
        bad_ref = is_far(ref, fast);
        bad_fast = is_far(fast, ref);
    }
    return (enum od_blame)((bad_ref ? OD_BLAME_REF : 0) | (bad_fast ? OD_BLAME_FAST : 0));
}

static od_extent extent(const walk *w, const od_parting *p, const od_tensor *ref, const od_tensor *fast, double unit) {
    od_extent r = {0};
    for (size_t i = 0; i < p->pair.n; i++) {
        const double a = od_tensor_at(ref, i), b = od_tensor_at(fast, i);
        size_t at[3];
        if (a == b || od_within(fabs(a - b) / unit, od_bounds.max_abs)) continue;
        if (!od_explain_place(at, &w->x->script->model->config, p->cls, ref, i)) return r;
        for (int k = 0; k < 3; k++) {
            if (r.n == 0 || at[k] < r.low[k]) r.low[k] = at[k];
            if (r.n == 0 || at[k] > r.high[k]) r.high[k] = at[k];
        }
        r.n++;
    }
    return r;
}

static void note_cell(walk *w, const od_parting *p, bool parted) {
    od_heat *h = &w->x->heat;
    od_cell *cell = &h->cell[p->call * h->n_stage + p->stage];
    const double ref = p->has_truth ? p->ref.mae : INFINITY, fast = p->has_truth ? p->fast.mae : INFINITY;
    if (!(ref <= cell->ref)) cell->ref = isfinite(ref) ? (float)ref : INFINITY;
    if (!(fast <= cell->fast)) cell->fast = isfinite(fast) ? (float)fast : INFINITY;
    cell->seen = true;
    cell->parted = cell->parted || parted;
}

/* Does the tensor part before the one that is kept? */
static bool comes_first(const od_parting *first, const od_parting *p) {
    if (!first->found) return true;
    if (first->call != p->call) return false;
    return p->stage < first->stage || (p->stage == first->stage && p->share > first->share);
}

static void differ_in_structure(walk *w, od_parting *p, const char *text) {
    p->found = true;
    p->share = INFINITY;
    snprintf(p->structure, sizeof p->structure, "%.300s", text);
    w->x->n_parted++;
    w->x->n_breach++;
    if (comes_first(&w->x->first, p)) w->x->first = *p;
}

/* Fills p's comparisons; does it part? */
static bool parts(walk *w, od_parting *p, const od_tensor *ref, const od_tensor *fast, const od_tensor *truth,
                  double unit) {
    od_explanation *x = w->x;
    const bool held = od_is_contractual(x->script->c, &p->place.at), output = p->cls != OD_TENSOR_HIDDEN;
    p->has_truth = truth && od_compare(&p->ref, truth, ref, unit, false, NULL) == OD_OK &&
                   od_compare(&p->fast, truth, fast, unit, false, NULL) == OD_OK;
    if (p->has_truth) p->blame = blame(&p->ref, &p->fast);
    p->share = od_contract_share(p->pair.mae, p->pair.max_abs);
    p->worst = p->pair.mismatch > 0 ? p->pair.first_mismatch : p->pair.worst;
    const bool breach = p->pair.mismatch > 0 || (held && output && !od_within(p->share, 1));
    x->n_breach += breach;
    if (held && output && p->share > x->share) x->share = p->share;
    if (held && p->has_truth)
        od_nearness_add(&x->near[p->cls], p->ref.mae, p->fast.mae, p->pair.n, p->view.name, &p->place.at);
    return breach || (held && p->blame != OD_BLAME_NONE);
}

static void compare(walk *w, const od_tensor *ref) {
    od_explanation *x = w->x;
    const od_tensor *fast = find(&w->out[OD_WALK_FAST], ref->name), *truth = find(&w->out[OD_WALK_ARBITER], ref->name);
    od_parting p = {.place = w->place, .call = x->heat.n_call - 1, .cls = od_tensor_classify(ref->name), .view = *ref};
    p.view.data = NULL;
    p.stage = od_stage_of(ref->name, x->script->model->config.n_layer);
    if (p.stage == SIZE_MAX) return; /* the accuracy oracle names it */
    const double unit = od_tensor_in_data_space(p.cls) ? w->unit[p.place.at.session] : 1;
    od_error e = {0};
    x->n_tensor++;
    x->n_hidden += p.cls == OD_TENSOR_HIDDEN;
    if (!fast) {
        od_fail(&e, OD_BAD_INPUT, "the fast path does not give %.100s", ref->name);
        differ_in_structure(w, &p, e.text);
        return;
    }
    if (od_compare(&p.pair, ref, fast, unit, false, &e) != OD_OK) {
        differ_in_structure(w, &p, e.text);
        return;
    }
    const bool parted = parts(w, &p, ref, fast, truth, unit);
    note_cell(w, &p, parted);
    if (!parted) return;
    x->n_parted++;
    if (!comes_first(&x->first, &p)) return;
    p.found = true;
    p.at_ref = p.pair.n ? od_tensor_at(ref, p.worst) : NAN;
    p.at_fast = p.pair.n ? od_tensor_at(fast, p.worst) : NAN;
    p.at_truth = p.pair.n && p.has_truth ? od_tensor_at(truth, p.worst) : NAN;
    p.extent = extent(w, &p, ref, fast, unit);
    x->first = p;
}

/* A tensor that the fast path alone gives. */
static void only_fast(walk *w, const od_tensor *fast) {
    od_parting p = {.place = w->place,
                    .call = w->x->heat.n_call - 1,
                    .cls = od_tensor_classify(fast->name),
                    .view = *fast,
                    .stage = od_stage_of(fast->name, w->x->script->model->config.n_layer)};
    od_error e;
    p.view.data = NULL;
    if (p.stage == SIZE_MAX) p.stage = od_stage_mean(w->x->script->model->config.n_layer);
    od_fail(&e, OD_BAD_INPUT, "the fast path gives %.100s, the reference does not", fast->name);
    differ_in_structure(w, &p, e.text);
}

/* Outputs of the fast path whose bits are not those of the trace's call. */
static void count_changed(walk *w, size_t call) {
    const od_trace *t = w->seen;
    if (!t || call >= t->n_call) return;
    for (size_t i = t->call[call].first; i < t->call[call].first + t->call[call].n; i++) {
        const od_tensor was = od_trace_view(t, i), *is = find(&w->out[OD_WALK_FAST], was.name);
        if (is && is->dtype == was.dtype && od_same_shape(&was, is) &&
            XXH64(is->data, t->tensor[i].bytes, 0) == t->tensor[i].hash)
            continue;
        w->x->n_changed++;
    }
}

static enum od_status add_call(walk *w, od_error *e) {
    od_heat *h = &w->x->heat;
    if (h->n_call == h->cap) {
        const size_t cap = h->cap ? h->cap * 2 : 64;
        od_call_place *place = realloc(h->place, cap * sizeof *place);
        if (place) h->place = place;
        od_cell *cell = place ? realloc(h->cell, cap * h->n_stage * sizeof *cell) : NULL;
        if (!cell) return od_fail(e, OD_NO_MEMORY, "no memory for the heat map of %zu calls", cap);
        h->cell = cell;
        h->cap = cap;
    }
    h->place[h->n_call] = w->place;
    for (size_t i = 0; i < h->n_stage; i++) h->cell[h->n_call * h->n_stage + i] = (od_cell){.ref = -1, .fast = -1};
    h->n_call++;
    return OD_OK;
}

static enum od_status compare_call(walk *w, const od_call_at *at, od_error *e) {
    const od_outputs *ref = &w->out[OD_WALK_REF];
    w->place = od_call_place_of(w->x->script, at);
    enum od_status s = add_call(w, e);
    if (s != OD_OK) return s;
    const od_tensor *scale = find(ref, "scaler_scale");
    if (at->step == OD_STEP_PREFILL) {
        const double mean = scale ? od_tensor_mean(scale) : 1;
        w->unit[at->session] = mean > 0 && isfinite(mean) ? mean : 1;
    }
    for (size_t i = 0; i < ref->n_tensor; i++) compare(w, &ref->tensor[i]);
    const od_outputs *fast = &w->out[OD_WALK_FAST];
    for (size_t i = 0; i < fast->n_tensor; i++)
        if (!find(ref, fast->tensor[i].name)) only_fast(w, &fast->tensor[i]);
    count_changed(w, w->x->heat.n_call - 1);
    return OD_OK;
}

static enum od_status walk_calls(walk *w, od_error *e) {
    for (bool more = true;;) {
        od_call_at at = {0};
        for (int i = 0; i < OD_WALKERS; i++) {
            enum od_status s = od_player_step(&w->player[i], &w->progress[i], &at, &w->out[i], &more, e);
            w->x->who = (enum od_walker)i;
            if (s != OD_OK) return od_error_prefix(e, "%s", walker_names[i]);
        }
        if (!more) return OD_OK;
        enum od_status s = compare_call(w, &at, e);
        if (s != OD_OK) return s;
    }
}

enum od_status od_explain(od_explanation *x, const od_script *script, const od_setup *setup, bool hidden,
                          const od_trace *seen, od_error *e) {
    const od_engine_api *const api[OD_WALKERS] = {setup->ref, setup->fast, setup->arbiter};
    const size_t n_layer = script->model->config.n_layer;
    walk w = {.x = x, .seen = seen};
    *x = (od_explanation){.script = script, .heat.n_stage = od_stage_mean(n_layer) + 1};
    for (int i = 0; i < OD_CASE_MAX_SESSIONS; i++) w.unit[i] = 1;
    enum od_status s = OD_OK;
    for (int i = 0; i < OD_WALKERS && s == OD_OK; i++) {
        od_options options = script->c->options;
        options.hidden = hidden;
        options.tf32 = options.tf32 && i == OD_WALK_FAST;
        s = od_player_open(&w.player[i], api[i], script, &options, e);
        x->who = (enum od_walker)i;
        if (s != OD_OK) od_error_prefix(e, "%s", walker_names[i]);
    }
    if (s == OD_OK) s = walk_calls(&w, e);
    for (int i = 0; i < OD_WALKERS; i++) od_player_close(&w.player[i]);
    return s;
}

bool od_explanation_is_near(const od_explanation *x) {
    bool near = true;
    for (int i = 0; i < OD_TENSORS; i++) near = near && od_nearness_holds(&x->near[i]);
    return near;
}

void od_explanation_free(od_explanation *x) {
    free(x->heat.place);
    free(x->heat.cell);
    *x = (od_explanation){0};
}
