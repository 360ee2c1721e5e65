#include "tests/gpu/attend64.h"

#include <math.h>

float test_feature(uint64_t part, uint64_t row, uint64_t h, uint64_t patch, uint64_t f) {
    uint64_t z = ((((part * 512 + row) * 64 + h) * 4096 + patch) * 65536 + f) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (float)(int32_t)(z >> 40) / (float)(1 << 23) - 1.0f;
}

/* The bound. With u = 2^-24 and a = Σ|q·k|/√d over the terms that make up q, k and their product: a score of d terms,
 * turned features (4 roundings each) included, is off by at most (d + 12)·u·a; s - m and expf add (2a + 4)·u to a
 * weight's relative error, twice the score's beside it (the maximum's own); sums of n weights and of n products add
 * (n + 4)·u, to numerator and denominator alike: hence the factor 2, and 1 % for what is quadratic in u. */
double test_attend64(double *out, const attend64_sum *q, const attend64_keys *all, uint32_t n, uint32_t d) {
    const double u = ldexp(1, -24);
    double s[ATTEND64_KEYS], top = -INFINITY, most = 0, total = 0;
    for (uint32_t j = 0; j < n; j++) {
        double size = 0;
        s[j] = 0;
        for (uint32_t f = 0; f < d && all->seen[j]; f++) {
            s[j] += q[f].is * all->k[j][f].is / sqrt(d);
            size += q[f].size * all->k[j][f].size / sqrt(d);
        }
        if (all->seen[j] && s[j] > top) top = s[j];
        if (size > most) most = size;
    }
    for (uint32_t f = 0; f < d; f++) out[f] = 0;
    for (uint32_t j = 0; j < n; j++) {
        if (!all->seen[j]) continue;
        const double w = exp(s[j] - top);
        total += w;
        for (uint32_t f = 0; f < d; f++) out[f] += w * all->v[j][f];
    }
    for (uint32_t f = 0; f < d; f++) out[f] /= total;
    return 2.02 * u * (2 * (d + 12) * most + 2 * most + 4 + n + 4);
}
