#include "oracles/envelope.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "oracles/tolerance.h"

unsigned od_envelope_size(size_t values) {
    unsigned size = 0;
    for (size_t hi = 4; size + 1 < OD_ENVELOPE_SIZES && values > hi; hi *= 4) size++;
    return size;
}

void od_envelope_range(size_t *lo, size_t *hi, unsigned size) {
    assert(size < OD_ENVELOPE_SIZES);
    *lo = 1;
    *hi = 4;
    for (unsigned i = 0; i < size; i++) {
        *lo = *hi + 1;
        *hi *= 4;
    }
    if (size + 1 == OD_ENVELOPE_SIZES) *hi = 0;
}

double od_quantile(const double *sorted, size_t n, double p) {
    assert(n > 0 && p > 0 && p <= 1);
    /* p·n may come out a last place above a whole number: 0.07 · 100 is 7, not 8. */
    const size_t rank = (size_t)ceil(p * (double)n * (1 - 1e-12));
    return sorted[(rank < 1 ? 1 : rank > n ? n : rank) - 1];
}

bool od_envelope_is_measured(const od_envelope_key *key) {
    return key->n >= od_bounds.envelope_least;
}

/* The key of that size, or the nearest measured one in the direction of `step`; NULL: there is none. */
static const od_envelope_key *nearest(const od_envelope_key *keys, unsigned size, int step) {
    for (int i = (int)size; i >= 0 && i < OD_ENVELOPE_SIZES; i += step)
        if (od_envelope_is_measured(&keys[i])) return &keys[i];
    return NULL;
}

/* The percentile's bound where it is tighter than the contract's; a percentile that is no number leaves the latter. */
static double tighter(double quantile, double margin, double floor, double contract) {
    const double bound = fmax(quantile * margin, floor);
    return quantile >= 0 && bound < contract ? bound : contract;
}

od_envelope_bound od_envelope_bound_of(const od_envelope *envelope, enum od_tensor_class cls, enum od_step_class step,
                                       size_t values) {
    const od_tolerance *t = &od_bounds;
    const od_envelope_key *keys = envelope->key[cls][step];
    const unsigned size = od_envelope_size(values);
    od_envelope_bound b = {.mae = t->mae, .max_abs = t->max_abs};
    b.mae_key = nearest(keys, size, -1);
    b.max_key = nearest(keys, size, 1);
    if (b.mae_key) b.mae = tighter(b.mae_key->mae_p999, t->envelope_mae, t->envelope_mae_floor, t->mae);
    if (b.max_key) b.max_abs = tighter(b.max_key->max_p999, t->envelope_max, t->envelope_max_floor, t->max_abs);
    return b;
}

static bool is_outside(char *text, size_t size, const char *what, size_t is, size_t most) {
    if (is <= most) return false;
    snprintf(text, size, "%zu %s, measured up to %zu", is, what, most);
    return true;
}

void od_envelope_outside(char *text, size_t size, const od_envelope *envelope, const od_envelope_domain *of_case) {
    const od_envelope_domain *d = &envelope->domain;
    text[0] = '\0';
    if (is_outside(text, size, "layers", of_case->layers, d->layers) ||
        is_outside(text, size, "wide", of_case->width, d->width) ||
        is_outside(text, size, "patches", of_case->patches, d->patches) ||
        is_outside(text, size, "own patches", of_case->own, d->own))
        return;
    const double gain = fmin(d->gain, od_bounds.envelope_gain);
    if (!od_within(of_case->gain, gain))
        snprintf(text, size, "weights of gain %g, measured up to %g", of_case->gain, gain);
}
