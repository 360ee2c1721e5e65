#include "oracles/drift.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Below it errors are single roundings, which come and go: 10 of 2,485 curves of healthy cases jumped or spiked with a
 * floor of 1e-9, all of them below 1e-7; with this one 1 of 8,387. */
static const double FLOOR = 2e-8;

/* A step stands out where its factor is JUMP times the usual one and, at that, far outside what the others scatter
 * (SPREADS deviations of their logarithms). */
static const double JUMP = 8, SPREADS = 5;

enum { NEAR = 5 }; /* steps */

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *x, size_t n) {
    qsort(x, n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* The median of y[from, to), by way of scratch. */
static double level(const double *y, size_t from, size_t to, double *scratch) {
    for (size_t i = from; i < to; i++) scratch[i - from] = y[i];
    return median(scratch, to - from);
}

/* Does what begins at `at` last? By the few steps on either side: farther ones would bring the growth in. */
static bool lasts(const double *y, size_t n, size_t at, double rise, double *scratch) {
    const size_t from = at > NEAR ? at - NEAR : 0, to = n - at > NEAR ? at + NEAR : n;
    return level(y, at, to, scratch) - level(y, from, at, scratch) > rise / 2;
}

static void fit(od_drift *out, double *y, size_t n, double *scratch) {
    for (size_t i = 1; i < n; i++) scratch[i - 1] = y[i] - y[i - 1];
    const double growth = median(scratch, n - 1);
    for (size_t i = 1; i < n; i++) scratch[i - 1] = fabs(y[i] - y[i - 1] - growth);
    qsort(scratch, n - 1, sizeof *scratch, by_value);
    const double spread = 1.4826 * scratch[(n - 2) / 2]; /* the lower middle: a spike is two of few */
    double most = 0;
    for (size_t i = 1; i < n; i++) {
        const double rise = y[i] - y[i - 1] - growth;
        if (rise <= most) continue;
        most = rise;
        out->at = i;
    }
    out->growth = exp(growth);
    out->spread = exp(spread);
    out->kind = OD_DRIFT_STEADY;
    if (most < log(JUMP) || most < SPREADS * spread) return;
    out->factor = exp(most);
    out->kind = lasts(y, n, out->at, most, scratch) ? OD_DRIFT_JUMP : OD_DRIFT_SPIKE;
}

enum od_status od_drift_fit(od_drift *out, const double *error, size_t n, od_error *e) {
    *out = (od_drift){.kind = OD_DRIFT_SHORT, .growth = 1, .spread = 1, .factor = 1};
    for (size_t i = 0; i < n; i++) {
        if (isfinite(error[i])) continue;
        out->kind = OD_DRIFT_JUMP;
        out->at = i;
        out->factor = INFINITY;
        return OD_OK;
    }
    if (n < OD_DRIFT_LEAST) return OD_OK;
    double *y = malloc(2 * n * sizeof *y);
    if (!y) return od_fail(e, OD_NO_MEMORY, "no memory for a curve of %zu steps", n);
    for (size_t i = 0; i < n; i++) y[i] = log(fmax(error[i], FLOOR));
    fit(out, y, n, y + n);
    free(y);
    return OD_OK;
}
