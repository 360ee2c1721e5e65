/* The twin's version of od_device_ops.product. The arithmetic of the sums is od_host_gemm's. */
#ifndef OD_GPU_DEVICE_HOST_PRODUCT_H
#define OD_GPU_DEVICE_HOST_PRODUCT_H

#include "gpu/kernels/kernels.h"

/* Computes what args say, for as many rows as the call block says. args->norm must be NULL. */
void od_host_product(const od_product_args *args);

#endif
