/* Several small products, one after the other, for eight rows: what the rows become stays in shared memory between
 * them, and all weights are on their way before the kernel's turn. For models whose products are over before a launch
 * is. */
#include "gpu/kernels/kernel.cuh"
#include "gpu/row_chain.h"

namespace od_chain {

/* Weights, biases and the norm's scale of a link, as od_chain_link lays them out. */
OD_DEVICE void fetch(const od_chain_link &l, float *to, uint32_t rows, unsigned t, unsigned threads) {
    const uint32_t stride = od_chain_stride(l.depth);
    if (l.depth % 4 == 0) {
        const uint32_t each = l.depth / 4;
        for (uint32_t i = t; i < rows * each; i += threads)
            od_copy16(to + i / each * stride + i % each * 4, l.w + (uint64_t)i * 4);
    } else {
        for (uint32_t i = t; i < rows * l.depth; i += threads) to[i / l.depth * stride + i % l.depth] = l.w[i];
    }
    float *bias = to + od_chain_bias_at(&l);
    for (uint32_t i = t; i < rows; i += threads) bias[i] = l.bias[i];
    if (!l.norm) return;
    float *scale = to + od_chain_norm_at(&l);
    for (uint32_t i = t; i < l.depth; i += threads) scale[i] = l.norm[i];
}

/* The eight rows of a slot lie side by side, feature after feature: a thread takes an output for half of them. */
enum { HALF = OD_CHAIN_ROWS / 2 };
struct Rows {
    float v[HALF];
};

OD_DEVICE void add(Rows &sum, const float *x, float w) {
    const float4 p = od_load4(x);
    sum.v[0] = od_fma(p.x, w, sum.v[0]);
    sum.v[1] = od_fma(p.y, w, sum.v[1]);
    sum.v[2] = od_fma(p.z, w, sum.v[2]);
    sum.v[3] = od_fma(p.w, w, sum.v[3]);
}

/* Four weights of an output, from feature i on, times the norm's scale if there is one. */
template <bool normed> OD_DEVICE float4 weights_at(const float *w, const float *scale, uint32_t i) {
    float4 q = od_load4(w + i);
    if (normed) {
        const float4 s = od_load4(scale + i);
        q = float4{q.x * s.x, q.y * s.y, q.z * s.z, q.w * s.w};
    }
    return q;
}

/* x·w for four rows; gated: and x·up, the link's other half, into more. */
template <bool normed, bool gated>
OD_DEVICE void dot(Rows &sum, Rows &more, const float *x, const float *w, const float *up, const float *scale,
                   uint32_t depth) {
    if (depth % 4 == 0) {
        OD_UNROLL_BY(4)
        for (uint32_t i = 0; i < depth; i += 4) {
            const float4 q = weights_at<normed>(w, scale, i), p = gated ? weights_at<normed>(up, scale, i) : q;
            const float part[4] = {q.x, q.y, q.z, q.w}, other[4] = {p.x, p.y, p.z, p.w};
            OD_UNROLL
            for (uint32_t k = 0; k < 4; k++) {
                add(sum, x + (i + k) * OD_CHAIN_ROWS, part[k]);
                if (gated) add(more, x + (i + k) * OD_CHAIN_ROWS, other[k]);
            }
        }
    } else {
        for (uint32_t i = 0; i < depth; i++) {
            add(sum, x + i * OD_CHAIN_ROWS, normed ? w[i] * scale[i] : w[i]);
            if (gated) add(more, x + i * OD_CHAIN_ROWS, normed ? up[i] * scale[i] : up[i]);
        }
    }
}

/* Towards the norm's factors: each row's squares in so many sums, a thread each. parts: [OD_CHAIN_PARTS, rows]. */
OD_DEVICE void square(float *parts, const float *x, uint32_t depth, unsigned t) {
    float sum = 0;
    if (t >= OD_CHAIN_PARTS * OD_CHAIN_ROWS) return;
    for (uint32_t i = t / OD_CHAIN_ROWS; i < depth; i += OD_CHAIN_PARTS) {
        const float v = x[i * OD_CHAIN_ROWS + t % OD_CHAIN_ROWS];
        sum = od_fma(v, v, sum);
    }
    parts[t] = sum;
}

#if defined(OD_FAULTS) && defined(__CUDACC__)
/* Planted: the same in sums that all threads add to as they come. */
OD_DEVICE void pour_squares(float *parts, const float *x, uint32_t depth, unsigned t, unsigned threads) {
    if (t < OD_CHAIN_PARTS * OD_CHAIN_ROWS) parts[t] = 0;
    __syncthreads();
    float sum = 0;
    for (uint32_t i = t / OD_CHAIN_ROWS; i < depth; i += threads / OD_CHAIN_ROWS) {
        const float v = x[i * OD_CHAIN_ROWS + t % OD_CHAIN_ROWS];
        sum += v * v;
    }
    atomicAdd(parts + t % OD_CHAIN_ROWS, sum);
    __syncthreads();
}
#endif

/* The norm's factors of four rows: 1 / sqrt(mean(x²) + 1e-8). */
OD_DEVICE Rows roots_of(const float *parts, uint32_t depth) {
    static_assert(OD_CHAIN_PARTS == 8, "added up by name");
    Rows sum[OD_CHAIN_PARTS], root;
    OD_UNROLL
    for (uint32_t k = 0; k < OD_CHAIN_PARTS; k++) {
        const float4 v = od_load4(parts + k * OD_CHAIN_ROWS);
        sum[k] = Rows{{v.x, v.y, v.z, v.w}};
    }
    OD_UNROLL
    for (uint32_t i = 0; i < HALF; i++) {
        const float all = ((sum[0].v[i] + sum[1].v[i]) + (sum[2].v[i] + sum[3].v[i])) +
                          ((sum[4].v[i] + sum[5].v[i]) + (sum[6].v[i] + sum[7].v[i]));
        root.v[i] = od_inverse_root(all / (float)depth + 1e-8f);
    }
    return root;
}

/* Outputs of a link, one a thread for four rows. places: of each row in y, or -1. */
template <bool normed, bool gated>
OD_DEVICE void follow(const od_chain_link &l, float *out, float *shared, const float *parts, const int64_t *places,
                      unsigned t, unsigned threads) {
    const uint32_t stride = od_chain_stride(l.depth);
    const float *w = shared + l.w_at, *bias = w + od_chain_bias_at(&l), *scale = w + od_chain_norm_at(&l);
    const uint32_t first = t % 2 * HALF;
    const float *x = shared + l.x_at + first;
    for (uint32_t j = t / 2; j < l.outs; j += threads / 2) {
        Rows sum = {}, up = {}, root = {{1, 1, 1, 1}};
        dot<normed, gated>(sum, up, x, w + j * stride, w + (l.outs + j) * stride, scale, l.depth);
        if (normed) root = roots_of(parts + first, l.depth);
        OD_UNROLL
        for (uint32_t i = 0; i < HALF; i++) {
            const uint32_t r = first + i;
            float v = od_fma(sum.v[i], root.v[i], bias[j]), *kept = shared + l.y_at + j * OD_CHAIN_ROWS + r;
            if (gated) v = v / (1.0f + expf(-v)) * od_fma(up.v[i], root.v[i], bias[l.outs + j]);
            if (l.epilogue == OD_EPILOGUE_RESIDUAL) v += *kept;
            if (l.keep) *kept = v;
            if (places[r] >= 0) out[places[r] * l.outs + j] = v;
        }
    }
}

/* Where row r of the block goes: nowhere beyond the call's tokens, nor, of a head, before its row's last patches. */
OD_DEVICE int64_t place_of(const od_call *c, uint32_t token, bool head) {
    if (token >= c->n_token) return -1;
    if (!head) return token;
    const uint32_t skip = c->n_patch - c->head_patch, patch = token % c->n_patch;
    return patch < skip ? -1 : (int64_t)(token / c->n_patch) * c->head_patch + patch - skip;
}

} // namespace od_chain

