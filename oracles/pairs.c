/* Order statistics and a bootstrap over pairs (pairs.h). A resample takes every pair so many times: values are sorted
 * once with the pair that they come from, and its median is found in one walk along their weights. */
#include "oracles/pairs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/rng.h"

enum { RESAMPLES = 2000 };

bool od_pair_first(size_t pair) {
    return pair % 2 == 0;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t n, double q) {
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n) return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

enum od_status od_summary_make(od_summary *out, const double *seconds, size_t n, od_error *e) {
    assert(n >= 1);
    double *sorted = calloc(n, sizeof *sorted), sum = 0;
    if (!sorted) return od_fail(e, OD_NO_MEMORY, "no memory to sort %zu timings", n);
    memcpy(sorted, seconds, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    for (size_t i = 0; i < n; i++) sum += sorted[i];
    *out = (od_summary){.n = n,
                        .min = sorted[0],
                        .p50 = quantile(sorted, n, 0.5),
                        .p95 = quantile(sorted, n, 0.95),
                        .p99 = quantile(sorted, n, 0.99),
                        .max = sorted[n - 1],
                        .mean = sum / (double)n};
    free(sorted);
    return OD_OK;
}

typedef struct timing {
    double seconds; /* first: by_value compares it */
    size_t pair;
} timing;

static timing *sorted_timings(const double *seconds, size_t n_pair, size_t per_pair) {
    size_t n = n_pair * per_pair;
    timing *t = calloc(n, sizeof *t);
    if (!t) return NULL;
    for (size_t i = 0; i < n; i++) t[i] = (timing){seconds[i], i / per_pair};
    qsort(t, n, sizeof *t, by_value);
    return t;
}

/* The median where timings of pair p count weight[p] times; the weights' sum is the number of pairs, so that the
 * number of values stays n. */
static double weighted_median(const timing *t, size_t n, const unsigned *weight) {
    const size_t lower = (n - 1) / 2, upper = n / 2;
    size_t seen = 0;
    double low = t[n - 1].seconds, high = low;
    bool below = true;
    for (size_t i = 0; i < n; i++) {
        seen += weight[t[i].pair];
        if (below && seen > lower) {
            low = t[i].seconds;
            below = false;
        }
        if (seen > upper) {
            high = t[i].seconds;
            break;
        }
    }
    return (low + high) / 2;
}

enum od_status od_ratio_make(od_ratio *out, const double *a, const double *b, size_t n_pair, size_t per_pair,
                             uint64_t seed, od_error *e) {
    size_t n;
    if (n_pair == 0 || per_pair == 0 || !od_size_mul(&n, n_pair, per_pair))
        return od_fail(e, OD_BAD_INPUT, "no pairs to compare: %zu of %zu timings", n_pair, per_pair);
    timing *ta = sorted_timings(a, n_pair, per_pair), *tb = sorted_timings(b, n_pair, per_pair);
    unsigned *weight = calloc(n_pair, sizeof *weight);
    double *ratio = calloc(RESAMPLES, sizeof *ratio);
    enum od_status status = OD_OK;
    if (!ta || !tb || !weight || !ratio) {
        status = od_fail(e, OD_NO_MEMORY, "no memory to resample %zu timings", n);
        goto out;
    }
    for (size_t i = 0; i < n_pair; i++) weight[i] = 1;
    out->ratio = weighted_median(ta, n, weight) / weighted_median(tb, n, weight);
    out->n_pair = n_pair;
    od_rng rng = od_rng_make(seed, od_rng_name_key("bootstrap"));
    for (size_t r = 0; r < RESAMPLES; r++) {
        memset(weight, 0, n_pair * sizeof *weight);
        for (size_t i = 0; i < n_pair; i++) weight[od_rng_range(&rng, 0, n_pair - 1)]++;
        ratio[r] = weighted_median(ta, n, weight) / weighted_median(tb, n, weight);
    }
    qsort(ratio, RESAMPLES, sizeof *ratio, by_value);
    out->low = quantile(ratio, RESAMPLES, 0.025);
    out->high = quantile(ratio, RESAMPLES, 0.975);
out:
    free(ta);
    free(tb);
    free(weight);
    free(ratio);
    return status;
}
