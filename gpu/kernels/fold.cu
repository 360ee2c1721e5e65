/* Unembedding and heads folded into one matrix: W[(p, h, k), i] = Σ_e head_h[k, e]·unembed[p·D + e, i], in float64 with
 * e in order, rounded once. A product of two floats is exact in float64, so a fused multiply-add rounds no differently.
 *
 * A thread has 4 rows and 4 neighbouring columns: that is what a CPU's 16 vector registers hold. */
#include "gpu/kernels/kernel.cuh"

enum { FOLD = 4 };

/* Of four pointers one, without a copy of them in memory. */
OD_DEVICE const float *fold_pick(const float *const p[FOLD], uint32_t i) {
    return i == 0 ? p[0] : i == 1 ? p[1] : i == 2 ? p[2] : p[3];
}

/* Row r of a step's n_head·K: its head's weights; the last row's where there is none, to be thrown away. */
OD_DEVICE const float *fold_row(const od_fold_args &a, uint32_t r) {
    const uint32_t rows = a.n_head * a.n_component, at = r < rows ? r : rows - 1;
    return fold_pick(a.head, at / a.n_component) + (uint64_t)(at % a.n_component) * a.width;
}

/* sum[k][j] += h[k]·x[j]. */
OD_DEVICE void fold_add(double sum[FOLD][FOLD], const float h[FOLD], float4 v) {
    const double x[FOLD] = {v.x, v.y, v.z, v.w};
    for (int k = 0; k < FOLD; k++)
        for (int j = 0; j < FOLD; j++) sum[k][j] += (double)h[k] * x[j];
}

/* All e; 4 of them at a time, so that loads are under way together. The width is a multiple of 4. */
OD_DEVICE void fold_wide(double sum[FOLD][FOLD], const od_fold_args &a, const float *u, const float *const h[FOLD]) {
    for (uint32_t e = 0; e < a.width; e += FOLD) {
        float4 w[FOLD], v[FOLD];
        for (int k = 0; k < FOLD; k++) v[k] = od_load4(u + (uint64_t)(e + k) * a.width);
        for (int k = 0; k < FOLD; k++) w[k] = od_load4(h[k] + e);
        const float by_e[FOLD][FOLD] = {{w[0].x, w[1].x, w[2].x, w[3].x},
                                        {w[0].y, w[1].y, w[2].y, w[3].y},
                                        {w[0].z, w[1].z, w[2].z, w[3].z},
                                        {w[0].w, w[1].w, w[2].w, w[3].w}};
        for (int k = 0; k < FOLD; k++) fold_add(sum, by_e[k], v[k]);
    }
}

/* Any width; columns from `left` on are not there. */
OD_DEVICE void fold_narrow(double sum[FOLD][FOLD], const od_fold_args &a, const float *u, const float *const h[FOLD],
                           uint32_t left) {
    for (uint32_t e = 0; e < a.width; e++, u += a.width) {
        const float by_e[FOLD] = {h[0][e], h[1][e], h[2][e], h[3][e]};
        float4 v = {u[0], 0, 0, 0};
        if (left > 1) v.y = u[1];
        if (left > 2) v.z = u[2];
        if (left > 3) v.w = u[3];
        fold_add(sum, by_e, v);
    }
}

OD_DEVICE void fold_block(const od_fold_args &a, uint64_t p, uint32_t r, uint32_t i) {
    const uint32_t rows = a.n_head * a.n_component, left = a.width - i;
    const float *u = a.unembed + p * a.width * a.width + i;
    const float *const h[FOLD] = {fold_row(a, r), fold_row(a, r + 1), fold_row(a, r + 2), fold_row(a, r + 3)};
    double sum[FOLD][FOLD] = {{0}};
    if (a.width % FOLD == 0)
        fold_wide(sum, a, u, h);
    else
        fold_narrow(sum, a, u, h, left);
    for (uint32_t k = 0; k < FOLD; k++)
        for (uint32_t j = 0; j < FOLD; j++)
            if (r + k < rows && j < left) a.out[(p * rows + r + k) * a.width + i + j] = (float)sum[k][j];
}

OD_DEVICE void fold_bias(const od_fold_args &a, uint64_t p, uint32_t r) {
    const uint32_t rows = a.n_head * a.n_component;
    if (r >= rows) return;
    const float *h = fold_row(a, r), *u = a.unembed_bias + p * a.width;
    double sum = 0;
    for (uint32_t e = 0; e < a.width; e++) sum += (double)h[e] * u[e];
    a.out_bias[p * rows + r] = (float)(sum + fold_pick(a.head_bias, r / a.n_component)[r % a.n_component]);
}

OD_KERNEL(fold, struct od_fold_args) {
    const uint32_t rows = a.n_head * a.n_component, groups = (rows + FOLD - 1) / FOLD;
    const uint64_t p = b.y / groups;
    const uint32_t r = b.y % groups * FOLD;
    OD_PHASE(t, b) {
        const uint32_t i = (b.x * b.threads + t) * FOLD;
        if (i < a.width) fold_block(a, p, r, i);
        if (b.x == 0)
            for (uint32_t k = t; k < FOLD; k += b.threads) fold_bias(a, p, r + k);
    }
}
