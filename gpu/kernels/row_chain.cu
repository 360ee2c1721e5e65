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

/* x·w for four rows; the norm's scale goes with w. */
template <bool normed> OD_DEVICE Rows dot(const float *x, const float *w, const float *scale, uint32_t depth) {
    Rows sum = {};
    if (depth % 4 == 0) {
        OD_UNROLL_BY(2)
        for (uint32_t i = 0; i < depth; i += 4) {
            float4 q = od_load4(w + i);
            if (normed) {
                const float4 s = od_load4(scale + i);
                q = float4{q.x * s.x, q.y * s.y, q.z * s.z, q.w * s.w};
            }
            add(sum, x + i * OD_CHAIN_ROWS, q.x);
            add(sum, x + (i + 1) * OD_CHAIN_ROWS, q.y);
            add(sum, x + (i + 2) * OD_CHAIN_ROWS, q.z);
            add(sum, x + (i + 3) * OD_CHAIN_ROWS, q.w);
        }
    } else {
        for (uint32_t i = 0; i < depth; i++) add(sum, x + i * OD_CHAIN_ROWS, normed ? w[i] * scale[i] : w[i]);
    }
    return sum;
}

/* The norm's factor of row t: 1 / sqrt(mean(x²) + 1e-8), in eight sums. */
OD_DEVICE float root_of(const float *x, uint32_t depth, unsigned t) {
    float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    uint32_t i = 0;
    for (; i + 8 <= depth; i += 8) {
        OD_UNROLL
        for (uint32_t k = 0; k < 8; k++) {
            const float v = x[(i + k) * OD_CHAIN_ROWS + t];
            sum[k] = od_fma(v, v, sum[k]);
        }
    }
    for (; i < depth; i++) sum[0] = od_fma(x[i * OD_CHAIN_ROWS + t], x[i * OD_CHAIN_ROWS + t], sum[0]);
    const float all = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    return 1.0f / sqrtf(all / (float)depth + 1e-8f);
}

/* Outputs of a link, one a thread for four rows. places: of each row in y, or -1. */
template <bool normed>
OD_DEVICE void follow(const od_chain_link &l, const od_call *c, float *shared, const float *roots,
                      const int64_t *places, unsigned t, unsigned threads) {
    const uint32_t stride = od_chain_stride(l.depth);
    const float *w = shared + l.w_at, *bias = w + od_chain_bias_at(&l), *scale = w + od_chain_norm_at(&l);
    const uint32_t first = t % 2 * HALF;
    const float *x = shared + l.x_at + first;
    float *out = static_cast<float *>(c->scratch[l.y]);
    for (uint32_t j = t / 2; j < l.outs; j += threads / 2) {
        const Rows sum = dot<normed>(x, w + j * stride, scale, l.depth);
        Rows up = {};
        if (l.epilogue == OD_EPILOGUE_SWIGLU) up = dot<normed>(x, w + (l.outs + j) * stride, scale, l.depth);
        OD_UNROLL
        for (uint32_t i = 0; i < HALF; i++) {
            const uint32_t r = first + i;
            const float root = normed ? roots[r] : 1;
            float v = od_fma(sum.v[i], root, bias[j]), *kept = shared + l.y_at + j * OD_CHAIN_ROWS + r;
            if (l.epilogue == OD_EPILOGUE_SWIGLU) v = v / (1.0f + expf(-v)) * od_fma(up.v[i], root, bias[l.outs + j]);
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
    const uint32_t rows = OD_CHAIN_ROWS, n = c->n_token - first < rows ? c->n_token - first : rows;
    float *shared = OD_SHARED(b, float, a.floats), *roots = OD_SHARED(b, float, OD_CHAIN_ROWS);
    int64_t *places = OD_SHARED(b, int64_t, 2 * OD_CHAIN_ROWS); /* of a token's row, and of a head's */
    OD_PHASE(t, b) {
        for (uint32_t i = 0; i < a.n_link; i++)
            od_chain::fetch(a.link[i], shared + a.link[i].w_at, od_chain_weights(&a.link[i]), t, b.threads);
        od_copy_commit();
        if (t < 2 * OD_CHAIN_ROWS) places[t] = od_chain::place_of(c, first + t % OD_CHAIN_ROWS, t >= OD_CHAIN_ROWS);
    }
    od_await(b);
    OD_PHASE(t, b) {
        for (uint32_t k = 0; k < a.n_load; k++) {
            const uint32_t width = a.load[k].width;
            const float *from = static_cast<const float *>(c->scratch[a.load[k].slot]) + (uint64_t)first * width;
            for (uint32_t i = t; i < OD_CHAIN_ROWS * width; i += b.threads)
                shared[a.load[k].at + i % width * OD_CHAIN_ROWS + i / width] = i < n * width ? from[i] : 0;
        }
        od_copy_wait<0>();
    }
    for (uint32_t i = 0; i < a.n_link; i++) {
        const od_chain_link &l = a.link[i];
        const int64_t *to = places + (l.head ? OD_CHAIN_ROWS : 0);
        if (l.norm) {
            OD_PHASE(t, b) {
                if (t < OD_CHAIN_ROWS) roots[t] = od_chain::root_of(shared + l.x_at, l.depth, t);
            }
            OD_PHASE(t, b) {
                od_chain::follow<true>(l, c, shared, roots, to, t, b.threads);
            }
        } else {
            OD_PHASE(t, b) {
                od_chain::follow<false>(l, c, shared, roots, to, t, b.threads);
            }
        }
    }
}
