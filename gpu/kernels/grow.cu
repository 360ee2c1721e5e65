/* The dynamic KV cache grows: its contents move, place by place. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(grow, struct od_grow_args) {
    const uint64_t from = (uint64_t)b.x * a.from_stride * a.d_head, to = (uint64_t)b.x * a.to_stride * a.d_head;
    const uint32_t used = OD_KERNEL_FAULT_WHEN(b, GROW_TAIL, a.used > 1) ? a.used - 1 : a.used;
    const uint64_t n = (uint64_t)used * a.d_head;
    OD_PHASE(t, b) {
        for (uint64_t i = t; i < n; i += b.threads) {
            a.to_key[to + i] = a.from_key[from + i];
            a.to_value[to + i] = a.from_value[from + i];
        }
    }
}
