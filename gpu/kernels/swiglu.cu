/* silu(gate)·up. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(swiglu, struct od_swiglu_args) {
    const uint64_t count = OD_KERNEL_FAULT(b, TAIL) ? a.count - 1 : a.count;
    OD_PHASE(t, b) {
        const uint64_t i = OD_INDEX(t, b);
        if (i < count) {
            const uint32_t f = i % a.width;
            const float *row = a.x + i / a.width * 2 * a.width;
            const float gate = row[f] + a.bias[f], up = row[a.width + f] + a.bias[a.width + f];
            a.y[i] = gate / (1.0f + expf(-gate)) * up;
        }
    }
}
