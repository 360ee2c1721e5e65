/* Data-space mean of the patch after the last one (model.md, 8). */
#include "gpu/kernels/head.cuh"

OD_KERNEL(mean, struct od_mean_args) {
    const od_call *c = a.call;
    OD_PHASE(t, b) {
        const uint64_t i = OD_INDEX(t, b);
        const bool left = OD_KERNEL_FAULT_WHEN(b, MEAN_TAIL, a.rows > 1 && i == (uint64_t)a.rows * a.patch - 1);
        if (i < (uint64_t)a.rows * a.patch && !left) {
            const uint64_t row = i / a.patch, p = i % a.patch;
            const uint64_t step = (uint64_t)(a.n_patch - 1) * a.patch + p; /* within the call */
            const uint64_t first = (row * a.n_patch * a.patch + step) * a.n_component;
            const uint64_t at = row * c->step_stride + c->first_step + step;
            const float *probs = a.mixture ? c->out_probs + first : nullptr;
            c->mean[i] = od_data_mean(probs, c->out_loc + first, a.n_component, c->loc[at], c->scale[at], a.replaced);
        }
    }
}
