#include "oracles/calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/tolerance.h"

static enum od_status keep(od_calibration_key *key, const od_measure *m, od_error *e) {
    if (!isfinite(m->mae) || !isfinite(m->max_abs) || !isfinite(m->shift))
        return od_fail(e, OD_BAD_INPUT, "%s/%s at op %u call %u: a difference is no finite number",
                       od_tensor_class_name(m->cls), od_step_class_name(m->step), m->at.op, m->at.call);
    if (key->n == key->cap) {
        const size_t cap = key->cap ? 2 * key->cap : 256;
        double *mae = realloc(key->mae, cap * sizeof *mae);
        if (mae) key->mae = mae;
        double *max_abs = realloc(key->max_abs, cap * sizeof *max_abs);
        if (max_abs) key->max_abs = max_abs;
        if (!mae || !max_abs) return od_fail(e, OD_NO_MEMORY, "no memory for %zu comparisons of a key", cap);
        key->cap = cap;
    }
    key->mae[key->n] = m->mae;
    key->max_abs[key->n++] = m->max_abs;
    return OD_OK;
}

static void widen(size_t *most, size_t is) {
    if (is > *most) *most = is;
}

enum od_status od_calibration_add(od_calibration *c, const od_evidence *ev, od_error *e) {
    const od_envelope_domain d = od_evidence_domain(ev);
    if (ev->measures_lost) return od_fail(e, OD_NO_MEMORY, "no memory to keep every comparison of a case");
    if (!od_within(d.gain, od_bounds.envelope_gain)) {
        c->wide++;
        return OD_OK;
    }
    for (size_t i = 0; i < ev->n_measure; i++) {
        const od_measure *m = &ev->measure[i];
        enum od_status s = keep(&c->key[m->cls][m->step][od_envelope_size(m->n)], m, e);
        if (s != OD_OK) return s;
    }
    od_shifts_add(&c->shifts, ev);
    widen(&c->domain.layers, d.layers);
    widen(&c->domain.width, d.width);
    widen(&c->domain.patches, d.patches);
    widen(&c->domain.own, d.own);
    c->domain.gain = fmax(c->domain.gain, d.gain);
    c->cases++;
    return OD_OK;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static od_envelope_key quantiles(od_calibration_key *k) {
    const double p = od_bounds.envelope_quantile;
    od_envelope_key out = {.n = k->n};
    if (k->n == 0) return out;
    qsort(k->mae, k->n, sizeof *k->mae, ascending);
    qsort(k->max_abs, k->n, sizeof *k->max_abs, ascending);
    out.mae_p50 = od_quantile(k->mae, k->n, 0.5);
    out.mae_p999 = od_quantile(k->mae, k->n, p);
    out.max_p50 = od_quantile(k->max_abs, k->n, 0.5);
    out.max_p999 = od_quantile(k->max_abs, k->n, p);
    return out;
}

void od_calibration_make(od_envelope *out, od_calibration *c) {
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++) {
            for (int i = 0; i < OD_ENVELOPE_SIZES; i++) out->key[t][s][i] = quantiles(&c->key[t][s][i]);
            out->shift[t][s] = od_shift_of(&c->shifts.of[t][s]);
        }
    out->domain = c->domain;
    out->cases = c->cases;
}

void od_calibration_free(od_calibration *c) {
    for (int t = 0; t < OD_TENSORS; t++)
        for (int s = 0; s < OD_STEPS; s++)
            for (int i = 0; i < OD_ENVELOPE_SIZES; i++) {
                free(c->key[t][s][i].mae);
                free(c->key[t][s][i].max_abs);
            }
    *c = (od_calibration){0};
}
