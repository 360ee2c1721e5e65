/* Fused prefill: queries turn in place in the projection's slot, turned keys and values go into the session's cache. A
 * token's row is [q][k][v], each [H, d], the bias already in it. */
#include "gpu/kernels/rotary.cuh"

struct Token {
    float *q;          /* k and v follow, width apart */
    float *key, *kept; /* head 0's place in the cache; the next head is `heads` further on */
    uint32_t width;
    uint64_t heads;
};

/* Pair i of head h. */
OD_DEVICE void rotate_pair(const Token &x, const od_rotary &r, uint32_t h, uint32_t i) {
    const uint32_t at = (h * r.half + i) * 2;
    const uint64_t to = h * x.heads + 2 * i;
    const float q0 = x.q[at], q1 = x.q[at + 1], k0 = x.q[x.width + at], k1 = x.q[x.width + at + 1];
    const float v0 = x.q[2 * x.width + at], v1 = x.q[2 * x.width + at + 1];
    const float4 query = od_rotary_turn(r, r.query, i), key = od_rotary_turn(r, r.key, i);
    x.q[at] = od_rotated_even(q0, q1, query);
    x.q[at + 1] = od_rotated_odd(q0, q1, query);
    x.key[to] = od_rotated_even(k0, k1, key);
    x.key[to + 1] = od_rotated_odd(k0, k1, key);
    x.kept[to] = v0;
    x.kept[to + 1] = v1;
}

/* Pairs i and i + 1 of head h, where d is a multiple of 4. */
OD_DEVICE void rotate_two_pairs(const Token &x, const od_rotary &r, uint32_t h, uint32_t i) {
    const uint32_t at = (h * r.half + i) * 2;
    const uint64_t to = h * x.heads + 2 * i;
    const float4 q = od_load4(x.q + at), k = od_load4(x.q + x.width + at), v = od_load4(x.q + 2 * x.width + at);
    od_store4(x.q + at, od_rotated4(q, od_rotary_pair_at(r, r.query, 2 * i)));
    od_store4(x.key + to, od_rotated4(k, od_rotary_pair_at(r, r.key, 2 * i)));
    od_store4(x.kept + to, v);
}

OD_DEVICE Token token_of(const od_rotate_args &a, const od_call *c, uint32_t token, uint32_t slot) {
    const uint32_t width = a.n_head * a.d_head;
    const uint64_t heads = (uint64_t)c->key_stride * a.d_head;
    const uint64_t place =
        a.layer * c->layer_stride + token / c->n_patch * a.n_head * heads + (uint64_t)slot * a.d_head;
    float *qkv = static_cast<float *>(c->scratch[OD_SCRATCH_QKV]);
    return {qkv + (uint64_t)token * 3 * width, c->key + place, c->cached + place, width, heads};
}

OD_KERNEL_EARLY(rotate, struct od_rotate_args) {
    const od_call call = *a.call, *const c = &call;
    od_await(b);
    OD_PHASE(t, b) {
        for (uint32_t token = b.x; token < c->n_token; token += b.nx) {
            const uint32_t i = token % c->n_patch;
            uint32_t position = c->position + i, slot = position;
#ifdef OD_FAULTS
            if (OD_KERNEL_FAULT(b, FROZEN)) position = slot = a.frozen_position + i;
#endif
            if (OD_KERNEL_FAULT_WHEN(b, CACHE_POS, c->position > 0)) slot -= 1;
            const uint32_t center = OD_KERNEL_FAULT_WHEN(b, CENTRE, c->center > 0) ? 2 * c->center : c->center;
            const od_rotary r = od_rotary_at(*c, a.d_head, position, center);
            const Token x = token_of(a, c, token, slot);
            if (a.d_head % 4 == 0)
                for (uint32_t p = 2 * t; p < a.n_head * r.half; p += 2 * b.threads)
                    rotate_two_pairs(x, r, p / r.half, p % r.half);
            else
                for (uint32_t p = t; p < a.n_head * r.half; p += b.threads) rotate_pair(x, r, p / r.half, p % r.half);
        }
    }
}