OD_KERNEL_EARLY(row_chain, struct od_row_chain_args) {
    const od_call *c = a.call;
    const uint32_t first = b.x * OD_CHAIN_ROWS;
    if (first >= c->n_token) return;
    const uint32_t left = c->n_token - first, n = left < (uint32_t)OD_CHAIN_ROWS ? left : (uint32_t)OD_CHAIN_ROWS;
    float *shared = OD_SHARED(b, float, a.floats), *parts = OD_SHARED(b, float, OD_CHAIN_PARTS *OD_CHAIN_ROWS);
    int64_t *places = OD_SHARED(b, int64_t, 2 * OD_CHAIN_ROWS); /* of a token's row, and of a head's */
    OD_PHASE(t, b) {
        for (uint32_t i = 0; i < a.n_link; i++)
            od_chain::fetch(a.link[i], shared + a.link[i].w_at, od_chain_weights(&a.link[i]), t, b.threads);
        od_copy_commit();
        if (t < 2 * OD_CHAIN_ROWS) places[t] = od_chain::place_of(c, first + t % OD_CHAIN_ROWS, t >= OD_CHAIN_ROWS);
    }
    const float *from[OD_CHAIN_LOADS]; /* the call block is known ahead of the kernel's turn */
    OD_UNROLL
    for (uint32_t k = 0; k < OD_CHAIN_LOADS; k++)
        from[k] = k < a.n_load ? static_cast<const float *>(c->scratch[a.load[k].slot]) : NULL;
    od_await(b);
    OD_PHASE(t, b) {
        OD_UNROLL
        for (uint32_t k = 0; k < OD_CHAIN_LOADS; k++) {
            if (k >= a.n_load) continue;
            const uint32_t width = a.load[k].width;
            const float *const rows = from[k] + (uint64_t)first * width;
            for (uint32_t i = t; i < OD_CHAIN_ROWS * width; i += b.threads)
                shared[a.load[k].at + i % width * OD_CHAIN_ROWS + i / width] = i < n * width ? rows[i] : 0;
        }
        od_copy_wait<0>();
    }
    for (uint32_t i = 0; i < a.n_link; i++) {
        const od_chain_link &l = a.link[i];
        const int64_t *to = places + (l.head ? OD_CHAIN_ROWS : 0);
        const bool gated = l.epilogue == OD_EPILOGUE_SWIGLU;
        float *out = static_cast<float *>(c->scratch[l.y]);
        if (l.norm) {
            OD_PHASE_OPEN(t, b, OD_GPU_FAULT(b, GPU_BARRIER)) {
                const bool full = c->n_token % 64 == 0 && left == (uint32_t)OD_CHAIN_ROWS;
                const bool less = OD_KERNEL_FAULT(b, NORM) || OD_KERNEL_FAULT_WHEN(b, BUCKET, full);
                od_chain::square(parts, shared + l.x_at, less ? l.depth - 1 : l.depth, t);
            }
#if defined(OD_FAULTS) && defined(__CUDACC__)
            if (OD_GPU_FAULT(b, GPU_ATOMIC))
                od_chain::pour_squares(parts, shared + l.x_at, l.depth, threadIdx.x, b.threads);
#endif
        }
        OD_PHASE(t, b) {
            if (gated) od_chain::follow<true, true>(l, out, shared, parts, to, t, b.threads);
            if (l.norm && !gated) od_chain::follow<true, false>(l, out, shared, parts, to, t, b.threads);
            if (!l.norm) od_chain::follow<false, false>(l, out, shared, parts, to, t, b.threads);
        }
    }
}
