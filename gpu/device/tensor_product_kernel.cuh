/* y = epilogue(x·wᵀ) on the tensor cores (see tensor_product.h): the kernel.
 *
 * With v = hi + lo, hi = v rounded to TF32 and lo the rest, x·w ≈ lo·hi + hi·lo + hi·hi misses only lo·lo and lo's
 * last bit, which have either sign. The tensor cores add by cutting, which has a bias, so no sum is left to them for
 * longer than 16 of the depth (STEPS): it is then added to a register in float32, rounded to nearest. Twice as many
 * would be 5 % faster and would double the bias.
 *
 * A block is a warpgroup that brings chunks to shared memory and splits x there, and consumers that hold 64 rows of w
 * each as the product's left side, split in registers. Chunks go round a ring of stages: [w][x's hi][x's lo].
 *
 * Narrow products over a long depth are summed in four parts (`groups`), which are then added in order: by one block
 * after the other, or by four blocks of a cluster at once, with the same bits. */
#ifndef OD_GPU_TENSOR_PRODUCT_KERNEL_CUH
#define OD_GPU_TENSOR_PRODUCT_KERNEL_CUH

#include "gpu/device/tensor_product_block.cuh"

namespace {

/* Rows of w for some steps of 8 of the depth, split. */
template <bool tf32>
OD_INLINE void load_w(uint32_t (&hi)[STEPS][4], uint32_t (&lo)[STEPS][4], uint32_t w_lane, uint32_t step) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (uint32_t s = 0; s < STEPS; s++) {
        load_pieces(hi[s], w_lane + ((2 * (step + s) + lane / 16) ^ lane % 8) * 16);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float v = __uint_as_float(hi[s][i]), upper = tf32 ? v : tf32_round(v);
            hi[s][i] = __float_as_uint(upper);
            lo[s][i] = tf32 ? 0 : __float_as_uint(v - upper);
        }
    }
}

/* sum += the chunk's product, of this warpgroup's 64 rows of w. */
template <typename T, bool tf32>
OD_INLINE void add_chunk(float (&sum)[T::n / 2], float (&part)[T::n / 2], uint32_t w_lane, uint32_t x_at,
                         uint32_t empty_at) {
    uint32_t hi[2][STEPS][4], lo[2][STEPS][4];
    load_w<tf32>(hi[0], lo[0], w_lane, 0);
#pragma unroll
    for (uint32_t step = 0; step < CHUNK / 8; step += STEPS) {
        const uint32_t p = step / STEPS % 2, at = x_at + step * 32;
        mma_fence();
        if constexpr (!tf32) {
#pragma unroll
            for (uint32_t s = 0; s < STEPS; s++) {
                mma<T::n>(part, lo[p][s], mma_tile(at + s * 32), s != 0);
                mma<T::n>(part, hi[p][s], mma_tile(at + T::x + s * 32), 1);
            }
        }
#pragma unroll
        for (uint32_t s = 0; s < STEPS; s++) mma<T::n>(part, hi[p][s], mma_tile(at + s * 32), !tf32 || s != 0);
        mma_commit();
        if (step + STEPS < CHUNK / 8) load_w<tf32>(hi[p ^ 1], lo[p ^ 1], w_lane, step + STEPS);
        mma_wait();
#pragma unroll
        for (int i = 0; i < T::n / 2; i++) asm volatile("" : "+f"(part[i])::"memory"); /* no use before the wait */
        if (step + STEPS == CHUNK / 8) {
            __syncwarp();
            if (threadIdx.x % 32 == 0) barrier_arrive(empty_at);
        }
#pragma unroll
        for (int i = 0; i < T::n / 2; i++) sum[i] += part[i];
    }
}

/* The consumer thread's place for 4 of its sums: i counts the tile's 8 rows of x. */
template <typename T> OD_INLINE uint32_t sums_at(uint32_t base, uint32_t i) {
    return base + (i * (T::threads - WARPGROUP) + threadIdx.x - WARPGROUP) * 16;
}

