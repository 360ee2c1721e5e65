/* In the place of cuda.c in a build without CUDA. */
#include "gpu/device/device.h"

static enum od_status probe(od_error *e) {
    return od_fail(e, OD_NO_DEVICE,
                   "engine gpu: this build has no CUDA (configure with -DOD_CUDA=ON where nvcc and "
                   "cuBLAS are installed); --fast twin runs its kernels on the CPU");
}

const od_device_ops *od_device_cuda(void) {
    static const od_device_ops ops = {.name = "gpu", .probe = probe};
    return &ops;
}
