/* What a GPU and a CPU spell differently: the only arithmetic that is written twice. */
#ifndef OD_GPU_INTRINSICS_CUH
#define OD_GPU_INTRINSICS_CUH

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Ahead of a loop: how often nvcc unrolls it; nothing to a compiler for the CPU. Without a number: fully. */
#ifdef __CUDACC__
#define OD_PRAGMA(x)    _Pragma(#x)
#define OD_UNROLL       OD_PRAGMA(unroll)
#define OD_UNROLL_BY(n) OD_PRAGMA(unroll n)
#else
#define OD_UNROLL
#define OD_UNROLL_BY(n)
#endif

#ifdef __CUDACC__
#define OD_DEVICE        static __device__ __forceinline__
#define OD_DEVICE_METHOD __device__ __forceinline__
/* float64 without contraction: the scaler's sums must round as the reference's do. */
OD_DEVICE double od_add64(double a, double b) {
    return __dadd_rn(a, b);
}
OD_DEVICE double od_sub64(double a, double b) {
    return __dsub_rn(a, b);
}
OD_DEVICE double od_mul64(double a, double b) {
    return __dmul_rn(a, b);
}
/* Four floats at a 16-byte aligned address. */
OD_DEVICE float4 od_load4(const float *p) {
    return *reinterpret_cast<const float4 *>(p);
}
OD_DEVICE void od_store4(float *p, float4 v) {
    *reinterpret_cast<float4 *>(p) = v;
}
/* 16, or 4, bytes from device to shared memory without waiting; a thread's copies since its last commit are one group.
 */
OD_DEVICE void od_copy16(void *shared, const void *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((unsigned)__cvta_generic_to_shared(shared)),
                 "l"(from)
                 : "memory");
}
OD_DEVICE void od_copy4(void *shared, const void *from) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"((unsigned)__cvta_generic_to_shared(shared)), "l"(from)
                 : "memory");
}
OD_DEVICE void od_copy_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
/* Waits until at most n of the thread's own groups are under way; other threads' copies need a barrier after theirs. */
template <int n> OD_DEVICE void od_copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory");
}
/* Bulk copies, made by the copy engine while threads do other things. Who opens a barrier in shared memory for the
 * bytes that it counts may start their copies (16-byte aligned, multiples of 16 bytes) at once; who waits needs a
 * __syncthreads after the opening. A barrier serves once. */
OD_DEVICE void od_bulk_open(uint64_t *barrier, uint32_t bytes) {
    const unsigned at = (unsigned)__cvta_generic_to_shared(barrier);
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(at) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    __syncwarp(__activemask()); /* for racecheck, which takes a barrier's opening and its first arrival for a race */
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at), "r"(bytes) : "memory");
}
OD_DEVICE void od_bulk_copy(void *shared, const void *from, uint32_t bytes, uint64_t *barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     (unsigned)__cvta_generic_to_shared(shared)),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"((unsigned)__cvta_generic_to_shared(barrier))
                 : "memory");
}
OD_DEVICE void od_bulk_wait(uint64_t *barrier) {
    uint32_t done = 0;
    while (!done)
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"((unsigned)__cvta_generic_to_shared(barrier))
                     : "memory");
}
/* Asks for memory to come into the L2 cache: 16-byte aligned, bytes in multiples of 16. */
OD_DEVICE void od_prefetch(const void *from, uint32_t bytes) {
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(__cvta_generic_to_global(from)), "r"(bytes)
                 : "memory");
}
/* a·b + c: rounded once on a GPU, twice on the CPU, where one rounding may cost a call. */
OD_DEVICE float od_fma(float a, float b, float c) {
    return fmaf(a, b, c);
}
/* 1/√x within one ulp: a Newton step upon the approximation. */
OD_DEVICE float od_inverse_root(float x) {
    const float y = rsqrtf(x);
    return fmaf(0.5f * y, fmaf(-x * y, y, 1.0f), y);
}
/* The same pointer, known to lead to device memory: its accesses need not look where they go. */
template <typename T> OD_DEVICE T *od_global(T *p) {
    __builtin_assume(__isGlobal(p));
    return p;
}
/* Adds to a counter that several threads share (integers only: floats are never added atomically). */
OD_DEVICE void od_count(uint32_t *counter) {
    atomicAdd(counter, 1u);
}
#else
#define OD_DEVICE        static inline
#define OD_DEVICE_METHOD inline
struct float4 {
    float x, y, z, w;
};
OD_DEVICE float4 od_load4(const float *p) {
    float4 v;
    memcpy(&v, p, sizeof v);
    return v;
}
OD_DEVICE void od_store4(float *p, float4 v) {
    memcpy(p, &v, sizeof v);
}
OD_DEVICE void od_copy16(void *shared, const void *from) {
    memcpy(shared, from, 16);
}
OD_DEVICE void od_copy4(void *shared, const void *from) {
    memcpy(shared, from, 4);
}
OD_DEVICE void od_copy_commit() {
}
template <int n> OD_DEVICE void od_copy_wait() {
}
OD_DEVICE void od_bulk_open(uint64_t *, uint32_t) {
}
OD_DEVICE void od_bulk_copy(void *shared, const void *from, uint32_t bytes, uint64_t *) {
    memcpy(shared, from, bytes);
}
OD_DEVICE void od_bulk_wait(uint64_t *) {
}
OD_DEVICE void od_prefetch(const void *, uint32_t) {
}
OD_DEVICE float od_fma(float a, float b, float c) {
    return a * b + c;
}
OD_DEVICE float od_inverse_root(float x) {
    return 1.0f / sqrtf(x);
}
template <typename T> OD_DEVICE T *od_global(T *p) {
    return p;
}
OD_DEVICE double od_add64(double a, double b) {
    return a + b;
}
OD_DEVICE double od_sub64(double a, double b) {
    return a - b;
}
OD_DEVICE double od_mul64(double a, double b) {
    return a * b;
}
OD_DEVICE void od_count(uint32_t *counter) {
    *counter += 1;
}
#endif

#endif
