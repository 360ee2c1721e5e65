/* Space-wise attention: at one patch, a variate sees the variates of its batch row whose group id is its own. */
#include "gpu/kernels/attend.cuh"

struct SpaceKeys {
    const float *k, *v;
    const int32_t *id;
    uint64_t stride; /* floats from one variate's key to the next */
    uint32_t id_stride;
    int32_t own;
    bool all; /* by fault */
    OD_DEVICE_METHOD const float *key(uint32_t j) const {
        return k + j * stride;
    }
    OD_DEVICE_METHOD const float *value(uint32_t j) const {
        return v + j * stride;
    }
    OD_DEVICE_METHOD bool hidden(uint32_t j) const {
        return !all && id[(uint64_t)j * id_stride] != own;
    }
};

OD_KERNEL(attend_space, struct od_attend_args) {
    const od_call *c = a.call;
    const uint64_t row = b.x / a.n_patch;
    const uint32_t i = b.x % a.n_patch, h = b.y;
    const uint64_t first = row / a.variates * a.variates; /* row of variate 0 in this batch row */
    const uint64_t stride = (uint64_t)a.n_head * a.n_patch * a.d_head;
    const uint64_t at = ((uint64_t)h * a.n_patch + i) * a.d_head;
    const uint64_t variate = row - first,
                   of = OD_KERNEL_FAULT_WHEN(b, TILE, variate % 16 == 15) ? variate - 1 : variate;
    const int32_t *id = c->id + first * c->patch_stride + c->position + i;
    const SpaceKeys keys = {a.k + first * stride + at, a.v + first * stride + at, id, stride, c->patch_stride,
                            id[of * c->patch_stride],  OD_KERNEL_FAULT(b, GROUP)};
    const bool less = OD_KERNEL_FAULT_WHEN(b, VARIATES, a.variates > 1 && a.variates % 16 == 1);
    const uint32_t n_key = less ? a.variates - 1 : a.variates;
    od_attend(a, b, a.q + row * stride + at, a.out + ((uint64_t)b.x * a.n_head + h) * a.d_head, n_key, keys);
}
