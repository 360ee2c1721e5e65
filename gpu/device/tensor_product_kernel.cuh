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

template <typename T> OD_INLINE float with_bias(const block<T> &b, float v, uint32_t weight_row, uint32_t x_row) {
    if (!isfinite(v))
        v = in_float32(b.a.w + (size_t)weight_row * b.a.depth, b.x + (size_t)x_row * b.a.depth, b.a.depth);
    return v + b.a.bias[weight_row];
}

/* Four sums: v.x, v.z of one row of y, v.y, v.w of the next; .x, .y of the tile's row m of w, .z, .w of row m + 8. */
template <typename T> OD_INLINE void finish(const block<T> &b, float4 v, uint32_t i) {
    const uint32_t m = threadIdx.x / 32 * 16 - 64 + threadIdx.x % 32 / 4, n = 8 * i + threadIdx.x % 4 * 2;
    const uint32_t out = b.output(m), next = b.output(m + 8);
#pragma unroll
    for (uint32_t e = 0; e < 2; e++) {
        const uint32_t row = b.row0 + n + e;
        if (row >= b.rows || out >= b.a.outs) continue;
        const uint32_t x_row = shared_load_word(b.row_at(n + e));
        float *y = b.y + (size_t)row * b.a.outs;
        const float p = with_bias(b, e ? v.y : v.x, b.weight_row(m), x_row);
        const float q = b.weight_row(m + 8) < b.a.outs || b.a.epilogue == OD_EPILOGUE_SWIGLU
                            ? with_bias(b, e ? v.w : v.z, b.weight_row(m + 8), x_row)
                            : 0;
        if (b.a.epilogue == OD_EPILOGUE_SWIGLU) {
            y[out] = p / (1.0f + expf(-p)) * q;
            continue;
        }
        const bool residual = b.a.epilogue == OD_EPILOGUE_RESIDUAL;
        y[out] = residual ? y[out] + p : p;
        if (next < b.a.outs) y[next] = residual ? y[next] + q : q;
    }
}

template <typename T, bool tf32> static __device__ __forceinline__ void consume(const block<T> &b) {
    float sum[T::n / 2];
    sum_chunks<T, tf32>(b, sum);
    await_previous(); /* y may be what the kernel ahead reads */
    if (T::split == 1) {
#pragma unroll
        for (int i = 0; i < T::n / 8; i++) finish(b, four<T>(sum, i), i);
        return;
    }
    asm volatile("bar.sync 1, %0;" ::"n"(T::threads - WARPGROUP) : "memory"); /* nobody reads the ring any more */
#pragma unroll
    for (int i = 0; i < T::n / 8; i++) shared_store4(sums_at<T>(b.base, i), four<T>(sum, i));
    cluster_meet();
    for (uint32_t i = cluster_rank(); i < T::n / 8; i += T::split) {
        float4 v = cluster_load4(sums_at<T>(b.base, i), 0);
        for (uint32_t rank = 1; rank < T::split; rank++) v = add4(v, cluster_load4(sums_at<T>(b.base, i), rank));
        finish(b, v, i);
    }
    cluster_meet(); /* a block's shared memory lasts until it has been read */
}

template <typename T, bool tf32>
static __global__ void __launch_bounds__(T::threads, T::blocks)
    product(const __grid_constant__ od_product_args a, const __grid_constant__ CUtensorMap w_map) {
    extern __shared__ char dynamic_shared[];
    let_next_begin();
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
            barrier_init(b.empty_at(s), 4 * T::warpgroups);
        }
        barriers_ready();
    }
    __syncthreads();
    if (threadIdx.x < WARPGROUP) {
        if constexpr (T::producer_registers != 0) registers_less<T::producer_registers>();
        produce<T, tf32>(b);
        if (T::split > 1) {
            cluster_meet();
            cluster_meet();
        }
    } else {
        if constexpr (T::consumer_registers != 0) registers_more<T::consumer_registers>();
        consume<T, tf32>(b);
    }
}

} // namespace

#endif
