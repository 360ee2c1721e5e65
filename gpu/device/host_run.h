/* Running one kernel on the CPU: the block's threads as a loop, in an order of choice. */
#ifndef OD_GPU_DEVICE_HOST_RUN_H
#define OD_GPU_DEVICE_HOST_RUN_H

#include <stdint.h>

#include "gpu/kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { OD_HOST_THREADS = 1024, OD_HOST_SHARED = 200 * 1024 };

/* 0 forward, 1 backward, 2 shuffled by seed: of the threads within each phase, and (forward or backward) of blocks. */
typedef struct od_host_order {
    int kind;
    uint64_t seed;
} od_host_order;

/* Runs every block. Shared memory is poisoned before each. 0, or 1 where a block wrote past its shared memory. */
int od_host_run(enum od_kernel kernel, od_grid grid, const void *args, int fault, od_host_order order);

const char *od_kernel_name(enum od_kernel kernel);
/* Bytes of the structure that a kernel takes. */
size_t od_kernel_args_size(enum od_kernel kernel);

#ifdef __cplusplus
}
#endif

#endif
