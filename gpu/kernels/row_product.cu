/* y = epilogue(norm(x)·wᵀ) for the few rows of a decode step, at the speed at which w can be read.
 *
 * A kernel of such a chain is over in a few microseconds, so nothing may wait that need not: w depends on no kernel
 * ahead, and before od_await the copy engine is already on its way with it, as far as shared memory has room; the rest
 * comes into the L2 cache. Rows of x are taken 8 at a time (grid: y), each float4 of w against all of them. A thread's
 * sums take the place of the weights that it alone has read.
 *
 * The sum of an output: a lane's float4s in order, lanes by segments, segments in order. RMSNorm's root divides the
 * sum, its scale multiplies x: x/root·scale·w would need the root before the first product. */
#include "gpu/kernels/kernel.cuh"
#include "gpu/kernels/row_plan.h"

namespace od_row {

/* What a block works on, and where. */
struct row_work {
    od_row_plan p;
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
    float *squares, *root;     /* [OD_ROW_GROUP, threads / OD_ROW_GROUP], [n] */
};

/* Which group and lane a thread is. */
OD_DEVICE void place(row_work &k, unsigned t) {
    k.group = t >> k.p.lane_bits;
    k.lane = t & (k.lanes - 1);
}

OD_DEVICE const float *row_of(const od_product_args &a, const row_work &k, uint32_t r) {
    uint32_t token = k.first + r;
    if (a.rows == OD_ROWS_HEAD) {
        const uint32_t n = k.head_patch, row = n == 1 ? token : token / n;
        token = row * k.n_patch + k.n_patch - n + (token - row * n);
    }
    return k.x + (uint64_t)token * a.depth;
}

/* Where a row of the block's weights stands among w's. */
OD_DEVICE uint64_t weight_of(const od_product_args &a, const row_work &k, uint32_t row) {
    return row < k.n_output ? k.output + row : a.outs + k.output + (row - k.n_output);
}

/* All that no kernel ahead writes. A group's first thread starts the copies of its rows, as far as there is room. */
OD_DEVICE void before(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t kept = od_row_least(k.p.depth4, OD_ROW_KEPT * k.lanes); /* float4s of a row */
    if (k.p.whole && t < k.p.groups) {
        const uint32_t first = t * k.p.tile, n = k.n_weight <= first ? 0 : od_row_least(k.n_weight - first, k.p.tile);
        od_bulk_open(k.landed + t, n * kept * 16);
        OD_UNROLL_BY(1)
        for (uint32_t row = first; row < first + n; row++)
            od_bulk_copy(k.weights + row * k.p.pitch, a.w + weight_of(a, k, row) * a.depth, kept * 16, k.landed + t);
    }
    OD_UNROLL_BY(1)
    for (uint32_t row = t; row < k.n_weight; row += k.threads) {
        const uint64_t weight = weight_of(a, k, row);
        if (k.p.whole && k.p.depth4 > kept) od_prefetch(a.w + weight * a.depth + 4 * kept, (k.p.depth4 - kept) * 16);
        k.bias[row] = a.bias[weight];
    }
    if (a.norm) {
        OD_UNROLL_BY(1)
        for (uint32_t i = t; i < a.depth; i += k.threads) k.scale[i] = a.norm[i];
    }
}

/* x into shared memory, an eighth of the threads a row; scaled, with the sum of squares beside, where it is normed. */
OD_DEVICE void stage(const od_product_args &a, const row_work &k, unsigned t) {
    enum { FLIGHT = 6 };
    const uint32_t bits = k.p.thread_bits - 3, lanes = 1u << bits, r = t >> bits;
    float sum = 0;
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
                sum = od_fma(v[i].x, v[i].x, sum);
                sum = od_fma(v[i].y, v[i].y, sum);
                sum = od_fma(v[i].z, v[i].z, sum);
                sum = od_fma(v[i].w, v[i].w, sum);
                v[i].x *= s.x;
                v[i].y *= s.y;
                v[i].z *= s.z;
                v[i].w *= s.w;
                if (at < k.p.depth4) k.rows[r * k.p.depth4 + at] = v[i];
            }
        }
    }
    if (a.norm) k.squares[t] = sum;
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

/* A thread's share of its tile's sums, in the place of its share of w: of rows 0 … 3 in its first step's, of rows 4 … 7
 * in its second's. A tile's missing rows have a place but no meaning. */
