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

/* Steps of a tile, whole patches, for a block of so many threads: one a thread beside the three warps that sum. */
OD_GRID uint32_t od_front_tile(uint32_t patch, unsigned threads) {
    const uint32_t steps = threads > 96 ? threads - 96 : 64;
    return steps > patch ? steps / patch * patch : patch;
}

/* step: the call has one patch a row. */
OD_GRID od_grid od_front_grid(const od_front_args *a, size_t capacity, bool step) {
    const size_t stages = 5, tile = 256, blocks = 528; /* 4 on each multiprocessor of an H100 */
    const size_t steps = (step ? 1 : capacity) * a->patch, most = steps < tile ? steps : tile;
    od_grid grid = {0};
    grid.x = (unsigned)(capacity < blocks ? capacity : blocks);
    grid.y = 1;
    grid.threads = most < 64 ? 32 : 96 + ((unsigned)most + 31) / 32 * 32;
    const uint32_t n = (uint32_t)stages * od_front_tile(a->patch, grid.threads);
    grid.shared = 2 * od_shared_bytes(1, sizeof(od_scaler_state)) + od_shared_bytes(3, sizeof(double)) +
                  3 * od_shared_bytes(n, sizeof(double)) + 2 * od_shared_bytes(n, sizeof(float)) +
                  od_shared_bytes(n, sizeof(uint8_t));
    return grid;
}

#endif
