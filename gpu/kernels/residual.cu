/* The residual stream takes a sublayer's product and its bias: a block a token. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(residual, struct od_residual_args) {
    float *x = a.x + (uint64_t)b.x * a.width;
    const float *y = a.y + (uint64_t)b.x * a.width;
    OD_PHASE(t, b) {
        for (uint32_t f = t; f < a.width; f += b.threads) x[f] += y[f] + a.bias[f];
    }
}
