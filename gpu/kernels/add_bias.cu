/* x += bias, broadcast over rows: a block a row. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(add_bias, struct od_add_bias_args) {
    float *x = a.x + (uint64_t)b.x * a.width;
    OD_PHASE(t, b) {
        for (uint32_t f = t; f < a.width; f += b.threads) x[f] += a.bias[f];
    }
}
