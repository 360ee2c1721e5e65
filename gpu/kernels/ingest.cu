/* New steps of a call into the session's series: a staged window, or the session's own mean. */
#include "gpu/kernels/kernel.cuh"

OD_KERNEL(ingest, struct od_ingest_args) {
    const od_call *c = a.call;
    const uint64_t row = b.x;
    float *value = c->value + row * c->step_stride + c->new_step;
    uint8_t *mask = c->mask + row * c->step_stride + c->new_step;
    const uint64_t fed = OD_KERNEL_FAULT_WHEN(b, FEEDBACK, row > 0) ? row - 1 : row;
    int32_t *id = c->id + row * c->patch_stride + c->new_step / a.patch;
    OD_PHASE(t, b) {
        for (uint32_t i = t; i < a.new_count; i += b.threads) {
            value[i] = c->own ? c->mean[fed * a.patch + i] : a.value[row * a.new_count + i];
            mask[i] = c->own ? 1 : a.mask[row * a.new_count + i];
        }
        for (uint32_t i = t; i < a.new_count / a.patch; i += b.threads)
            id[i] = c->own ? id[-1] : a.id[row * (a.new_count / a.patch) + i];
    }
}
