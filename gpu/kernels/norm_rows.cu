/* RMSNorm of a call's tokens, a block a token. The sum of squares has a fixed order: a thread's own, then groups of 16
 * threads, then the groups; a row's bits depend on the row and its width alone. */
#include "gpu/kernels/kernel.cuh"

enum { NORM_GROUP = 16 };

/* Four of the width's floats where they can be had at once, else one. */
OD_DEVICE float norm_take(float *to, const float *from, uint32_t i, bool wide) {
    if (!wide) {
        to[i] = from[i];
        return from[i] * from[i];
    }
    const float4 v = od_load4(from + 4 * i);
    od_store4(to + 4 * i, v);
    return (v.x * v.x + v.y * v.y) + (v.z * v.z + v.w * v.w);
}

/* The sum of a group of threads' sums. */
OD_DEVICE float norm_group(const float *sum, unsigned group, unsigned threads) {
    const unsigned end = (group + 1) * NORM_GROUP < threads ? (group + 1) * NORM_GROUP : threads;
    float s = 0;
    for (unsigned i = group * NORM_GROUP; i < end; i++) s += sum[i];
    return s;
}

OD_KERNEL_EARLY(norm_rows, struct od_norm_rows_args) {
    const uint32_t n_token = a.call->n_token; /* these ahead of the wait */
    const float *x = static_cast<const float *>(a.call->scratch[a.x]) + (uint64_t)b.x * a.width;
    float *y = static_cast<float *>(a.call->scratch[a.y]) + (uint64_t)b.x * a.width;
    const bool wide = a.width % 4 == 0;
    const uint32_t n = wide ? a.width / 4 : a.width, groups = (b.threads + NORM_GROUP - 1) / NORM_GROUP;
    float *scale = OD_SHARED(b, float, a.width);
    float *row = OD_SHARED(b, float, a.width);
    float *sum = OD_SHARED(b, float, b.threads);
    float *group = OD_SHARED(b, float, groups);
    OD_PHASE(t, b) { /* weights: no launch ahead writes them */
        for (uint32_t i = t; i < n; i += b.threads) norm_take(scale, a.scale, i, wide);
    }
    od_await(b);
    if (b.x >= n_token) return;
    const bool early = OD_KERNEL_FAULT(b, BARRIER); /* without the barrier before the groups' sums */
    OD_PHASE(t, b) {
        float s = 0;
        for (uint32_t i = t; i < n; i += b.threads) s += norm_take(row, x, i, wide);
        sum[t] = s;
        if (early && t % NORM_GROUP == NORM_GROUP - 1)
            group[t / NORM_GROUP] = norm_group(sum, t / NORM_GROUP, b.threads);
    }
    OD_PHASE(t, b) {
        if (t < groups && !early) group[t] = norm_group(sum, t, b.threads);
    }
    OD_PHASE(t, b) {
        float s = 0;
        for (unsigned i = 0; i < groups; i++) s += group[i];
        float root = sqrtf(s / (float)a.width + 1e-8f);
        if (OD_KERNEL_FAULT(b, NORM_ROOT)) root = sqrtf(s / (float)a.width) + 1e-5f;
        for (uint32_t i = t; i < n; i += b.threads) {
            if (!wide) {
                y[i] = row[i] / root * scale[i];
                continue;
            }
            const float4 v = od_load4(row + 4 * i), w = od_load4(scale + 4 * i);
            od_store4(y + 4 * i, {v.x / root * w.x, v.y / root * w.y, v.z / root * w.z, v.w / root * w.w});
        }
    }
}
