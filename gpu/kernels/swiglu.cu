/* silu(gate)·up: a block a token. */
#include "gpu/kernels/kernel.cuh"

/* By fault: (1 + x/1024)^1024. */
OD_DEVICE float quick_exp(float x) {
    float y = 1 + x / 1024;
    for (int i = 0; i < 10; i++) y *= y;
    return y;
}

OD_KERNEL(swiglu, struct od_swiglu_args) {
    const float *x = a.x + (uint64_t)b.x * 2 * a.width;
    float *y = a.y + (uint64_t)b.x * a.width;
    uint32_t end = a.width;
    if (OD_KERNEL_FAULT_WHEN(b, TAIL, b.x == a.rows - 1)) end--;
    OD_PHASE(t, b) {
        for (uint32_t f = t; f < end; f += b.threads) {
            const float gate = x[f] + a.bias[f], up = x[a.width + f] + a.bias[a.width + f];
            const float power = OD_KERNEL_FAULT(b, FAST_EXP) ? quick_exp(-gate) : expf(-gate);
            y[f] = gate / (1.0f + power) * up;
        }
    }
}
