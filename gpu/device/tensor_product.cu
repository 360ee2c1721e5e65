/* y = epilogue(x·wᵀ) on the tensor cores (see tensor_product.h).
 *
 * With v = hi + lo, hi = v rounded to TF32 and lo the rest, x·w ≈ lo·hi + hi·lo + hi·hi misses only lo·lo and lo's
 * last bit, which have either sign. The tensor cores add by cutting, which has a bias, so no sum is left to them for
 * longer than a chunk of the depth: its sum is added to a register in float32.
 *
 * A block is a warpgroup that brings chunks to shared memory and splits x there, and consumers that hold 64 rows of w
 * each as the product's left side, split in registers. Chunks go round a ring of stages: [w][x's hi][x's lo].
 *
 * Narrow products over a long depth are summed in four parts (`groups`), which are then added in order: by one block
 * after the other, or by four blocks of a cluster at once, with the same bits. */
#include "gpu/device/tensor_product.cuh"
#include "gpu/device/tensor_product.h"

#ifndef OD_STEPS
#define OD_STEPS 2
#endif

namespace {

enum {
    CHUNK = 32,
    GROUPS = 4,
    ROW = CHUNK * 4 /* bytes */,
    WARPGROUP = 128,
    LOADERS = 64,
    STEPS = OD_STEPS,
    MOST_SHARED = 227 * 1024
};

template <int warpgroups_, int n_, int groups_, int split_> struct tile {
    static constexpr int warpgroups = warpgroups_, m = 64 * warpgroups, n = n_, groups = groups_, split = split_;
    static constexpr int threads = WARPGROUP * (warpgroups + 1), blocks = warpgroups == 1 ? 2 : 1;
    static constexpr int w = m * ROW, x = n * ROW, stage = w + 2 * x; /* bytes */
    static constexpr int fold = groups > 1 && split == 1 ? m *n * 4 : 0;
    static constexpr int beside = 1024 + fold + n * 4 + 24 * 6; /* alignment, folded sums, rows of x, barriers */
    static constexpr int room = (blocks == 2 ? 113 * 1024 : MOST_SHARED) - beside;
    static constexpr int stages = room / stage < 6 ? room / stage : 6;
    static constexpr int shared = stages * stage + beside;
    /* A thread; both together are what the block was started with. One consumer leaves them as they are. */
    static constexpr int consumer_registers = warpgroups == 2 ? 208 : n > 64 ? 160 : 152;
    static constexpr int producer_registers = warpgroups == 2 ? 88 : 512 - 3 * consumer_registers;
    static_assert(stages >= 3 && (split == 1 || split == groups) && n % 16 == 0, "");
    static_assert(split == 1 || m * n * 4 <= stages * stage, "");
};

enum { NO_ROW = 0xffffffffu };

/* Where a block's things are. */
template <typename T> struct block {
    const od_product_args &a;
    const float *x;
    float *y;
    uint32_t rows, row0, out0; /* rows of the call; the block's first row and output */
    bool gather;               /* the rows of x are not one after the other */
    const CUtensorMap *w_map;
    uint32_t base;         /* shared memory: the ring */
    uint32_t first, count; /* chunks */
    uint32_t group;        /* chunks a group */

    __device__ uint32_t w_at(uint32_t stage) const {
        return base + stage * T::stage;
    }
    __device__ uint32_t x_at(uint32_t stage) const {
        return base + stage * T::stage + T::w;
    }
    __device__ uint32_t fold_at() const {
        return base + T::stages * T::stage;
    }
    __device__ uint32_t row_at(uint32_t n) const { /* which row of x the tile's row n is, or NO_ROW */
        return base + T::stages * T::stage + T::fold + n * 4;
    }
    /* A stage's barriers: x and w are there; x has been split; the consumers are done with it. */
    __device__ uint32_t raw_at(uint32_t stage) const {
        return base + T::stages * T::stage + T::fold + T::n * 4 + stage * 24;
    }
    __device__ uint32_t full_at(uint32_t stage) const {
        return raw_at(stage) + 8;
    }
    __device__ uint32_t empty_at(uint32_t stage) const {
        return raw_at(stage) + 16;
    }
    /* Rows of the tile of w as the consumers take them: for SWIGLU 8 gates and their 8 ups in turn, so that one thread
     * gets both; in shared memory all gates stand before all ups. */
    __device__ bool pairs() const {
        return a.epilogue == OD_EPILOGUE_SWIGLU;
    }
    __device__ uint32_t output(uint32_t m) const {
        return out0 + (pairs() ? m / 16 * 8 + m % 8 : m);
    }
    __device__ uint32_t weight_row(uint32_t m) const {
        return output(m) + (pairs() && m & 8 ? a.outs : 0);
    }
    __device__ uint32_t shared_row(uint32_t m) const {
        return pairs() ? (m & 8 ? T::m / 2 : 0) + m / 16 * 8 + m % 8 : m;
    }
};

/* 16 bytes of a row of depth floats, k floats into it; zeros beyond its end and for a row that is not there. */
OD_INLINE void bring_slowly(uint32_t to, const float *row, uint32_t k, uint32_t depth, bool there) {
    for (uint32_t i = 0; i < 4; i++) {
        const bool in = there && k + i < depth;
        copy4(to + 4 * i, in ? row + k + i : row, in ? 4 : 0);
    }
}

/* A loading thread's units of a chunk: 16 bytes of the rows t / 8, t / 8 + 8, … Rows of w come by the copy engine where
 * they are aligned, as rows of x come 16 bytes at a time; otherwise all come float by float. */
template <typename T> OD_INLINE void bring_w_slowly(const block<T> &b, uint32_t chunk, uint32_t stage) {
    const uint32_t t = threadIdx.x, k = (b.first + chunk) * CHUNK + t % 8 * 4;
    for (uint32_t s = t / 8; s < T::m; s += LOADERS / 8) {
        const uint32_t half = b.pairs() ? T::m / 2 : T::m, out = b.out0 + s % half;
        const bool there = out < b.a.outs;
        const float *row = b.a.w + (there ? (size_t)(out + s / half * b.a.outs) * b.a.depth : 0);
        bring_slowly(b.w_at(stage) + s * ROW + ((t ^ s) % 8) * 16, row, k, b.a.depth, there);
    }
}

template <bool whole, typename T> OD_INLINE void bring_w(const block<T> &b, uint32_t chunk, uint32_t stage) {
    if constexpr (whole) {
        if (threadIdx.x == 0) {
            barrier_arrive_expecting(b.raw_at(stage), T::w);
            copy_box(b.w_at(stage), b.w_map, (b.first + chunk) * CHUNK, b.out0, b.raw_at(stage));
        }
    } else {
        bring_w_slowly(b, chunk, stage);
        if (threadIdx.x == 0) barrier_arrive(b.raw_at(stage));
    }
}

template <bool whole, typename T> OD_INLINE void bring_x(const block<T> &b, uint32_t chunk, uint32_t stage) {
    const uint32_t t = threadIdx.x, r = t / 8, k = (b.first + chunk) * CHUNK + t % 8 * 4;
    const uint32_t to = b.x_at(stage) + r * ROW + ((t ^ r) % 8) * 16;
    if (whole && !b.gather) {
        const uint32_t left = k < b.a.depth ? b.rows - b.row0 : 0;
        const float *from = b.x + (size_t)(b.row0 + r) * b.a.depth + k;
#pragma unroll
        for (uint32_t i = 0; i < T::n / 8; i++, from += 8 * b.a.depth)
            copy16(to + i * 8 * ROW, from, r + 8 * i < left ? 16 : 0);
        return;
    }
#pragma unroll 1
    for (uint32_t i = 0; i < T::n / 8; i++) {
        const uint32_t row = shared_load_word(b.row_at(r + 8 * i));
        const bool there = row != NO_ROW;
        const float *from = b.x + (there ? (size_t)row * b.a.depth : 0);
        if constexpr (whole)
            copy16(to + i * 8 * ROW, there && k < b.a.depth ? from + k : from, there && k < b.a.depth ? 16 : 0);
        else
            bring_slowly(to + i * 8 * ROW, from, k, b.a.depth, there);
    }
}

/* Two warps load. They never wait for what they load, nor may they fence: a fence waits for all their copies. */
template <bool whole, typename T> OD_INLINE void load_chunks(const block<T> &b) {
    const uint32_t early = b.count < T::stages ? b.count : T::stages;
    for (uint32_t c = 0; c < early; c++) bring_w<whole>(b, c, c);
    await_previous();
    uint32_t stage = 0, parity = 1; /* of the stage's last use; the first waits for nothing */
    for (uint32_t c = 0; c < b.count; c++) {
        barrier_wait(b.empty_at(stage), parity);
        if (c >= early) bring_w<whole>(b, c, stage);
        bring_x<whole>(b, c, stage);
        barrier_arrive_copied(b.raw_at(stage));
        if (++stage == T::stages) {
            stage = 0;
            parity ^= 1;
        }
    }
    copy_wait_all();
}

/* The thread's units of a chunk of x: 16 bytes of the rows t / 8, t / 8 + 8, … */
template <typename T> OD_INLINE void split_x(uint32_t x_at, uint32_t t) {
    const uint32_t at = x_at + t / 8 * ROW + ((t ^ t / 8) % 8) * 16;
#pragma unroll 4
    for (uint32_t i = 0; i < T::n / 8; i++) {
        const uint32_t hi_at = at + i * 8 * ROW;
        const float4 v = shared_load4(hi_at);
        const float4 hi = make_float4(tf32_round(v.x), tf32_round(v.y), tf32_round(v.z), tf32_round(v.w));
        shared_store4(hi_at, hi);
        shared_store4(hi_at + T::x, make_float4(v.x - hi.x, v.y - hi.y, v.z - hi.z, v.w - hi.w));
    }
}

/* Two warps split x as soon as it is there. */
template <typename T, bool tf32> OD_INLINE void split_chunks(const block<T> &b) {
    const uint32_t t = threadIdx.x - LOADERS;
    uint32_t stage = 0, parity = 0;
    for (uint32_t c = 0; c < b.count; c++) {
        barrier_wait(b.raw_at(stage), parity);
        if constexpr (!tf32) split_x<T>(b.x_at(stage), t);
        publish_to_tensor_cores();
        __syncwarp();
        if (t % 32 == 0) barrier_arrive(b.full_at(stage));
        if (++stage == T::stages) {
            stage = 0;
            parity ^= 1;
        }
    }
}

template <typename T, bool tf32> static __device__ __forceinline__ void produce(const block<T> &b) {
    if (threadIdx.x >= LOADERS)
        split_chunks<T, tf32>(b);
    else if (b.a.depth % 4 == 0)
        load_chunks<true>(b);
    else
        load_chunks<false>(b);
    __syncwarp();
}

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
        if constexpr (T::warpgroups > 1) registers_less<T::producer_registers>();
        produce<T, tf32>(b);
        if (T::split > 1) {
            cluster_meet();
            cluster_meet();
        }
    } else {
        if constexpr (T::warpgroups > 1) registers_more<T::consumer_registers>();
        consume<T, tf32>(b);
    }
}

