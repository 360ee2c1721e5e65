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

template <bool wide> OD_DEVICE void fold_block(const od_fold_args &a, uint64_t p, uint32_t r, uint32_t i) {
    const float *u = a.unembed + p * a.width * a.width + i;
    const float *const h0 = fold_row(a, r), *const h1 = fold_row(a, r + 1), *const h2 = fold_row(a, r + 2),
                       *const h3 = fold_row(a, r + 3);
    double sum[FOLD][FOLD] = {{0}};
    for (uint32_t e = 0; e < a.width; e++, u += a.width) {
        float4 v = {0, 0, 0, 0};
        if (wide) {
            v = od_load4(u);
        } else {
            v.x = u[0];
            if (i + 1 < a.width) v.y = u[1];
            if (i + 2 < a.width) v.z = u[2];
            if (i + 3 < a.width) v.w = u[3];
        }
        const double x[FOLD] = {v.x, v.y, v.z, v.w}, h[FOLD] = {h0[e], h1[e], h2[e], h3[e]};
        for (int k = 0; k < FOLD; k++)
            for (int j = 0; j < FOLD; j++) sum[k][j] += h[k] * x[j];
    }
    const uint32_t rows = a.n_head * a.n_component;
    for (uint32_t k = 0; k < FOLD && r + k < rows; k++)
        for (uint32_t j = 0; j < FOLD && i + j < a.width; j++)
            a.out[(p * rows + r + k) * a.width + i + j] = (float)sum[k][j];
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
        if (i < a.width) {
            if (a.width % FOLD == 0)
                fold_block<true>(a, p, r, i);
            else
                fold_block<false>(a, p, r, i);
        }
        if (b.x == 0)
            for (uint32_t k = t; k < FOLD; k += b.threads) fold_bias(a, p, r + k);
    }
}
