/* What a GPU and a CPU spell differently: the only arithmetic that is written twice. */
#ifndef OD_GPU_INTRINSICS_CUH
#define OD_GPU_INTRINSICS_CUH

#include <float.h>
#include <math.h>
#include <stdint.h>

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
/* Adds to a counter that several threads share (integers only: floats are never added atomically). */
OD_DEVICE void od_count(uint32_t *counter) {
    atomicAdd(counter, 1u);
}
#else
#define OD_DEVICE        static inline
#define OD_DEVICE_METHOD inline
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
