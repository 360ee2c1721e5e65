/* Grids of the fused kernels: plain C, for the engine, for the tests, and for the kernels that read sizes off their
 * grid. A bucket's capacity is the most tokens of a call; rows are at most as many. No answer depends on a grid. */
#ifndef OD_GPU_FUSED_GRID_H
#define OD_GPU_FUSED_GRID_H

#include "gpu/kernels/kernels.h"

#ifdef __CUDACC__
#define OD_GRID static inline __host__ __device__
#else
#define OD_GRID static inline
#endif

/* Bytes that OD_SHARED takes for n things of a size. */
OD_GRID unsigned od_shared_bytes(uint32_t n, size_t size) {
    return (n * (unsigned)size + 15u) & ~15u;
}

/* Threads of a block that sum: a warp each for the three sums. A larger block has three teams besides. */
enum { OD_FRONT_SERIAL = 96 };

OD_GRID unsigned od_front_team(unsigned threads) {
    return threads > OD_FRONT_SERIAL ? (threads - OD_FRONT_SERIAL) / 3 : threads;
}

/* Steps of a tile: whole patches, about two a thread of a team. A row of up to two and a half tiles is not cut. */
OD_GRID uint32_t od_front_tile(uint32_t patch, unsigned threads) {
    const uint32_t steps = threads > OD_FRONT_SERIAL ? 2 * od_front_team(threads) : 128;
    return steps > patch ? steps / patch * patch : patch;
}

/* step: the call has one patch a row. Few steps get a small block. */
OD_GRID od_grid od_front_grid(const od_front_args *a, size_t capacity, bool step) {
    const size_t stages = 5, blocks = step ? 264 : 132; /* as many as an H100 holds: 2 or 1 on each of 132 */
    const size_t steps = capacity * a->patch, most = steps < 256 ? steps : 256;
    od_grid grid = {0};
    grid.x = (unsigned)(capacity < blocks ? capacity : blocks);
    grid.y = 1;
    grid.threads = OD_FRONT_SERIAL + (step || steps <= 512 ? 0 : 3 * (((unsigned)most + 63) / 64 * 32));
    const uint32_t n = (uint32_t)stages * od_front_tile(a->patch, grid.threads);
    grid.shared = 2 * od_shared_bytes(1, sizeof(od_scaler_state)) + od_shared_bytes(3, sizeof(double)) +
                  3 * od_shared_bytes(n, sizeof(double)) + 2 * od_shared_bytes(n, sizeof(float)) +
                  od_shared_bytes(n, sizeof(uint8_t));
    return grid;
}

OD_GRID od_grid od_norm_rows_grid(const od_norm_rows_args *a, size_t capacity) {
    const uint32_t n = a->width % 4 ? a->width : a->width / 4, most = n < 256 ? n : 256;
    od_grid grid = {0};
    grid.x = (unsigned)capacity;
    grid.y = 1;
    grid.threads = (most + 31) / 32 * 32;
    grid.shared = 2 * od_shared_bytes(a->width, sizeof(float)) + od_shared_bytes(grid.threads, sizeof(float)) +
                  od_shared_bytes((grid.threads + 15) / 16, sizeof(float));
    return grid;
}

/* Positions of a block, which has a thread for each component of them. */
OD_GRID uint32_t od_emit_group(uint32_t n_component, unsigned threads) {
    return threads / n_component;
}

OD_GRID od_grid od_emit_grid(const od_emit_args *a, size_t capacity) {
    const size_t positions = capacity * a->patch, share = positions * a->n_component / 132;
    const uint32_t least = (a->n_component + 31) / 32 * 32;
    od_grid grid = {0};
    grid.threads = share < 64 ? 64 : share < 256 ? ((unsigned)share + 31) / 32 * 32 : 256;
    if (grid.threads < least) grid.threads = least;
    const uint32_t group = od_emit_group(a->n_component, grid.threads);
    grid.x = (unsigned)((positions + group - 1) / group);
    grid.y = 1;
    grid.shared =
        2 * od_shared_bytes(group * (a->n_component | 1), sizeof(float)) + 4 * od_shared_bytes(group, sizeof(float));
    return grid;
}

OD_GRID od_grid od_fold_grid(const od_fold_args *a) {
    const unsigned rows = a->n_head * a->n_component, columns = (a->width + 3) / 4;
    od_grid grid = {0};
    grid.threads = 64;
    grid.x = (columns + grid.threads - 1) / grid.threads;
    grid.y = a->patch * ((rows + 3) / 4);
    return grid;
}

#endif
