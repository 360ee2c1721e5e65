/* Timings of two sides that took turns, and what may be said of them. What is timed, and how, is the caller's. */
#ifndef OD_ORACLES_PAIRS_H
#define OD_ORACLES_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/status.h"

/* Does side 0 go first in this pair? In the order 01 10 01 10 …, so that a steady drift of the machine cancels. */
bool od_pair_first(size_t pair);

/* Quantiles between order statistics: quantile q of n sorted values stands at place q·(n-1), linearly (numpy's
 * default, so that timings of other programs read alike). */
typedef struct od_summary {
    size_t n;
    double min, p50, p95, p99, max, mean;
} od_summary;

/* Of seconds[n], n >= 1. OD_NO_MEMORY. */
enum od_status od_summary_make(od_summary *out, const double *seconds, size_t n, od_error *e);

typedef struct od_ratio {
    double ratio;     /* median of all of a / median of all of b */
    double low, high; /* 95 % percentile bootstrap, resampling whole pairs */
    size_t n_pair;
} od_ratio;

/* a, b [n_pair, per_pair] positive: pair i's timings of either side. Timings of one pair belong together (they shared
 * the machine's mood), so pairs are resampled, not single timings. The same seed gives the same interval.
 * OD_BAD_INPUT: n_pair or per_pair is 0; OD_NO_MEMORY. */
enum od_status od_ratio_make(od_ratio *out, const double *a, const double *b, size_t n_pair, size_t per_pair,
                             uint64_t seed, od_error *e);

#endif
