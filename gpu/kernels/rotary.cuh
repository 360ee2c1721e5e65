/* Rotary embedding with xPos (model.md, 6): neighbours (2i, 2i+1) turn as a pair, while the xPos scale runs
 * 0 … d/2-1 twice. */
#ifndef OD_GPU_ROTARY_CUH
#define OD_GPU_ROTARY_CUH

#include "gpu/kernels/kernel.cuh"

/* other: the neighbour with its sign, -x[j+1] for an even j, x[j-1] for an odd one. Kernels that turn the same feature
 * must agree to the bit, so what is fused is not the compiler's choice. */
OD_DEVICE float od_rotated(float own, float other, float cosine, float sine, float scale) {
    return od_fma(own, cosine, other * sine) * scale;
}

/* The tables' rows for one position. */
struct od_rotary {
    const float *cosine, *sine;
    const float *query, *key; /* xPos scales: each other's inverse */
    uint32_t half;
};

/* Tables: an od_call, or whatever else has cosine, sine, xpos and rope_rows. */
template <typename Tables>
OD_DEVICE od_rotary od_rotary_at(const Tables &a, uint32_t d_head, uint32_t position, uint32_t center) {
    const int64_t half = d_head / 2, offset = (int64_t)position - (int64_t)center, middle = (int64_t)a.rope_rows - 1;
    return {a.cosine + position * half, a.sine + position * half, a.xpos + (middle + offset) * half,
            a.xpos + (middle - offset) * half, (uint32_t)half};
}

/* What turns pair i: cosine, sine, and the scales of its two features. */
OD_DEVICE float4 od_rotary_turn(const od_rotary &r, const float *scale, uint32_t i) {
    const uint32_t even = 2 * i < r.half ? 2 * i : 2 * i - r.half;
    const uint32_t odd = 2 * i + 1 < r.half ? 2 * i + 1 : 2 * i + 1 - r.half;
    float4 turn;
    turn.x = r.cosine[i];
    turn.y = r.sine[i];
    turn.z = scale[even];
    turn.w = scale[odd];
    return turn;
}

OD_DEVICE float od_rotated_even(float even, float odd, float4 turn) {
    return od_rotated(even, -odd, turn.x, turn.y, turn.z);
}
OD_DEVICE float od_rotated_odd(float even, float odd, float4 turn) {
    return od_rotated(odd, even, turn.x, turn.y, turn.w);
}

/* What turns features f … f + 3 of a head's row, f a multiple of 4: what is beyond d becomes 0. */
struct od_rotary_pair {
    float4 first, second;
};

OD_DEVICE od_rotary_pair od_rotary_pair_at(const od_rotary &r, const float *scale, uint32_t f) {
    od_rotary_pair turn;
    turn.first = od_rotary_turn(r, scale, f / 2);
    turn.second.x = turn.second.y = turn.second.z = turn.second.w = 0;
    if (f / 2 + 1 < r.half) turn.second = od_rotary_turn(r, scale, f / 2 + 1);
    return turn;
}

OD_DEVICE float4 od_rotated4(float4 x, const od_rotary_pair &turn) {
    float4 y;
    y.x = od_rotated_even(x.x, x.y, turn.first);
    y.y = od_rotated_odd(x.x, x.y, turn.first);
    y.z = od_rotated_even(x.z, x.w, turn.second);
    y.w = od_rotated_odd(x.z, x.w, turn.second);
    return y;
}

#endif
