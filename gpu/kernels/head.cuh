/* The distribution's parameters from the heads' products, and the data-space mean (model.md, 7 and 8). */
#ifndef OD_GPU_HEAD_CUH
#define OD_GPU_HEAD_CUH

#include "gpu/kernels/kernel.cuh"

/* torch's softplus: linear beyond 20. */
OD_DEVICE float od_softplus(float x) {
    return x > 20.0f ? x : log1pf(expf(x));
}

/* max(softplus(x), eps) that lets NaN through. */
OD_DEVICE float od_positive(float x) {
    const float y = od_softplus(x);
    return y < FLT_EPSILON ? FLT_EPSILON : y;
}

/* Mean of a position's n components, in order; probs NULL: one Student-T. NaN, infinite and half of float32's maximum
 * or more become 0 and add to *replaced. */
OD_DEVICE float od_data_mean(const float *probs, const float *out_loc, uint32_t n, float loc, float scale,
                             uint32_t *replaced) {
    float m = 0;
    if (probs)
        for (uint32_t k = 0; k < n; k++) m += probs[k] * out_loc[k];
    else
        for (uint32_t k = 0; k < n; k++) m += out_loc[k];
    m = loc + scale * m;
    if (!(fabsf(m) < FLT_MAX / 2)) { /* the official is_extreme_value: >= */
        m = 0;
        od_count(replaced);
    }
    return m;
}

#endif