template <typename T> OD_INLINE float4 four(const float (&sum)[T::n / 2], int i) {
    return make_float4(sum[4 * i], sum[4 * i + 1], sum[4 * i + 2], sum[4 * i + 3]);
}
OD_INLINE float4 add4(float4 p, float4 q) {
    return make_float4(p.x + q.x, p.y + q.y, p.z + q.z, p.w + q.w);
}

/* Puts the sums of a group to those before it, and clears them. */
template <typename T> OD_INLINE void fold(const block<T> &b, float (&sum)[T::n / 2], bool first) {
#pragma unroll
    for (int i = 0; i < T::n / 8; i++) {
        const uint32_t at = sums_at<T>(b.fold_at(), i);
        shared_store4(at, first ? four<T>(sum, i) : add4(shared_load4(at), four<T>(sum, i)));
        sum[4 * i] = sum[4 * i + 1] = sum[4 * i + 2] = sum[4 * i + 3] = 0;
    }
}

template <typename T, bool tf32> OD_INLINE void sum_chunks(const block<T> &b, float (&sum)[T::n / 2]) {
    const uint32_t warp = threadIdx.x / 32 - 4, lane = threadIdx.x % 32;
    const uint32_t w_lane = b.shared_row(warp * 16 + lane / 8 % 2 * 8 + lane % 8) * ROW;
    float part[T::n / 2] = {};
    uint32_t stage = 0, parity = 0, in_group = 0;
    bool folded = false;
#pragma unroll
    for (int i = 0; i < T::n / 2; i++) sum[i] = 0;
    for (uint32_t c = 0; c < b.count; c++) {
        barrier_wait(b.raw_at(stage), parity);
        barrier_wait(b.full_at(stage), parity);
        add_chunk<T, tf32>(sum, part, b.w_at(stage) + w_lane, b.x_at(stage), b.empty_at(stage));
        if (++stage == T::stages) {
            stage = 0;
            parity ^= 1;
        }
        if (T::fold && ++in_group == b.group) {
            fold(b, sum, !folded);
            folded = true;
            in_group = 0;
        }
    }
    if (T::fold && folded) {
#pragma unroll
        for (int i = 0; i < T::n / 8; i++) {
            const float4 v = add4(shared_load4(sums_at<T>(b.fold_at(), i)), four<T>(sum, i));
            sum[4 * i] = v.x, sum[4 * i + 1] = v.y, sum[4 * i + 2] = v.z, sum[4 * i + 3] = v.w;
        }
    }
}

/* The element as float32 has it; rare, so its speed is no matter. */
static __device__ __noinline__ float in_float32(const float *w, const float *x, uint32_t depth) {
    float sum = 0;
    for (uint32_t k = 0; k < depth; k++) sum = fmaf(w[k], x[k], sum);
    return sum;
}

/* Four sums of a thread: .x, .z of one row of x, .y, .w of the next; .x, .y of the tile's row m of w, .z, .w of row
 * m + 8. Those that are not finite are computed again; NULL: a row that is not there. */
static __device__ __noinline__ float4 repaired(float4 v, const float *w, const float *w_next, const float *x,
                                               const float *x_next, uint32_t depth) {
    if (!isfinite(v.x) && w && x) v.x = in_float32(w, x, depth);
    if (!isfinite(v.y) && w && x_next) v.y = in_float32(w, x_next, depth);
    if (!isfinite(v.z) && w_next && x) v.z = in_float32(w_next, x, depth);
    if (!isfinite(v.w) && w_next && x_next) v.w = in_float32(w_next, x_next, depth);
    return v;
}

/* A consumer thread's two outputs: the tile's rows m and m + 8 of w; for SWIGLU they are the gate and the up of one. */
struct outputs {
    uint32_t out[2];    /* columns of y */
    uint32_t weight[2]; /* rows of w */
    bool there[2];
    float bias[2];
};

