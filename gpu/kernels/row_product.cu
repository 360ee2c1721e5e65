/* y = epilogue(norm(x)·wᵀ) for the few rows of a decode step, at the speed at which w can be read.
 *
 * A kernel of such a chain is over in a few microseconds, so nothing may wait that need not: w depends on no kernel
 * ahead, and before od_await the copy engine is already on its way with it, as far as shared memory has room; the rest
 * comes into the L2 cache. Code is kept short: instructions come from afar, too, when a multiprocessor has not run them
 * for a while. Rows of x are taken 8 at a time (grid: y), each float4 of w against all of them. A thread's sums take
 * the place of the weights that it alone has read.
 *
 * The sum of an output: a lane's float4s in order, lanes by segments, segments in order. RMSNorm's scale multiplies x,
 * 1/root the sum: x/root·scale·w would need the root before the first product. */
#include "gpu/kernels/row_product.cuh"

namespace od_row {

OD_DEVICE const float *row_of(const od_product_args &a, const row_work &k, uint32_t r) {
    uint32_t token = k.first + r;
    if (a.rows == OD_ROWS_HEAD) {
        const uint32_t n = k.head_patch, row = n == 1 ? token : token / n;
        token = row * k.n_patch + k.n_patch - n + (token - row * n);
    }
    return k.x + (uint64_t)token * a.depth;
}

/* All that no kernel ahead writes. A thread of each group starts the copies of its rows, as far as there is room. */
OD_DEVICE void before(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t kept = od_row_least(k.p.depth4, OD_ROW_KEPT * k.lanes); /* float4s of a row */
    const uint32_t group = t >> (k.p.thread_bits - 3), first = group * k.p.tile;
    if (k.p.whole && group < k.p.groups && t == group << (k.p.thread_bits - 3)) {
        const uint32_t n = k.n_weight <= first ? 0 : od_row_least(k.n_weight - first, k.p.tile);
        od_bulk_open(k.landed + group, n * kept * 16);
        OD_UNROLL_BY(1)
        for (uint32_t row = first; row < first + n; row++)
            od_bulk_copy(k.weights + row * k.p.pitch, a.w + weight_of(a, k, row) * a.depth, kept * 16,
                         k.landed + group);
    }
    if (k.p.whole && k.p.depth4 > kept) {
        OD_UNROLL_BY(1)
        for (uint32_t row = t; row < k.n_weight; row += k.threads)
            od_prefetch(a.w + weight_of(a, k, row) * a.depth + 4 * kept, (k.p.depth4 - kept) * 16);
    }
    OD_UNROLL_BY(1)
    for (uint32_t row = t; row < k.n_weight; row += k.threads) od_copy4(k.bias + row, a.bias + weight_of(a, k, row));
    if (a.norm) {
        OD_UNROLL_BY(1)
        for (uint32_t i = t; i < a.depth; i += k.threads) od_copy4(k.scale + i, a.norm + i);
    }
    od_copy_commit();
    od_copy_wait<0>();
}

/* x into shared memory, an eighth of the threads a row; scaled, with the sum of squares beside, where it is normed. */
OD_DEVICE void stage(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t bits = k.p.thread_bits - 3, lanes = 1u << bits, r = t >> bits;
    float4 sum = {0, 0, 0, 0};
    if (r < k.n) {
        const float *x = row_of(a, k, r);
        OD_UNROLL_BY(1)
        for (uint32_t base = t & (lanes - 1); base < k.p.depth4; base += FLIGHT * lanes) {
            float4 v[FLIGHT];
            OD_UNROLL
            for (uint32_t i = 0; i < FLIGHT; i++) {
                v[i] = float4{0, 0, 0, 0};
                if (base + i * lanes < k.p.depth4) v[i] = od_load4(x + 4 * (base + i * lanes));
            }
            OD_UNROLL
            for (uint32_t i = 0; i < FLIGHT; i++) {
                const uint32_t at = base + i * lanes;
                float4 s = {1, 1, 1, 1};
                if (a.norm && at < k.p.depth4) s = od_load4(k.scale + 4 * at);
                sum.x = od_fma(v[i].x, v[i].x, sum.x);
                sum.y = od_fma(v[i].y, v[i].y, sum.y);
                sum.z = od_fma(v[i].z, v[i].z, sum.z);
                sum.w = od_fma(v[i].w, v[i].w, sum.w);
                v[i].x *= s.x;
                v[i].y *= s.y;
                v[i].z *= s.z;
                v[i].w *= s.w;
                if (at < k.p.depth4) k.rows[r * k.p.depth4 + at] = v[i];
            }
        }
    }
    if (a.norm) k.squares[t] = (sum.x + sum.y) + (sum.z + sum.w);
}

/* Lanes to segments, four loads at a time. */
OD_DEVICE void gather_lanes(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t bits = k.p.segment_bits, n = (2 * k.n_weight) << bits;
    OD_UNROLL_BY(1)
    for (uint32_t task = t; task < n; task += k.threads) {
        const uint32_t h = (task >> bits) & 1, row = task >> (bits + 1);
        const float4 *part = k.weights + row * k.p.pitch + h * k.p.active;
        float4 sum = {0, 0, 0, 0};
        if (4 * h >= k.n) continue;
        OD_UNROLL_BY(1)
        for (uint32_t base = task & ((1u << bits) - 1); base < k.p.active; base += 4u << bits) {
            float4 v[4];
            OD_UNROLL
            for (uint32_t i = 0; i < 4; i++) {
                v[i] = float4{0, 0, 0, 0};
                if (base + (i << bits) < k.p.active) v[i] = part[base + (i << bits)];
            }
            OD_UNROLL
            for (uint32_t i = 0; i < 4; i++) {
                sum.x += v[i].x;
                sum.y += v[i].y;
                sum.z += v[i].z;
                sum.w += v[i].w;
            }
        }
        k.segments[task] = sum;
    }
}

/* RMSNorm's factors, each by one of the last threads. */
OD_DEVICE void factors(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t r = k.threads - 1 - t, lanes = k.threads / OD_ROW_GROUP;
    if (!a.norm || r >= k.n) return;
    float4 sum = {0, 0, 0, 0};
    OD_UNROLL_BY(2)
    for (uint32_t i = 0; i < lanes; i += 4) {
        const float4 v = od_load4(k.squares + r * lanes + i);
        sum.x += v.x;
        sum.y += v.y;
        sum.z += v.z;
        sum.w += v.w;
    }
    k.factor[r] = od_inverse_root(((sum.x + sum.y) + (sum.z + sum.w)) * k.inverse_depth + 1e-8f);
}

/* x·w of one row of w, with the bias. */
OD_DEVICE float total(const od_product_args &a, const row_work &k, uint32_t weight, uint32_t r, float factor) {
    const float4 *segment = k.segments + ((weight * 2 + r / 4) << k.p.segment_bits);
    const float *part = reinterpret_cast<const float *>(segment) + r % 4;
    const uint32_t n = 1u << k.p.segment_bits;
    float sum = 0;
    OD_UNROLL_BY(4)
    for (uint32_t i = 0; i < n; i++) sum += part[4 * i];
    return od_fma(sum, factor, k.bias[weight]);
}

OD_DEVICE void finish(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t r = t % OD_ROW_GROUP;
    if (r >= k.n) return;
    const float factor = a.norm ? k.factor[r] : 1;
    OD_UNROLL_BY(1)
    for (uint32_t j = t / OD_ROW_GROUP; j < k.n_output; j += k.threads / OD_ROW_GROUP) {
        const uint32_t each = a.epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1;
        float v = 0, up = 0; /* of a gated output `up` first, then the gate, in one piece of code */
        OD_UNROLL_BY(1)
        for (uint32_t i = 0; i < each; i++) {
            up = v;
            v = total(a, k, (each - 1 - i) * k.n_output + j, r, factor);
        }
        if (each == 2) v = v / (1.0f + expf(-v)) * up;
        if (a.epilogue == OD_EPILOGUE_RESIDUAL) v += k.old[j * OD_ROW_GROUP + r];
        k.y[(uint64_t)r * a.outs + j] = v;
    }
}

/* What a residual adds to: asked for before the products and put down after, a load that nobody waits for. */
OD_DEVICE float old_of(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t r = t % OD_ROW_GROUP, j = t / OD_ROW_GROUP;
    return a.epilogue == OD_EPILOGUE_RESIDUAL && r < k.n && j < k.n_output ? k.y[(uint64_t)r * a.outs + j] : 0;
}
OD_DEVICE void keep_old(const od_product_args &a, const row_work &k, unsigned t, float old) {
    const uint32_t r = t % OD_ROW_GROUP;
    if (a.epilogue != OD_EPILOGUE_RESIDUAL || r >= k.n) return;
    OD_UNROLL_BY(1)
    for (uint32_t j = t / OD_ROW_GROUP; j < k.n_output; j += k.threads / OD_ROW_GROUP)
        k.old[j * OD_ROW_GROUP + r] = j < k.threads / OD_ROW_GROUP ? old : k.y[(uint64_t)r * a.outs + j];
}

/* Rows that are no whole float4s: the same, without haste. */
OD_DEVICE void stage_ragged(const od_product_args &a, const row_work &k, unsigned t) {
    float *rows = reinterpret_cast<float *>(k.rows);
    const uint32_t lanes = k.threads / OD_ROW_GROUP, r = t / lanes;
    float sum = 0;
    if (r < k.n)
        for (uint32_t i = t % lanes; i < a.depth; i += lanes) {
            const float x = row_of(a, k, r)[i];
            sum = od_fma(x, x, sum);
            rows[r * a.depth + i] = a.norm ? x * k.scale[i] : x;
        }
    if (a.norm) k.squares[t] = sum;
}
OD_DEVICE void multiply_ragged(const od_product_args &a, const row_work &k, unsigned t) {
    const float *rows = reinterpret_cast<const float *>(k.rows);
    float *segments = reinterpret_cast<float *>(k.segments);
    const uint32_t bits = k.p.segment_bits;
    for (uint32_t task = t; task < (k.n_weight * OD_ROW_GROUP) << bits; task += k.threads) {
        const uint32_t r = (task >> (bits + 2)) % 2 * 4 + task % 4, row = task >> (bits + 3);
        const float *w = a.w + (uint64_t)weight_of(a, k, row) * a.depth;
        float sum = 0;
        if (r < k.n)
            for (uint32_t i = (task >> 2) & ((1u << bits) - 1); i < a.depth; i += 1u << bits)
                sum = od_fma(w[i], rows[r * a.depth + i], sum);
        segments[task] = sum;
    }
}

OD_DEVICE void run(const od_product_args &a, const od_row_plan &plan, od_block &b) {
    row_work k = {plan};
    const od_call *c = od_global(a.call);
    k.threads = b.threads;
    k.lanes = 1u << k.p.lane_bits;
    k.first = b.x * k.p.rows;
    k.output = b.y * k.p.per;
    if (k.output >= a.outs) {
        od_await(b); /* a place kept: od_row_product_grid */
        return;
    }
    k.n_output = od_row_least(a.outs - k.output, k.p.per);
    k.n_weight = k.n_output * (a.epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1);
    k.inverse_depth = 1.0f / (float)a.depth;
    uint32_t n_row = a.rows == OD_ROWS_TOKENS ? c->n_token : c->n_row * c->head_patch;
    if (a.rows == OD_ROWS_STEPS) n_row *= a.patch;
    if (b.x > 0 && k.first >= n_row) return; /* the first group has rows, and no need to wait for their number */
    k.weights = nullptr;
    k.landed = nullptr;
    if (k.p.whole) {
        k.weights = OD_SHARED(b, float4, k.p.groups * k.p.tile * k.p.pitch);
        k.landed = OD_SHARED(b, uint64_t, k.p.groups);
    }
    k.bias = OD_SHARED(b, float, k.n_weight);
    k.old = k.scale = k.squares = k.factor = nullptr;
    if (a.epilogue == OD_EPILOGUE_RESIDUAL) k.old = OD_SHARED(b, float, k.n_output *OD_ROW_GROUP);
    if (a.norm) {
        k.scale = OD_SHARED(b, float, k.p.depth4 * 4);
        k.squares = OD_SHARED(b, float, k.threads);
        k.factor = OD_SHARED(b, float, OD_ROW_GROUP);
    }
    OD_PHASE(t, b) {
        place(k, t);
        before(a, k, t);
    }
    k.n_patch = c->n_patch;
    k.head_patch = c->head_patch;
    k.x = od_global(static_cast<const float *>(c->scratch[a.x]));
    k.y = od_global(static_cast<float *>(c->scratch[a.y])) + (uint64_t)k.first * a.outs + k.output;
    k.n = od_row_least(n_row - k.first, k.p.rows);
    k.rows = OD_SHARED(b, float4, od_row_x_floats(&k.p, k.n_weight, k.n) / 4);
    k.segments = k.rows + (k.p.whole ? 0 : k.n * k.p.depth4);
    od_await(b);
    if (k.p.whole) {
        if (k.p.staged) OD_PHASE(t, b) {
                stage(a, k, t);
            }
        OD_PHASE(t, b) {
            place(k, t);
            const float old = old_of(a, k, t);
            multiply_any(a, k, t);
            keep_old(a, k, t, old);
        }
        OD_PHASE(t, b) {
            gather_lanes(a, k, t);
            factors(a, k, t);
        }
        if (OD_KERNEL_FAULT_WHEN(b, HALF_SUM, a.rows != OD_ROWS_TOKENS)) OD_PHASE(t, b) {
                float *part = reinterpret_cast<float *>(k.segments);
                for (uint32_t i = t; i < (8 * k.n_weight) << k.p.segment_bits; i += b.threads)
                    part[i] = od_coarse(part[i]);
            }
    } else {
        OD_PHASE(t, b) {
            stage_ragged(a, k, t);
            keep_old(a, k, t, old_of(a, k, t));
        }
        OD_PHASE(t, b) {
            multiply_ragged(a, k, t);
            factors(a, k, t);
        }
    }
    OD_PHASE(t, b) {
        finish(a, k, t);
    }
}

} // namespace od_row

#ifdef __CUDACC__
/* Room for the next product's block beside this one's; and no arguments by way of memory. */
static __device__ __forceinline__ void od_body_row_product(const od_row_product_args &a, od_block &b);
static __global__ void __launch_bounds__(OD_ROW_THREADS, 2)
    od_global_row_product(const od_row_product_args a, int fault);
#endif

OD_KERNEL_EARLY(row_product, od_row_product_args) {
    od_row::run(a.product, a.plan, b);
}
