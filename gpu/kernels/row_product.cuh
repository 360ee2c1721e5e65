/* row_product's inner part: what a block works on, and the products of its threads. */
#ifndef OD_GPU_ROW_PRODUCT_CUH
#define OD_GPU_ROW_PRODUCT_CUH

#include "gpu/kernels/kernel.cuh"
#include "gpu/row_plan.h"

namespace od_row {

enum { FLIGHT = 6 }; /* loads under way at once */

/* What a block works on, and where. */
struct row_work {
    const od_row_plan &p;
    const float *x;
    float *y;                             /* of the first row and output */
    uint32_t first, n;                    /* rows of the product */
    uint32_t n_patch, head_patch;         /* of the call */
    uint32_t output, n_output;            /* outputs */
    uint32_t n_weight;                    /* rows of w */
    uint32_t threads, lanes, group, lane; /* all, of a group; the thread's own: set by place() */
    /* shared */
    float4 *weights;           /* [groups, tile, pitch] */
    uint64_t *landed;          /* [groups] */
    float4 *rows;              /* [n, depth4] */
    float4 *segments;          /* [n_weight, 2, segments] */
    float *scale, *bias, *old; /* old: [n_output, OD_ROW_GROUP] */
    float *squares, *factor;   /* [OD_ROW_GROUP, threads / OD_ROW_GROUP], [n]: 1/root */
    float inverse_depth;
};

/* Which group and lane a thread is. */
OD_DEVICE void place(row_work &k, unsigned t) {
    k.group = t >> k.p.lane_bits;
    k.lane = t & (k.lanes - 1);
}

/* Where a row of the block's weights stands among w's. */
OD_DEVICE uint64_t weight_of(const od_product_args &a, const row_work &k, uint32_t row) {
    return row < k.n_output ? k.output + row : a.outs + k.output + (row - k.n_output);
}

/* A step that shared memory had no room for takes the place of one that its thread has done with. */
template <int O> OD_DEVICE void refill(const od_product_args &a, const row_work &k, float4 *to, uint32_t step) {
    const uint32_t at = step * k.lanes + k.lane;
    if (at < k.p.depth4) {
        OD_UNROLL
        for (int o = 0; o < O; o++) {
            const uint32_t row = od_row_least(k.group * O + o, k.n_weight - 1);
            od_copy16(to + o * k.p.pitch, a.w + weight_of(a, k, row) * a.depth + 4 * at);
        }
    }
    od_copy_commit();
}

template <int R, int O> OD_DEVICE void accumulate(float (&sum)[O][R], int o, int r, const float4 &u, const float4 &y) {
    sum[o][r] = od_fma(u.x, y.x, sum[o][r]);
    sum[o][r] = od_fma(u.y, y.y, sum[o][r]);
    sum[o][r] = od_fma(u.z, y.z, sum[o][r]);
    sum[o][r] = od_fma(u.w, y.w, sum[o][r]);
}

/* A thread's sums in the place of its share of w: of rows 0 … 3 in its first step's, of rows 4 … 7 behind. A tile's
 * missing rows have a place but no meaning. */
template <int R, int O> OD_DEVICE void put(const row_work &k, float4 *w, const float (&sum)[O][R]) {
    OD_UNROLL
    for (int o = 0; o < O; o++) {
        OD_UNROLL
        for (int h = 0; h < (R + 3) / 4; h++) {
            float4 s = {sum[o][4 * h], 0, 0, 0};
            if (4 * h + 1 < R) s.y = sum[o][4 * h + 1 < R ? 4 * h + 1 : 0];
            if (4 * h + 2 < R) s.z = sum[o][4 * h + 2 < R ? 4 * h + 2 : 0];
            if (4 * h + 3 < R) s.w = sum[o][4 * h + 3 < R ? 4 * h + 3 : 0];
            w[o * k.p.pitch + h * k.p.active] = s;
        }
    }
}

/* A thread's share of its tile's sums, x from shared memory. w comes from there one step ahead of its products. */
template <int R, int O> OD_DEVICE void multiply_staged(const od_product_args &a, const row_work &k) {
    float4 *w = k.weights + k.group * O * k.p.pitch + k.lane;
    const float4 *x = k.rows + k.lane;
    float sum[O][R] = {};
    float4 u[O], next[O];
    uint32_t slot = 0;
    od_bulk_wait(k.landed + k.group);
    OD_UNROLL
    for (int o = 0; o < O; o++) u[o] = w[o * k.p.pitch];
    OD_UNROLL_BY(1)
    for (uint32_t at = k.lane, step = 0; at < k.p.depth4; at += k.lanes, step++, x += k.lanes) {
        const uint32_t done = slot;
        slot = slot + k.lanes == OD_ROW_KEPT * k.lanes ? 0 : slot + k.lanes;
        od_copy_wait<OD_ROW_KEPT - 2>();
        /* without a branch, which would part the loads from the products; after the last step, what does no harm */
        const float4 *from = w + (at + k.lanes < k.p.depth4 ? slot : 0);
        OD_UNROLL
        for (int o = 0; o < O; o++) next[o] = from[o * k.p.pitch];
        OD_UNROLL
        for (int r = 0; r < R; r++) {
            const float4 y = x[r * k.p.depth4];
            OD_UNROLL
            for (int o = 0; o < O; o++) accumulate(sum, o, r, u[o], y);
        }
        if (k.p.steps > OD_ROW_KEPT) refill<O>(a, k, w + done, step + OD_ROW_KEPT);
        OD_UNROLL
        for (int o = 0; o < O; o++) u[o] = next[o];
    }
    put(k, w, sum);
}

/* The same, x from where it is, two steps ahead of its products or, where registers are short, one. */
template <int R, int O> OD_DEVICE void multiply_direct(const od_product_args &a, const row_work &k) {
    const bool two = R < OD_ROW_GROUP;
    const uint32_t depth4 = k.p.depth4, lanes = k.lanes, next = two ? 2 * lanes : lanes;
    float4 *w = k.weights + k.group * O * k.p.pitch + k.lane;
    const float4 *x = od_global(reinterpret_cast<const float4 *>(k.x + (uint64_t)k.first * a.depth));
    float sum[O][R] = {};
    float4 v[R], ahead[R] = {};
    OD_UNROLL
    for (int r = 0; r < R; r++) v[r] = x[r * depth4 + k.lane];
    if (two && k.lane + lanes < depth4) {
        OD_UNROLL
        for (int r = 0; r < R; r++) ahead[r] = x[r * depth4 + k.lane + lanes];
    }
    od_bulk_wait(k.landed + k.group);
    OD_UNROLL_BY(1)
    for (uint32_t at = k.lane, from = 0; at < depth4; at += lanes, from += lanes) {
        OD_UNROLL
        for (int o = 0; o < O; o++) {
            const float4 u = w[o * k.p.pitch + from];
            OD_UNROLL
            for (int r = 0; r < R; r++) accumulate(sum, o, r, u, v[r]);
        }
        OD_UNROLL
        for (int r = 0; r < R; r++) {
            if (two) v[r] = ahead[r];
            if (at + next < depth4) (two ? ahead[r] : v[r]) = x[r * depth4 + at + next];
        }
    }
    put(k, w, sum);
}

template <int R, int O, bool DIRECT> OD_DEVICE void multiply(const od_product_args &a, const row_work &k, unsigned t) {
    if (DIRECT)
        multiply_direct<R, O>(a, k);
    else
        multiply_staged<R, O>(a, k);
}

template <int O, bool DIRECT> OD_DEVICE void multiply_rows(const od_product_args &a, const row_work &k, unsigned t) {
    if (k.n == 8)
        multiply<8, O, DIRECT>(a, k, t);
    else if (k.n == 7)
        multiply<7, O, DIRECT>(a, k, t);
    else if (k.n == 6)
        multiply<6, O, DIRECT>(a, k, t);
    else if (k.n == 5)
        multiply<5, O, DIRECT>(a, k, t);
    else if (k.n == 4)
        multiply<4, O, DIRECT>(a, k, t);
    else if (k.n == 3)
        multiply<3, O, DIRECT>(a, k, t);
    else if (k.n == 2)
        multiply<2, O, DIRECT>(a, k, t);
    else
        multiply<1, O, DIRECT>(a, k, t);
}

OD_DEVICE void multiply_any(const od_product_args &a, const row_work &k, unsigned t) {
    if (k.group >= k.p.groups || k.lane >= k.p.active) return;
    if (k.p.tile == 1) {
        if (k.p.staged)
            multiply_rows<1, false>(a, k, t);
        else
            multiply_rows<1, true>(a, k, t);
    } else {
        if (k.p.staged)
            multiply_rows<OD_ROW_TILE, false>(a, k, t);
        else
            multiply_rows<OD_ROW_TILE, true>(a, k, t);
    }
}

} // namespace od_row

#endif
