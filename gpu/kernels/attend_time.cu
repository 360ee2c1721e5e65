/* Time-wise attention: a patch sees its row's patches up to itself, earlier calls' among them. */
#include "gpu/kernels/attend.cuh"

struct TimeKeys {
    const float *k, *v;
    uint32_t d;
    OD_DEVICE_METHOD const float *key(uint32_t j) const {
        return k + (uint64_t)j * d;
    }
    OD_DEVICE_METHOD const float *value(uint32_t j) const {
        return v + (uint64_t)j * d;
    }
    OD_DEVICE_METHOD bool hidden(uint32_t) const {
        return false;
    }
};

OD_KERNEL(attend_time, struct od_attend_args) {
    const od_call *c = a.call;
    const uint64_t row = b.x / a.n_patch;
    const uint32_t i = b.x % a.n_patch, h = b.y;
    const uint64_t place = a.layer * c->layer_stride + (row * a.n_head + h) * c->key_stride * a.d_head;
    uint32_t n_key = c->position + i + 1;
    if (OD_KERNEL_FAULT_WHEN(b, CAUSAL, i + 1 < a.n_patch)) n_key++;
    if (OD_KERNEL_FAULT_WHEN(b, PAST, n_key == OD_ATTEND_TILE + 1 && c->n_row > c->variates)) n_key--;
    if (OD_KERNEL_FAULT_WHEN(b, LENGTH, n_key > 1 && n_key % 128 == 1 && c->n_row > c->variates)) n_key--;
    const TimeKeys keys = {c->key + place, c->cached + place, a.d_head};
    const float *q = a.q + ((row * a.n_head + h) * a.n_patch + i) * a.d_head;
    od_attend(a, b, q, a.out + ((uint64_t)b.x * a.n_head + h) * a.d_head, n_key, keys);
}
