/* The twin's kernels: the same sources, compiled as C++ for the CPU. */
#include <string.h>

#include "gpu/device/host_run.h"

#include "gpu/kernels/add_bias.cu"
#include "gpu/kernels/attend_group.cu"
#include "gpu/kernels/attend_prefill.cu"
#include "gpu/kernels/attend_small.cu"
#include "gpu/kernels/attend_space.cu"
#include "gpu/kernels/attend_step.cu"
#include "gpu/kernels/attend_time.cu"
#include "gpu/kernels/emit.cu"
#include "gpu/kernels/fold.cu"
#include "gpu/kernels/front.cu"
#include "gpu/kernels/grow.cu"
#include "gpu/kernels/head.cu"
#include "gpu/kernels/ingest.cu"
#include "gpu/kernels/keep.cu"
#include "gpu/kernels/mean.cu"
#include "gpu/kernels/norm_rows.cu"
#include "gpu/kernels/patchify.cu"
#include "gpu/kernels/qkv.cu"
#include "gpu/kernels/residual.cu"
#include "gpu/kernels/rmsnorm.cu"
#include "gpu/kernels/rotate.cu"
#include "gpu/kernels/row_chain.cu"
#include "gpu/kernels/row_product.cu"
#include "gpu/kernels/scaler.cu"
#include "gpu/kernels/swiglu.cu"

namespace {

typedef void (*block_function)(od_block *, const void *);

const block_function functions[OD_KERNEL_COUNT] = {
#define OD_ENTRY(name) od_host_block_##name,
    OD_KERNEL_LIST(OD_ENTRY)
#undef OD_ENTRY
};

const size_t args_sizes[OD_KERNEL_COUNT] = {
#define OD_ENTRY(name) od_host_args_##name,
    OD_KERNEL_LIST(OD_ENTRY)
#undef OD_ENTRY
};

const char *const names[OD_KERNEL_COUNT] = {
#define OD_ENTRY(name) #name,
    OD_KERNEL_LIST(OD_ENTRY)
#undef OD_ENTRY
};

const unsigned GUARD = 64;
const unsigned char POISON = 0xFF, BAND = 0xA5;

/* Fisher-Yates with splitmix64: any permutation will do, as long as the seed gives it back. */
void shuffle(unsigned short *order, unsigned n, uint64_t seed) {
    for (unsigned i = n; i > 1; i--) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        const unsigned j = (unsigned)((z ^ (z >> 31)) % i);
        const unsigned short k = order[i - 1];
        order[i - 1] = order[j];
        order[j] = k;
    }
}

} // namespace

extern "C" const char *od_kernel_name(enum od_kernel kernel) {
    return names[kernel];
}

extern "C" size_t od_kernel_args_size(enum od_kernel kernel) {
    return args_sizes[kernel];
}

extern "C" int od_host_run(enum od_kernel kernel, od_grid grid, const void *args, int fault, od_host_order order) {
    unsigned short threads[OD_HOST_THREADS];
    alignas(64) char shared[OD_HOST_SHARED + GUARD];
    for (unsigned i = 0; i < grid.threads; i++)
        threads[i] = (unsigned short)(order.kind == 1 ? grid.threads - 1 - i : i);
    if (order.kind == 2) shuffle(threads, grid.threads, order.seed);
    const uint64_t blocks = (uint64_t)grid.x * grid.y;
    memset(shared + grid.shared, BAND, GUARD);
    unsigned dirty = grid.shared; /* a block that returned at once has taken no shared memory: nothing to poison anew */
    for (uint64_t n = 0; n < blocks; n++) {
        const uint64_t at = order.kind == 1 ? blocks - 1 - n : n;
        memset(shared, POISON, dirty);
        od_block b = {};
        b.x = (unsigned)(at % grid.x);
        b.y = (unsigned)(at / grid.x);
        b.nx = grid.x;
        b.ny = grid.y;
        b.threads = grid.threads;
        b.shared = shared;
        b.fault = fault;
        b.order = threads;
        functions[kernel](&b, args);
        if (b.used > grid.shared) return 1;
        dirty = b.used;
    }
    for (unsigned i = 0; i < GUARD; i++)
        if ((unsigned char)shared[grid.shared + i] != BAND) return 1;
    return 0;
}
