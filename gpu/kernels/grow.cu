/* The dynamic KV cache grows: its contents move, place by place. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(grow, struct od_grow_args) {
    const uint64_t from = (uint64_t)b.x * a.from_stride * a.d_head, to = (uint64_t)b.x * a.to_stride * a.d_head;
    uint64_t n = (uint64_t)a.used * a.d_head;
    if (OD_KERNEL_FAULT_WHEN(b, GROW_TAIL, n % b.threads != 0)) n -= n % b.threads;
    OD_PHASE(t, b) {
        for (uint64_t i = t; i < n; i += b.threads) {
            a.to_key[to + i] = a.from_key[from + i];
            a.to_value[to + i] = a.from_value[from + i];
        }
    }
}
