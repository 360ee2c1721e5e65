#include "oracles/rate.h"

#include <assert.h>
#include <limits.h>
#include <math.h>

/* P(X >= k) of a binomial variable, 0 < k <= n, 0 < p < 1; sums of logarithms, since n over k overflows early. */
static double upper_tail(unsigned k, unsigned n, double p) {
    double sum = 0;
    for (unsigned i = k; i <= n; i++)
        sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) + i * log(p) + (n - i) * log1p(-p));
    return sum;
}

/* The p at which k or more of n have the probability of one side of 95 %; the tail grows with p. */
static double lower_bound(unsigned k, unsigned n) {
    double lo = 0, hi = 1;
    if (k == 0) return 0;
    for (int i = 0; i < 60; i++) {
        double p = (lo + hi) / 2;
        if (upper_tail(k, n, p) < 0.025)
            lo = p;
        else
            hi = p;
    }
    return lo;
}

void od_rate_interval(double *low, double *high, unsigned k, unsigned n) {
    assert(n > 0 && k <= n);
    *low = lower_bound(k, n);
    *high = 1 - lower_bound(n - k, n);
}

unsigned od_rate_trials(double rate, double chance) {
    assert(chance > 0 && chance < 1);
    if (!(rate > 0)) return UINT_MAX;
    if (rate >= 1) return 1;
    double n = ceil(log(chance) / log1p(-rate));
    return n < 1 ? 1 : n < UINT_MAX ? (unsigned)n : UINT_MAX;
}
