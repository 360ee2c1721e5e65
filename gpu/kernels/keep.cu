/* Hidden states, on request. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(keep, struct od_keep_args) {
    OD_PHASE(t, b) {
        const uint64_t i = OD_INDEX(t, b);
        if (i < a.count) a.call->hidden[a.layer * a.count + i] = a.x[i];
    }
}
