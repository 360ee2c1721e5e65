/* Products on cuBLASLt with one fixed algorithm for each shape of weight, chosen without regard to the number of rows:
 * no split along k, no workspace. A row's sum then depends on that row alone. */
#ifndef OD_GPU_DEVICE_LT_H
#define OD_GPU_DEVICE_LT_H

#include <cuda_runtime_api.h>
#include <stdbool.h>

#include "model/heap.h"

typedef struct od_lt od_lt;

/* tf32: let products round to TF32. */
enum od_status od_lt_open(od_lt **out, bool tf32, od_heap *heap, od_error *e);
void od_lt_close(od_lt *lt); /* NULL is fine */

/* "float32" or "tf32", from the compute type that the library was given. */
const char *od_lt_math(const od_lt *lt);

/* y[m,n] = x[m,k] · w[n,k]ᵀ, float32 row-major, on a stream. May be captured; allocates no device memory. */
enum od_status od_lt_gemm(od_lt *lt, cudaStream_t stream, float *y, const float *x, const float *w, size_t m, size_t n,
                          size_t k, od_error *e);

/* Times the library's algorithms for such a product, unless tuned.h has a choice, and takes the fastest among those
 * that give the fixed algorithm's bits. On data of its own; waits for the device, takes memory for the trial and gives
 * it back. */
enum od_status od_lt_tune(od_lt *lt, cudaStream_t stream, size_t m, size_t n, size_t k, od_error *e);

#endif
