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

/* 1 / sqrt(mean(x²) + 1e-8) */
OD_DEVICE float root_of(const float *x, uint32_t depth) {
    float4 sum = {0, 0, 0, 0};
    uint32_t i = 0;
    for (; i + 4 <= depth; i += 4) {
        sum.x = od_fma(x[i], x[i], sum.x);
        sum.y = od_fma(x[i + 1], x[i + 1], sum.y);
        sum.z = od_fma(x[i + 2], x[i + 2], sum.z);
        sum.w = od_fma(x[i + 3], x[i + 3], sum.w);
    }
    for (; i < depth; i++) sum.x = od_fma(x[i], x[i], sum.x);
    return 1.0f / sqrtf(((sum.x + sum.y) + (sum.z + sum.w)) / (float)depth + 1e-8f);
}

template <bool normed> OD_DEVICE float dot(const float *x, const float *w, const float *scale, uint32_t depth) {
    float4 sum = {0, 0, 0, 0};
    if (depth % 4 == 0) {
        OD_UNROLL_BY(4)
        for (uint32_t i = 0; i < depth; i += 4) {
            float4 p = od_load4(x + i);
            const float4 q = od_load4(w + i);
            if (normed) {
                const float4 s = od_load4(scale + i);
                p.x *= s.x;
                p.y *= s.y;
                p.z *= s.z;
                p.w *= s.w;
            }
            sum.x = od_fma(p.x, q.x, sum.x);
            sum.y = od_fma(p.y, q.y, sum.y);
            sum.z = od_fma(p.z, q.z, sum.z);
            sum.w = od_fma(p.w, q.w, sum.w);
        }
    } else {
        for (uint32_t i = 0; i < depth; i++) sum.x = od_fma(normed ? x[i] * scale[i] : x[i], w[i], sum.x);
    }
    return (sum.x + sum.y) + (sum.z + sum.w);
}

/* One link for the row of thread t: a row has every eighth thread. */
template <bool normed>
OD_DEVICE void follow(const od_chain_link &l, const od_call *c, float *shared, uint32_t token, unsigned t,
                      unsigned threads) {
    const uint32_t r = t % OD_CHAIN_ROWS, skip = c->n_patch - c->head_patch, patch = token % c->n_patch;
    if (l.head && patch < skip) return;
    const uint64_t row = l.head ? (uint64_t)(token / c->n_patch) * c->head_patch + patch - skip : token;
    const float *w = shared + l.w_at, *bias = w + od_chain_bias_at(&l), *scale = w + od_chain_norm_at(&l);
    const float *x = shared + l.x_at + r * od_chain_stride(l.depth);
    const uint32_t stride = od_chain_stride(l.depth);
    const float root = normed ? root_of(x, l.depth) : 1;
    float *kept = l.keep ? shared + l.y_at + r * od_chain_stride(l.outs) : nullptr;
    float *out = static_cast<float *>(c->scratch[l.y]) + row * l.outs;
    for (uint32_t j = t / OD_CHAIN_ROWS; j < l.outs; j += threads / OD_CHAIN_ROWS) {
        float v = od_fma(dot<normed>(x, w + j * stride, scale, l.depth), root, bias[j]);
        if (l.epilogue == OD_EPILOGUE_SWIGLU)
            v = v / (1.0f + expf(-v)) *
                od_fma(dot<normed>(x, w + (l.outs + j) * stride, scale, l.depth), root, bias[l.outs + j]);
        if (l.epilogue == OD_EPILOGUE_RESIDUAL) v += kept[j];
        if (kept) kept[j] = v;
        out[j] = v;
    }
}

} // namespace od_chain

OD_KERNEL_EARLY(row_chain, struct od_row_chain_args) {
    const od_call *c = a.call;
    const uint32_t first = b.x * OD_CHAIN_ROWS;
    if (first >= c->n_token) return;
    const uint32_t rows = OD_CHAIN_ROWS, n = c->n_token - first < rows ? c->n_token - first : rows;
    float *shared = OD_SHARED(b, float, a.floats);
    OD_PHASE(t, b) {
        for (uint32_t i = 0; i < a.n_link; i++)
            od_chain::fetch(a.link[i], shared + a.link[i].w_at, od_chain_weights(&a.link[i]), t, b.threads);
        od_copy_commit();
    }
    od_await(b);
    OD_PHASE(t, b) {
        for (uint32_t k = 0; k < a.n_load; k++) {
            const uint32_t width = a.load[k].width, stride = od_chain_stride(width);
            const float *from = static_cast<const float *>(c->scratch[a.load[k].slot]) + (uint64_t)first * width;
            for (uint32_t i = t; i < n * width; i += b.threads)
                shared[a.load[k].at + i / width * stride + i % width] = from[i];
        }
        od_copy_wait<0>();
    }
    for (uint32_t i = 0; i < a.n_link; i++) OD_PHASE(t, b) {
            if (t % OD_CHAIN_ROWS < n) {
                if (a.link[i].norm)
                    od_chain::follow<true>(a.link[i], c, shared, first + t % OD_CHAIN_ROWS, t, b.threads);
                else
                    od_chain::follow<false>(a.link[i], c, shared, first + t % OD_CHAIN_ROWS, t, b.threads);
            }
        }
}
