/* Toto's RMSNorm, a block a token. The sum of squares is a tree of fixed shape: no atomics, same bits each run. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(rmsnorm, struct od_rmsnorm_args) {
    float *sum = OD_SHARED(b, float, b.threads);
    const float *x = a.x + (uint64_t)b.x * a.width;
    float *y = a.y + (uint64_t)b.x * a.width;
    OD_PHASE(t, b) {
        float s = 0;
        for (uint32_t i = t; i < a.width; i += b.threads) s += x[i] * x[i];
        sum[t] = s;
    }
    const bool turns = OD_KERNEL_FAULT(b, SUM_ORDER), row = OD_KERNEL_FAULT_WHEN(b, SPLIT, b.nx > 16);
    if (turns || row) OD_PHASE(t, b) {
            if (turns && t > 0) sum[0] += sum[t];
            for (unsigned i = 1; row && t == 0 && i < b.threads; i++) sum[0] += sum[i];
        }
    for (unsigned half = turns || row ? 0 : b.threads / 2; half > 0; half /= 2) OD_PHASE(t, b) {
            if (t < half) sum[t] += sum[t + half];
        }
    OD_PHASE(t, b) {
        const float root = sqrtf(sum[0] / (float)a.width + (OD_KERNEL_FAULT(b, NORM_EPS) ? 1e-5f : 1e-8f));
        for (uint32_t i = t; i < a.width; i += b.threads) y[i] = x[i] / root * a.scale[i];
    }
}
