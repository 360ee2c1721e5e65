/* Scaled patches of a call's tokens. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(patchify, struct od_patchify_args) {
    const od_call *c = a.call;
    OD_PHASE(t, b) {
        const uint64_t i = OD_INDEX(t, b);
        if (i < a.count) {
            const uint64_t per_row = (uint64_t)a.n_patch * a.patch;
            const uint64_t at = i / per_row * c->step_stride + c->first_step + i % per_row;
            a.out[i] = (c->value[at] - c->loc[at]) / c->scale[at];
            if (OD_KERNEL_FAULT_WHEN(b, PATCH_TAIL, a.patch > 1 && a.patch % 2 == 1 && i % a.patch == a.patch - 1))
                a.out[i] = c->value[at];
        }
    }
}
