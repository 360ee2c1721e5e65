/* Hidden states, on request. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(keep, struct od_keep_args) {
    const uint64_t count = (uint64_t)a.call->n_token * a.width;
    const float *x = static_cast<const float *>(a.call->scratch[a.x]);
    OD_PHASE(t, b) {
        const uint64_t i = OD_INDEX(t, b);
        if (i < count) a.call->hidden[a.layer * count + i] = x[i];
    }
}
