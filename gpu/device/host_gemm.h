/* The twin's matrix product: its own loop, so that it shares nothing with the reference's OpenBLAS. */
#ifndef OD_GPU_DEVICE_HOST_GEMM_H
#define OD_GPU_DEVICE_HOST_GEMM_H

#include <stddef.h>

/* y[m,n] = x[m,k] · w[n,k]ᵀ, float32 row-major, no aliasing. Each element is summed in one fixed order (chunks of 128
 * along k, each in order, then the chunks), whatever m, n and the processor: batch-invariant. No fused multiply-add. */
void od_host_gemm(float *y, const float *x, const float *w, size_t m, size_t n, size_t k);

#endif
