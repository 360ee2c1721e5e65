/* How a kernel is written so that nvcc and a C++ compiler both build it.
 *
 *   OD_KERNEL(name, struct od_name_args) {       // a: the arguments, b: the block
 *       float *sum = OD_SHARED(b, float, n);
 *       OD_PHASE(t, b) { … thread t of b.threads … }   // a barrier ends every phase
 *       OD_PHASE(t, b) { … }
 *   }
 *
 * On a GPU a phase is the thread's own turn followed by __syncthreads(). On the twin it is a loop over the block's
 * threads, forward, backward or shuffled, so that an order which the code must not depend on shows. What lives from one
 * phase to the next lives in shared memory. Inside a phase: no return, no break out of it. */
#ifndef OD_GPU_KERNEL_CUH
#define OD_GPU_KERNEL_CUH

#include "faults/fault.h"
#include "gpu/kernels/intrinsics.cuh"
#include "gpu/kernels/kernels.h"

struct od_block {
    unsigned x, y;   /* which block */
    unsigned nx, ny; /* of how many */
    unsigned threads;
    unsigned used; /* bytes of shared memory given out */
    char *shared;
    int fault;
#ifndef __CUDACC__
    const unsigned short *order;
#endif
};

/* Is this planted fault on, and does its condition hold? tests/faults/fault.h. */
#ifndef OD_FAULTS
#define OD_KERNEL_FAULT_WHEN(b, tag, condition) (false && (condition))
#elif defined(__CUDACC__)
#define OD_KERNEL_FAULT_WHEN(b, tag, condition) ((b).fault == OD_FAULT_##tag && (condition))
#else
#define OD_KERNEL_FAULT_WHEN(b, tag, condition)                                                                        \
    ((b).fault == OD_FAULT_##tag && od_fault_reach() && (condition) && od_fault_trigger())
#endif
#define OD_KERNEL_FAULT(b, tag) OD_KERNEL_FAULT_WHEN(b, tag, true)
/* One that only a GPU has: the twin does not even come by. */
#if defined(OD_FAULTS) && defined(__CUDACC__)
#define OD_GPU_FAULT(b, tag) OD_KERNEL_FAULT(b, tag)
#else
#define OD_GPU_FAULT(b, tag) false
#endif

/* What half precision and TF32 keep of x's significant bits: 11, rounded to nearest. By its bits: the sums of a
 * splitting (x·8193 − (x·8193 − x)) a GPU's compiler makes fused ones, which lose nothing. For planted faults. */
OD_DEVICE float od_coarse(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7f800000u) == 0x7f800000u) return x; /* infinite or NaN */
    bits = (bits + 0xfffu + (bits >> 13 & 1)) & ~0x1fffu;
    memcpy(&x, &bits, sizeof x);
    return x;
}

template <typename T> OD_DEVICE T *od_shared_take(od_block &b, unsigned count) {
    T *p = reinterpret_cast<T *>(b.shared + b.used);
    b.used += (count * (unsigned)sizeof(T) + 15u) & ~15u;
    return p;
}
#define OD_SHARED(b, type, count) od_shared_take<type>(b, count)

#ifdef __CUDACC__
#include <assert.h>
#include <cuda_runtime.h>

#define OD_PHASE(t, b) for (unsigned t = threadIdx.x, od_once = 1; od_once; od_once = 0, __syncthreads())
#define OD_PHASE_OPEN(t, b, open)                                                                                      \
    for (unsigned t = threadIdx.x, od_once = 1; od_once; od_once = 0, (open) ? (void)0 : __syncthreads())
