/* A block of the tensor-core product: its place, and the warpgroup that brings chunks to shared memory and splits x. */
#ifndef OD_GPU_TENSOR_PRODUCT_BLOCK_CUH
#define OD_GPU_TENSOR_PRODUCT_BLOCK_CUH

#include "gpu/device/tensor_product.cuh"
#include "gpu/kernels/kernels.h"

namespace {

enum {
    CHUNK = 32, /* of the depth */
    STEPS = 2,  /* of 8 of the depth, that the tensor cores sum: part of what a sum's bits are made of */
    GROUPS = 4,
    ROW = CHUNK * 4, /* bytes */
    WARPGROUP = 128,
    LOADERS = 64,            /* threads */
    MOST_SHARED = 227 * 1024 /* bytes a block */
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
    /* A thread; both together are what the block was started with. 0: as they were. */
    static constexpr int consumer_registers = warpgroups == 1 ? 0 : warpgroups == 2 ? 208 : n > 64 ? 160 : 152;
    static constexpr int producer_registers = warpgroups == 1 ? 0 : warpgroups == 2 ? 88 : 512 - 3 * consumer_registers;
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
        barrier_arrive(b.empty_at(stage)); /* implied by the consumers' word, but race checkers see no such chains */
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

} // namespace

#endif
