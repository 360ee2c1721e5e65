/* Grids and tiles of the fused path's attention kernels. `tokens`, `rows` and `patches` are what a bucket of shapes has
 * room for. Tiles of keys follow from d alone, or hold all keys that there can be: so a row's sums are the same in
 * every bucket. */
#ifndef OD_GPU_FUSED_GRID_ATTENTION_H
#define OD_GPU_FUSED_GRID_ATTENTION_H

#include "gpu/kernels/kernels.h"

/* Kernels that take items in turn have no use for more blocks than an H100 holds: of 132 processors, each with 228 KiB
 * of shared memory (1 KiB of it lost to each block) and 2048 threads. */
enum { OD_PROCESSORS = 132, OD_PROCESSOR_SHARED = 228 * 1024, OD_PROCESSOR_THREADS = 2048 };

static inline unsigned od_grid_within(size_t n, size_t lo, size_t hi) {
    return (unsigned)(n < lo ? lo : n > hi ? hi : n);
}

static inline unsigned od_grid_round(size_t n, size_t to) {
    return (unsigned)((n + to - 1) / to * to);
}

/* Keys of a tile: `most` for d up to 64, then halved as d doubles, so that tiles keep their size in shared memory. */
static inline unsigned od_grid_tile(size_t d_head, unsigned most) {
    while (most > 4 && d_head * most > 64 * (size_t)most) {
        most /= 2;
        d_head /= 2;
    }
    return most;
}

static inline od_grid od_rotate_grid(size_t tokens, size_t n_head, size_t d_head) {
    const size_t turns = n_head * d_head / (d_head % 4 == 0 ? 4 : 2);
    return (od_grid){.x = od_grid_within(tokens, 1, 8 * OD_PROCESSORS),
                     .y = 1,
                     .threads = od_grid_within(od_grid_round(turns, 8), 8, 256)};
}

/* Fills in the tiles of `a`, whose n_head and d_head are set, and the grid of a kernel that takes tiles in turn.
 * `seen`: keys, and queries, that a row or a batch row may have at most; queries: of a tile, before d's share. */
static inline od_grid od_attend_tile_grid(od_attend_tile_args *a, size_t tokens, size_t seen, unsigned queries,
                                          unsigned threads) {
    const unsigned row = OD_ROW_STRIDE(a->d_head);
    a->tile_keys = od_grid_within(od_grid_round(seen, 4), 4, od_grid_tile(a->d_head, 64));
    a->tile_queries = od_grid_within(seen, 1, od_grid_tile(a->d_head, queries));
    const unsigned q = a->tile_queries, k = a->tile_keys, fours = od_grid_round(q, 4);
    /* queries and sums, keys and values, weights, two numbers a lane (16 of them), six a query, one a key */
    const unsigned floats =
        2 * q * row + 2 * k * row + q * (k + 4) + 2 * 16 * q + 2 * fours + 2 * od_grid_round(2 * q, 4) + k;
    const unsigned shared = floats * (unsigned)sizeof(float);
    threads = od_grid_within(od_grid_round(q * 16, 32), 32, threads);
    const size_t room = OD_PROCESSOR_SHARED / (shared + 1024), most = OD_PROCESSOR_THREADS / threads;
    const size_t blocks = OD_PROCESSORS * (size_t)od_grid_within(room < most ? room : most, 1, 16);
    return (od_grid){.x = od_grid_within(tokens * a->n_head, 1, blocks), .y = 1, .threads = threads, .shared = shared};
}

/* `patches`: that a row may come to have, this call's included. Short rows need many blocks, long ones large tiles. */
static inline od_grid od_attend_prefill_grid(od_attend_tile_args *a, size_t tokens, size_t patches) {
    const bool is_long = patches > 128;
    return od_attend_tile_grid(a, tokens, patches, is_long ? 64 : 16, is_long ? 256 : 128);
}

/* Whether all patches of a prefill of so many tokens fit into one tile of keys, as attend_small needs. */
static inline bool od_attend_small_serves(size_t tokens, size_t d_head) {
    return tokens <= od_grid_tile(d_head, 64);
}

static inline od_grid od_attend_small_grid(od_attend_tile_args *a, size_t tokens) {
    return od_attend_tile_grid(a, tokens, tokens, 16, 128);
}

/* `variates`: of a batch row at most. */
static inline od_grid od_attend_group_grid(od_attend_tile_args *a, size_t tokens, size_t variates) {
    return od_attend_tile_grid(a, tokens, variates, 16, variates <= 8 ? 64 : 128);
}

/* Fills in the tile of `a`. `patches`: that a row may come to have, this call's included. Blocks without work keep
 * their places as od_row_product_grid's do. */
static inline od_grid od_attend_step_grid(od_attend_step_args *a, size_t rows, size_t patches) {
    const unsigned d = a->d_head, row = OD_ROW_STRIDE(d);
    unsigned keys = od_grid_tile(d, 128);
    if (keys < OD_STEP_GROUP) keys = OD_STEP_GROUP;
    a->tile_keys = od_grid_within(od_grid_round(patches, OD_STEP_GROUP), OD_STEP_GROUP, keys);
    const unsigned k = a->tile_keys, groups = k / OD_STEP_GROUP, work = groups * ((d + 3) / 4);
    /* keys and values, the new patch's rows, turns, scores and weights, groups' sums, sums so far */
    const unsigned floats =
        2 * k * row + 3 * row + 4 * d + 2 * k + groups * row + od_grid_round(groups, 4) + od_grid_round(d, 4) + 3 * 4;
    return (od_grid){.x = od_grid_within(rows * a->n_head, OD_PROCESSORS, INT32_MAX),
                     .y = 1,
                     .threads = od_grid_within(od_grid_round(work > k ? work : k, 32), 32, 256),
                     .shared = floats * (unsigned)sizeof(float)};
}

#endif