#define OD_KERNEL_DEFINE(name, args_type, AWAIT)                                                                       \
    static __device__ void od_body_##name(const args_type &a, od_block &b);                                            \
    static __global__ void od_global_##name(const args_type a, int fault) {                                            \
        extern __shared__ __align__(16) char od_dynamic_shared[];                                                      \
        od_block b = {blockIdx.x, blockIdx.y, gridDim.x, gridDim.y, blockDim.x, 0, od_dynamic_shared, fault};          \
        od_let_next_begin();                                                                                           \
        AWAIT;                                                                                                         \
        od_body_##name(a, b);                                                                                          \
    }                                                                                                                  \
    extern "C" int od_cuda_start_##name(od_grid grid, const void *args, size_t size, int fault, void *stream) {        \
        assert(size == sizeof(args_type));                                                                             \
        (void)size;                                                                                                    \
        static const int raised = od_raise_shared((const void *)od_global_##name);                                     \
        if (grid.shared > OD_SHARED_UNASKED && raised) return raised;                                                  \
        return od_start(od_global_##name, grid, *(const args_type *)args, fault, (cudaStream_t)stream);                \
    }                                                                                                                  \
    static __device__ void od_body_##name(const args_type &a, od_block &b)
#define OD_KERNEL(name, args_type)       OD_KERNEL_DEFINE(name, args_type, od_await(b))
#define OD_KERNEL_EARLY(name, args_type) OD_KERNEL_DEFINE(name, args_type, (void)0)

/* Programmatic dependent launch: the next kernel's blocks may become resident; and: all that the kernels ahead did is
 * done and visible. Both are nothing where the launch was not `early`. */
OD_DEVICE void od_let_next_begin() {
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}
OD_DEVICE void od_await(const od_block &) {
    asm volatile("griddepcontrol.wait;" ::: "memory");
}

/* Once a kernel: shared memory beyond 48 KiB has to be asked for (a cudaError_t says whether it was to be had); and a
 * multiprocessor divides its memory anew between cache and shared memory only when no block is on it, so that kernels
 * which are to run beside each other ask for one division, the most of shared memory: a hint, which may be refused.
 * Tensor-core products take all of it anyway. */
enum { OD_SHARED_UNASKED = 48 * 1024 };
static inline int od_raise_shared(const void *kernel) {
    int most = 0;
    cudaError_t code = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0);
    if (code == cudaSuccess) code = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
    if (code == cudaSuccess && cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                                    cudaSharedmemCarveoutMaxShared) != cudaSuccess)
        cudaGetLastError(); /* forgotten */
    return (int)code;
}

template <typename Args>
static int od_start(void (*kernel)(Args, int), od_grid grid, const Args &args, int fault, cudaStream_t stream) {
    cudaLaunchAttribute early = {};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(grid.x, grid.y);
    config.blockDim = dim3(grid.threads);
    config.dynamicSmemBytes = grid.shared;
    config.stream = stream;
    config.attrs = &early;
    config.numAttrs = grid.early ? 1 : 0;
    return (int)cudaLaunchKernelEx(&config, kernel, args, fault);
}

#else

#define OD_PHASE(t, b) for (unsigned od_turn = 0, t; od_turn < (b).threads && (t = (b).order[od_turn], true); od_turn++)
#define OD_KERNEL(name, args_type)                                                                                     \
    static void od_body_##name(const args_type &a, od_block &b);                                                       \
    static const size_t od_host_args_##name = sizeof(args_type);                                                       \
    extern "C" void od_host_block_##name(od_block *b, const void *args) {                                              \
        od_body_##name(*(const args_type *)args, *b);                                                                  \
    }                                                                                                                  \
    static void od_body_##name(const args_type &a, od_block &b)
#define OD_KERNEL_EARLY(name, args_type) OD_KERNEL(name, args_type)

/* A phase that a planted fault leaves without its barrier, which the twin cannot. */
#define OD_PHASE_OPEN(t, b, open)        OD_PHASE(t, b)

OD_DEVICE void od_await(const od_block &) {
}

#endif

/* Global thread index for grids that cover a count. */
#define OD_INDEX(t, b) ((uint64_t)(b).x * (b).threads + (t))

#endif