template <typename T> OD_INLINE outputs outputs_of(const block<T> &b) {
    const uint32_t m = threadIdx.x / 32 * 16 - 64 + threadIdx.x % 32 / 4;
    outputs o;
#pragma unroll
    for (uint32_t h = 0; h < 2; h++) {
        o.out[h] = b.output(m + 8 * h);
        o.weight[h] = b.weight_row(m + 8 * h);
        o.there[h] = o.out[h] < b.a.outs;
        o.bias[h] = o.there[h] ? b.a.bias[o.weight[h]] : 0;
    }
    return o;
}

template <typename T> OD_INLINE float4 repair(const block<T> &b, const outputs &o, float4 v, uint32_t n) {
    const uint32_t rows[2] = {n < T::n ? shared_load_word(b.row_at(n)) : NO_ROW,
                              n < T::n ? shared_load_word(b.row_at(n + 1)) : NO_ROW};
    const float *w[2], *x[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        w[h] = o.there[h] ? b.a.w + (size_t)o.weight[h] * b.a.depth : nullptr;
        x[h] = rows[h] != NO_ROW ? b.x + (size_t)rows[h] * b.a.depth : nullptr;
    }
    return repaired(v, w[0], w[1], x[0], x[1], b.a.depth);
}

/* Finishes a thread's sums of `count` times 8 rows of x: the tile's first, first + step, … What y held is read all at
 * once, so that its way from memory is waited for once. */
template <typename T, int count>
OD_INLINE void finish(const block<T> &b, const outputs &o, float4 (&v)[count], uint32_t first, uint32_t step) {
    const bool residual = b.a.epilogue == OD_EPILOGUE_RESIDUAL, pairs = b.pairs();
    float old[count][2][2] = {};
    bool finite = true;
#pragma unroll
    for (int i = 0; i < count; i++) {
        const uint32_t n = 8 * (first + i * step) + threadIdx.x % 4 * 2;
        finite = finite && isfinite(v[i].x) && isfinite(v[i].y) && isfinite(v[i].z) && isfinite(v[i].w);
#pragma unroll
        for (uint32_t e = 0; e < 2; e++) {
            const float *y = b.y + (size_t)(b.row0 + n + e) * b.a.outs;
            const bool there = residual && n < T::n && b.row0 + n + e < b.rows;
#pragma unroll
            for (int h = 0; h < 2; h++)
                if (there && o.there[h]) old[i][e][h] = y[o.out[h]];
        }
    }
#pragma unroll
    for (int i = 0; i < count; i++) {
        const uint32_t n = 8 * (first + i * step) + threadIdx.x % 4 * 2;
        if (!finite) v[i] = repair(b, o, v[i], n);
#pragma unroll
        for (uint32_t e = 0; e < 2; e++) {
            if (n >= T::n || b.row0 + n + e >= b.rows) continue;
            float *y = b.y + (size_t)(b.row0 + n + e) * b.a.outs;
            const float p = (e ? v[i].y : v[i].x) + o.bias[0], q = (e ? v[i].w : v[i].z) + o.bias[1];
            if (pairs && o.there[0]) y[o.out[0]] = p / (1.0f + expf(-p)) * q;
            if (!pairs && o.there[0]) y[o.out[0]] = residual ? old[i][e][0] + p : p;
            if (!pairs && o.there[1]) y[o.out[1]] = residual ? old[i][e][1] + q : q;
        }
    }
}

/* Each block of the cluster finishes every fourth 8 rows of x, from the sums of all four. */
template <typename T>
OD_INLINE void finish_together(const block<T> &b, const outputs &o, const float (&sum)[T::n / 2]) {
    constexpr int count = (T::n / 8 + T::split - 1) / T::split;
    const uint32_t first = cluster_rank();
    float4 v[count];
    asm volatile("bar.sync 1, %0;" ::"n"(T::threads - WARPGROUP) : "memory"); /* nobody reads the ring any more */
#pragma unroll
    for (int i = 0; i < T::n / 8; i++) shared_store4(sums_at<T>(b.base, i), four<T>(sum, i));
    cluster_arrive();
    cluster_wait();
#pragma unroll
    for (int i = 0; i < count; i++) {
        const uint32_t group = first + i * T::split, at = sums_at<T>(b.base, group < T::n / 8 ? group : 0);
        v[i] = cluster_load4(at, 0);
#pragma unroll
        for (uint32_t rank = 1; rank < T::split; rank++) v[i] = add4(v[i], cluster_load4(at, rank));
    }
    cluster_arrive();
    finish(b, o, v, first, T::split);
    __syncwarp();
    cluster_wait(); /* a block's shared memory lasts until it has been read */
}

