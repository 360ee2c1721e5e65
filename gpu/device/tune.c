#include "gpu/device/tune.h"

#include <stdio.h>
#include <string.h>

#include "gpu/device/tensor_product.h"

enum { WARM = 2, RUNS = 8 };

int od_tune_device_name(char name[OD_TUNED_DEVICE]) {
    struct cudaDeviceProp properties;
    const cudaError_t code = cudaGetDeviceProperties(&properties, 0);
    if (code != cudaSuccess) return (int)code;
    snprintf(name, OD_TUNED_DEVICE, "%.*s", OD_TUNED_DEVICE - 1, properties.name);
    for (char *c = name; *c; c++)
        if (*c <= ' ') *c = '_';
    return 0;
}

static cudaError_t time_tile(float *ms, const od_product_args *args, size_t max_rows, size_t likely_rows, int config,
                             bool tf32, cudaEvent_t begin, cudaEvent_t end, cudaStream_t stream) {
    cudaError_t code = cudaSuccess;
    for (int i = 0; i < WARM + RUNS && code == cudaSuccess; i++) {
        if (i == WARM) code = cudaEventRecord(begin, stream);
        if (code == cudaSuccess)
            code = (cudaError_t)od_tensor_product_start(args, (unsigned)max_rows, (unsigned)likely_rows, config, tf32,
                                                        false, stream);
    }
    if (code == cudaSuccess) code = cudaEventRecord(end, stream);
    if (code == cudaSuccess) code = cudaEventSynchronize(end);
    if (code == cudaSuccess) code = cudaEventElapsedTime(ms, begin, end);
    return code;
}

static cudaError_t time_tiles(int *config, const od_product_args *args, size_t max_rows, size_t likely_rows, bool tf32,
                              cudaStream_t stream) {
    cudaEvent_t begin = NULL, end = NULL;
    float least = 0;
    cudaError_t code = cudaEventCreate(&begin);
    if (code == cudaSuccess) code = cudaEventCreate(&end);
    *config = 0;
    for (int i = 0; i <= od_tensor_product_configs() && code == cudaSuccess; i++) {
        float ms = 0;
        if (i && !od_tensor_product_fits(args, i)) continue;
        code = time_tile(&ms, args, max_rows, likely_rows, i, tf32, begin, end, stream);
        if (i && ms >= least) continue;
        least = ms;
        *config = i;
    }
    if (begin) cudaEventDestroy(begin);
    if (end) cudaEventDestroy(end);
    return code;
}

enum od_status od_tune_product(int *config, const od_product_args *args, size_t max_rows, size_t likely_rows, bool tf32,
                               cudaStream_t stream, od_error *e) {
    char key[OD_TUNED_KEY], value[OD_TUNED_VALUE], device[OD_TUNED_DEVICE];
    bool found = false;
    cudaError_t code = (cudaError_t)od_tune_device_name(device);
    if (code != cudaSuccess) return od_fail(e, OD_DEVICE_FAULT, "gpu: autotune: %s", cudaGetErrorString(code));
    /* the 1 changes with the kernel; tiles go by name, so that a table outlives a change of their numbers */
    snprintf(key, sizeof key, "product-1|%s|%s|n%u|k%u|e%u|m%zu", device, od_tensor_product_math(tf32), args->outs,
             args->depth, args->epilogue, max_rows);
    enum od_status status = od_tuned_get(key, value, &found, e);
    if (status) return status;
    for (int i = 0; found && i <= od_tensor_product_configs(); i++)
        if (strcmp(value, i ? od_tensor_product_name(i) : "default") == 0 &&
            (i == 0 || od_tensor_product_fits(args, i))) {
            *config = i;
            return OD_OK;
        }
    code = time_tiles(config, args, max_rows, likely_rows, tf32, stream);
    if (code != cudaSuccess) return od_fail(e, OD_DEVICE_FAULT, "gpu: autotune: %s", cudaGetErrorString(code));
    return od_tuned_put(key, *config ? od_tensor_product_name(*config) : "default", e);
}
