/* The residual stream takes a sublayer's product and its bias. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(residual, struct od_residual_args) {
    OD_PHASE(t, b) {
        const uint64_t i = OD_INDEX(t, b);
        if (i < a.count) a.x[i] += a.y[i] + a.bias[i % a.width];
    }
}