template <typename T, bool tf32> static __device__ __forceinline__ void consume(const block<T> &b) {
    const outputs o = outputs_of(b);
    float sum[T::n / 2];
    sum_chunks<T, tf32>(b, sum);
    await_previous(); /* y may be what the kernel ahead reads */
    if constexpr (T::split > 1) {
        finish_together(b, o, sum);
    } else {
        constexpr int count = T::n / 8 % 4 == 0 ? 4 : 2;
#pragma unroll
        for (int i = 0; i < T::n / 8; i += count) {
            float4 v[count];
#pragma unroll
            for (int j = 0; j < count; j++) v[j] = four<T>(sum, i + j);
            finish(b, o, v, i, 1);
        }
    }
}

template <typename T, bool tf32>
static __global__ void __launch_bounds__(T::threads, T::blocks)
    product(const __grid_constant__ od_product_args a, const __grid_constant__ CUtensorMap w_map) {
    extern __shared__ char dynamic_shared[];
    let_next_begin();
    if (threadIdx.x == 0) prefetch_map(&w_map);
    const od_call *call = a.call;
    const bool head = a.rows == OD_ROWS_HEAD;
    const uint32_t keep = call->head_patch, patches = call->n_patch;
    const uint32_t rows = head ? call->n_row * keep : call->n_token, chunks = (a.depth + CHUNK - 1) / CHUNK;
    const uint32_t group = T::groups == 1 ? chunks : (chunks + GROUPS - 1) / GROUPS;
    const uint32_t rank = T::split == 1 ? 0 : cluster_rank(), first = rank * group;
    const uint32_t left = first < chunks ? chunks - first : 0;
    const block<T> b = {a,
                        (const float *)call->scratch[a.x],
                        (float *)call->scratch[a.y],
                        rows,
                        blockIdx.y * T::n,
                        blockIdx.x / T::split * (a.epilogue == OD_EPILOGUE_SWIGLU ? T::m / 2 : T::m),
                        head && keep != patches,
                        &w_map,
                        ((uint32_t)__cvta_generic_to_shared(dynamic_shared) + 1023u) & ~1023u,
                        first,
                        T::split == 1 || left < group ? left : group,
                        group};
    if (b.row0 >= rows) {
        await_previous(); /* so that what waits for this kernel waits for those ahead of it, too */
        return;
    }
    for (uint32_t n = threadIdx.x; n < T::n; n += T::threads) {
        const uint32_t row = b.row0 + n;
        const uint32_t from = row >= rows ? NO_ROW : head ? row / keep * patches + patches - keep + row % keep : row;
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(b.row_at(n)), "r"(from) : "memory");
    }
    if (threadIdx.x == 0) {
        for (uint32_t s = 0; s < T::stages; s++) {
            barrier_init(b.raw_at(s), LOADERS + 1);
            barrier_init(b.full_at(s), 2);
            barrier_init(b.empty_at(s), 4 * T::warpgroups + WARPGROUP - LOADERS);
        }
        barriers_ready();
    }
    __syncthreads();
    if (threadIdx.x < WARPGROUP) {
        if constexpr (T::producer_registers != 0) registers_less<T::producer_registers>();
        produce<T, tf32>(b);
        for (int i = 0; i < (T::split > 1 ? 2 : 0); i++) { /* both of finish_together's meetings */
            cluster_arrive();
            cluster_wait();
        }
    } else {
        if constexpr (T::consumer_registers != 0) registers_more<T::consumer_registers>();
        consume<T, tf32>(b);
    }
}

} // namespace

#endif
