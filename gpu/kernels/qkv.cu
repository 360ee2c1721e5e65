/* From the fused projection to queries, keys and values: bias, the (3, d, H) order undone and, time-wise, rotary
 * embedding with xPos (model.md, 5 and 6). A block a token, a thread a feature. */
#include "gpu/kernels/rotary.cuh"

/* Feature j of head h in part `part` (0 q, 1 k, 2 v) of a token's projection. */
OD_DEVICE float feature(const od_qkv_args &a, const float *qkv, uint32_t part, uint32_t j, uint32_t h) {
    const uint32_t at = (part * a.d_head + j) * a.n_head + h;
    return qkv[at] + a.bias[at];
}

/* Feature j of a part that turns, with the scales of its part. */
OD_DEVICE float turned(const od_qkv_args &a, const float *qkv, uint32_t part, uint32_t j, uint32_t h,
                       const od_rotary &r, const float *scale) {
    const float own = feature(a, qkv, part, j, h);
    const float other = j % 2 ? feature(a, qkv, part, j - 1, h) : -feature(a, qkv, part, j + 1, h);
    return od_rotated(own, other, r.cosine[j / 2], r.sine[j / 2], scale[j % r.half]);
}

OD_KERNEL(qkv, struct od_qkv_args) {
    const od_call *c = a.call;
    const uint64_t row = b.x / a.n_patch;
    const uint32_t i = b.x % a.n_patch;
    const float *qkv = a.qkv + (uint64_t)b.x * 3 * a.n_head * a.d_head;
    uint32_t position = c->position + i, slot = position;
#ifdef OD_FAULTS
    const bool fifth = OD_KERNEL_FAULT_WHEN(b, FIFTH, a.frozen_position != UINT32_MAX);
    if (OD_KERNEL_FAULT(b, FROZEN) || fifth) position = slot = a.frozen_position + i;
#endif
    if (OD_KERNEL_FAULT_WHEN(b, CACHE_POS, c->position > 0)) slot -= 1;
    const bool time = a.cosine != NULL;
    const bool late = OD_KERNEL_FAULT_WHEN(b, ROTARY_OFFSET, time && c->position > 0);
    const od_rotary r = time ? od_rotary_at(a, a.d_head, late ? position - 1 : position, c->center) : od_rotary();
    OD_PHASE(t, b) {
        for (uint32_t f = t; f < a.n_head * a.d_head; f += b.threads) {
            const uint32_t h = f / a.d_head, j = f % a.d_head;
            const uint64_t here = ((row * a.n_head + h) * a.n_patch + i) * a.d_head + j;
            if (time) {
                const uint64_t kept =
                    a.layer * c->layer_stride + ((row * a.n_head + h) * c->key_stride + slot) * a.d_head + j;
                a.q[here] = turned(a, qkv, 0, j, h, r, r.query);
                c->key[kept] = turned(a, qkv, 1, j, h, r, r.key);
                if (OD_KERNEL_FAULT_WHEN(b, ROTARY_PAIR, r.half % 2 == 1 && j >= a.d_head - 2))
                    c->key[kept] = turned(a, qkv, 1, j ^ 1, h, r, r.key);
                c->cached[kept] = feature(a, qkv, 2, j, h);
            } else {
                a.q[here] = feature(a, qkv, 0, j, h);
                a.k[here] = feature(a, qkv, 1, j, h);
                a.v[here] = feature(a, qkv, 2, j, h);
            }
        }
    }
}
