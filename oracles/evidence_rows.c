/* The two traces, tensor by tensor, into rows of the worst of each class. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "oracles/evidence.h"
#include "oracles/tolerance.h"

bool od_is_contractual(const od_case *c, const od_call_at *at) {
    return at->n_own == 0 || od_within(c->gain, od_bounds.gain_limit);
}

const od_row *od_evidence_worst(const od_evidence *ev, bool by_mae) {
    const od_row *worst = NULL;
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++) {
            const od_row *row = &ev->row[t][s][1];
            if (row->compared == 0) continue;
            bool more = !worst || (by_mae ? !(row->most_mae <= worst->most_mae) && !isnan(worst->most_mae)
                                          : row->share > worst->share);
            if (more) worst = row;
        }
    return worst;
}

/* NaN is more than any number. */
static bool is_more(double x, double than) {
    return !(x <= than) && !isnan(than);
}

bool od_evidence_needed(double *mae, double *max_abs, const od_evidence *ev) {
    bool any = false;
    *mae = *max_abs = 0;
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++) {
            const od_row *row = &ev->row[t][s][1];
            if (row->compared == 0) continue;
            any = true;
            if (is_more(row->most_mae, *mae)) *mae = row->most_mae;
            if (is_more(row->most_abs, *max_abs)) *max_abs = row->most_abs;
        }
    return any;
}

/* To two digits, so that a bound which is read from paper holds as well. */
static double rounded_up(double x) {
    if (!(x > 0) || isinf(x)) return x;
    const double unit = pow(10, floor(log10(x)) - 1), up = ceil(x / unit) * unit;
    return up >= x ? up : up + unit;
}

const char *od_evidence_needed_text(char *text, size_t size, const od_evidence *ev) {
    double mae, max_abs;
    if (!od_evidence_needed(&mae, &max_abs, ev) ||
        (od_within(mae, od_bounds.mae) && od_within(max_abs, od_bounds.max_abs)))
        snprintf(text, size, "%s", "");
    else if (!isfinite(mae) || !isfinite(max_abs))
        snprintf(text, size, "no bounds would have passed: a difference is no finite number");
    else
        snprintf(text, size, "MAE %.1e and a difference of %.1e would have passed (contract: %g and %g)",
                 rounded_up(mae), rounded_up(max_abs), od_bounds.mae, od_bounds.max_abs);
    return text;
}

static void structure(od_evidence *ev, const od_call_at *at, enum od_tensor_class cls, const char *text) {
    if (ev->structure_differs) return;
    ev->structure_differs = true;
    ev->structure_at = *at;
    ev->structure_cls = cls;
    snprintf(ev->structure, sizeof ev->structure, "op %u call %u session %u: %.250s", at->op, at->call, at->session,
             text);
}

/* A case may ask for less than everything. */
static bool is_compared(const od_case *c, enum od_tensor_class cls) {
    return !c->only_scaler || cls == OD_TENSOR_SCALER;
}

static void compare_tensor(od_evidence *ev, const od_trace_call *call, size_t i, size_t k) {
    od_tensor ref = od_trace_view(&ev->ref, i), fast = od_trace_view(&ev->fast, k);
    enum od_tensor_class cls = ev->ref.tensor[i].cls;
    if (cls == OD_TENSORS) {
        structure(ev, &call->at, OD_TENSORS, "the reference gives a tensor that is no output of the model");
        return;
    }
    if (!is_compared(ev->script->c, cls)) return;
    double unit = od_tensor_in_data_space(cls) ? call->unit : 1;
    od_comparison cmp;
    od_error e;
    if (od_compare(&cmp, &ref, &fast, unit, false, &e) != OD_OK) {
        structure(ev, &call->at, cls, e.text);
        return;
    }
    bool contract = od_is_contractual(ev->script->c, &call->at);
    double share = od_contract_share(cmp.mae, cmp.max_abs);
    od_row *row = &ev->row[cls][call->at.step][contract];
    ev->n_compared += contract;
    if (contract && ev->setup->measures) od_evidence_measure(ev, &cmp, cls, &call->at, ref.name);
    ev->all_zero = ev->all_zero && cmp.all_zero;
    bool odd = cmp.mismatch > 0 && !ev->mismatch;
    bool more = row->compared == 0 || is_more(cmp.mae, row->most_mae);
    if (more) row->most_mae = cmp.mae;
    if (row->compared == 0 || is_more(cmp.max_abs, row->most_abs)) row->most_abs = cmp.max_abs;
    if (row->compared++ > 0 && !(share > row->share) && !odd) return;
    od_row found = {.cls = cls,
                    .step = call->at.step,
                    .contract = contract,
                    .compared = row->compared,
                    .worst = cmp,
                    .share = share,
                    .most_mae = row->most_mae,
                    .most_abs = row->most_abs,
                    .at = call->at,
                    .tensor = i,
                    .fast_tensor = k,
                    .unit = unit};
    memcpy(found.name, ref.name, sizeof found.name);
    if (odd) {
        ev->mismatch = true;
        ev->mismatch_row = found;
    }
    if (row->compared == 1 || share > row->share) *row = found;
}

/* Tensors of a call, by name: engines may give them in any order. */
static void compare_call(od_evidence *ev, size_t c) {
    const od_trace_call *a = &ev->ref.call[c], *b = &ev->fast.call[c];
    for (size_t i = 0; i < a->n; i++) {
        const char *name = ev->ref.tensor[a->first + i].view.name;
        size_t k = i;
        if (k >= b->n || strcmp(ev->fast.tensor[b->first + k].view.name, name) != 0)
            for (k = 0; k < b->n && strcmp(ev->fast.tensor[b->first + k].view.name, name) != 0;) k++;
        if (k < b->n)
            compare_tensor(ev, a, a->first + i, b->first + k);
        else {
            char text[OD_NAME_MAX + 40];
            snprintf(text, sizeof text, "%s is missing in the fast path", name);
            structure(ev, &a->at, ev->ref.tensor[a->first + i].cls, text);
        }
    }
    if (b->n > a->n) structure(ev, &a->at, OD_TENSORS, "the fast path gives more tensors than the reference");
}

void od_evidence_compare(od_evidence *ev) {
    ev->all_zero = true;
    for (size_t c = 0; c < ev->ref.n_call && c < ev->fast.n_call; c++) compare_call(ev, c);
    if (!ev->setup->detail) return;
    od_digests_fill(&ev->ref_digests, &ev->ref);
    od_digests_fill(&ev->fast_digests, &ev->fast);
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++)
            for (int k = 0; k < 2; k++) {
                od_row *row = &ev->row[t][s][k];
                if (row->compared == 0) continue;
                od_tensor ref = od_trace_view(&ev->ref, row->tensor), fast = od_trace_view(&ev->fast, row->fast_tensor);
                od_compare(&row->worst, &ref, &fast, row->unit, true, NULL);
            }
}
