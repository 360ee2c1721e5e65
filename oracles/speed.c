/* Fails when the fast path is more than twice as slow as the plain path: only if even its best pair is. Passes where
 * three quarters of the pairs are within the bound; were the true median above it, that would be seen in 2 of 100 runs
 * of 15 pairs, in 14 of 100 of 8. All else is too noisy to say. */
#include <stdlib.h>

#include "oracles/oracle.h"
#include "oracles/tolerance.h"

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void judge(od_ruling *out, const od_evidence *ev) {
    if (ev->plain_is_fast) {
        od_rule(out, OD_SKIPPED, "the case asks for the plain path itself");
        return;
    }
    if (ev->fast_stats.rolled_back) {
        od_rule(out, OD_SKIPPED, "OD_DISABLE_FAST rolled the engine back: both are the plain path");
        return;
    }
    if (od_timing_is_void(ev)) {
        od_rule(out, OD_SKIPPED, "fused kernels on an emulated device: how long they take there says nothing");
        return;
    }
    size_t n = ev->n_pair;
    if (n == 0) {
        od_rule(out, OD_INCONCLUSIVE, "nothing was timed");
        return;
    }
    double ratio[OD_MAX_PAIR];
    for (size_t i = 0; i < n; i++) ratio[i] = ev->fast_seconds[i] / ev->plain_seconds[i];
    qsort(ratio, n, sizeof *ratio, by_value);
    double median = (ratio[(n - 1) / 2] + ratio[n / 2]) / 2, best = ratio[0], worst = ratio[n - 1];
    if (od_within(ratio[n - 1 - n / 4], od_bounds.speed_ratio))
        od_rule(out, OD_PASS, "fast/plain %.3g (median of %zu pairs, %.3g to %.3g)", median, n, best, worst);
    else if (!od_within(best, od_bounds.speed_ratio))
        od_rule_finding(out, "slow", "-", median, od_bounds.speed_ratio,
                        "%.3g times slower than the plain path (median of %zu pairs; the best of them %.3g)", median, n,
                        best);
    else
        od_rule(out, OD_INCONCLUSIVE, "fast/plain %.3g, but from %.3g to %.3g over %zu pairs: too noisy", median, best,
                worst, n);
    out->value = median;
    out->bound = od_bounds.speed_ratio;
}

const od_oracle od_oracle_speed = {
    .name = "speed",
    .about = "the fast path is more than 2 times slower than the plain path (a noisy run is INCONCLUSIVE)",
    .in_fuzz = false,
    .required = false,
    .doubt = "timings too noisy",
    .needs = OD_NEED_TIME,
    .judge = judge,
};
