/* Timing on the CUDA device: what tuned.h keeps comes from here. */
#ifndef OD_GPU_DEVICE_TUNE_H
#define OD_GPU_DEVICE_TUNE_H

#include <cuda_runtime_api.h>

#include "gpu/device/tuned.h"
#include "gpu/kernels/kernels.h"

/* The device's name without blanks. A cudaError_t. */
int od_tune_device_name(char name[OD_TUNED_DEVICE]);

/* Times od_tensor_product's tiles on the product itself, whose y is overwritten (what it held does not matter, it must
 * be finite), unless there is a choice already; *config is the fastest. Waits for the stream. */
enum od_status od_tune_product(int *config, const od_product_args *args, size_t max_rows, size_t likely_rows, bool tf32,
                               cudaStream_t stream, od_error *e);

#endif