template <int R, int O, bool DIRECT> OD_DEVICE void multiply(const od_product_args &a, const row_work &k, unsigned t) {
    float sum[O][R] = {};
    float4 *w = k.weights + k.group * O * k.p.pitch + k.lane;
    const float4 *x = DIRECT ? reinterpret_cast<const float4 *>(k.x + (uint64_t)k.first * a.depth) : k.rows;
    uint32_t slot = 0;
    float4 v[R] = {};
    if (DIRECT) {
        OD_UNROLL
        for (int r = 0; r < R; r++) v[r] = x[r * k.p.depth4 + k.lane];
    }
    od_bulk_wait(k.landed + k.group);
    OD_UNROLL_BY(1)
    for (uint32_t step = 0; step < k.p.steps; step++) {
        const uint32_t at = step * k.lanes + k.lane;
        if (step >= OD_ROW_KEPT) od_copy_wait<OD_ROW_KEPT - 1>();
        if (at < k.p.depth4) {
            float4 u[O];
            OD_UNROLL
            for (int o = 0; o < O; o++) u[o] = w[o * k.p.pitch + slot];
            OD_UNROLL
            for (int r = 0; r < R; r++) {
                const float4 y = DIRECT ? v[r] : x[r * k.p.depth4 + at];
                if (DIRECT && at + k.lanes < k.p.depth4) v[r] = x[r * k.p.depth4 + at + k.lanes];
                OD_UNROLL
                for (int o = 0; o < O; o++) {
                    sum[o][r] = od_fma(u[o].x, y.x, sum[o][r]);
                    sum[o][r] = od_fma(u[o].y, y.y, sum[o][r]);
                    sum[o][r] = od_fma(u[o].z, y.z, sum[o][r]);
                    sum[o][r] = od_fma(u[o].w, y.w, sum[o][r]);
                }
            }
        }
        if (k.p.steps > OD_ROW_KEPT) refill<O>(a, k, w + slot, step + OD_ROW_KEPT);
        slot = slot + k.lanes == OD_ROW_KEPT * k.lanes ? 0 : slot + k.lanes;
    }
    OD_UNROLL
    for (int o = 0; o < O; o++) {
        OD_UNROLL
        for (int h = 0; h < (R + 3) / 4; h++) {
            float4 s = {sum[o][4 * h], 0, 0, 0};
            if (4 * h + 1 < R) s.y = sum[o][4 * h + 1 < R ? 4 * h + 1 : 0];
            if (4 * h + 2 < R) s.z = sum[o][4 * h + 2 < R ? 4 * h + 2 : 0];
            if (4 * h + 3 < R) s.w = sum[o][4 * h + 3 < R ? 4 * h + 3 : 0];
            w[o * k.p.pitch + h * k.lanes] = s;
        }
    }
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
    if (k.group >= k.p.groups) return;
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

/* Lanes to segments. */
OD_DEVICE void gather_lanes(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t bits = k.p.segment_bits, n = (2 * k.n_weight) << bits, lanes = k.lanes;
    OD_UNROLL_BY(1)
    for (uint32_t task = t; task < n; task += k.threads) {
        const uint32_t h = (task >> bits) & 1, row = task >> (bits + 1);
        const float4 *part = k.weights + row * k.p.pitch + h * k.lanes;
        float4 sum = {0, 0, 0, 0};
        if (4 * h >= k.n) continue;
        OD_UNROLL_BY(4)
        for (uint32_t lane = task & ((1u << bits) - 1); lane < lanes; lane += 1u << bits) {
            const float4 v = part[lane];
            sum.x += v.x;
            sum.y += v.y;
            sum.z += v.z;
            sum.w += v.w;
        }
        k.segments[task] = sum;
    }
}

/* RMSNorm's roots, each by one of the last threads. */
OD_DEVICE void roots(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t r = k.threads - 1 - t, lanes = k.threads / OD_ROW_GROUP;
    if (!a.norm || r >= k.n) return;
    float4 sum = {0, 0, 0, 0};
    OD_UNROLL_BY(4)
    for (uint32_t lane = 0; lane < lanes; lane += 4) {
        const float4 v = od_load4(k.squares + r * lanes + lane);
        sum.x += v.x;
        sum.y += v.y;
        sum.z += v.z;
        sum.w += v.w;
    }
    k.root[r] = sqrtf((sum.x + sum.y + sum.z + sum.w) / (float)a.depth + 1e-8f);
}

/* x·w of one row of w, with the bias. */
OD_DEVICE float total(const od_product_args &a, const row_work &k, uint32_t weight, uint32_t r) {
    const float4 *segment = k.segments + ((weight * 2 + r / 4) << k.p.segment_bits);
    const float *part = reinterpret_cast<const float *>(segment) + r % 4;
    float sum = 0;
    OD_UNROLL_BY(8)
    for (uint32_t i = 0; i < 1u << k.p.segment_bits; i++) sum += part[4 * i];
    if (a.norm) sum /= k.root[r];
    return sum + k.bias[weight];
}

OD_DEVICE void finish(const od_product_args &a, const row_work &k, unsigned t) {
    const uint32_t r = t % OD_ROW_GROUP;
    if (r >= k.n) return;
    OD_UNROLL_BY(1)
    for (uint32_t j = t / OD_ROW_GROUP; j < k.n_output; j += k.threads / OD_ROW_GROUP) {
        float v = total(a, k, j, r);
        if (a.epilogue == OD_EPILOGUE_SWIGLU) v = v / (1.0f + expf(-v)) * total(a, k, k.n_output + j, r);
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

OD_DEVICE void run(const od_product_args &a, od_block &b) {
    row_work k;
    const od_call *c = a.call;
    const uint32_t n_row = a.rows == OD_ROWS_TOKENS ? c->n_token : c->n_row * c->head_patch;
    k.p = od_row_plan_of(&a);
    k.first = b.y * k.p.rows;
    if (k.first >= n_row) return;
    k.n = od_row_least(n_row - k.first, k.p.rows);
    k.threads = b.threads;
    k.lanes = 1u << k.p.lane_bits;
    k.output = b.x * k.p.per;
    k.n_patch = c->n_patch;
    k.head_patch = c->head_patch;
    k.n_output = od_row_least(a.outs - k.output, k.p.per);
    k.n_weight = k.n_output * (a.epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1);
    k.x = static_cast<const float *>(c->scratch[a.x]);
    k.y = static_cast<float *>(c->scratch[a.y]) + (uint64_t)k.first * a.outs + k.output;
    k.weights = nullptr;
    k.landed = nullptr;
    if (k.p.whole) {
        k.weights = OD_SHARED(b, float4, k.p.groups * k.p.tile * k.p.pitch);
        k.landed = OD_SHARED(b, uint64_t, k.p.groups);
    }
    k.rows = OD_SHARED(b, float4, od_row_x_floats(&k.p, k.n_weight, k.n) / 4);
    k.segments = k.rows + (k.p.whole ? 0 : k.n * k.p.depth4);
    k.bias = OD_SHARED(b, float, k.n_weight);
    k.old = k.scale = k.squares = k.root = nullptr;
    if (a.epilogue == OD_EPILOGUE_RESIDUAL) k.old = OD_SHARED(b, float, k.n_output *OD_ROW_GROUP);
    if (a.norm) {
        k.scale = OD_SHARED(b, float, k.p.depth4 * 4);
        k.squares = OD_SHARED(b, float, k.threads);
        k.root = OD_SHARED(b, float, OD_ROW_GROUP);
    }
    OD_PHASE(t, b) {
        place(k, t);
        before(a, k, t);
    }
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
            roots(a, k, t);
        }
    } else {
        OD_PHASE(t, b) {
            stage_ragged(a, k, t);
            keep_old(a, k, t, old_of(a, k, t));
        }
        OD_PHASE(t, b) {
            multiply_ragged(a, k, t);
            roots(a, k, t);
        }
    }
    OD_PHASE(t, b) {
        finish(a, k, t);
    }
}

} // namespace od_row

#ifdef __CUDACC__
/* Room for the next product's block beside this one's; and no arguments by way of memory. */
static __device__ __forceinline__ void od_body_row_product(const od_product_args &a, od_block &b);
static __global__ void __launch_bounds__(OD_ROW_THREADS, 2) od_global_row_product(const od_product_args a, int fault);
#endif

OD_KERNEL_EARLY(row_product, od_product_args) {
    od_row::run(a, b);
}
