/* x += bias, broadcast over rows. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(add_bias, struct od_add_bias_args) {
    OD_PHASE(t, b) {
        const uint64_t i = OD_INDEX(t, b);
        if (i < a.count) a.x[i] += a.bias[i % a.width];
    }
}