/* Boxes of 32 floats of the tile's rows of w: [2][outs][depth] for SWIGLU, else [1][outs][depth]. What lies outside is
 * zero. Left empty where rows are not aligned to 16 bytes: they are brought otherwise. */
static cudaError_t map_weights(CUtensorMap *map, const od_product_args &a, unsigned m) {
    static decltype(&cuTensorMapEncodeTiled) encode;
    const bool pairs = a.epilogue == OD_EPILOGUE_SWIGLU;
    const cuuint64_t sizes[3] = {a.depth, a.outs, pairs ? 2u : 1u};
    const cuuint64_t strides[2] = {a.depth * (cuuint64_t)4, a.depth * (cuuint64_t)4 * a.outs};
    const cuuint32_t box[3] = {CHUNK, pairs ? m / 2 : m, pairs ? 2u : 1u}, step[3] = {1, 1, 1};
    *map = CUtensorMap{};
    if (a.depth % 4 != 0) return cudaSuccess;
    if (!encode) {
        void *found = nullptr;
        cudaDriverEntryPointQueryResult result;
        const cudaError_t code =
            cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
        if (code != cudaSuccess) return code;
        if (result != cudaDriverEntryPointSuccess) return cudaErrorNotSupported;
        encode = (decltype(encode))found;
    }
    return encode(map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 3, (void *)a.w, sizes, strides, box, step,
                  CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS
               ? cudaSuccess
               : cudaErrorInvalidValue;
}

template <typename T, bool tf32>
static cudaError_t start(const od_product_args &a, unsigned max_rows, bool early, cudaStream_t stream) {
    const unsigned wide = a.epilogue == OD_EPILOGUE_SWIGLU ? T::m / 2 : T::m;
    cudaLaunchAttribute attributes[2] = {};
    unsigned n = 0;
    if (early) {
        attributes[n].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attributes[n++].val.programmaticStreamSerializationAllowed = 1;
    }
    if (T::split > 1) {
        attributes[n].id = cudaLaunchAttributeClusterDimension;
        attributes[n].val.clusterDim.x = T::split;
        attributes[n].val.clusterDim.y = attributes[n].val.clusterDim.z = 1;
        n++;
    }
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3((a.outs + wide - 1) / wide * T::split, (max_rows + T::n - 1) / T::n);
    config.blockDim = dim3(T::threads);
    config.dynamicSmemBytes = T::shared;
    config.stream = stream;
    config.attrs = attributes;
    config.numAttrs = n;
    CUtensorMap w_map;
    cudaError_t code = map_weights(&w_map, a, T::m);
    if (code == cudaSuccess)
        code = cudaFuncSetAttribute(product<T, tf32>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::shared);
    return code == cudaSuccess ? cudaLaunchKernelEx(&config, product<T, tf32>, a, w_map) : code;
}

typedef cudaError_t (*start_function)(const od_product_args &, unsigned, bool, cudaStream_t);

struct config {
    const char *name;
    int m, n, groups, split;
    start_function exact, tf32;
};

#define CONFIG(warpgroups, n, groups, split, name)                                                                     \
    {                                                                                                                  \
        name, 64 * warpgroups, n, groups, split, start<tile<warpgroups, n, groups, split>, false>,                     \
            start<tile<warpgroups, n, groups, split>, true>                                                            \
    }
const config configs[] = {
    CONFIG(1, 64, 1, 1, "64x64"),
    CONFIG(2, 64, 1, 1, "128x64"),
    CONFIG(2, 96, 1, 1, "128x96"),
    CONFIG(2, 112, 1, 1, "128x112"),
    CONFIG(2, 128, 1, 1, "128x128"),
    CONFIG(3, 64, 1, 1, "192x64"),
    CONFIG(3, 112, 1, 1, "192x112"),
    CONFIG(1, 64, GROUPS, GROUPS, "64x64/4"),
    CONFIG(2, 64, GROUPS, GROUPS, "128x64/4"),
    CONFIG(2, 96, GROUPS, GROUPS, "128x96/4"),
    CONFIG(2, 112, GROUPS, GROUPS, "128x112/4"),
    CONFIG(3, 64, GROUPS, GROUPS, "192x64/4"),
    CONFIG(2, 96, GROUPS, 1, "128x96 in 4"),
    CONFIG(2, 128, GROUPS, 1, "128x128 in 4"),
};
enum { CONFIGS = sizeof configs / sizeof *configs };

/* Part of what a sum's bits are made of, so it depends on the weights' shape alone. */
static int groups_of(const od_product_args *a) {
    const uint64_t rows = (uint64_t)a->outs * (a->epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1);
    return rows <= 1536 && a->depth >= 512 ? GROUPS : 1;
}

static unsigned divide_up(uint64_t p, uint64_t q) {
    return (unsigned)((p + q - 1) / q);
}

/* The least time, if a multiprocessor's is in proportion to its tiles' areas, their depth and what they must load. */
static const config *choose(const od_product_args *a, unsigned max_rows) {
    const uint64_t outs = (uint64_t)a->outs * (a->epilogue == OD_EPILOGUE_SWIGLU ? 2 : 1);
    const config *best = nullptr;
    double least = 0;
    for (const config &c : configs) {
        if (c.groups != groups_of(a)) continue;
        const double blocks = (double)divide_up(outs, c.m) * divide_up(max_rows, c.n) * c.split;
        const double mma = 6.0 * c.n * c.m / 64, load = (c.m + c.n) * 128 / 24.0, chunk = mma > load ? mma : load;
        const double waves = (double)divide_up((uint64_t)blocks, 132);
        const double time = waves * ((chunk + 100) * divide_up(divide_up(a->depth, CHUNK), c.split) + 3000);
        if (!best || time < least) {
            best = &c;
            least = time;
        }
    }
    return best;
}

} // namespace

int od_tensor_product_configs(void) {
    return CONFIGS;
}

bool od_tensor_product_fits(const od_product_args *args, int config) {
    return config == 0 || (config > 0 && config <= CONFIGS && configs[config - 1].groups == groups_of(args));
}

const char *od_tensor_product_name(int config) {
    return config > 0 && config <= CONFIGS ? configs[config - 1].name : "";
}

const char *od_tensor_product_math(bool tf32_only) {
    return tf32_only ? "tf32" : "3xtf32";
}

int od_tensor_product_start(const od_product_args *args, unsigned max_rows, int config, bool tf32_only, bool early,
                            void *stream) {
    if (args->norm || !od_tensor_product_fits(args, config)) return cudaErrorInvalidValue;
    if (max_rows == 0) return cudaSuccess;
    const struct config *c = config ? &configs[config - 1] : choose(args, max_rows);
    return (tf32_only ? c->tf32 : c->exact)(*args, max_rows, early, (cudaStream_t)stream);
}
