/* silu(gate)·up: a block a token. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(swiglu, struct od_swiglu_args) {
    const float *x = a.x + (uint64_t)b.x * 2 * a.width;
    float *y = a.y + (uint64_t)b.x * a.width;
    uint32_t end = a.width;
    if (OD_KERNEL_FAULT_WHEN(b, TAIL, b.x == a.rows - 1)) end--;
    OD_PHASE(t, b) {
        for (uint32_t f = t; f < end; f += b.threads) {
            const float gate = x[f] + a.bias[f], up = x[a.width + f] + a.bias[a.width + f];
            y[f] = gate / (1.0f + expf(-gate)) * up;
        }
    }
}
